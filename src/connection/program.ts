import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { RemoteProcess } from '../core/connection.ts';
import { HostError, messageOf } from '../core/errors.ts';

const KILL_GRACE_MS = 2000;

/**
 * Starts a program of this machine without a shell.
 * @throws HostError where it can't be started
 */
export function spawnProgram(
  argv: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv,
): Promise<ChildProcessWithoutNullStreams> {
  const [program, ...args] = argv;
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(
        new HostError(`"${program}" can't be started: ${messageOf(error)}`, {
          hint: 'check that it is installed',
          cause: error,
        }),
      );
    };
    try {
      const child = spawn(program, args, { stdio: 'pipe', env });
      child.once('error', fail);
      child.once('spawn', () => resolve(child));
    } catch (error) {
      fail(error);
    }
  });
}

/** A child of this process, as a program on a host. */
export function childProcess(child: ChildProcessWithoutNullStreams): RemoteProcess {
  child.stdin.on('error', () => undefined);
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exit: new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    }),
    kill: () => void endChild(child),
  };
}

/** Ends a child: politely first. Settles when it has ended. */
export function endChild(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    // sudo passes SIGTERM on to its program, but can't pass on SIGKILL.
    const timer = setTimeout(() => child.kill('SIGKILL'), KILL_GRACE_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
  });
}
