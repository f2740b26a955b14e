import { spawn } from 'node:child_process';
import { connect as connectTcp, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { UnreachableError } from '../core/errors.ts';
import type { SshTarget } from './target.ts';

/** A byte stream to a host's sshd, and what its far end has said about trouble. */
export interface Transport {
  readonly stream: Duplex;
  /** What a ProxyCommand wrote to its standard error or how it ended; `''` where there is nothing to say. */
  trouble(): string;
  /** Settles when a ProxyCommand has ended, so that `trouble` is complete; at once where there is none. */
  readonly ended: Promise<void>;
}

/** The line was cut before the key exchange was done, as sshd does beyond MaxStartups. */
export class DroppedError extends UnreachableError {}

/** The error for a line that was cut; `detail` says how. */
export function droppedError(target: SshTarget, detail: string, cause: unknown): DroppedError {
  return new DroppedError(
    target.host,
    `${placeOf(target)} closed the connection before the key exchange was done (${detail})`,
    { hint: 'sshd may be over its MaxStartups limit, or a firewall, fail2ban or hosts.deny may be in the way', cause },
  );
}

const SETTLED = Promise.resolve();
const MAX_STDERR = 4096;

/**
 * Opens a TCP connection.
 * @throws UnreachableError for a name that can't be resolved, a refusal, no route, no answer in time
 */
export async function openTcp(target: SshTarget): Promise<Transport> {
  const { address, port, family, connectTimeoutMs } = target;
  const socket = connectTcp({ host: address, port, family, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(noAnswer(target));
    }, connectTimeoutMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(explainTcpError(target, error));
    });
  });
  ignoreErrors(socket);
  joinWrites(socket);
  return { stream: socket, trouble: () => '', ended: SETTLED };
}

/** SSH packets of one moment leave in one segment: each write by itself would cost a system call and a wake-up on the other side. */
function joinWrites(stream: Duplex): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  let isCorked = false;
  stream.write = (...args: unknown[]): boolean => {
    if (!isCorked) {
      isCorked = true;
      stream.cork();
      queueMicrotask(() => {
        isCorked = false;
        stream.uncork();
      });
    }
    return write(...args);
  };
}

/** The ssh2 client listens too, but not at every moment; an error that nobody hears would end the program. */
function ignoreErrors(stream: Socket | Duplex): void {
  stream.on('error', () => undefined);
}

function noAnswer(target: SshTarget): UnreachableError {
  const seconds = target.connectTimeoutMs / 1000;
  return new UnreachableError(target.host, `no answer from ${placeOf(target)} within ${seconds} s`, {
    hint: 'check that the host is up, that a firewall lets SSH through, and the address in the inventory',
  });
}

function explainTcpError(target: SshTarget, error: Error): UnreachableError {
  const code = 'code' in error ? String(error.code) : '';
  if (code === 'ECONNRESET') return droppedError(target, error.message, error);
  const texts: Readonly<Record<string, [string, string]>> = {
    ENOTFOUND: [`the name "${target.address}" can't be resolved`, 'check ansible_host, /etc/hosts and DNS'],
    EAI_AGAIN: [
      `the name "${target.address}" can't be resolved: no name server answers`,
      'check DNS, or set ansible_host to an address',
    ],
    ECONNREFUSED: [`${placeOf(target)} refuses the connection`, 'check that sshd runs there, and ansible_port'],
    EHOSTUNREACH: [`there is no route to ${placeOf(target)}`, 'check the network and the address in the inventory'],
    ENETUNREACH: [`there is no route to ${placeOf(target)}`, 'check the network and the address in the inventory'],
    ETIMEDOUT: [`no answer from ${placeOf(target)}`, 'check that the host is up and that a firewall lets SSH through'],
  };
  const [message, hint] = texts[code] ?? [`${placeOf(target)} can't be reached: ${error.message || code}`, undefined];
  return new UnreachableError(target.host, message, { hint, cause: error });
}

/** `address port number`, for messages. */
export function placeOf(target: SshTarget): string {
  return `${target.address} port ${target.port}`;
}

/**
 * Starts a ProxyCommand; its standard input and output are the connection. A shell runs it, as OpenSSH has it: it is a line
 * of the user's own configuration, and what was put into it was checked before.
 * @see ssh_config(5), ProxyCommand
 */
export function openProxyCommand(command: string, env: NodeJS.ProcessEnv): Transport {
  const child = spawn('/bin/sh', ['-c', `exec ${command}`], { stdio: 'pipe', env });
  let stderr = '';
  let ending = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-MAX_STDERR);
  });
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  ignoreErrors(stream);
  ignoreErrors(child.stdin as unknown as Socket);
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      ending = error.message;
      resolve();
    });
    child.once('close', (code, signal) => {
      if (code !== 0 || signal !== null) ending ||= signal === null ? `exit code ${code}` : `signal ${signal}`;
      stream.destroy();
      resolve();
    });
  });
  stream.once('close', () => child.kill('SIGHUP'));
  const trouble = (): string => [stderr.trim(), ending && `(${ending})`].filter(Boolean).join(' ');
  return { stream, trouble, ended };
}
