import { setTimeout as sleep } from 'node:timers/promises';
import { armSwitch, type Leftover, lockNode, type NodeLock, type Switch, takeLeftovers } from '../agent/switch.ts';
import type { TaskPlan } from '../core/plan.ts';
import type { TaskReport } from '../core/report.ts';
import type { Step } from '../core/resource.ts';
import type { OpenedSession, OpenSession } from './fleet.ts';

/** How long nodes wait for a word of ours, and what they note of us. */
export interface ConfirmOptions {
  /** Seconds from the last word after which a node takes the task in hand back by itself: 5 or more. */
  readonly seconds: number;
  /** A name of this run: letters, digits and "-". */
  readonly run: string;
  /** Who runs it, such as `alice@laptop, process 4711`. */
  readonly who: string;
  /** Seconds to wait for another run that changes a node. */
  readonly patience: number;
}

/** Seconds beyond the time of the switch in which a node that was cut off can be reached again. */
const RETURN_S = 30;

export interface ArmedTask extends Switch {
  readonly name: string;
}

let count = 0;

/** What takes a task back on a node. */
export interface TaskUndo {
  readonly task: string;
  readonly files: readonly string[];
  readonly unkeep: readonly Step[];
  readonly undo: readonly Step[];
}

/** Arms the switch of a node for one task. @throws HostError where the node can't keep it */
export async function armNode(
  { task, ...data }: TaskUndo,
  session: OpenedSession['session'],
  { seconds, run, who }: ConfirmOptions,
): Promise<ArmedTask> {
  const name = `${run}-${++count}`;
  const about = `task "${task}" of run ${run} by ${who}`;
  return { ...(await armSwitch(session, { ...data, name, about }, seconds)), name };
}

/** As `armNode`, for a task of one host. */
export function armTask(
  { task, writes, unkeep, undo }: TaskPlan,
  session: OpenedSession['session'],
  confirm: ConfirmOptions,
): Promise<ArmedTask> {
  const files = writes.map(({ path }) => path).toReversed();
  return armNode({ task: task.name, files, unkeep, undo }, session, confirm);
}

/**
 * Makes sure that no other run changes a node, and lets the node finish what an earlier run left behind.
 * @throws HostError where another run has the node
 */
export async function takeNode(
  session: OpenedSession['session'],
  { seconds, who, patience }: ConfirmOptions,
): Promise<{ readonly lock: NodeLock; readonly leftovers: readonly Leftover[] }> {
  const lock = await lockNode(session, who, patience, seconds);
  return { lock, leftovers: await takeLeftovers(session) };
}

const CAUSES: Readonly<Record<Leftover['cause'], string>> = {
  time: 'it heard nothing in time',
  reboot: 'it was started again in the middle',
  early: 'its run was no more',
};

/** What a node took back by itself, as a sentence. */
export function describeLeftover({ about, cause, problems }: Leftover): string {
  const why = CAUSES[cause];
  const left = problems === '' ? '' : `; not taken back: ${problems.split('\n').join('; ')}`;
  return `the node has taken back ${about} by itself, as ${why}${left}`;
}

/**
 * Asks a node that was lost in the middle of a task what has become of it, until it has told or can't be reached within the time of
 * its switch and some more.
 * @returns what was taken back; "disarmed": nothing, as the switch had been disarmed; null: it could not be asked
 */
export async function awaitNode(
  host: string,
  name: string,
  open: OpenSession,
  { seconds }: ConfirmOptions,
): Promise<Leftover | 'disarmed' | null> {
  const deadline = performance.now() + (seconds + RETURN_S) * 1000;
  while (performance.now() < deadline) {
    const told = await ask(host, name, open).catch(() => null);
    if (told !== null) return told.find((leftover) => leftover.name === name) ?? 'disarmed';
    await sleep(1_000);
  }
  return null;
}

async function ask(host: string, name: string, open: OpenSession): Promise<Leftover[]> {
  const { session, close } = await open(host);
  try {
    return await takeLeftovers(session, name);
  } finally {
    await close();
  }
}

/**
 * The reports of a task that was lost, once the node has told what became of it.
 * @param end what the task is where the switch had been disarmed: that was the last that was asked of the node
 */
export function withNodesWord(
  reports: readonly TaskReport[],
  told: Leftover | 'disarmed' | null,
  end: 'changed' | 'rolled-back',
): TaskReport[] {
  return reports.map((report) => {
    if (report.status !== 'failed' || report.changes.length === 0) return report;
    if (told === 'disarmed') return { ...report, status: end, error: end === 'changed' ? null : report.error };
    if (told === null) return { ...report, error: `${report.error}; it could not be reached since` };
    const status = told.problems === '' ? 'rolled-back' : 'failed';
    return { ...report, status, error: `${report.error}: ${describeLeftover(told)}` };
  });
}
