import type { RunStatus } from './report.ts';
import type { Change, FileState, ResourceId, Step } from './resource.ts';
import type { ProbeParams } from './task.ts';

/** What resources were made of: a type, checked parameters, and the texts of files that they name. */
export interface Made {
  readonly type: string;
  readonly params: unknown;
  readonly texts: Readonly<Record<string, string>>;
}

/** One file that a task wrote. */
export interface DoneFile {
  readonly path: string;
  readonly before: FileState | null;
  /** null: the file was removed. */
  readonly after: string | null;
}

/** One task that changed a host, with all that takes it back. */
export interface DoneTask {
  readonly name: string;
  readonly type: string;
  /** Nothing of it is shown. */
  readonly noLog?: boolean;
  /** What its resources can be made of again; empty: they can't. */
  readonly made: readonly Made[];
  readonly changes: readonly (Change & { readonly resource: ResourceId })[];
  readonly files: readonly DoneFile[];
  /** What set the running values, and what takes them back. */
  readonly try: readonly Step[];
  readonly undo: readonly Step[];
  /** Programs that ran after the files were written, and what takes them back. */
  readonly keepRuns: readonly Step[];
  readonly unkeep: readonly Step[];
  /** Why it can't be rolled back: it was done on all nodes together, or its values are secret. null: it can. */
  readonly obstacle: string | null;
}

/** What became of a host in a run. */
export interface HostRecord {
  readonly status: RunStatus;
  readonly error: string | null;
  /** In the order in which they were done. */
  readonly done: readonly DoneTask[];
  /** The device on which the host joined the probe's group; null: the one of the SSH connection. */
  readonly probeInterface: string | null;
}

/** The record of one run that changes things, version 1. */
export interface RunRecord {
  readonly version: 1;
  readonly run: string;
  readonly command: 'apply' | 'rollback';
  /** Such as `alice@laptop`. */
  readonly who: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly durationMs: number;
  readonly inventory: string;
  readonly playbook: string;
  readonly status: RunStatus;
  readonly exitCode: number;
  readonly probe: ProbeParams | null;
  readonly hosts: Readonly<Record<string, HostRecord>>;
  /** The run that took this one back; null: none. */
  readonly rolledBackBy: string | null;
}
