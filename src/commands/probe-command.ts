import { ProbeSchema, toProbeParams } from '../config/playbook/index.ts';
import { renderValue } from '../config/vars.ts';
import { EXIT, type ExitCode, type Fault, HostError, InputError } from '../core/errors.ts';
import type { HostReport, Report } from '../core/report.ts';
import type { ProbeParams } from '../core/task.ts';
import type { OpenedSession } from '../engine/fleet.ts';
import { limiter } from '../engine/limit.ts';
import { errorText, exitCodeOf, hostFailure, worst } from '../engine/outcome.ts';
import { untilAborted } from '../engine/until-aborted.ts';
import type { Io } from '../ui/io.ts';
import { startProgress } from '../ui/progress.ts';
import type { CommonOptions } from './options.ts';
import { checkOutput, writeOutput } from './output.ts';
import { connector, knowPasswords, readInventory } from './prepare.ts';
import { type ProbeOutcome, probeHosts, probeText } from './probe.ts';
import { openVault } from './vault.ts';

export interface ProbeCommandOptions extends CommonOptions {
  readonly group?: string;
  readonly port?: number;
  /** May hold a template over the host's variables. */
  readonly interface?: string;
  readonly count?: number;
  readonly interval?: string;
  readonly duration?: string;
  readonly ttl?: number;
  readonly maxLoss?: number;
}

/** Sends multicast and unicast between all hosts and shows what arrived. Exits with 2 where a path is not ok. */
export async function probeCommand(
  file: string,
  options: ProbeCommandOptions,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const startedAt = new Date();
  checkOutput(options.output);
  const params = checkParams(options);
  const inventory = readInventory(file, options, io, await openVault(options));
  knowPasswords(inventory, options.limit);
  const hosts = inventory.select('all', options.limit === undefined ? {} : { limit: options.limit });
  if (hosts.length === 0) throw new InputError([{ message: `--limit "${options.limit}" matches no host` }]);
  const interfaces = new Map<string, string>();
  if (options.interface !== undefined) {
    for (const host of hosts) interfaces.set(host, String(renderValue(options.interface, inventory.vars(host))));
  }
  const open = await connector(hosts, inventory, options, io);
  const seconds = (params.count * params.intervalMs) / 1000;
  if (seconds >= 2) io.err(`probing ${hosts.length} hosts for ${Math.round(seconds)} s\n`);

  const reports = new Map<string, HostReport>(hosts.map((host) => [host, { status: 'ok', error: null, tasks: [] }]));
  const progress = startProgress(hosts, io, true);
  const limit = limiter(options.forks);
  const opened = new Map<string, OpenedSession>();
  await Promise.all(
    hosts.map((host) =>
      limit(async () => {
        try {
          progress.emit({ type: 'host', host, phase: 'connecting' });
          const opening = open(host).then((session) => opened.set(host, session) && session);
          const session = await untilAborted(opening, signal);
          await untilAborted(session.session.hello(), signal);
          progress.emit({ type: 'host', host, phase: 'probing' });
        } catch (error) {
          const report = hostFailure(error);
          reports.set(host, report);
          progress.emit({ type: 'host-done', host, report });
        }
      }),
    ),
  );
  const agents = new Map(
    hosts.flatMap((host) => {
      const session = opened.get(host);
      return session && reports.get(host)?.status === 'ok' ? [[host, session.session] as const] : [];
    }),
  );
  let outcome: ProbeOutcome | null = null;
  let problem: string | null = null;
  try {
    outcome = await untilAborted(probeHosts({ agents, params, interfaces }), signal);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    problem = errorText(error);
  } finally {
    await progress.stop();
    await Promise.all([...opened.values()].map((session) => session.close().catch(() => {})));
  }
  const statuses = [...reports.values()].map((report) => report.status);
  if (outcome) statuses.push(outcome.status);
  // Too few hosts because the others can't be reached is no failure of its own.
  if (problem !== null && !(agents.size < 2 && statuses.includes('unreachable'))) statuses.push('failed');
  const status = worst(statuses);
  const report: Report = {
    version: 1,
    command: 'probe',
    status,
    exitCode: signal.aborted ? EXIT.interrupted : exitCodeOf(status),
    startedAt: startedAt.toISOString(),
    durationMs: Date.now() - startedAt.getTime(),
    hosts: Object.fromEntries(reports),
    probe: outcome?.report ?? null,
  };
  print(report, outcome, problem, options, io);
  return report.exitCode as ExitCode;
}

/** The flags as a play's `probe` has them, with the same checks. */
function checkParams(options: ProbeCommandOptions): ProbeParams {
  const { group, port, count, interval, duration, ttl, maxLoss } = options;
  const given = { group, port, count, interval, duration, ttl, max_loss: maxLoss };
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const checked = ProbeSchema.safeParse(set);
  if (checked.success) return toProbeParams(checked.data);
  const faults = checked.error.issues.map((issue): Fault => {
    const flag = String(issue.path[0] ?? '').replace('_', '-');
    return { message: flag ? `--${flag}: ${issue.message}` : issue.message };
  });
  throw new InputError(faults);
}

function print(
  report: Report,
  outcome: ProbeOutcome | null,
  problem: string | null,
  options: CommonOptions,
  io: Io,
): void {
  // What is the same for many hosts is said once.
  const byError = new Map<string, string[]>();
  for (const [host, { error }] of Object.entries(report.hosts)) {
    if (error !== null) byError.set(error, [...(byError.get(error) ?? []), host]);
  }
  for (const [error, hosts] of byError) io.err(`${io.paint.bad(hosts.join(', '))}: ${error}\n`);
  if (problem !== null) io.err(`${io.paint.bad('error:')} ${problem}\n`);
  if (options.format === 'json') writeOutput(`${JSON.stringify(report, null, 2)}\n`, options.output, io);
  else if (outcome) writeOutput(probeText(outcome, io), options.output, io);
}
