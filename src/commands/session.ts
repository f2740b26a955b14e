import type { AgentSession, ReadSession } from '../agent/session.ts';
import { EXIT, type ExitCode } from '../core/errors.ts';
import type { ProbeReport } from '../core/probe.ts';
import type { HostReport, Report } from '../core/report.ts';
import { hostsOf, type OpenSession, type RunContext } from '../engine/fleet.ts';
import { exitCodeOf, runStatus } from '../engine/outcome.ts';
import type { Io } from '../ui/io.ts';
import { startProgress } from '../ui/progress.ts';
import { hostBlocks, summaryLine } from '../ui/text-report.ts';
import type { CommonOptions } from './options.ts';
import { writeOutput } from './output.ts';
import { connector, type Prepared, readConnector } from './prepare.ts';

interface Finished {
  readonly probe: ProbeReport | null;
  readonly isWhole: boolean;
}

/** A run whose hosts can be logged in to. */
export interface Started<Session extends ReadSession = AgentSession> {
  readonly context: RunContext<Session>;
  readonly finish: (command: string, hosts: ReadonlyMap<string, HostReport>, more?: Finished) => Report;
  readonly stopProgress: () => void;
}

type Plays = Pick<Prepared, 'inventory' | 'plays'>;

/** Gets ready to change the hosts of checked plays: what is asked of people is asked here. */
export async function start(plays: Plays, options: CommonOptions, io: Io, signal: AbortSignal): Promise<Started> {
  const open = connector(hostsOf(plays.plays), plays.inventory, options, io);
  return startWith(await open, plays, options, io, signal, false);
}

/** Gets ready to look at the hosts of checked plays: the connections can do nothing else. */
export async function startReading(
  plays: Plays,
  options: CommonOptions,
  io: Io,
  signal: AbortSignal,
  isQuiet: boolean,
): Promise<Started<ReadSession>> {
  return startWith(await readConnector(plays.plays, plays.inventory, options, io), plays, options, io, signal, isQuiet);
}

function startWith<Session extends ReadSession>(
  open: OpenSession<Session>,
  { plays }: Plays,
  options: CommonOptions,
  io: Io,
  signal: AbortSignal,
  isQuiet: boolean,
): Started<Session> {
  const startedAt = new Date();
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

interface PrintOptions {
  readonly isSilentWhenOk: boolean;
  readonly details?: (host: string) => string;
}

/** Prints a report as text or JSON, to where the options want it; gives its exit code. */
export function print(
  report: Report,
  options: CommonOptions,
  io: Io,
  { isSilentWhenOk, details }: PrintOptions,
): ExitCode {
  if (options.format === 'json') writeOutput(`${JSON.stringify(report, null, 2)}\n`, options.output, io);
  else {
    const blocks = hostBlocks(report.hosts, io, { isVerbose: options.verbose, ...(details && { details }) });
    const isSilent = isSilentWhenOk && report.exitCode === EXIT.ok;
    const text = isSilent ? '' : `${blocks}${summaryLine(report, io)}\n`;
    if (text !== '' || options.output !== undefined) writeOutput(text, options.output, io);
  }
  return report.exitCode as ExitCode;
}
