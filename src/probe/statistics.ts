import type { CastCounts } from '../core/probe.ts';

/** Counts of a path on which nothing arrived. */
export function nothingOf(sent: number): CastCounts {
  return { sent, received: 0, duplicates: 0, outOfOrder: 0, firstSeq: null, lastSeq: null, longestGap: 0 };
}

/**
 * How many packets of a path went by before it died: those up to the last arrival, where at least three and most of the lost ones
 * lie behind it. null: it did not die, it lost or was never alive.
 */
export function diedAfter({ sent, received, lastSeq }: CastCounts): number | null {
  if (lastSeq === null) return null;
  const tail = sent - 1 - lastSeq;
  return tail >= 3 && tail * 2 > sent - received ? lastSeq + 1 : null;
}

/** How many packets were lost before the first one arrived, where they are most of the lost ones and at least three; otherwise null. */
export function aliveAfter({ sent, received, firstSeq }: CastCounts): number | null {
  if (firstSeq === null) return null;
  return firstSeq >= 3 && firstSeq * 2 > sent - received ? firstSeq : null;
}

/** How many packets in a row were lost before more arrived, where they are most of the lost ones and at least three; otherwise null. */
export function silentFor({ sent, received, longestGap = 0 }: CastCounts): number | null {
  return longestGap >= 3 && longestGap * 2 > sent - received ? longestGap : null;
}
