import { isUtf8 } from 'node:buffer';
import { argvText } from '../core/argv.ts';
import { HostError } from '../core/errors.ts';
import type { Argv, FileState, Observations, Read, RunResult } from '../core/resource.ts';
import { decodeFields, encodeFields } from './wire.ts';

/** Seconds that a command of a read may take on a node at most. */
const READ_TIMEOUT_S = 10;

/** One name for equal reads, so that a question that many resources ask is put once. */
export function readKey(read: Read): string {
  // NUL is in no path and no argument.
  if (read.read === 'run') return ['run', ...read.argv].join('\0');
  if (read.read === 'file') return `file\0${read.path}`;
  return ['dir', read.path, read.suffix, ...(read.within === undefined ? [] : [read.within])].join('\0');
}

/** The reads without repetitions, in order. */
export function uniqueReads(reads: readonly Read[]): Read[] {
  return [...new Map(reads.map((read) => [readKey(read), read])).values()];
}

/**
 * A read as the agent wants it.
 * @param seconds that all reads of a message may take together
 */
export function encodeRead(read: Read, seconds: number): Buffer {
  if (read.read === 'run') return encodeFields(['run', Math.min(READ_TIMEOUT_S, seconds), ...read.argv]);
  if (read.read === 'file') return encodeFields(['file', read.path]);
  return encodeFields(['dir', read.path, read.suffix, ...(read.within === undefined ? [] : [read.within])]);
}

/**
 * Gives the answers of a node to those who asked.
 * @param answers the agent's answers, in the order of `reads`
 */
export function observationsOf(reads: readonly Read[], answers: readonly Buffer[]): Observations {
  const found = new Map(reads.map((read, index) => [readKey(read), answers[index]]));
  // Many resources ask the same: each answer is decoded once.
  const decoded = new Map<string, unknown>();
  function answerTo<T>(read: Read, decode: (kind: string, fields: Buffer[]) => T): T {
    const key = readKey(read);
    if (decoded.has(key)) return decoded.get(key) as T;
    const answer = found.get(key);
    if (answer === undefined) throw new Error(`not read: ${key}`);
    const [kind, ...fields] = decodeFields(answer);
    const value = decode(text(kind), fields);
    decoded.set(key, value);
    return value;
  }
  return {
    file: (path) =>
      answerTo({ read: 'file', path }, (kind, fields) => {
        if (kind === 'error') throw readError(path, fields);
        return kind === 'none' ? null : fileState(fields);
      }),
    dir: (path, suffix, within) =>
      answerTo({ read: 'dir', path, suffix, ...(within !== undefined && { within }) }, (kind, fields) => {
        if (kind === 'error') throw readError(path, fields);
        return kind === 'none' ? null : fields.map((field) => fileState(decodeFields(field)));
      }),
    run: (argv) => answerTo({ read: 'run', argv }, (_, fields) => runResult(argv, fields)),
  };
}

function readError(path: string, fields: readonly Buffer[]): HostError {
  const isRight = ['1', '13'].includes(text(fields[1])); // EPERM, EACCES
  return new HostError(`can't read ${path}: ${text(fields[0])}`, isRight ? { hint: 'become root with -b' } : {});
}

function fileState(fields: readonly Buffer[]): FileState {
  const bytes = fields[1] ?? Buffer.alloc(0);
  const encoding = isUtf8(bytes) ? 'utf8' : 'latin1';
  const link = text(fields[5]);
  return {
    path: text(fields[0]),
    text: bytes.toString(encoding),
    encoding,
    mode: Number(text(fields[2])),
    uid: Number(text(fields[3])),
    gid: Number(text(fields[4])),
    target: link === '' ? null : link.slice(1),
  };
}

/**
 * The end of a program as the agent told it: code, signal, stdout, stderr, problem.
 * @throws HostError where it had to be stopped (time, amount of output) or could not be started
 */
export function runResult(argv: Argv, fields: readonly Buffer[]): RunResult {
  const problem = text(fields[4]);
  if (problem !== '') throw new HostError(`"${argvText(argv)}" ${problem}`);
  const code = text(fields[0]);
  return {
    argv,
    code: code === '' ? null : Number(code),
    signal: text(fields[1]) || null,
    stdout: text(fields[2]),
    stderr: text(fields[3]),
  };
}

function text(field: Buffer | undefined): string {
  return field?.toString('utf8') ?? '';
}
