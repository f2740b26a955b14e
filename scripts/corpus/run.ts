import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { diffArrays } from 'diff';
import { FormatError } from '../../src/formats/format-error.ts';
import type { Encoding, Opened, Trial } from './format.ts';

/** Longest time of a processor, in milliseconds, that a file may take to be read, and an edit to be done. */
const PATIENCE = 1000;

/** Time of a processor since the program began, in milliseconds: how much else runs does not matter. */
function spent(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

interface Row {
  readonly name: string;
  /** null: there is no such folder. */
  files: number | null;
  equal: number;
  refused: number;
  edits: number;
  strayed: number;
  failures: number;
}

/** What the corpus says: a table, the files refused, the failures, and whether there are none. */
export interface Outcome {
  readonly text: string;
  readonly isGood: boolean;
}

/** Reads every file below `dir`/FOLDER of each format, writes it back, and tries every edit. */
export function runCorpus(dir: string, formats: readonly Opened[]): Outcome {
  const refusals: string[] = [];
  const failures: string[] = [];
  const rows = formats.map((format) => {
    const row: Row = { name: format.name, files: null, equal: 0, refused: 0, edits: 0, strayed: 0, failures: 0 };
    const folder = join(dir, format.folder);
    if (!isFolder(folder)) return row;
    const paths = filesBelow(folder);
    row.files = paths.length;
    for (const path of paths) {
      const name = relative(dir, path);
      const fail = (reason: string): void => {
        row.failures++;
        failures.push(`${name} (${format.name}): ${reason}`);
      };
      try {
        const refusal = tryFile(format, readFileSync(path), name, row, fail);
        if (refusal !== undefined) refusals.push(`${refusal.message} (${format.name})`);
      } catch (error) {
        fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
      }
    }
    return row;
  });
  const list = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ['', title, ...lines.map(indented)];
  const text = [...table(rows), ...list('refused, with the place:', refusals), ...list('failed:', failures)].join('\n');
  return { text: `${text}\n`, isGood: failures.length === 0 };
}

/** What a format does wrong with one file: nothing, where it refuses it with a line. */
export function failuresOf(format: Opened, bytes: Buffer, name: string): readonly string[] {
  const row: Row = { name: format.name, files: 1, equal: 0, refused: 0, edits: 0, strayed: 0, failures: 0 };
  const failures: string[] = [];
  tryFile(format, bytes, name, row, (reason) => failures.push(reason));
  return failures;
}

/** Counts in `row`; returns why the format refuses the file, where it does. */
function tryFile(
  format: Opened,
  bytes: Buffer,
  name: string,
  row: Row,
  fail: (reason: string) => void,
): FormatError | undefined {
  const { text, encoding } = decoded(bytes);
  const start = spent();
  let file: ReturnType<Opened['open']>;
  try {
    file = format.open(text, name, encoding);
  } catch (error) {
    if (!(error instanceof FormatError) || !(error.source.line >= 1)) throw error;
    row.refused++;
    return error;
  } finally {
    if (spent() - start > PATIENCE) fail('reading takes more than a second');
  }
  if (Buffer.from(file.printed(), encoding).equals(bytes)) row.equal++;
  else fail('written back, it has other bytes');
  for (const trial of file.trials()) {
    row.edits++;
    const strayed = tryEdit(text, trial, format.lines, fail);
    if (strayed) row.strayed++;
  }
  return undefined;
}

/** Whether an edit changed lines that it should leave alone. */
function tryEdit(text: string, trial: Trial, lines: Opened['lines'], fail: (reason: string) => void): boolean {
  const start = spent();
  try {
    const after = trial.edited();
    if (spent() - start > PATIENCE) fail(`${trial.what}: takes more than a second`);
    const stray = strayLine(text, after, trial, lines);
    if (stray !== undefined) {
      fail(`${trial.what}: ${stray}`);
      return true;
    }
    const objection = trial.objection(after);
    if (objection !== undefined) fail(`${trial.what}: ${objection}`);
  } catch (error) {
    fail(`${trial.what}: ${error instanceof Error ? error.message : error}`);
  }
  return false;
}

/** The first difference that an edit should not have made. */
function strayLine(before: string, after: string, trial: Trial, lines: Opened['lines']): string | undefined {
  const [old, fresh] = [lines(before), lines(after)];
  // A last line without a line end gets one where a line follows it.
  const isOpen = before !== '' && !before.endsWith('\n');
  const touches = isOpen ? [...trial.touches, old.length - 1] : trial.touches;
  const adds = trial.adds + (isOpen ? 1 : 0);
  let same = 0;
  while (same < old.length && same < fresh.length && old[same] === fresh[same]) same++;
  let tail = 0;
  while (tail < Math.min(old.length, fresh.length) - same && old.at(-1 - tail) === fresh.at(-1 - tail)) tail++;
  let at = same;
  let added = 0;
  for (const part of diffArrays(old.slice(same, old.length - tail), fresh.slice(same, fresh.length - tail))) {
    if (part.added) {
      added += part.count;
    } else {
      const stray = part.removed
        ? part.value.findIndex((line, index) => !isTouched(old, at + index, line, touches))
        : -1;
      if (stray >= 0) return `line ${at + stray + 1} changes: ${JSON.stringify(part.value[stray])}`;
      at += part.count;
    }
  }
  if (added > adds) return `${added} lines are new, ${adds} at most should be`;
  const ends = new Set([...(before.match(/\r?\n/g) ?? ['\n']), ...(before.endsWith('\r') ? ['\r\n'] : [])]);
  const end = (after.match(/\r?\n/g) ?? []).find((other) => !ends.has(other));
  if (end !== undefined) return `a line ends in ${JSON.stringify(end)}, as no other does`;
  const isEmptied = before === '' || after === '' || trial.touches.includes(old.length - 1);
  const isEnded = (text: string) => /[\n\0]$/.test(text);
  return isEmptied || isEnded(before) === isEnded(after) ? undefined : 'the end of the last line changes';
}

/** Among equal lines a difference may show any of them. */
function isTouched(old: readonly string[], index: number, line: string, touches: readonly number[]): boolean {
  return touches.includes(index) || touches.some((other) => old[other] === line);
}

/** As files of a node are read: UTF-8, or where the bytes are none, one character a byte. */
function decoded(bytes: Buffer): { text: string; encoding: Encoding } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), encoding: 'utf8' };
  } catch {
    return { text: bytes.toString('latin1'), encoding: 'latin1' };
  }
}

export function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => ({ entry, path: join(entry.parentPath, entry.name) }))
    .filter(
      ({ entry, path }) => entry.isFile() || (entry.isSymbolicLink() && existsSync(path) && statSync(path).isFile()),
    )
    .map(({ path }) => path)
    .sort();
}

function table(rows: readonly Row[]): readonly string[] {
  const head = ['format', 'files', 'written back equal', 'refused with a line', 'edits', 'edits astray', 'failures'];
  const cells = rows.map((row) =>
    row.files === null
      ? [row.name, 'no folder', '', '', '', '', '']
      : [row.name, ...[row.files, row.equal, row.refused, row.edits, row.strayed, row.failures].map(String)],
  );
  const widths = head.map((_, column) => Math.max(...[head, ...cells].map((line) => line[column]?.length ?? 0)));
  const line = (values: readonly string[]) =>
    values
      .map((value, column) => (column === 0 ? value.padEnd(widths[column] ?? 0) : value.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return [head, ...cells].map(line);
}

function indented(text: string): string {
  return `  ${text.replaceAll('\n', '\n    ')}`;
}
