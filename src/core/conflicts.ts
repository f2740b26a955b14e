import type { ResourceId } from './resource.ts';
import { HIDDEN, hiddenId } from './secrets.ts';
import { formatSource } from './source.ts';
import type { HostTask, TaskItem } from './task.ts';

/** What a task wants a property to be. */
interface Wish {
  readonly value: unknown;
  readonly task: HostTask;
}

/** Two tasks, or two loop items of one, of which each would undo what the other did. */
export interface Conflict {
  readonly resource: ResourceId;
  readonly property: string;
  readonly first: Wish;
  readonly second: Wish;
}

/**
 * The properties that tasks of one host want to be different things: such a host would never be in its desired state.
 * @param tasks of all plays of a run, handlers included, in order
 * @param isActive whether an item counts
 * @returns each property once, the first two wishes that differ
 */
export function conflictsOf(tasks: readonly HostTask[], isActive: (item: TaskItem) => boolean): readonly Conflict[] {
  const wishes = new Map<string, Wish>();
  const conflicts = new Map<string, Conflict>();
  for (const task of tasks) {
    for (const { id, wants = {} } of task.items.filter(isActive).flatMap((item) => item.resources)) {
      for (const [property, value] of Object.entries(wants)) {
        const key = JSON.stringify([id, property]);
        const first = wishes.get(key);
        const second = { value, task };
        if (first === undefined) wishes.set(key, second);
        else if (JSON.stringify(first.value) !== JSON.stringify(value) && !conflicts.has(key))
          conflicts.set(key, { resource: id, property, first, second });
      }
    }
  }
  return [...conflicts.values()];
}

/** A conflict as a sentence with both places, and what to do. */
export function describeConflict(conflict: Conflict): { readonly message: string; readonly hint: string } {
  const { resource, property, first, second } = conflict;
  const saidValue = ({ value, task }: Wish): string => (task.noLog ? HIDDEN : JSON.stringify(value));
  const said = (wish: Wish): string => {
    const { task } = wish;
    return `${saidValue(wish)} by task "${task.name}" (${formatSource(task.source)})`;
  };
  const isLoop = formatSource(first.task.source) === formatSource(second.task.source);
  const other = isLoop ? `${saidValue(second)} by another item of its loop` : said(second);
  return {
    message: `${first.task.noLog || second.task.noLog ? hiddenId(resource) : resource}: ${property} is to be ${said(first)} and ${other}: it would never stay as desired`,
    hint: isLoop
      ? 'let the items differ in what they name, or remove one of them'
      : 'keep one of them, or let their "when" exclude each other',
  };
}
