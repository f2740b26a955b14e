import { resolve } from 'node:path';
import type { ExitCode } from '../core/errors.ts';
import type { HostReport } from '../core/report.ts';
import { checkHosts, type HostOutcome } from '../engine/check.ts';
import type { Io } from '../ui/io.ts';
import { planDetails } from '../ui/plan-details.ts';
import type { CommonOptions } from './options.ts';
import { checkOutput } from './output.ts';
import { checkPlanFile, savedPlan, sourcesOf, writePlan } from './plan-file.ts';
import { type Prepared, playbookOf, prepare } from './prepare.ts';
import { print, startReading } from './session.ts';

export interface PlanOptions extends CommonOptions {
  /** Show the exact commands and the files' diffs. */
  readonly commands?: boolean;
  readonly diff?: boolean;
  /** File in which the plan is saved for `apply`. */
  readonly out?: string;
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

/** Shows what apply would change, and saves it where that is wanted. */
export async function planCommand(given: string, options: PlanOptions, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { out } = options;
  checkPlanFile(out);
  // A saved plan may be done from another folder.
  const file = out === undefined ? given : resolve(given);
  const playbook = out === undefined ? options.playbook : resolve(playbookOf(file, options.playbook));
  const prepared = await ready(file, playbook === undefined ? options : { ...options, playbook }, io);
  const sources = out === undefined ? null : sourcesOf(file, prepared.playbookFile);
  const { context, finish, stopProgress } = await startReading(prepared, options, io, signal, false);
  const outcomes = await checkHosts(context).finally(stopProgress);
  if (out !== undefined && sources !== null && !signal.aborted) {
    writePlan(savedPlan(prepared, options, sources, outcomes), out);
    io.err(`the plan is kept in ${out}: "mcastctl apply ${out}" does that and nothing else\n`);
  }
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
