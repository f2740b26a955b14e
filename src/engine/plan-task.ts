import { HostError } from '../core/errors.ts';
import type { FileWrite, PlannedResource, TaskPlan } from '../core/plan.ts';
import type { Change, FileState, Observations, Read, Resource, ResourcePlan, Step } from '../core/resource.ts';
import { ARGV_HINT, argvProblem } from '../core/secrets.ts';
import type { Facts, HostTask } from '../core/task.ts';

/** Texts that files will have after the tasks before, by path; null: no file. */
export type Overlay = Map<string, string | null>;

/**
 * Compares a task with what was observed.
 * @param overlay where several tasks are planned before any is done: starts the writes from what the tasks before leave,
 * and takes over what this one leaves
 */
export function planTask(task: HostTask, seen: Observations, facts: Facts, overlay: Overlay = new Map()): TaskPlan {
  const resources = task.items.flatMap((item): PlannedResource[] => {
    const isWanted = attempt(() => item.when(facts));
    if (isWanted === false) return item.resources.map((resource) => ({ resource, status: 'skipped' as const }));
    if (isWanted instanceof HostError) {
      return item.resources.map((resource) => ({ resource, status: 'failed' as const, error: isWanted }));
    }
    return item.resources.map((resource) => planResource(resource, seen));
  });
  if (resources.some((entry) => entry.status === 'failed')) return { task, resources, ...NOTHING };
  const differing = resources.flatMap((entry) => (entry.status === 'differs' ? [entry] : []));
  const plans = differing.map((entry) => entry.plan);
  const edits = differing.flatMap(({ plan, resource }) =>
    plan.keep.flatMap((step) => (step.do === 'edit' ? [{ step, resource }] : [])),
  );
  return {
    task,
    resources,
    try: plans.flatMap((plan) => plan.try),
    undo: plans.toReversed().flatMap((plan) => plan.undo),
    writes: composeEdits(edits, seen, overlay),
    keepRuns: lastOfEqual(plans.flatMap((plan) => plan.keep.filter((step) => step.do !== 'edit'))),
    unkeep: lastOfEqual(plans.toReversed().flatMap((plan) => plan.unkeep ?? [])),
  };
}

const NOTHING: Omit<TaskPlan, 'task' | 'resources'> = { try: [], undo: [], writes: [], keepRuns: [], unkeep: [] };

/** The steps without repetitions, each in its last place: what follows from files is done once all of them are written. */
function lastOfEqual(steps: readonly Step[]): readonly Step[] {
  const keys = steps.map((step) => JSON.stringify(step));
  return steps.filter((_, index) => keys.lastIndexOf(keys[index] ?? '') === index);
}

/** The changes of a task in one layer, or in both. */
export function changesOf(plan: TaskPlan, layer?: Change['layer']): readonly Change[] {
  return plan.resources.flatMap((entry) =>
    entry.status === 'differs' ? entry.plan.changes.filter((change) => !layer || change.layer === layer) : [],
  );
}

/** Why a task can't reach its persistent state, or null. */
export function blockedReason(plan: TaskPlan): string | null {
  for (const entry of plan.resources) {
    if (entry.status === 'differs' && entry.plan.blocked !== undefined) return entry.plan.blocked;
  }
  return null;
}

function planResource(resource: Resource, seen: Observations): PlannedResource {
  const plan = attempt(() => resource.plan(seen));
  if (plan instanceof HostError) return { resource, status: 'failed', error: plan };
  if (plan.skipped !== undefined) return { resource, status: 'skipped', plan };
  const exposed = exposure(plan);
  if (exposed !== null) return { resource, status: 'failed', error: new HostError(exposed, { hint: ARGV_HINT }) };
  if (plan.changes.length === 0) return { resource, status: 'ok', plan };
  const isPending = plan.keep.length === 0 && plan.changes.every(isPendingReboot) && plan.blocked === undefined;
  return { resource, status: isPending ? 'pending' : 'differs', plan };
}

/** Why a program of the plan must not be started: its arguments can be read by others. */
function exposure({ try: tried, undo, keep, unkeep = [] }: ResourcePlan): string | null {
  for (const step of [...tried, ...undo, ...keep, ...unkeep]) {
    const argv = step.do === 'run' ? step.argv : step.do === 'edit' ? step.validate : undefined;
    const problem = argv === undefined ? null : argvProblem(argv);
    if (problem !== null) return problem;
  }
  return null;
}

/** Whether nothing but the next boot can make it right. */
function isPendingReboot(change: Change): boolean {
  return change.layer === 'runtime' && change.after === 'reboot';
}

function attempt<T>(work: () => T): T | HostError {
  try {
    return work();
  } catch (error) {
    if (error instanceof HostError) return error;
    throw error;
  }
}

/** Applies the edits one after the other and gives one write for each file whose text differs in the end. */
function composeEdits(
  edits: readonly { step: Extract<Step, { do: 'edit' }>; resource: Resource }[],
  seen: Observations,
  overlay: Overlay,
): FileWrite[] {
  const files = new Map<string, FileWrite>();
  for (const { step, resource } of edits) {
    const file = files.get(step.path) ?? fileBefore(step, resource, seen, overlay);
    files.set(step.path, {
      ...file,
      text: step.edit(file.text),
      attributes: { ...file.attributes, ...step.attributes },
      isSecret: file.isSecret || step.isSecret === true,
      validate: step.validate === undefined ? file.validate : [...file.validate, step.validate],
    });
  }
  const writes = [...files.values()].filter((file) => file.text !== (file.before?.text ?? null) || hasOther(file));
  for (const write of writes) overlay.set(write.path, write.text);
  return writes;
}

/** Whether a file that stays has other attributes than it shall have. */
function hasOther({ before, text, attributes }: FileWrite): boolean {
  if (before === null || text === null) return false;
  const { mode, uid, gid } = { ...before, ...attributes };
  return mode !== before.mode || uid !== before.uid || gid !== before.gid;
}

function fileBefore(
  { path, mode = 0o644 }: Extract<Step, { do: 'edit' }>,
  resource: Resource,
  seen: Observations,
  overlay: Overlay,
): FileWrite {
  const observed = observedFile(path, resource, seen);
  const text = overlay.get(path);
  const fresh = { path, mode, attributes: {}, isSecret: false, validate: [] };
  if (text === undefined) return { ...fresh, before: observed, text: observed?.text ?? null };
  if (text === null) return { ...fresh, before: null, text };
  const made = { path, encoding: 'utf8' as const, mode, uid: 0, gid: 0, target: null };
  return { ...fresh, before: { ...(observed ?? made), text }, text };
}

/** A file as the resource read it, alone or with its folder. Editing what was not read is a bug and throws. */
export function observedFile(path: string, resource: Resource, seen: Observations): FileState | null {
  for (const read of resource.reads) {
    if (read.read === 'file' && read.path === path) return seen.file(path);
    if (read.read === 'dir' && covers(read, path)) {
      return seen.dir(read.path, read.suffix, read.within)?.find((file) => file.path === path) ?? null;
    }
  }
  throw new Error(`${resource.id} edits ${path} without reading it`);
}

/** Whether a file at `path` would be among what a directory read gives. */
function covers({ path: folder, suffix, within }: Extract<Read, { read: 'dir' }>, path: string): boolean {
  if (!path.startsWith(`${folder}/`) || !path.endsWith(suffix)) return false;
  const between = path
    .slice(folder.length + 1)
    .split('/')
    .slice(0, -1);
  return within === undefined ? between.length === 0 : between.length === 1 && between[0]?.endsWith(within) === true;
}
