import type { AgentSession } from '../agent/session.ts';
import type { NodeLock } from '../agent/switch.ts';
import { HostError, UnreachableError } from '../core/errors.ts';
import type { TaskPlan } from '../core/plan.ts';
import type { ProbeReport } from '../core/probe.ts';
import type { HostReport, TaskReport } from '../core/report.ts';
import { type CompiledPlay, type HostTask, resourcesOf } from '../core/task.ts';
import { applyTask, type TaskOutcome } from './apply-task.ts';
import { isTogether } from './apply-together.ts';
import { type OpenedSession, planAll, type ReadHost, type RunContext, readHosts, readsOf } from './fleet.ts';
import { createGathering, type Gathering } from './gathering.ts';
import { armTask, awaitNode, type ConfirmOptions, describeLeftover, takeNode, withNodesWord } from './node-switch.ts';
import { hostFailure, hostStatus } from './outcome.ts';
import { createProver, type Prober, type Prover } from './prover.ts';
import type { Binding } from './saved-plan.ts';

/** Joins a play's group on its hosts. */
export type OpenProber = (
  play: CompiledPlay,
  sessions: ReadonlyMap<string, OpenedSession['session']>,
) => Promise<Prober>;

export interface ApplyContext extends RunContext {
  readonly openProber: OpenProber;
  readonly confirm: ConfirmOptions;
  /** Whether hosts go on after a task that failed and was taken back whole. */
  readonly keepGoing?: boolean;
  /** Where the run may only do what was reviewed: hosts that have moved since are left alone. */
  readonly binding?: Binding | undefined;
}

/** A host while it is being changed. */
interface HostState extends ReadHost {
  readonly lock: NodeLock;
  readonly reports: TaskReport[];
  /** What was done to it and stays, in order. */
  readonly done: TaskPlan[];
  readonly notified: Set<string>;
  /** Whether something was changed since `seen` was read, or enough time has passed for others to change it. */
  isStale: boolean;
  /** Why this host takes no more tasks; null: it does. */
  stop: unknown;
  /** Whether a task was left out because of `stop`. */
  isCut: boolean;
  /** Whether a task was neither finished nor taken back. */
  isHalfDone: boolean;
}

/** What the hosts of a run tell each other. */
interface Run {
  /** Why no host begins another task; null: they may. */
  stop: string | null;
}

export interface ApplyResult {
  readonly hosts: Map<string, HostReport>;
  /** The newest probe of the run; null: nothing was probed. */
  readonly probe: ProbeReport | null;
  /** Whether every task is done, undone or not begun; false: a host may be between its old state and its new one. */
  readonly isWhole: boolean;
  /** What was done to each host and stays, in order. */
  readonly done: ReadonlyMap<string, readonly TaskPlan[]>;
}

/**
 * Brings all hosts to their desired state. The hosts of a batch don't wait for each other; a failed proof lets no host
 * begin another task.
 */
export async function applyPlays(context: ApplyContext): Promise<ApplyResult> {
  const failures = new Map<string, unknown>();
  const read = await readHosts<HostState | null, AgentSession>(
    context,
    async (host) => {
      const taken = { ...host, ...(await take(host, context)) };
      const stop = context.binding ? await refusal(taken, context.plays, context.binding) : null;
      return { ...taken, reports: [], done: [], notified: new Set(), stop, isCut: false, isHalfDone: false };
    },
    (host, error) => {
      failures.set(host, error);
      context.emit({ type: 'host-done', host, report: hostFailure(error) });
      return null;
    },
  );
  const states = new Map([...read].flatMap(([host, state]) => (state ? [[host, state] as const] : [])));
  let probe: ProbeReport | null = null;
  const run: Run = { stop: null };
  try {
    for (const [index, play] of context.plays.entries()) {
      // What was read before the first play may be minutes old.
      if (index > 0) for (const state of states.values()) state.isStale = true;
      probe = (await applyPlay(play, states, context, run)) ?? probe;
    }
  } finally {
    await Promise.all([...states.values()].map(leave));
  }
  const hosts = new Map<string, HostReport>();
  for (const host of read.keys()) {
    const state = states.get(host);
    const report = state ? finalReport(state) : hostFailure(failures.get(host));
    if (state) context.emit({ type: 'host-done', host, report });
    hosts.set(host, report);
  }
  const done = new Map([...states].map(([host, state]) => [host, state.done]));
  return { hosts, probe, isWhole: [...states.values()].every((state) => !state.isHalfDone), done };
}

async function leave({ lock, close }: HostState): Promise<void> {
  await lock.release().catch(() => {});
  await close().catch(() => {});
}

/** Takes a node for this run. `isStale`: what was read of it before counts no more, as something was waited for or taken back. */
async function take(
  { host, session, close }: ReadHost,
  { confirm, emit }: ApplyContext,
): Promise<Pick<HostState, 'lock' | 'isStale'>> {
  const startedAt = performance.now();
  try {
    const { lock, leftovers } = await takeNode(session, confirm);
    for (const leftover of leftovers) emit({ type: 'note', text: `${host}: ${describeLeftover(leftover)}` });
    return { lock, isStale: leftovers.length > 0 || performance.now() - startedAt > STALE_MS };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Why a host may not be changed: it is not as it was when the plan was made. null: it may. */
async function refusal(
  { host, session, facts, seen, isStale }: ReadHost & Pick<HostState, 'isStale'>,
  plays: readonly CompiledPlay[],
  binding: Binding,
): Promise<unknown> {
  try {
    const now = isStale ? await session.read(readsOf(plays, host)) : seen;
    const moved = binding.moved(host, planAll(plays, host, now, facts));
    if (moved.length === 0) return null;
    const hint = 'nothing was done there: make a new plan';
    return new HostError(`not as it was when the plan was made: ${moved.join('; ')}`, { hint });
  } catch (error) {
    return error;
  }
}

/** Milliseconds after which somebody else may have changed what was read. */
const STALE_MS = 1_000;

function finalReport(state: HostState): HostReport {
  const { failure } = state.session;
  if (state.stop instanceof Error || failure)
    return hostFailure(state.stop instanceof Error ? state.stop : failure, state.reports);
  const error = typeof state.stop === 'string' && state.isCut ? state.stop : null;
  const status = hostStatus(state.reports);
  return { status: error === null ? status : 'failed', error, tasks: state.reports };
}

async function applyPlay(
  play: CompiledPlay,
  states: ReadonlyMap<string, HostState>,
  context: ApplyContext,
  run: Run,
): Promise<ProbeReport | null> {
  const members = play.hosts.flatMap((host) => states.get(host) ?? []).filter((state) => state.stop === null);
  const sessions = new Map(members.map((state) => [state.host, state.session]));
  const isAlive = (host: string) => {
    const state = states.get(host);
    return !(state?.stop instanceof UnreachableError || state?.session.failure);
  };
  const open = members.length < 2 ? null : () => context.openProber(play, sessions);
  const prover = createProver(play, open, isAlive, context.emit);
  const gathering = createGathering(play, (host) => states.get(host) ?? null, { ...context, prover });
  try {
    for (const [index, batch] of play.batches.entries()) {
      const batchStates = batch.flatMap((host) => states.get(host) ?? []);
      if (index > 0) for (const state of batchStates) state.isStale = true;
      gathering.begin(batchStates.map(({ host }) => host));
      const scope = { play, prover, context, run, gathering };
      await Promise.all(batchStates.map((state) => applyHost(state, scope).finally(() => gathering.leave(state.host))));
      const failed = batchStates.find((state) => state.stop !== null);
      if (failed && !context.keepGoing) run.stop ??= `not done: ${failed.host} failed`;
    }
  } finally {
    await prover.close().catch(() => {});
  }
  return prover.latest();
}

/** What the hosts of a play share while it runs. */
interface Scope {
  readonly play: CompiledPlay;
  readonly prover: Prover;
  readonly context: ApplyContext;
  readonly run: Run;
  readonly gathering: Gathering;
}

/** All tasks of a host in a play, then the handlers that they notified. */
async function applyHost(state: HostState, scope: Scope): Promise<void> {
  const { play } = scope;
  try {
    for (const task of play.tasks.get(state.host) ?? []) await applyOne(state, task, scope);
    for (const handler of play.handlers.get(state.host) ?? []) {
      if (state.notified.delete(handler.name)) await applyOne(state, handler, scope);
    }
  } catch (error) {
    state.stop ??= error;
  }
}

async function applyOne(state: HostState, task: HostTask, scope: Scope): Promise<void> {
  const { context, run, gathering } = scope;
  if (state.stop === null && context.signal.aborted) state.stop = 'not done: interrupted';
  state.stop ??= run.stop;
  if (state.stop !== null) {
    state.isCut = true;
    return;
  }
  const outcome = await withNode(
    state.host,
    isTogether(task) ? await gathering.arrive(state.host, task) : await applyAlone(state, task, scope),
    context,
  );
  state.reports.push(...outcome.reports);
  if (outcome.done) state.done.push(outcome.done);
  context.emit({ type: 'task-done', host: state.host, reports: outcome.reports });
  if (outcome.isHalfDone) state.isHalfDone = true;
  if (outcome.isDisproved && !context.keepGoing)
    run.stop ??= `not done: task "${task.name}" on ${state.host} made multicast worse`;
  if (outcome.lost) throw outcome.lost;
  if (outcome.status !== 'ok') state.isStale = true;
  if (outcome.status === 'changed') for (const name of task.notify) state.notified.add(name);
  if (outcome.status === 'ok' || outcome.status === 'changed') return;
  // Nothing is built on a host of which nobody knows how it is.
  if ((task.ignoreErrors || context.keepGoing) && !outcome.isHalfDone && !outcome.isBeyond) return;
  state.stop = `not done: task "${task.name}" failed`;
}

/** Where the connection broke in the middle of a task: what the node has made of it. */
async function withNode(host: string, outcome: TaskOutcome, context: ApplyContext): Promise<TaskOutcome> {
  if (outcome.leftToNode === undefined) return outcome;
  const { name, otherwise } = outcome.leftToNode;
  context.emit({ type: 'note', text: `${host}: the connection broke; asking the node what has become of the task` });
  const told = await awaitNode(host, name, context.open, context.confirm);
  const { done, ...rest } = outcome;
  const isDone = told === 'disarmed' && otherwise === 'changed';
  const reports = withNodesWord(outcome.reports, told, otherwise);
  const isHalfDone = told === null || (told !== 'disarmed' && told.problems !== '');
  return { ...rest, reports, isHalfDone, ...(isDone && { status: 'changed', ...(done && { done }) }) };
}

async function applyAlone(state: HostState, task: HostTask, { context, prover }: Scope): Promise<TaskOutcome> {
  const { session, facts } = state;
  const reads = () => resourcesOf(task).flatMap((resource) => resource.reads);
  const seen = state.isStale ? await session.read(reads()) : state.seen;
  const arm = (plan: TaskPlan) => armTask(plan, session, context.confirm);
  return applyTask(task, seen, { ...context, session, facts, prover, arm });
}
