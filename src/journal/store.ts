import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { InputError, messageOf } from '../core/errors.ts';
import type { RunRecord } from '../core/journal.ts';
import { didYouMean } from '../core/suggest.ts';

/** Records of runs that are kept; the oldest go. */
const KEPT = 500;

/** Where the records of a user's runs lie (XDG Base Directory Specification: a relative path there is ignored). */
export function journalFolder(env: NodeJS.ProcessEnv = process.env): string {
  const given = env['XDG_STATE_HOME'] ?? '';
  return join(isAbsolute(given) ? given : join(homedir(), '.local/state'), 'mcastctl/runs');
}

/**
 * Keeps the record of a run, for its user alone: it holds what files were like.
 * @throws Error where it can't be written
 */
export function writeRecord(record: RunRecord, folder: string = journalFolder()): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${record.run}.json`);
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, `${JSON.stringify(record, null, 1)}\n`, { mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  for (const old of namesIn(folder).slice(0, -KEPT)) rmSync(join(folder, `${old}.json`), { force: true });
}

/** All records, the newest first. One that can't be read is left out and named. */
export function readRecords(folder: string = journalFolder()): {
  readonly records: readonly RunRecord[];
  readonly unread: readonly string[];
} {
  const records: RunRecord[] = [];
  const unread: string[] = [];
  for (const name of namesIn(folder).toReversed()) {
    const path = join(folder, `${name}.json`);
    try {
      const record: unknown = JSON.parse(readFileSync(path, 'utf8'));
      if (!isRecord(record)) throw new Error('it is no record of version 1');
      records.push(record);
    } catch (error) {
      unread.push(`${path}: ${messageOf(error)}`);
    }
  }
  return { records, unread };
}

/**
 * The record of one run.
 * @param name a run, the beginning of one that no other has, or undefined for the newest for which `isWanted`
 * @throws InputError where there is none
 */
export function findRecord(
  name: string | undefined,
  isWanted: (record: RunRecord) => boolean,
  folder: string = journalFolder(),
): RunRecord {
  const { records } = readRecords(folder);
  const found =
    name === undefined ? records.filter(isWanted).slice(0, 1) : records.filter(({ run }) => run.startsWith(name));
  const [record] = found;
  if (record && found.length === 1) return record;
  const exact = found.find(({ run }) => run === name);
  if (exact) return exact;
  if (found.length > 1)
    throw new InputError([{ message: `"${name}" begins several runs`, hint: found.map(({ run }) => run).join(', ') }]);
  const message =
    name === undefined ? `no run in ${folder} can be rolled back` : `there is no run "${name}" in ${folder}`;
  const hint =
    name === undefined
      ? undefined
      : didYouMean(
          name,
          records.map(({ run }) => run),
        );
  throw new InputError([{ message, hint: hint ?? '"mcastctl history" lists the runs of this user on this machine' }]);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .flatMap((name) => /^(\d{8}-\d{6}-[0-9a-f]+)\.json$/.exec(name)?.[1] ?? [])
      .sort();
  } catch {
    return [];
  }
}

function isRecord(value: unknown): value is RunRecord {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === 1 && 'hosts' in value;
}
