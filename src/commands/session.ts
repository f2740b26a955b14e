import { EXIT, type ExitCode } from '../core/errors.ts';
import type { ProbeReport } from '../core/probe.ts';
import type { HostReport, Report } from '../core/report.ts';
import { hostsOf, type RunContext } from '../engine/fleet.ts';
import { exitCodeOf, runStatus } from '../engine/outcome.ts';
import type { Io } from '../ui/io.ts';
import { startProgress } from '../ui/progress.ts';
import { hostBlocks, summaryLine } from '../ui/text-report.ts';
import type { CommonOptions } from './options.ts';
import { writeOutput } from './output.ts';
import { connector, type Prepared } from './prepare.ts';

interface Finished {
  readonly probe: ProbeReport | null;
  readonly isWhole: boolean;
}

/** A run whose hosts can be logged in to. */
export interface Started {
  readonly context: RunContext;
  readonly finish: (command: string, hosts: ReadonlyMap<string, HostReport>, more?: Finished) => Report;
  readonly stopProgress: () => void;
}

/** Gets ready to work with the hosts of checked plays: what is asked of people is asked here. */
export async function start(
  { inventory, plays }: Pick<Prepared, 'inventory' | 'plays'>,
  options: CommonOptions,
  io: Io,
  signal: AbortSignal,
  isQuiet: boolean,
): Promise<Started> {
  const startedAt = new Date();
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
