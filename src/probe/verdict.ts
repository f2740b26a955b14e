import { formatLoss, lossPercent } from '../core/loss.ts';
import type { CastCounts, ProbePath, ProbeReport, Verdict } from '../core/probe.ts';
import { diedAfter } from './statistics.ts';

const RANK: Readonly<Record<Verdict, number>> = { ok: 0, lossy: 1, 'unicast-only': 2, unreachable: 3 };

/**
 * What the counts of a path mean.
 * @param maxLoss loss in percent that is still ok, 0 to 100; a path on which nothing arrives is never ok
 */
export function verdictOf(unicast: CastCounts, multicast: CastCounts, maxLoss: number): Verdict {
  if (multicast.received > 0) return lossPercent(multicast) <= maxLoss ? 'ok' : 'lossy';
  return unicast.received > 0 ? 'unicast-only' : 'unreachable';
}

/** Whether loss grew by more than `maxLoss` and by more than chance does: three standard errors of the difference. */
function hasMoreLoss(before: CastCounts, now: CastCounts, maxLoss: number): boolean {
  const [p, q] = [lossPercent(before) / 100, lossPercent(now) / 100];
  const error = Math.sqrt((p * (1 - p)) / Math.max(1, before.sent) + (q * (1 - q)) / Math.max(1, now.sent));
  return q - p > Math.max(maxLoss / 100, 3 * error);
}

const arrived = ({ received, sent }: CastCounts): string => `${received} of ${sent}`;

function sentence(before: ProbePath, now: ProbePath, maxLoss: number): string | null {
  const route = `from "${now.from}" to "${now.to}"`;
  const numbers = `${arrived(now.multicast)} multicast packets arrived, before ${arrived(before.multicast)}`;
  if (RANK[now.verdict] > RANK[before.verdict]) {
    if (now.verdict === 'unreachable') return `nothing arrives any more ${route}, neither multicast nor unicast`;
    if (now.verdict === 'unicast-only') return `multicast no longer arrives ${route}, unicast does: ${numbers}`;
    const died = diedAfter(now.multicast);
    const how = died === null ? '' : `; it stopped after ${died} packets`;
    return `multicast ${route} loses ${formatLoss(now.multicast)} now: ${numbers}${how}`;
  }
  if (before.verdict === 'lossy' && now.verdict === 'lossy' && hasMoreLoss(before.multicast, now.multicast, maxLoss))
    return `multicast ${route} loses more than before: ${formatLoss(now.multicast)} now, ${formatLoss(before.multicast)} before`;
  if (now.verdict !== 'unreachable' && before.unicast.received > 0 && now.unicast.received === 0)
    return `unicast no longer arrives ${route}, multicast does`;
  // Corosync's token travels by unicast, whatever the transport.
  if (now.verdict !== 'unreachable' && hasMoreLoss(before.unicast, now.unicast, maxLoss))
    return `unicast ${route} loses ${formatLoss(now.unicast)} now: ${arrived(now.unicast)} unicast packets arrived, before ${arrived(before.unicast)}`;
  return null;
}

/**
 * What became worse since the baseline, a sentence for each path; empty: nothing did. A path that only one of the probes has says
 * nothing.
 * @param maxLoss loss in percent that is still ok, 0 to 100
 */
export function compareProbes(baseline: ProbeReport, now: ProbeReport, maxLoss: number): readonly string[] {
  const keyOf = (path: ProbePath): string => JSON.stringify([path.from, path.to]);
  const before = new Map(baseline.paths.map((path) => [keyOf(path), path]));
  return now.paths.flatMap((path) => {
    const earlier = before.get(keyOf(path));
    return (earlier && sentence(earlier, path, maxLoss)) ?? [];
  });
}
