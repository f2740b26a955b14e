import type { HostError } from './errors.ts';
import type { FileState, Resource, ResourcePlan, Step } from './resource.ts';
import type { HostTask } from './task.ts';

/** What became of comparing one resource: a plan, nothing to do, left out by `when`, or an error. */
export type PlannedResource =
  | { readonly resource: Resource; readonly status: 'ok' | 'differs'; readonly plan: ResourcePlan }
  | { readonly resource: Resource; readonly status: 'skipped' }
  | { readonly resource: Resource; readonly status: 'failed'; readonly error: HostError };

/** One file as it is and as the task wants it. */
export interface FileWrite {
  readonly path: string;
  readonly before: FileState | null;
  /** null removes the file. */
  readonly text: string | null;
  /** Permission bits of a new file. */
  readonly mode: number;
}

/** A task compared with what was observed. */
export interface TaskPlan {
  readonly task: HostTask;
  readonly resources: readonly PlannedResource[];
  /** Runtime steps in order. */
  readonly try: readonly Step[];
  /** What takes `try` back, last resource first. */
  readonly undo: readonly Step[];
  readonly writes: readonly FileWrite[];
}
