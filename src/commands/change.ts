import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import type { ExitCode } from '../core/errors.ts';
import type { RunRecord } from '../core/journal.ts';
import { applyPlays } from '../engine/apply.ts';
import type { Binding } from '../engine/saved-plan.ts';
import { openProbe } from '../probe/session.ts';
import type { Io } from '../ui/io.ts';
import { keepRecord } from './journal.ts';
import type { ChangeOptions } from './options.ts';
import { checkOutput } from './output.ts';
import { bindRun, planText } from './plan-file.ts';
import { type Prepared, prepare } from './prepare.ts';
import { rollbackPlay } from './rollback-play.ts';
import { print, start } from './session.ts';

export interface ApplyOptions extends ChangeOptions {
  /** Hosts go on after a task that failed and was taken back whole. */
  readonly keepGoing?: boolean;
  /** What is taken back where something failed: the task alone, or all that this run did before, too. */
  readonly undo: 'task' | 'run';
}

/** Brings hosts to the desired state: try, prove, keep. @param given an inventory, or a saved plan, which is then done and nothing else */
export async function applyCommand(
  given: string,
  wished: ApplyOptions,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  checkOutput(wished.output);
  const plan = planText(given);
  const { inventoryFile, prepared, options, binding } =
    plan === null
      ? { inventoryFile: given, prepared: await prepare(given, wished, io), options: wished, binding: undefined }
      : await bindRun(given, plan, wished, io);
  const { record, exitCode } = await changeHosts('apply', inventoryFile, prepared, options, io, signal, binding);
  if (exitCode === 0 || options.undo !== 'run') return exitCode;
  const hosts = Object.entries(record.hosts).flatMap(([host, { done }]) => (done.length > 0 ? [host] : []));
  if (hosts.length === 0) return exitCode;
  io.err(`run ${record.run} failed: all that it did before is taken back\n`);
  const back = { ...prepared, plays: [rollbackPlay(record, hosts, false)] };
  // The report of the run is printed already, and stays the one document on standard output.
  const { output: _, ...rest } = options;
  const aside: Io = { ...io, out: (text) => io.err(text) };
  await changeHosts('rollback', inventoryFile, back, { ...rest, format: 'text' }, aside, signal);
  return exitCode;
}

/** What became of a run that changes things. */
export interface Changed {
  readonly record: RunRecord;
  readonly exitCode: ExitCode;
}

/** Applies plays to their hosts, keeps the record of it, and prints the report. @param binding what alone may be done */
export async function changeHosts(
  command: RunRecord['command'],
  inventoryFile: string,
  prepared: Prepared,
  options: ChangeOptions & { readonly keepGoing?: boolean },
  io: Io,
  signal: AbortSignal,
  binding?: Binding,
): Promise<Changed> {
  const { context, finish, stopProgress } = await start(prepared, options, io, signal);
  const openProber = openProbe;
  const run = runName(new Date());
  const result = await applyPlays({
    ...context,
    confirm: { seconds: options.confirmTimeout, patience: options.lockTimeout, run, who: whoWeAre(run) },
    keepGoing: options.keepGoing ?? false,
    binding,
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
