import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real sshd on loopback with keys and configuration of its own. */
export interface Sshd {
  readonly port: number;
  /** What sshd has logged so far. */
  log(): string;
  /** Kills the process of every session, as if the line were cut. */
  dropSessions(): void;
  stop(): Promise<void>;
}

/** A folder that stands in for a home, with what a user keeps in `~/.ssh`. */
export interface Home {
  readonly dir: string;
  path(name: string): string;
  write(name: string, text: string): string;
  read(name: string): string;
  /** Makes a key pair and gives its path. */
  key(name: string, options?: { type?: string; passphrase?: string; format?: string }): string;
  remove(): void;
}

export function makeHome(): Home {
  const dir = mkdtempSync(join(tmpdir(), 'mcastctl-test-'));
  mkdirSync(join(dir, '.ssh'), { mode: 0o700 });
  const path = (name: string): string => join(dir, '.ssh', name);
  return {
    dir,
    path,
    write(name, text) {
      writeFileSync(path(name), text, { mode: 0o600 });
      return path(name);
    },
    read: (name) => readFileSync(path(name), 'utf8'),
    key(name, { type = 'ed25519', passphrase = '', format } = {}) {
      const bits = type === 'rsa' ? ['-b', '2048'] : [];
      const pem = format === undefined ? [] : ['-m', format];
      execFileSync('ssh-keygen', ['-q', '-t', type, ...bits, ...pem, '-N', passphrase, '-C', name, '-f', path(name)]);
      return path(name);
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** A port that nobody listens on right now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/**
 * Starts sshd.
 * @param hostKeys private key files
 * @param authorized public keys that may log in as root
 */
export async function startSshd(
  home: Home,
  hostKeys: readonly string[],
  authorized: readonly string[],
  extra: readonly string[] = [],
): Promise<Sshd> {
  mkdirSync('/run/sshd', { recursive: true });
  const port = await freePort();
  const keys = home.write(`authorized-${port}`, authorized.map((file) => readFileSync(file, 'utf8')).join(''));
  const config = home.write(
    `sshd-${port}`,
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      ...hostKeys.map((key) => `HostKey ${key}`),
      'PidFile none',
      `AuthorizedKeysFile ${keys}`,
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
      'LogLevel VERBOSE',
      'MaxStartups 100',
      // Since 9.8 an address whose logins failed is kept waiting, and every test comes from the same one.
      ...(sshdVersion() >= 9.8 ? ['PerSourcePenalties no'] : []),
      ...extra,
    ].join('\n'),
  );
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  await waitForPort(port, child, () => log);
  return {
    port,
    log: () => log,
    dropSessions() {
      for (const pid of descendantsOf(child.pid ?? 0)) process.kill(pid, 'SIGKILL');
    },
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await ended;
    },
  };
}

function sshdVersion(): number {
  const { stderr } = spawnSync('ssh', ['-V'], { encoding: 'utf8' });
  return Number(/OpenSSH_(\d+\.\d+)/.exec(stderr)?.[1] ?? 0);
}

/** A session is a process of its own below the one that sshd starts, from some version on. */
function descendantsOf(parent: number): number[] {
  return childrenOf(parent).flatMap((child) => [...descendantsOf(child), child]);
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent);
}

function parentOf(pid: number): number | undefined {
  try {
    // The name in parentheses may hold anything; state and parent follow the last one.
    const [, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(parent);
  } catch {
    return undefined;
  }
}

async function waitForPort(port: number, child: ChildProcess, log: () => string): Promise<void> {
  for (let tries = 0; tries < 250; tries++) {
    if (child.exitCode !== null) throw new Error(`sshd ended: ${log()}`);
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`sshd does not listen: ${log()}`);
}

/** The line of known_hosts for a host key. */
export function knownLine(port: number, keyFile: string, host = '127.0.0.1'): string {
  const [type, base64] = readFileSync(`${keyFile}.pub`, 'utf8').split(' ');
  return `[${host}]:${port} ${type} ${base64}\n`;
}
