/** What became of the packets of one kind on one path. */
export interface CastCounts {
  readonly sent: number;
  /** Distinct packets that arrived. */
  readonly received: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  /** Sequence number (from 0) of the first packet that arrived; null: none did. */
  readonly firstSeq: number | null;
  /** Sequence number of the last one that arrived; null: none did. With `firstSeq` it tells a path that died from one that loses. */
  readonly lastSeq: number | null;
  /** Most packets in a row that are missing between those two: apart from chance loss it tells a path that fell silent for a while. */
  readonly longestGap?: number;
}

/**
 * ok: multicast loss within the limit; lossy: some of it arrives; unicast-only: none of it arrives but unicast does;
 * unreachable: neither arrives.
 */
export type Verdict = 'ok' | 'lossy' | 'unicast-only' | 'unreachable';

/** One ordered pair of nodes. */
export interface ProbePath {
  readonly from: string;
  readonly to: string;
  readonly unicast: CastCounts;
  readonly multicast: CastCounts;
  /** Median round trip of the unicast packets in milliseconds; null: no answer came or the node has no clock fine enough. */
  readonly rttMs: number | null;
  readonly verdict: Verdict;
}

/** The `probe` part of the JSON report. */
export interface ProbeReport {
  readonly group: string;
  readonly port: number;
  readonly nodes: readonly string[];
  readonly paths: readonly ProbePath[];
}
