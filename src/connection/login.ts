import type { Duplex } from 'node:stream';
import { Client } from 'ssh2';
import { messageOf, UnreachableError } from '../core/errors.ts';
import { type AuthLog, gatherIdentities, IdentityAgent, planAuth } from './auth.ts';
import { checkHostKey, hostKeyAlgorithms } from './host-key-check.ts';
import { jumpKey, type Run } from './run.ts';
import { withoutPassword } from './secret.ts';
import type { SshTarget } from './target.ts';
import { DroppedError, droppedError, openProxyCommand, openTcp, placeOf, type Transport } from './transport.ts';

/** A login that is up. */
export interface Login {
  readonly client: Client;
  /** The text of the last error of the connection; undefined while there was none. */
  lastError(): string | undefined;
  /** Settles when the connection has ended. */
  readonly closed: Promise<void>;
  /** Ends the connection in order. */
  close(): Promise<void>;
}

/** A login on a jump host, shared by all hosts behind it. */
export interface JumpLogin {
  readonly login: Login;
  users: number;
}

const RETRY_BASE_MS = 400;
const RETRY_SPREAD_MS = 800;
const CLOSE_GRACE_MS = 1000;

/**
 * Logs in. Where sshd drops the connection before it has introduced itself, one more try is made after a pause of random length.
 * @see sshd_config(5), MaxStartups
 * @throws UnreachableError with the reason and what to do
 */
export async function login(target: SshTarget, run: Run): Promise<Login> {
  try {
    return await attemptLogin(target, run);
  } catch (error) {
    if (!(error instanceof DroppedError)) throw error;
  }
  await new Promise((resolve) => setTimeout(resolve, RETRY_BASE_MS + Math.random() * RETRY_SPREAD_MS));
  return attemptLogin(target, run);
}

async function attemptLogin(target: SshTarget, run: Run): Promise<Login> {
  const identities = await gatherIdentities(target, run.keyring);
  const serverHostKey = hostKeyAlgorithms(target);
  const transport = await openTransport(target, run);
  const client = new Client();
  return new Promise<Login>((resolve, reject) => {
    const attempt = new Attempt(target, client, transport, (error) => {
      reject(error);
      client.destroy();
      transport.stream.destroy();
    });
    const agent = new IdentityAgent(
      identities.list,
      (isBusy) => attempt.watch(isBusy ? undefined : 'auth'),
      (problem) => attempt.remarks.push(problem),
    );
    attempt.remarks.push(...identities.remarks);
    const plan = planAuth(target, identities, agent, attempt.log);
    client.once('ready', () => {
      attempt.watch(undefined);
      resolve(makeLogin(client, attempt));
    });
    client.connect({
      sock: transport.stream,
      username: target.user,
      ident: 'mcastctl',
      readyTimeout: 0,
      keepaliveInterval: target.keepaliveMs,
      keepaliveCountMax: target.keepaliveCount,
      hostVerifier: (key: Buffer) => {
        attempt.hostKeyError = checkHostKey(target, key, run);
        return attempt.hostKeyError === undefined;
      },
      algorithms: {
        serverHostKey,
        // For sshd of the time of RHEL 5 and 6; tried last.
        kex: { append: ['diffie-hellman-group-exchange-sha1', 'diffie-hellman-group14-sha1'], prepend: [], remove: [] },
        compress: ['none'],
      },
      // The first question comes without a list of what the host takes.
      authHandler: (left, _partial, next) => next(plan(left) as Parameters<typeof next>[0]),
    });
    attempt.watch('handshake');
  });
}

type Phase = 'handshake' | 'auth';

/** One try to log in: watches its time and turns the first error into a message. */
class Attempt {
  readonly log: AuthLog = { tried: [], accepted: [] };
  /** Why keys could not be used. */
  readonly remarks: string[] = [];
  hostKeyError: UnreachableError | undefined;
  lastError: string | undefined;
  readonly #target: SshTarget;
  readonly #transport: Transport;
  readonly #fail: (error: UnreachableError) => void;
  #phase: Phase | 'done' = 'handshake';
  #timer: NodeJS.Timeout | undefined;
  #isFailed = false;

  constructor(target: SshTarget, client: Client, transport: Transport, fail: (error: UnreachableError) => void) {
    this.#target = target;
    this.#transport = transport;
    this.#fail = fail;
    client.once('handshake', () => this.watch('auth'));
    client.once('ready', () => {
      this.#phase = 'done';
    });
    client.on('error', (error) => this.#onError(error));
    client.once('close', () => this.#explainLoss(undefined));
  }

  /** Starts the clock of a phase, or stops it: while a person types a passphrase no time runs. */
  watch(phase: Phase | undefined): void {
    clearTimeout(this.#timer);
    if (phase === undefined || this.#phase === 'done' || this.#isFailed) return;
    this.#phase = phase;
    this.#timer = setTimeout(() => this.#end(this.#tooSlow(phase)), this.#target.connectTimeoutMs);
  }

  #onError(error: Error & { level?: string }): void {
    // A key that can't sign is no end: the next one is tried.
    if (error.level === 'agent') return;
    // The end of a ProxyCommand; its stream has no better word for it.
    if (!/Premature close/.test(error.message)) this.lastError = messageOf(error);
    if (this.#phase === 'done' || this.#isFailed) return;
    if (this.hostKeyError !== undefined) this.#end(this.hostKeyError);
    else if (error.level === 'client-authentication') this.#end(this.#refused(''));
    else this.#explainLoss(error);
  }

  /** The connection broke while it was set up: a dropped login, a proxy that failed, a host that gave up. */
  #explainLoss(error: Error | undefined): void {
    if (this.#phase === 'done' || this.#isFailed) return;
    if (this.hostKeyError !== undefined) {
      this.#end(this.hostKeyError);
      return;
    }
    const phase = this.#phase;
    clearTimeout(this.#timer);
    // A proxy's own words come when it has ended; its end is at hand, as it closed its output.
    const patience = new Promise((resolve) => setTimeout(resolve, CLOSE_GRACE_MS).unref());
    void Promise.race([this.#transport.ended, patience]).then(() => this.#end(this.#lossError(phase, error)));
  }

  #lossError(phase: Phase, error: Error | undefined): UnreachableError {
    const { host, proxy } = this.#target;
    const trouble = this.#transport.trouble();
    const isCut = error === undefined || isCutLine(error);
    if (proxy?.kind === 'command' && phase === 'handshake' && isCut && trouble !== '') {
      const isDrop = /kex_exchange_identification|banner exchange|reset by peer/i.test(trouble);
      const Kind = isDrop ? DroppedError : UnreachableError;
      return new Kind(host, `the ProxyCommand "${withoutPassword(proxy.command)}" failed: ${trouble}`, {
        hint: 'try the command by hand',
        cause: error,
      });
    }
    if (phase === 'auth') return this.#refused(error === undefined ? 'it closed the connection' : messageOf(error));
    const detail = error === undefined ? 'connection closed' : messageOf(error);
    if (!isCut)
      return new UnreachableError(host, `no SSH session with ${placeOf(this.#target)}: ${detail}`, { cause: error });
    return droppedError(this.#target, detail, error);
  }

  #tooSlow(phase: Phase): UnreachableError {
    const { host, connectTimeoutMs, proxy } = this.#target;
    const trouble = this.#transport.trouble();
    const what = phase === 'handshake' ? 'the SSH key exchange was' : 'the login was';
    const by =
      proxy?.kind === 'command'
        ? ` through the ProxyCommand "${withoutPassword(proxy.command)}"${trouble && `: ${trouble}`}`
        : '';
    return new UnreachableError(
      host,
      `${what} not done by ${placeOf(this.#target)} within ${connectTimeoutMs / 1000} s${by}`,
      {
        hint: 'the host may be overloaded, or not an SSH server; ansible_timeout or ConnectTimeout give it more time',
      },
    );
  }

  #refused(reason: string): UnreachableError {
    const { host, user, methods } = this.#target;
    const { tried, accepted } = this.log;
    const parts = [
      `${placeOf(this.#target)} refuses the login of "${user}"${reason && `: ${reason}`}`,
      tried.length > 0 ? `tried: ${tried.join(', ')}` : 'there was no key and no password to try',
      accepted.length > 0 && `the host takes: ${accepted.join(', ')}`,
      ...this.remarks,
    ];
    const takesPassword = methods.includes('password') && accepted.some((name) => name !== 'publickey');
    const hint =
      takesPassword && this.#target.password === undefined
        ? 'give a key, or a password with -k'
        : 'check user, key and password';
    return new UnreachableError(host, parts.filter(Boolean).join('; '), { hint });
  }

  #end(error: UnreachableError): void {
    if (this.#isFailed || this.#phase === 'done') return;
    this.#isFailed = true;
    clearTimeout(this.#timer);
    this.#fail(error);
  }
}

function isCutLine(error: Error & { code?: unknown }): boolean {
  return (
    ['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ERR_STREAM_PREMATURE_CLOSE'].includes(String(error.code)) ||
    /Connection lost before handshake/.test(error.message)
  );
}

async function openTransport(target: SshTarget, run: Run): Promise<Transport> {
  const { proxy } = target;
  if (proxy === undefined) return openTcp(target);
  if (proxy.kind === 'command') return openProxyCommand(proxy.command, run.where.env);
  return openJump(target, proxy.via, run);
}

async function openJump(target: SshTarget, via: SshTarget, run: Run): Promise<Transport> {
  const jump = await acquireJump(target, via, run);
  try {
    const stream = await forward(target, via, jump.login);
    stream.on('error', () => undefined);
    stream.once('close', () => releaseJump(via, run, jump));
    return { stream, trouble: () => '', ended: Promise.resolve() };
  } catch (error) {
    releaseJump(via, run, jump);
    throw error;
  }
}

async function acquireJump(target: SshTarget, via: SshTarget, run: Run): Promise<JumpLogin> {
  const key = jumpKey(via);
  let pending = run.jumps.get(key);
  if (pending === undefined) {
    const started = login(via, run).then((done): JumpLogin => {
      void done.closed.then(() => {
        if (run.jumps.get(key) === started) run.jumps.delete(key);
      });
      return { login: done, users: 0 };
    });
    pending = started;
    run.jumps.set(key, started);
  }
  try {
    const jump = await pending;
    jump.users++;
    return jump;
  } catch (error) {
    // A later host may find the jump host recovered; those that wait now share the failure.
    if (run.jumps.get(key) === pending) run.jumps.delete(key);
    const hint = error instanceof UnreachableError ? error.hint : undefined;
    throw new UnreachableError(target.host, `the jump host "${via.originalHost}" can't be used: ${messageOf(error)}`, {
      hint,
      cause: error,
    });
  }
}

function releaseJump(via: SshTarget, run: Run, jump: JumpLogin): void {
  jump.users--;
  if (jump.users > 0) return;
  run.jumps.delete(jumpKey(via));
  void jump.login.close();
}

function forward(target: SshTarget, via: SshTarget, jump: Login): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      clearTimeout(timer);
      reject(
        new UnreachableError(
          target.host,
          `the jump host "${via.originalHost}" can't reach ${placeOf(target)}: ${reason}`,
          {
            hint: 'check that the host is up and that sshd on the jump host allows TCP forwarding',
          },
        ),
      );
    };
    const timer = setTimeout(
      () => fail(`no answer within ${target.connectTimeoutMs / 1000} s`),
      target.connectTimeoutMs,
    );
    try {
      jump.client.forwardOut('127.0.0.1', 0, target.address, target.port, (error, stream) => {
        clearTimeout(timer);
        if (error) fail(error.message.replace(/^\(SSH\) Channel open failure: /, ''));
        else resolve(stream);
      });
    } catch (error) {
      fail(messageOf(error));
    }
  });
}

function makeLogin(client: Client, attempt: Attempt): Login {
  const closed = new Promise<void>((resolve) => {
    client.once('close', () => resolve());
  });
  return {
    client,
    lastError: () => attempt.lastError,
    closed,
    async close() {
      client.end();
      // The goodbye is on its way; the host's own would be waited for at the end of every run.
      setImmediate(() => client.destroy());
      await closed;
    },
  };
}
