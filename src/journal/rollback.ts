import { HostError } from '../core/errors.ts';
import type { DoneFile, DoneTask } from '../core/journal.ts';
import type { Change, Observations, Resource, ResourceId, ResourcePlan, Step } from '../core/resource.ts';

/** Where a value stands: what the run made of it, what it was before, or something else. */
type Stand = 'done' | 'before' | 'other';

/**
 * A resource whose desired state is what a task found before it changed it.
 * @param task as the journal has it
 * @param made its resources, made again
 * @param isForced also puts back what somebody changed since
 */
export function rollbackResource(task: DoneTask, made: readonly Resource[], isForced: boolean): Resource {
  const reads = [
    ...made.flatMap((resource) => resource.reads),
    ...task.files.map(({ path }) => ({ read: 'file' as const, path })),
  ];
  return { id: idOf(task), reads, plan: (seen) => plan(task, made, seen, isForced) };
}

function idOf(task: DoneTask): ResourceId {
  const [first, ...more] = [...new Set(task.changes.map(({ resource }) => resource))];
  if (first !== undefined && more.length === 0) return first;
  const titles = [first, ...more].map((id) => id?.slice(id.indexOf('[') + 1, -1) ?? '');
  return `${task.type}[${titles.join(', ')}]`;
}

/** A task with the resources that it was made of, made again. */
export interface MadeTask {
  readonly task: DoneTask;
  readonly made: readonly Resource[];
}

/**
 * Refuses a host on which anything is neither as the run left it nor as it was before, so that none of it is taken back.
 * @param tasks in the order in which they were done: of a file that several wrote the last one counts
 */
export function unchangedResource(run: string, tasks: readonly MadeTask[]): Resource {
  const reads = tasks.flatMap(({ task, made }) => rollbackResource(task, made, true).reads);
  return {
    id: `rollback[${run}]`,
    reads,
    plan(seen) {
      const judged = new Set<string>();
      const isFirst = (key: string): boolean => !judged.has(key) && judged.add(key).size > 0;
      const found = tasks.toReversed().flatMap(({ task, made }) => {
        if (task.obstacle !== null) return [`task "${task.name}": ${task.obstacle}`];
        return standsOf(task, made, seen).flatMap(({ key, stand, told }) =>
          isFirst(key) && stand === 'other' ? [told()] : [],
        );
      });
      if (found.length > 0) throw new HostError(`not as the run left it: ${found.join('; ')}`, { hint: FORCE_HINT });
      return { changes: [], try: [], undo: [], keep: [] };
    },
  };
}

const FORCE_HINT = 'put it right by hand, or give --force to put back what was before the run';

/** How each value and file of a task stands. */
function standsOf(task: DoneTask, made: readonly Resource[], seen: Observations) {
  const values = valuesOf(task, made, seen).map(({ change, now, stand }) => ({
    key: JSON.stringify([change.resource, change.layer, change.property]),
    stand,
    told: () => threeValues(change, now),
  }));
  const files = task.files.map((file) => {
    const now = seen.file(file.path)?.text ?? null;
    return { key: file.path, stand: standOf(file, now), told: () => threeTexts(file, now) };
  });
  return [...values, ...files];
}

function plan(task: DoneTask, made: readonly Resource[], seen: Observations, isForced: boolean): ResourcePlan {
  if (task.obstacle !== null) throw new HostError(task.obstacle);
  const others = standsOf(task, made, seen).flatMap(({ stand, told }) => (stand === 'other' ? [told()] : []));
  if (others.length > 0 && !isForced)
    throw new HostError(`not as the run left it: ${others.join('; ')}`, { hint: FORCE_HINT });
  const values = valuesOf(task, made, seen);
  const files = task.files.map((file) => ({ file, now: seen.file(file.path)?.text ?? null }));
  const running = values.filter(({ change, stand }) => change.layer === 'runtime' && stand !== 'before');
  const written = files.filter(({ file, now }) => now !== (file.before?.text ?? null));
  const pending = running.filter(({ change }) => change.after === 'reboot');
  const isRunning = running.length > pending.length;
  return {
    changes: [
      ...running.map(({ change, now }) => ({ ...change, from: now, to: change.from })),
      ...written.map(({ file, now }) => fileChange(file, now)),
    ],
    try: isRunning ? task.undo : [],
    undo: isRunning ? task.try : [],
    keep: [
      ...written.map(
        ({ file }): Step => ({
          do: 'edit',
          path: file.path,
          edit: () => file.before?.text ?? null,
          ...(file.before && { attributes: { mode: file.before.mode, uid: file.before.uid, gid: file.before.gid } }),
        }),
      ),
      ...(written.length > 0 || isRunning ? task.unkeep : []),
    ],
    unkeep: task.keepRuns,
  };
}

interface Value {
  readonly change: DoneTask['changes'][number];
  readonly now: unknown;
  readonly stand: Stand;
}

/** Each value that the run changed, as it is now. */
function valuesOf(task: DoneTask, made: readonly Resource[], seen: Observations): Value[] {
  const plans = new Map(made.map((resource) => [resource.id, resource.plan(seen).changes]));
  return task.changes.flatMap((change) => {
    if (change.isAction === true || change.layer === 'persistent') return [];
    const differs = plans.get(change.resource)?.find((each) => isSameValue(each, change));
    const now = differs === undefined ? change.to : differs.from;
    return [{ change, now, stand: isEqual(now, change.to) ? 'done' : isEqual(now, change.from) ? 'before' : 'other' }];
  });
}

function isSameValue(a: Change, b: Change): boolean {
  return a.layer === b.layer && a.property === b.property;
}

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

function standOf(file: DoneFile, now: string | null): Stand {
  if (now === file.after) return 'done';
  return now === (file.before?.text ?? null) ? 'before' : 'other';
}

function fileChange(file: DoneFile, now: string | null): Change {
  const lines = (text: string | null): string | null => (text === null ? null : `${text.split('\n').length - 1} lines`);
  return {
    layer: 'persistent',
    property: 'file',
    from: lines(now),
    to: lines(file.before?.text ?? null),
    file: file.path,
    note: 'as it was before the run',
  };
}

function threeValues({ resource, layer, property, from, to }: Value['change'], now: unknown): string {
  const show = (value: unknown): string => (value === null || value === undefined ? 'absent' : JSON.stringify(value));
  return `${resource} ${layer} ${property} is ${show(now)} now, the run had made it ${show(to)}, before it was ${show(from)}`;
}

function threeTexts({ path, before, after }: DoneFile, now: string | null): string {
  const show = (text: string | null): string => (text === null ? 'absent' : `${Buffer.byteLength(text)} bytes`);
  return `${path} has ${show(now)} now, after the run ${show(after)}, before it ${show(before?.text ?? null)}`;
}
