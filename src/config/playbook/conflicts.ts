import { conflictsOf, describeConflict } from '../../core/conflicts.ts';
import { codeFrame } from '../../core/source.ts';
import { type CompiledPlay, type HostTask, NO_FACTS } from '../../core/task.ts';
import type { FaultList } from '../faults.ts';

/**
 * Adds a fault for each property that tasks of one host want to be different things, as far as that can be known before the
 * host is asked: a `when` that mentions facts is left to the run.
 * @param textOf the text of the file in which a task stands
 */
export function addConflicts(
  plays: readonly CompiledPlay[],
  textOf: (task: HostTask) => string | undefined,
  faults: FaultList,
): void {
  for (const host of new Set(plays.flatMap((play) => play.hosts))) {
    const tasks = plays.flatMap((play) => [...(play.tasks.get(host) ?? []), ...(play.handlers.get(host) ?? [])]);
    for (const conflict of conflictsOf(tasks, (item) => item.isConstant !== false && item.when(NO_FACTS))) {
      const { task } = conflict.second;
      const text = textOf(task);
      const frame = text === undefined ? undefined : codeFrame(text, task.source);
      faults.add({ ...describeConflict(conflict), source: task.source, frame }, host);
    }
  }
}
