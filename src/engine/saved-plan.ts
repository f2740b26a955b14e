import { createHash } from 'node:crypto';
import { argvText } from '../core/argv.ts';
import type { PlannedResource, TaskPlan } from '../core/plan.ts';
import type { Change, ResourceId, Step } from '../core/resource.ts';
import type {
  SavedChange,
  SavedFile,
  SavedHost,
  SavedPlan,
  SavedResource,
  SavedStep,
  SavedTask,
  SavedWish,
} from '../core/saved-plan.ts';
import { HIDDEN, hiddenId, redact, redactValue } from '../core/secrets.ts';
import { type CompiledPlay, type HostTask, resourcesOf } from '../core/task.ts';
import { tasksOf } from './fleet.ts';
import { errorText, hiddenChange } from './outcome.ts';
import { show } from './show.ts';

/** What a run may do: what was reviewed, and nothing else. */
export interface Binding {
  /** How a host differs from what was reviewed, a sentence each. @param plans all its tasks, compared before anything is done */
  moved(host: string, plans: readonly TaskPlan[]): readonly string[];
  /** What a task would do now, at its turn, that was not reviewed, a sentence each. */
  beyond(plan: TaskPlan): readonly string[];
}

/** A host of a run as it is saved. @param error why it could not be read */
export function saveHost(
  plays: readonly CompiledPlay[],
  host: string,
  plans: readonly TaskPlan[],
  error: string | null,
): SavedHost {
  return { error, tasks: plans.map(saveTask), handlers: handlersOf(plays, host).map(saveWish) };
}

/** The plays of a run, but for their tasks. */
export function savePlays(plays: readonly CompiledPlay[]): SavedPlan['plays'] {
  return plays.map(({ name, hosts, batches, probe, probeInterfaces }) => ({
    name,
    desired: hashOf({ hosts, batches, probe, interfaces: [...probeInterfaces] }),
  }));
}

/** What plays want now that they did not want when the plan was made, a sentence each. */
export function otherWishes(saved: SavedPlan, plays: readonly CompiledPlay[]): readonly string[] {
  const now = savePlays(plays);
  const other = now.filter(({ desired }, index) => saved.plays[index]?.desired !== desired);
  const found = other.map(({ name }) => `hosts, batches or probe of play "${name}" are not as they were then`);
  if (now.length !== saved.plays.length) found.push('there are not as many plays as then');
  for (const host of new Set(plays.flatMap((play) => play.hosts))) {
    const { tasks, handlers } = saved.hosts[host] ?? { tasks: null, handlers: null };
    // A host that could not be read has no tasks in the plan, and none will be done.
    if (tasks === null || saved.hosts[host]?.error !== null) continue;
    const pairs = [
      ...pair(tasks, tasksOf(plays, host).map(saveWish)),
      ...pair(handlers, handlersOf(plays, host).map(saveWish)),
    ];
    const changed = pairs.find(([then, wish]) => then?.desired !== wish?.desired);
    if (changed) found.push(`task "${(changed[1] ?? changed[0])?.name}" of ${host} wants something else than then`);
  }
  return found;
}

function pair<T>(then: readonly T[], now: readonly T[]): (readonly [T | undefined, T | undefined])[] {
  return Array.from({ length: Math.max(then.length, now.length) }, (_, index) => [then[index], now[index]] as const);
}

/** Binds a run of plays to a saved plan of them. */
export function bindingTo(saved: SavedPlan, plays: readonly CompiledPlay[]): Binding {
  return {
    moved(host, plans) {
      const then = saved.hosts[host];
      if (then === undefined) return ['it is not in the plan'];
      if (then.error !== null) return [`it could not be read then: ${then.error}`];
      return plans.flatMap((plan, index) => movedTask(then.tasks[index], saveTask(plan)));
    },
    beyond(plan) {
      const { host } = plan.task;
      const then = saved.hosts[host]?.tasks[tasksOf(plays, host).indexOf(plan.task)];
      return then === undefined ? [] : beyondTask(then, saveTask(plan));
    },
  };
}

/** Tasks before this one have changed the host, so that less may be left to do; nothing may be new. */
function beyondTask(then: SavedTask, now: SavedTask): string[] {
  const reviewed = new Set(then.resources.flatMap(({ changes }) => changes.map(({ hash }) => hash)));
  const changes = now.resources.flatMap((entry) => {
    const planned = then.resources.find(({ resource }) => resource === entry.resource)?.changes ?? [];
    return entry.changes
      .filter(({ hash }) => !reviewed.has(hash))
      .map((change) => describe(entry, nth(planned, change, 0), change));
  });
  const paths = now.files.filter(({ path }) => !then.files.some((file) => file.path === path));
  return [...changes, ...paths.map(({ path }) => `${path} would be written`)];
}

function movedTask(then: SavedTask | undefined, now: SavedTask): string[] {
  if (then === undefined) return [`task "${now.name}" is not in the plan`];
  if (then.observed === now.observed) return [];
  const told = now.resources.flatMap((entry, index) => movedResource(then.resources[index], entry));
  const files = pair(then.files, now.files).flatMap(([before, after]) => {
    const path = (before ?? after)?.path ?? '';
    const isSame = before?.path === after?.path && before?.before === after?.before && before?.after === after?.after;
    return isSame || told.some((sentence) => sentence.includes(path)) ? [] : [`${path} has changed`];
  });
  const found = [...told, ...files];
  if (found.length > 0) return found;
  const steps = pair(then.steps, now.steps).find(([before, after]) => before?.hash !== after?.hash);
  const text = (step: SavedStep | undefined) => (step === undefined ? 'nothing' : `"${step.text}"`);
  return [`task "${now.name}": planned to do ${text(steps?.[0])}, would do ${text(steps?.[1])} now`];
}

function movedResource(then: SavedResource | undefined, now: SavedResource): string[] {
  if (then === undefined || then.resource !== now.resource) return [`${now.resource} is not in the plan`];
  if (now.status === 'failed') return then.status === 'failed' ? [] : [`${now.resource}: ${now.error}`];
  if (then.status === 'failed') return [`${now.resource} could not be compared then, and can be now`];
  if (now.status === 'skipped') return then.status === 'skipped' ? [] : [`${now.resource} is left out now`];
  if (then.status === 'skipped') return [`${now.resource} was left out then, and is not now`];
  const gone = then.changes.filter((change) => nth(now.changes, change, placeOf(then.changes, change)) === undefined);
  const other = now.changes.flatMap((change) => {
    const before = nth(then.changes, change, placeOf(now.changes, change));
    return before?.hash === change.hash ? [] : [describe(now, before, change)];
  });
  return [...gone.map((change) => describe(now, change, undefined)), ...other];
}

const isSameProperty = (one: SavedChange, other: SavedChange): boolean =>
  one.layer === other.layer && one.property === other.property && one.file === other.file;

/** The same property may differ in several lines of a file. */
function nth(changes: readonly SavedChange[], like: SavedChange, place: number): SavedChange | undefined {
  return changes.filter((each) => isSameProperty(each, like))[place];
}

function placeOf(changes: readonly SavedChange[], change: SavedChange): number {
  return changes.filter((each) => isSameProperty(each, change)).indexOf(change);
}

function describe({ resource }: SavedResource, then: SavedChange | undefined, now: SavedChange | undefined): string {
  const { layer, property, file } = (now ?? then) as SavedChange;
  const what = `${resource} ${layer} ${property}${file === undefined ? '' : ` in ${file}`}`;
  if (then === undefined) return `${what}: no change was planned, is ${show(now?.from)} now`;
  const planned = `${what}: planned from ${show(then.from)} to ${show(then.to)}`;
  return `${planned}, is ${show(now === undefined ? then.to : now.from)} now`;
}

function handlersOf(plays: readonly CompiledPlay[], host: string): readonly HostTask[] {
  return plays.flatMap((play) => play.handlers.get(host) ?? []);
}

function saveWish(task: HostTask): SavedWish {
  const { name, type, items, notify, ignoreErrors } = task;
  const made = items.map((item) => item.made ?? null);
  const wants = resourcesOf(task).map((resource) => [resource.id, resource.wants ?? null]);
  return { name: redact(name), desired: hashOf({ name, type, made, wants, notify, ignoreErrors }) };
}

/** A task as it is saved: hashes are made of all of it, what people read has no secrets. */
function saveTask(plan: TaskPlan): SavedTask {
  const { noLog = false } = plan.task;
  const resources = plan.resources.map((entry) => saveResource(entry, noLog));
  const steps = [...plan.try, ...plan.keepRuns].map((step) => saveStep(step, noLog));
  const files = plan.writes.map(
    ({ path, before, text }): SavedFile => ({
      path: redact(path),
      before: textHash(before?.text ?? null),
      after: textHash(text),
    }),
  );
  const told = resources.map(({ resource, status, changes }) => [resource, status, changes.map(({ hash }) => hash)]);
  const observed = hashOf({ told, files, steps: steps.map(({ hash }) => hash) });
  return { ...saveWish(plan.task), resources, steps, files, observed };
}

function saveResource(entry: PlannedResource, noLog: boolean): SavedResource {
  const { id } = entry.resource;
  const changes = entry.status === 'differs' || entry.status === 'pending' ? entry.plan.changes : [];
  const error = entry.status === 'failed' ? errorText(entry.error) : null;
  return {
    resource: noLog ? hiddenId(id) : (redact(id) as ResourceId),
    status: entry.status,
    changes: changes.map((change) => saveChange(id, change, noLog)),
    error: error !== null && noLog ? HIDDEN : error && redact(error),
  };
}

function saveChange(resource: ResourceId, change: Change, noLog: boolean): SavedChange {
  const { layer, property, file, from, to, after, isAction } = change;
  const shown = noLog ? hiddenChange(change) : change;
  return {
    layer,
    property: redact(property),
    ...(file !== undefined && { file: redact(file) }),
    from: redactValue(shown.from ?? null),
    to: redactValue(shown.to ?? null),
    hash: hashOf({ resource, layer, property, file, from: from ?? null, to: to ?? null, after, isAction }),
  };
}

function saveStep(step: Step, noLog: boolean): SavedStep {
  if (step.do === 'edit') throw new Error('a file edit is saved as its file');
  const text = step.do === 'run' ? argvText(step.argv) : `${step.path} = ${step.value.trim()}`;
  return { text: noLog ? HIDDEN : redact(text), hash: hashOf(step) };
}

function textHash(text: string | null): string | null {
  return text === null ? null : createHash('sha256').update(text, 'utf8').digest('hex');
}

/** SHA-256 of a value as JSON with sorted keys; what is undefined does not count. */
function hashOf(value: unknown): string {
  const sorted = (_: string, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : each;
  return createHash('sha256').update(JSON.stringify(value, sorted), 'utf8').digest('hex');
}
