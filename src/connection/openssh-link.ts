import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Link, RemoteProcess } from '../core/connection.ts';
import { messageOf, UnreachableError } from '../core/errors.ts';
import { startAs } from './become.ts';
import { childProcess, endChild, spawnProgram } from './program.ts';
import { quoteArgv } from './quote.ts';
import type { SshTarget } from './target.ts';
import { placeOf } from './transport.ts';

const READY = 'mcastctl-ready';

/**
 * A link through the system's ssh, for hosts that are known only by a certificate authority: ssh2 does not ask for host
 * certificates. One login serves all programs (ControlMaster, its socket in a private folder). Keys must be in files without a
 * passphrase or in an agent.
 * @throws UnreachableError with what ssh said
 * @see ssh(1), ControlMaster in ssh_config(5)
 */
export async function opensshLink(target: SshTarget, env: NodeJS.ProcessEnv): Promise<Link> {
  const { host, become } = target;
  if (target.proxy?.kind === 'jump') {
    throw new UnreachableError(
      host,
      `"${host}" is known only by a certificate authority, which can't be checked behind ProxyJump`,
      {
        hint: 'use a ProxyCommand such as "ssh -W %h:%p JUMPHOST", or add the host\'s own key to known_hosts',
      },
    );
  }
  const folder = await mkdtemp(join(tmpdir(), 'mcastctl-ssh-'));
  const socket = join(folder, 's');
  const removeFolder = (): Promise<void> => rm(folder, { recursive: true, force: true });
  let master: ChildProcessWithoutNullStreams;
  try {
    master = await startMaster(target, socket, env);
  } catch (error) {
    await removeFolder();
    throw error;
  }
  const closed = new Promise<void>((resolve) => {
    master.once('exit', () => void removeFolder().then(resolve, () => resolve()));
  });
  const lost = (): UnreachableError => new UnreachableError(host, `the connection to "${host}" broke`);
  const startPlain = async (argv: readonly [string, ...string[]]): Promise<RemoteProcess> => {
    if (master.exitCode !== null || master.signalCode !== null) throw lost();
    // Were the socket gone, ssh would log in anew; a proxy that fails keeps it from that.
    const options = [
      '-F',
      'none',
      '-T',
      '-S',
      socket,
      '-o',
      'ControlMaster=no',
      '-o',
      'BatchMode=yes',
      '-o',
      'ProxyCommand=false',
    ];
    const child = childProcess(await spawnProgram(['ssh', ...options, '--', target.address, quoteArgv(argv)], env));
    const exit = child.exit.then(async (end) => {
      // ssh ends with 255 when the connection breaks; the master then ends too, but perhaps a moment later.
      if (end.code === 255) await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 200))]);
      if (end.code === 255 && (master.exitCode !== null || master.signalCode !== null)) throw lost();
      return end;
    });
    exit.catch(() => undefined);
    return { ...child, exit };
  };
  const isSameUser = become === undefined || become.user === target.user;
  return {
    host,
    start: (argv) => (isSameUser ? startPlain(argv) : startAs(become, argv, startPlain)),
    closed,
    async close() {
      await endChild(master);
      await closed;
    },
  };
}

async function startMaster(
  target: SshTarget,
  socket: string,
  env: NodeJS.ProcessEnv,
): Promise<ChildProcessWithoutNullStreams> {
  const { host } = target;
  const fail = (reason: string): UnreachableError =>
    new UnreachableError(host, `the system's ssh can't log in to ${placeOf(target)} as "${target.user}": ${reason}`, {
      hint: `"${host}" is known only by a certificate authority, so the system's ssh is used; it takes keys from files without a passphrase or from an agent`,
    });
  let child: ChildProcessWithoutNullStreams;
  try {
    child = await spawnProgram(['ssh', ...masterOptions(target, socket), '--', target.address], env);
  } catch (error) {
    throw fail(messageOf(error));
  }
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4096);
    });
    const onEnd = (): void => {
      clearTimeout(timer);
      reject(fail(said.trim() || 'it ended without a word'));
    };
    // `close` comes after the last of what it said.
    child.once('close', onEnd);
    const timer = setTimeout(() => void endChild(child), target.connectTimeoutMs * 2);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (!text.includes(READY)) return;
      clearTimeout(timer);
      child.off('close', onEnd);
      resolve(child);
    });
  });
}

/** Everything that was decided, as options, so that no configuration file has a say. */
function masterOptions(target: SshTarget, socket: string): string[] {
  const { hostKeys, keyFiles, agentSocket, proxy } = target;
  const files = (paths: readonly string[]): string =>
    paths.length === 0 ? 'none' : paths.map((path) => `"${literal(path)}"`).join(' ');
  const settings: Record<string, string> = {
    BatchMode: 'yes',
    ConnectTimeout: String(Math.ceil(target.connectTimeoutMs / 1000)),
    ControlMaster: 'yes',
    ControlPath: `"${literal(socket)}"`,
    ControlPersist: 'no',
    GlobalKnownHostsFile: files(hostKeys.globalFiles),
    IdentitiesOnly: target.identitiesOnly ? 'yes' : 'no',
    IdentityAgent: agentSocket === undefined ? 'none' : `"${literal(agentSocket)}"`,
    // Said when the control socket listens.
    LocalCommand: `echo ${READY}`,
    PermitLocalCommand: 'yes',
    Port: String(target.port),
    ProxyCommand: proxy?.kind === 'command' ? literal(proxy.command) : 'none',
    ServerAliveCountMax: String(target.keepaliveCount),
    ServerAliveInterval: String(Math.ceil(target.keepaliveMs / 1000)),
    StrictHostKeyChecking: 'yes',
    UpdateHostKeys: 'no',
    UserKnownHostsFile: files(hostKeys.userFiles),
  };
  // With a port the alias would hide it; without one the name is the address anyway.
  if (hostKeys.plainName === undefined) settings['HostKeyAlias'] = hostKeys.name;
  if (hostKeys.revokedFile !== undefined) settings['RevokedHostKeys'] = `"${literal(hostKeys.revokedFile)}"`;
  const keys = keyFiles.flatMap(({ path }) => ['-o', `IdentityFile="${literal(path)}"`]);
  return [
    '-F',
    'none',
    '-N',
    '-T',
    '-l',
    target.user,
    ...keys,
    ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
  ];
}

/** Text in which ssh finds no percent token. */
function literal(text: string): string {
  return text.replaceAll('%', '%%');
}
