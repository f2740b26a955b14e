import type { HostError } from './errors.ts';
import type { Argv, FileAttributes, FileState, Resource, ResourcePlan, Step } from './resource.ts';
import type { HostTask } from './task.ts';

/**
 * What became of comparing one resource: a plan, nothing to do, nothing to do but to wait for the next boot, left out by `when` or, with
 * a plan that says why, by the resource, or an error.
 */
export type PlannedResource =
  | { readonly resource: Resource; readonly status: 'ok' | 'differs' | 'pending'; readonly plan: ResourcePlan }
  | { readonly resource: Resource; readonly status: 'skipped'; readonly plan?: ResourcePlan }
  | { readonly resource: Resource; readonly status: 'failed'; readonly error: HostError };

/** One file as it is and as the task wants it. */
export interface FileWrite {
  readonly path: string;
  readonly before: FileState | null;
  /** null removes the file. */
  readonly text: string | null;
  /** Permission bits of a new file. */
  readonly mode: number;
  /** What it shall have beside its text. */
  readonly attributes: FileAttributes;
  /** Whether the text is to be shown to nobody. */
  readonly isSecret: boolean;
  /** Programs that must accept the new file, see `Step`. */
  readonly validate: readonly Argv[];
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
  /** Programs of `keep`, run after the writes. */
  readonly keepRuns: readonly Step[];
  /** What takes `keepRuns` back once the files are as before, last resource first. */
  readonly unkeep: readonly Step[];
}
