import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The built command line. */
export const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What is started in place of Node with the command line, such as a command that enters a namespace first. */
  readonly prefix?: readonly string[];
  /** Called with the process when it has started, to signal it. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** A run of the command line that is under way. */
export interface RunningCli {
  readonly child: ChildProcess;
  /** Settles when standard error holds a match; rejects where the run ends without. */
  said(pattern: RegExp): Promise<void>;
  readonly done: Promise<CliResult>;
}

/** Runs the built command line, as a user would, and gives what it printed and its exit code. */
export function mcastctl(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startMcastctl(args, options).done;
}

/** Starts the built command line. */
export function startMcastctl(args: readonly string[], options: CliOptions = {}): RunningCli {
  const [program = process.execPath, ...rest] = [...(options.prefix ?? []), process.execPath, CLI, ...args];
  const child = spawn(program, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  options.onStart?.(child);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString();
  const done = new Promise<CliResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout: text(out), stderr: text(err) }));
  });
  const said = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (pattern.test(text(err))) resolve();
      };
      child.stderr.on('data', look);
      look();
      child.on('close', (code) => reject(new Error(`ended with ${code} without ${pattern}: ${text(err)}`)));
    });
  return { child, said, done };
}
