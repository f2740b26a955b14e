import type { Readable } from 'node:stream';
import type { Link, RemoteProcess } from '../../src/core/connection.ts';

/** What a program wrote and how it ended. */
export interface ProgramResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
  readonly signal: string | null;
}

/** Runs a program to its end. */
export async function runProgram(
  link: Link,
  argv: readonly [string, ...string[]],
  stdin: string | Buffer = '',
): Promise<ProgramResult> {
  const child = await link.start(argv);
  return finish(child, stdin);
}

/** Feeds a started program and collects what it says. */
export async function finish(child: RemoteProcess, stdin: string | Buffer = ''): Promise<ProgramResult> {
  child.stdin.end(stdin);
  const [stdout, stderr, end] = await Promise.all([readAll(child.stdout), readAll(child.stderr), child.exit]);
  return { stdout, stderr, ...end };
}

function readAll(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    stream.once('error', reject);
  });
}
