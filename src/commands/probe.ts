import { HostError } from '../core/errors.ts';
import type { ProbeReport } from '../core/probe.ts';
import type { ProbeParams } from '../core/task.ts';
import { findingsOf } from '../probe/findings.ts';
import { openProbe, type ProbeAgent, type ProbeOptions } from '../probe/session.ts';
import type { Io } from '../ui/io.ts';
import { probeSummary, renderMatrix } from '../ui/matrix.ts';

export interface ProbeInput {
  /** Agents of the hosts that can be asked, in the order of the report. */
  readonly agents: ReadonlyMap<string, ProbeAgent>;
  readonly params: ProbeParams;
  /** The device to join on, by host; without one: the device that carries the SSH connection. */
  readonly interfaces: ReadonlyMap<string, string>;
  readonly options?: ProbeOptions;
}

export interface ProbeOutcome {
  readonly report: ProbeReport;
  /** drift: a path is worse than `maxLoss` allows. */
  readonly status: 'ok' | 'drift';
  /** What the counts mean, and what nodes complained of: a sentence each. */
  readonly findings: readonly string[];
}

/**
 * Sends one round of packets between all hosts and leaves the group again.
 * @throws HostError where fewer than two hosts are left or one of them can't join
 */
export async function probeHosts({ agents, params, interfaces, options }: ProbeInput): Promise<ProbeOutcome> {
  if (agents.size < 2) {
    const left = [...agents.keys()].map((host) => `only "${host}" is left`)[0] ?? 'none is left';
    throw new HostError(`a probe needs at least two hosts: ${left}`, {
      hint: 'widen --limit, or make the other hosts reachable',
    });
  }
  const session = await openProbe(agents, params, interfaces, options);
  try {
    const report = await session.run();
    const isOk = report.paths.every((path) => path.verdict === 'ok');
    const findings = [...findingsOf(report, params.intervalMs), ...session.problems()];
    return { report, status: isOk ? 'ok' : 'drift', findings };
  } finally {
    await session.close();
  }
}

/** A probe for people: the matrix, what it means, one line that sums it up. Ends with a newline. */
export function probeText(
  { report, status, findings }: ProbeOutcome,
  { paint, width }: Pick<Io, 'paint' | 'width'>,
): string {
  const sentences = findings.map((text) => `- ${text}\n`).join('');
  const summary = probeSummary(report);
  const end = status === 'ok' ? paint.good(summary) : paint.bad(summary);
  return `${renderMatrix(report, { paint, width })}\n${sentences}${sentences && '\n'}${end}\n`;
}
