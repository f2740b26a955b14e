import type { ClientChannel } from 'ssh2';
import type { Link, RemoteProcess } from '../core/connection.ts';
import { messageOf, UnreachableError } from '../core/errors.ts';
import { startAs } from './become.ts';
import type { Login } from './login.ts';
import { quoteArgv } from './quote.ts';
import type { SshTarget } from './target.ts';

/** A link over a login by SSH. */
export function sshLink(target: SshTarget, login: Login): Link {
  const { host, become } = target;
  const lost = (): UnreachableError => {
    const reason = login.lastError();
    return new UnreachableError(host, `the connection to "${host}" broke${reason === undefined ? '' : `: ${reason}`}`, {
      hint: 'see whether the host is still up and whether its network was changed',
    });
  };
  const startPlain = async (argv: readonly [string, ...string[]]): Promise<RemoteProcess> =>
    startProgram(login, quoteArgv(argv), lost);
  const isSameUser = become === undefined || become.user === target.user;
  return {
    host,
    start: (argv) => (isSameUser ? startPlain(argv) : startAs(become, argv, startPlain)),
    closed: login.closed,
    close: () => login.close(),
  };
}

function startProgram(login: Login, command: string, lost: () => UnreachableError): Promise<RemoteProcess> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      const failure = lost();
      reject(
        new UnreachableError(failure.host, `no program can be started on "${failure.host}": ${messageOf(error)}`, {
          hint: failure.hint,
          cause: error,
        }),
      );
    };
    try {
      // Listened to at once: the end of a program that fails at its start arrives together with its beginning.
      login.client.exec(command, (error, channel) =>
        error ? fail(error) : resolve(channelProcess(channel, login, lost)),
      );
    } catch (error) {
      fail(error);
    }
  });
}

function channelProcess(channel: ClientChannel, login: Login, lost: () => UnreachableError): RemoteProcess {
  // A program that has ended takes no more input; that is told by its exit.
  channel.on('error', () => undefined);
  channel.stderr.on('error', () => undefined);
  let settleKilled: () => void = () => undefined;
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    settleKilled = () => resolve({ code: null, signal: 'SIGTERM' });
    channel.once('exit', (code: number | null, signal?: string) => resolve({ code, signal: signal ?? null }));
    channel.once('close', () => {
      // Without an exit status the whole connection is about to be found dead.
      setImmediate(() => reject(lost()));
    });
    void login.closed.then(() => reject(lost()));
  });
  exit.catch(() => undefined);
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    exit,
    kill() {
      // Only newer sshd pass signals on; the closed channel ends what reads or writes.
      channel.signal('TERM');
      channel.close();
      settleKilled();
    },
  };
}
