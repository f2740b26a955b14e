import type { ProbeReport } from './probe.ts';
import type { Change, Impact, ResourceId } from './resource.ts';

export type RunStatus = 'ok' | 'changed' | 'drift' | 'failed' | 'unreachable';
export type TaskStatus = 'ok' | 'changed' | 'drift' | 'failed' | 'skipped' | 'rolled-back';

/** One resource of one task on one host. */
export interface TaskReport {
  readonly name: string;
  readonly resource: ResourceId;
  readonly status: TaskStatus;
  readonly changes: readonly Change[];
  /** What the changes cost while they are made; left out: nothing. */
  readonly impact?: Impact;
  /** Why it failed or was rolled back, with what to do; null otherwise. */
  readonly error: string | null;
  /** What should be known although it is no difference; of a skipped one, why it was left alone. Left out: nothing. */
  readonly note?: string;
}

export interface HostReport {
  readonly status: RunStatus;
  readonly error: string | null;
  readonly tasks: readonly TaskReport[];
}

/** The document that `--format json` prints. Fields may be added; none is renamed or removed without version 2. */
export interface Report {
  readonly version: 1;
  readonly command: string;
  readonly status: RunStatus;
  readonly exitCode: number;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly durationMs: number;
  readonly hosts: Readonly<Record<string, HostReport>>;
  readonly probe: ProbeReport | null;
}
