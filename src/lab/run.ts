import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { HostError, messageOf } from '../core/errors.ts';
import type { Argv, RunResult } from '../core/resource.ts';

/** The folders of programs that only root needs are not in everybody's PATH. */
const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The environment for the lab's own programs: the C locale and a PATH with the system's folders. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: 'C', PATH: searchPath().join(':') };
}

function searchPath(): string[] {
  return [...new Set([...(process.env['PATH'] ?? '').split(':').filter(Boolean), ...SYSTEM_PATH])];
}

/** Whether a program of that name can be started. */
export function hasProgram(name: string): boolean {
  return searchPath().some((folder) => {
    try {
      accessSync(`${folder}/${name}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Runs a program on this machine and waits for it. `input` is its standard input. Only a start that fails throws. */
export function run(
  argv: Argv,
  options: { input?: string; signal?: AbortSignal | undefined } = {},
): Promise<RunResult> {
  const [file, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      env: toolEnvironment(),
      stdio: ['pipe', 'pipe', 'pipe'],
      // Out of reach of the terminal's interrupt: this process decides what is cut short.
      detached: true,
      ...(options.signal && { signal: options.signal }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    // A program that ends without reading its input is judged by its exit code.
    child.stdin.on('error', () => undefined).end(options.input ?? '');
    child.once('error', (cause) => {
      if (options.signal?.aborted) reject(cause);
      else reject(new HostError(`"${file}" can't be started: ${messageOf(cause)}`, { cause }));
    });
    child.once('close', (code, signal) => resolve({ argv, code, signal, stdout, stderr }));
  });
}

/**
 * Like `run`, for a program that must succeed.
 * @throws HostError with what the program said where it failed
 */
export async function mustRun(argv: Argv, options: { input?: string } = {}): Promise<RunResult> {
  const result = await run(argv, options);
  if (result.code === 0) return result;
  const said = result.stderr.trim() || result.stdout.trim() || `exit ${result.code ?? result.signal}`;
  throw new HostError(`"${argv.join(' ')}" failed: ${said}`);
}
