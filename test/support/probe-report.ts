import type { CastCounts, ProbePath, ProbeReport } from '../../src/core/probe.ts';
import { verdictOf } from '../../src/probe/verdict.ts';

/** Counts in which the packets at these places of 0…sent-1 arrived, in this order. */
export function castOf(sent: number, arrived: readonly number[]): CastCounts {
  const gaps = arrived.map((seq, index) => seq - (arrived[index - 1] ?? seq - 1) - 1);
  return {
    sent,
    received: arrived.length,
    duplicates: 0,
    outOfOrder: 0,
    firstSeq: arrived.length === 0 ? null : Math.min(...arrived),
    lastSeq: arrived.length === 0 ? null : Math.max(...arrived),
    longestGap: Math.max(0, ...gaps),
  };
}

/** The first `received` of `sent` packets arrived. */
export function firstOf(sent: number, received: number): CastCounts {
  return castOf(sent, [...Array(received).keys()]);
}

/** Evenly lost: `received` of `sent`, first and last among them. */
export function scattered(sent: number, received: number): CastCounts {
  return { sent, received, duplicates: 0, outOfOrder: 0, firstSeq: 0, lastSeq: sent - 1 };
}

export function pathOf(
  from: string,
  to: string,
  multicast: CastCounts,
  unicast: CastCounts = firstOf(20, 20),
): ProbePath {
  return { from, to, multicast, unicast, rttMs: 0.2, verdict: verdictOf(unicast, multicast, 0) };
}

/** A report whose paths are as `multicast` and `unicast` say; all arrives where they say nothing. */
export function reportOf(
  nodes: readonly string[],
  multicast: (from: string, to: string) => CastCounts | undefined = () => undefined,
  unicast: (from: string, to: string) => CastCounts | undefined = () => undefined,
): ProbeReport {
  const paths = nodes.flatMap((from) =>
    nodes
      .filter((to) => to !== from)
      .map((to) => pathOf(from, to, multicast(from, to) ?? firstOf(20, 20), unicast(from, to) ?? firstOf(20, 20))),
  );
  return { group: '239.192.77.1', port: 4321, nodes, paths };
}
