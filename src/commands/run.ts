import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { EXIT, type ExitCode } from '../core/errors.ts';
import type { ProbeReport } from '../core/probe.ts';
import type { HostReport, Report } from '../core/report.ts';
import { applyPlays } from '../engine/apply.ts';
import { checkHosts, type HostOutcome } from '../engine/check.ts';
import { hostsOf, type RunContext } from '../engine/fleet.ts';
import { exitCodeOf, runStatus } from '../engine/outcome.ts';
import { openProbe } from '../probe/session.ts';
import type { Io } from '../ui/io.ts';
import { planDetails } from '../ui/plan-details.ts';
import { startProgress } from '../ui/progress.ts';
import { hostBlocks, summaryLine } from '../ui/text-report.ts';
import type { CommonOptions } from './options.ts';
import { checkOutput, writeOutput } from './output.ts';
import { connector, prepare } from './prepare.ts';

export interface PlanOptions extends CommonOptions {
  /** Show the exact commands and the files' diffs. */
  readonly commands?: boolean;
  readonly diff?: boolean;
}

export interface ApplyOptions extends CommonOptions {
  /** Seconds without a word of ours after which a node takes the task in hand back. */
  readonly confirmTimeout: number;
  /** Seconds to wait for another run that changes a node. */
  readonly lockTimeout: number;
}

/** A name for a run that sorts by time and that no other one has, such as `20260101-120000-3f9a1c`. */
function runName(now: Date): string {
  const [day = '', time = ''] = now
    .toISOString()
    .replace(/[-:]|\..*$/g, '')
    .split('T');
  return `${day}-${time}-${randomBytes(3).toString('hex')}`;
}

function whoWeAre(run: string): string {
  return `${userInfo().username}@${hostname()}, process ${process.pid}, since ${new Date().toISOString()} (run ${run})`;
}

interface Finished {
  readonly probe: ProbeReport | null;
  readonly isWhole: boolean;
}

interface Started {
  readonly context: RunContext;
  readonly finish: (command: string, hosts: ReadonlyMap<string, HostReport>, more?: Finished) => Report;
  readonly stopProgress: () => void;
}

async function start(
  inventoryFile: string,
  options: CommonOptions,
  io: Io,
  signal: AbortSignal,
  isQuiet: boolean,
): Promise<Started> {
  const startedAt = new Date();
  checkOutput(options.output);
  const { inventory, plays } = prepare(inventoryFile, options, io);
  const open = await connector(hostsOf(plays), inventory, options, io);
  const progress = startProgress(hostsOf(plays), io, isQuiet);
  return {
    context: { plays, open, forks: options.forks, emit: progress.emit, signal },
    stopProgress: progress.stop,
    finish(command, hosts, { probe, isWhole } = { probe: null, isWhole: true }) {
      const status = runStatus([...hosts.values()]);
      return {
        version: 1,
        command,
        status,
        // 130 promises that what was under way is undone.
        exitCode: signal.aborted && isWhole ? EXIT.interrupted : exitCodeOf(status),
        startedAt: startedAt.toISOString(),
        durationMs: Date.now() - startedAt.getTime(),
        hosts: Object.fromEntries(hosts),
        probe,
      };
    },
  };
}

/** Brings hosts to the desired state: try, prove, keep. */
export async function applyCommand(
  file: string,
  options: ApplyOptions,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { context, finish, stopProgress } = await start(file, options, io, signal, false);
  const openProber = openProbe;
  const run = runName(new Date());
  const result = await applyPlays({
    ...context,
    confirm: { seconds: options.confirmTimeout, patience: options.lockTimeout, run, who: whoWeAre(run) },
    openProber: (play, sessions) => openProber(sessions, play.probe, play.probeInterfaces),
  }).finally(stopProgress);
  const report = finish('apply', result.hosts, result);
  return print(report, options, io, { isSilentWhenOk: false });
}

/** Drift for cron: silent when there is none. */
export async function checkCommand(
  file: string,
  options: CommonOptions,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { context, finish, stopProgress } = await start(file, options, io, signal, true);
  const outcomes = await checkHosts(context).finally(stopProgress);
  return print(finish('check', reportsOf(outcomes)), options, io, { isSilentWhenOk: !options.verbose });
}

/** Shows what apply would change. */
export async function planCommand(file: string, options: PlanOptions, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { context, finish, stopProgress } = await start(file, options, io, signal, false);
  const outcomes = await checkHosts(context).finally(stopProgress);
  const report = finish('plan', reportsOf(outcomes));
  const details = (host: string) =>
    planDetails(
      outcomes.get(host)?.plans ?? [],
      { commands: options.commands ?? false, diff: options.diff ?? false },
      io,
    );
  return print(report, options, io, { isSilentWhenOk: false, details });
}

function reportsOf(outcomes: ReadonlyMap<string, HostOutcome>): Map<string, HostReport> {
  return new Map([...outcomes].map(([host, outcome]) => [host, outcome.report]));
}

interface PrintOptions {
  readonly isSilentWhenOk: boolean;
  readonly details?: (host: string) => string;
}

function print(report: Report, options: CommonOptions, io: Io, { isSilentWhenOk, details }: PrintOptions): ExitCode {
  if (options.format === 'json') writeOutput(`${JSON.stringify(report, null, 2)}\n`, options.output, io);
  else {
    const blocks = hostBlocks(report.hosts, io, { isVerbose: options.verbose, ...(details && { details }) });
    const isSilent = isSilentWhenOk && report.exitCode === EXIT.ok;
    const text = isSilent ? '' : `${blocks}${summaryLine(report, io)}\n`;
    if (text !== '' || options.output !== undefined) writeOutput(text, options.output, io);
  }
  return report.exitCode as ExitCode;
}
