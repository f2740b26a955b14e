import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import type { ExitCode } from '../core/errors.ts';
import type { RunRecord } from '../core/journal.ts';
import { applyPlays } from '../engine/apply.ts';
import { openProbe } from '../probe/session.ts';
import type { Io } from '../ui/io.ts';
import { keepRecord } from './journal.ts';
import type { ChangeOptions } from './options.ts';
import { checkOutput } from './output.ts';
import { type Prepared, prepare } from './prepare.ts';
import { rollbackPlay } from './rollback-play.ts';
import { print, start } from './session.ts';

export interface ApplyOptions extends ChangeOptions {
  /** Hosts go on after a task that failed and was taken back whole. */
  readonly keepGoing?: boolean;
  /** What is taken back where something failed: the task alone, or all that this run did before, too. */
  readonly undo: 'task' | 'run';
}

/** Brings hosts to the desired state: try, prove, keep. */
export async function applyCommand(
  file: string,
  options: ApplyOptions,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  checkOutput(options.output);
  const prepared = await prepare(file, options, io);
  const { record, exitCode } = await changeHosts('apply', file, prepared, options, io, signal);
  if (exitCode === 0 || options.undo !== 'run') return exitCode;
  const hosts = Object.entries(record.hosts).flatMap(([host, { done }]) => (done.length > 0 ? [host] : []));
  if (hosts.length === 0) return exitCode;
  io.err(`run ${record.run} failed: all that it did before is taken back\n`);
  const back = { ...prepared, plays: [rollbackPlay(record, hosts, false)] };
  // The report of the run is printed already, and stays the one document on standard output.
  const { output: _, ...rest } = options;
  const aside: Io = { ...io, out: (text) => io.err(text) };
  await changeHosts('rollback', file, back, { ...rest, format: 'text' }, aside, signal);
  return exitCode;
}

/** What became of a run that changes things. */
export interface Changed {
  readonly record: RunRecord;
  readonly exitCode: ExitCode;
}

/** Applies plays to their hosts, keeps the record of it, and prints the report. */
export async function changeHosts(
  command: RunRecord['command'],
  inventoryFile: string,
  prepared: Prepared,
  options: ChangeOptions & { readonly keepGoing?: boolean },
  io: Io,
  signal: AbortSignal,
): Promise<Changed> {
  const { context, finish, stopProgress } = await start(prepared, options, io, signal);
  const openProber = openProbe;
  const run = runName(new Date());
  const result = await applyPlays({
    ...context,
    confirm: { seconds: options.confirmTimeout, patience: options.lockTimeout, run, who: whoWeAre(run) },
    keepGoing: options.keepGoing ?? false,
    openProber: (play, sessions) => openProber(sessions, play.probe, play.probeInterfaces),
  }).finally(stopProgress);
  const report = finish(command, result.hosts, result);
  const { playbookFile: playbook, plays } = prepared;
  const record = keepRecord({ run, command, inventory: inventoryFile, playbook, plays }, report, result, io);
  return { record, exitCode: print(report, options, io, { isSilentWhenOk: false }) };
}

/** A name for a run that sorts by time, to the millisecond, and that no other one has: `20260101-120000-0423f9a`. */
function runName(now: Date): string {
  const [day = '', time = '', milliseconds = ''] = now.toISOString().replace(/[-:Z]/g, '').split(/[T.]/);
  return `${day}-${time}-${milliseconds}${randomBytes(2).toString('hex')}`;
}

function whoWeAre(run: string): string {
  return `${userInfo().username}@${hostname()}, process ${process.pid}, since ${new Date().toISOString()} (run ${run})`;
}
