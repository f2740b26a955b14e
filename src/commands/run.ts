import type { ExitCode } from '../core/errors.ts';
import type { HostReport } from '../core/report.ts';
import { checkHosts, type HostOutcome } from '../engine/check.ts';
import type { Io } from '../ui/io.ts';
import { planDetails } from '../ui/plan-details.ts';
import type { CommonOptions } from './options.ts';
import { checkOutput } from './output.ts';
import { type Prepared, prepare } from './prepare.ts';
import { print, startReading } from './session.ts';

export interface PlanOptions extends CommonOptions {
  /** Show the exact commands and the files' diffs. */
  readonly commands?: boolean;
  readonly diff?: boolean;
}

function ready(file: string, options: CommonOptions, io: Io): Promise<Prepared> {
  checkOutput(options.output);
  return prepare(file, options, io);
}

/** Drift for cron: silent when there is none. */
export async function checkCommand(
  file: string,
  options: CommonOptions,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { context, finish, stopProgress } = await startReading(
    await ready(file, options, io),
    options,
    io,
    signal,
    true,
  );
  const outcomes = await checkHosts(context).finally(stopProgress);
  return print(finish('check', reportsOf(outcomes)), options, io, { isSilentWhenOk: !options.verbose });
}

/** Shows what apply would change. */
export async function planCommand(file: string, options: PlanOptions, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { context, finish, stopProgress } = await startReading(
    await ready(file, options, io),
    options,
    io,
    signal,
    false,
  );
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
