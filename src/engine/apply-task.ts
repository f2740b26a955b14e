import { type AgentSession, UndoneByNode } from '../agent/session.ts';
import { argvText } from '../core/argv.ts';
import { HostError, UnreachableError } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import type { FileWrite, PlannedResource, TaskPlan } from '../core/plan.ts';
import type { TaskReport } from '../core/report.ts';
import type { Change, FileAttributes, FileState, Observations, Step } from '../core/resource.ts';
import { type Facts, type HostTask, resourcesOf } from '../core/task.ts';
import type { ArmedTask } from './node-switch.ts';
import { errorText, taskReports } from './outcome.ts';
import { blockedReason, changesOf, planTask } from './plan-task.ts';
import type { Prover } from './prover.ts';
import type { Binding } from './saved-plan.ts';
import { show } from './show.ts';
import { Interrupted, untilAborted } from './until-aborted.ts';

/** What a task needs of its host. */
export interface TaskContext {
  readonly session: AgentSession;
  readonly facts: Facts;
  readonly prover: Prover;
  readonly emit: Emit;
  readonly signal: AbortSignal;
  /** Lets the node take a task back by itself where it hears nothing; called before its first step. */
  readonly arm: (plan: TaskPlan) => Promise<ArmedTask>;
  /** Where the run may only do what was reviewed. */
  readonly binding?: Binding | undefined;
}

export interface TaskOutcome {
  readonly reports: readonly TaskReport[];
  readonly status: 'ok' | 'changed' | 'failed' | 'rolled-back';
  /** The session ended by itself in the middle of the task. */
  readonly lost?: Error;
  /** Whether the host may have been left between its old state and its new one. */
  readonly isHalfDone?: boolean;
  /** Multicast was worse than before. */
  readonly isDisproved?: boolean;
  /** It would do what was not reviewed, so that nothing else may be done on this host. */
  readonly isBeyond?: boolean;
  /** What was done, where it stays. */
  readonly done?: TaskPlan;
  /**
   * The name of what the node will take back by itself, as nothing can be said to it any more, and what the task is where it turns out
   * that the node had heard that there is nothing to be taken back.
   */
  readonly leftToNode?: { readonly name: string; readonly otherwise: 'changed' | 'rolled-back' };
}

/** Multicast is worse than before. */
export class ProofFailed extends HostError {}

/**
 * Brings one task of one host to its desired state: try, prove, keep. Whatever fails on the way is taken back,
 * so that afterwards the host has this task's old state or its new one.
 * @param seen what was observed after the last change on this host
 */
export async function applyTask(task: HostTask, seen: Observations, context: TaskContext): Promise<TaskOutcome> {
  const plan = planTask(task, seen, context.facts);
  const isFailed = plan.resources.some((entry) => entry.status === 'failed');
  if (isFailed)
    return {
      status: 'failed',
      reports: taskReports(plan, 'skipped', 'not tried: another resource of the task failed'),
    };
  if (!plan.resources.some((entry) => entry.status === 'differs'))
    return { status: 'ok', reports: taskReports(plan, 'ok') };
  const blocked = blockedReason(plan);
  if (blocked !== null) return { status: 'failed', reports: taskReports(plan, 'failed', blocked) };

  const beyond = beyondPlan([plan], context.binding);
  if (beyond !== null) return { status: 'failed', reports: taskReports(plan, 'failed', beyond), isBeyond: true };

  const restorer = new Restorer(plan, context);
  try {
    const runtime = changesOf(plan, 'runtime');
    // The baseline comes first: what is proved is that this change did no harm.
    if (runtime.some((change) => change.after !== 'reboot'))
      await untilAborted(context.prover.baseline(), context.signal);
    await restorer.arm();
    if (runtime.some((change) => change.after === undefined)) await tryAndProve(plan, context, restorer);
    if (plan.writes.length + plan.keepRuns.length > 0) await keep(plan, context, restorer);
    else requireNone(plan, 'persistent', 'and there is no step that changes it');
    if (runtime.some((change) => change.after === 'keep')) await prove(plan, context);
    restorer.isDone = true;
    await restorer.disarm();
    return { status: 'changed', reports: taskReports(plan, 'changed'), done: plan };
  } catch (error) {
    if (error instanceof UndoneByNode) {
      restorer.abandon();
      return undoneByNode(plan, error);
    }
    // Whatever it was, a bug of ours included: what was begun is taken back.
    const lost = context.session.failure ?? (error instanceof UnreachableError ? error : null);
    if (lost === null) restorer.isDone = false;
    const problems = lost === null ? await restorer.restore() : [];
    restorer.abandon();
    if (problems instanceof UndoneByNode) return undoneByNode(plan, problems);
    const failure = lost ?? context.session.failure;
    return failure === null
      ? undoneOutcome(plan, error, problems, restorer)
      : lostOutcome(plan, error, failure, restorer);
  }
}

/** Why tasks must not be done: what they would do was not reviewed. null: they may. */
export function beyondPlan(plans: Iterable<TaskPlan>, binding: Binding | undefined): string | null {
  const found = [...plans].flatMap((plan) => binding?.beyond(plan) ?? []);
  return found.length === 0 ? null : `not done, as it is not what was planned: ${found.join('; ')} (make a new plan)`;
}

/** Nothing of ours has to be taken back any more; what the node could not take back it tells the next run. */
function undoneByNode(plan: TaskPlan, error: UndoneByNode): TaskOutcome {
  return { status: 'rolled-back', reports: taskReports(plan, 'rolled-back', error.message) };
}

function undoneOutcome(
  plan: TaskPlan,
  error: unknown,
  problems: readonly string[],
  { hasDone, summary }: Restorer,
): TaskOutcome {
  const why = error instanceof Interrupted ? `interrupted: ${summary}` : errorText(error);
  const text = [why, ...problems.map((problem) => `undo failed: ${problem}`)].join('; ');
  const isHalfDone = problems.length > 0;
  const isDisproved = error instanceof ProofFailed;
  const isRolledBack = !isHalfDone && hasDone && (isDisproved || error instanceof Interrupted);
  const status = isRolledBack ? 'rolled-back' : 'failed';
  return { status, reports: taskReports(plan, status, text), isHalfDone, isDisproved };
}

function lostOutcome(plan: TaskPlan, error: unknown, lost: Error, restorer: Restorer): TaskOutcome {
  const { hasDone, armedName, isDone } = restorer;
  const text = hasDone
    ? `the connection broke while this was being changed: ${errorText(lost)}; the node takes it back by itself`
    : `the connection broke before this was changed: ${errorText(lost)}`;
  const isDisproved = error instanceof ProofFailed;
  const reports = taskReports(plan, 'failed', text);
  const otherwise = isDone ? ('changed' as const) : ('rolled-back' as const);
  const leftToNode = hasDone && armedName !== null ? { leftToNode: { name: armedName, otherwise } } : {};
  return {
    status: 'failed',
    reports,
    lost,
    isHalfDone: hasDone,
    isDisproved,
    ...leftToNode,
    ...(isDone && { done: plan }),
  };
}

async function tryAndProve(plan: TaskPlan, context: TaskContext, restorer: Restorer): Promise<void> {
  const { task } = plan;
  context.emit({ type: 'task', host: task.host, name: task.name, phase: 'trying' });
  await restorer.begin('u');
  for (const step of plan.try) await runStep(step, context.session);
  const after = await observe(task, context);
  requireNone(after, 'runtime', 'after the change', (change) => change.after === undefined);
  await prove(plan, context);
}

/** @throws ProofFailed */
async function prove({ task }: TaskPlan, context: TaskContext): Promise<void> {
  context.emit({ type: 'task', host: task.host, name: task.name, phase: 'proving' });
  const worse = await untilAborted(context.prover.prove(), context.signal);
  if (worse.length > 0) throw new ProofFailed(`multicast is worse than before: ${worse.join('; ')}`);
}

async function keep(plan: TaskPlan, context: TaskContext, restorer: Restorer): Promise<void> {
  if (context.signal.aborted) throw new Interrupted();
  context.emit({ type: 'task', host: plan.task.host, name: plan.task.name, phase: 'keeping' });
  if (plan.writes.length > 0) await restorer.begin('f');
  for (const write of plan.writes) {
    const { path, before, text, mode, validate, attributes } = write;
    restorer.writing = write;
    await context.session.write(path, before, text, mode, validate, attributes);
    restorer.writing = null;
    restorer.written.push(write);
  }
  if (plan.keepRuns.length > 0) await restorer.begin('k');
  for (const step of plan.keepRuns) {
    await runStep(step, context.session);
  }
  const after = await observe(plan.task, context);
  requireNone(after, 'persistent', 'after the files were written');
  requireNone(after, 'runtime', 'after the files were written', (change) => change.after !== 'reboot');
}

/** Knows how to take a half-done task back. */
class Restorer {
  readonly #plan: TaskPlan;
  readonly #context: TaskContext;
  /** Whether running values were begun to be changed, and whether a program of `keep` was begun. */
  #hasTried = false;
  #hasRun = false;
  #switch: ArmedTask | null = null;
  readonly written: FileWrite[] = [];
  /** What was begun to be written, until the node has answered. */
  writing: FileWrite | null = null;
  /** Whether all is proved and kept: the node has only to be told. */
  isDone = false;

  constructor(plan: TaskPlan, context: TaskContext) {
    this.#plan = plan;
    this.#context = context;
  }

  /** Whether anything of the task was done that has to be taken back. */
  get hasDone(): boolean {
    return this.#hasTried || this.#hasRun || this.writing !== null || this.written.length > 0;
  }

  /** Under which name the node knows the task, while the switch is armed. */
  get armedName(): string | null {
    return this.#switch?.name ?? null;
  }

  /** From now on the node takes the task back where it hears nothing. */
  async arm(): Promise<void> {
    this.#switch = await this.#context.arm(this.#plan);
  }

  /** @throws UndoneByNode where the node has already taken it back */
  async disarm(): Promise<void> {
    await this.#switch?.disarm();
    this.#switch = null;
  }

  /** Nothing can be said to the node any more, or nothing has to be. */
  abandon(): void {
    this.#switch?.abandon();
  }

  /** A part of the task begins: running values (`u`), files (`f`), programs of `keep` (`k`). */
  async begin(part: 'u' | 'f' | 'k'): Promise<void> {
    await this.#switch?.mark(part);
    if (part === 'u') this.#hasTried = true;
    if (part === 'k') this.#hasRun = true;
  }

  /** What is done where the task is cut short. */
  get summary(): string {
    return this.hasDone ? 'what was tried is taken back' : 'nothing of it was begun';
  }

  /**
   * Puts back files and running values, all of them whatever fails. Gives the sentences of what could not be put back, or the word of
   * the node that it was faster. Never rejects.
   */
  async restore(): Promise<string[] | UndoneByNode> {
    const { session, emit } = this.#context;
    const problems: string[] = [];
    let undone: UndoneByNode | null = null;
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      if (undone !== null) return;
      try {
        await work();
      } catch (error) {
        if (error instanceof UndoneByNode) undone = error;
        else problems.push(errorText(error));
      }
    };
    if (!this.hasDone) {
      await attempt(() => this.disarm());
      return undone ?? problems;
    }
    emit({ type: 'task', host: this.#plan.task.host, name: this.#plan.task.name, phase: 'undoing' });
    await attempt(() => this.#settleWriting());
    for (const write of this.written.toReversed()) {
      const { before } = write;
      await attempt(() =>
        session.write(write.path, asWritten(write), before?.text ?? null, write.mode, [], attributesOf(before)),
      );
    }
    const isFileLeft = problems.length > 0;
    if (this.#hasRun) for (const step of this.#plan.unkeep) await attempt(() => runStep(step, session));
    if (this.#hasTried) for (const step of this.#plan.undo) await attempt(() => runStep(step, session));
    await attempt(async () => {
      const now = await observe(this.#plan.task, this.#context);
      this.#plan.resources.forEach((before, index) => {
        problems.push(...notAsBefore(before, now.resources[index]));
      });
    });
    // A disk that is full or can't be written to now may be mended soon: the node keeps what it needs.
    if (isFileLeft) await attempt(async () => this.#switch?.leave(this.#hasRun ? ['f', 'k'] : ['f']));
    else await attempt(() => this.disarm());
    if (isFileLeft && undone === null) problems.push('the node tries on, and the next run does');
    return undone ?? problems;
  }

  /** A write that failed may have been done: the file tells. */
  async #settleWriting(): Promise<void> {
    const write = this.writing;
    if (write === null) return;
    const now = (await this.#context.session.read([{ read: 'file', path: write.path }])).file(write.path);
    if ((now?.text ?? null) === write.text) this.written.push(write);
    this.writing = null;
  }
}

/** How a resource differs from what it was when it was planned: nothing where all was put back. */
export function notAsBefore(before: PlannedResource, now: PlannedResource | undefined): string[] {
  if (before.status !== 'differs') return [];
  if (now?.status === 'failed') return [`${before.resource.id}: ${errorText(now.error)}`];
  const left = now?.status === 'differs' ? now.plan.changes : [];
  return before.plan.changes.flatMap((change) => {
    if (change.isAction === true) return [];
    const isSame = (other: Change): boolean =>
      other.layer === change.layer && other.property === change.property && other.file === change.file;
    // The same property may differ in several lines of a file.
    const place = before.plan.changes.filter(isSame).indexOf(change);
    const found = left.filter(isSame)[place];
    if (found && JSON.stringify(found.from) === JSON.stringify(change.from)) return [];
    const value = show(found ? found.from : change.to);
    return [`${before.resource.id} ${change.layer} ${change.property} is ${value}, was ${show(change.from)}`];
  });
}

function attributesOf(file: FileState | null): FileAttributes {
  return file === null ? {} : { mode: file.mode, uid: file.uid, gid: file.gid };
}

/** The state of a file after a write of ours, to be expected when it is put back. */
export function asWritten(write: FileWrite) {
  if (write.text === null) return null;
  const before = write.before ?? { path: write.path, encoding: 'utf8', mode: write.mode, uid: 0, gid: 0, target: null };
  return { ...before, text: write.text };
}

export async function attempt(problems: string[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    problems.push(errorText(error));
  }
}

export async function observe(task: HostTask, context: TaskContext): Promise<TaskPlan> {
  const seen = await context.session.read(resourcesOf(task).flatMap((resource) => resource.reads));
  return planTask(task, seen, context.facts);
}

/** @throws HostError where a resource differs in a layer, or can't be compared any more */
export function requireNone(
  plan: TaskPlan,
  layer: Change['layer'],
  when: string,
  counts: (change: Change) => boolean = () => true,
): void {
  for (const entry of plan.resources) {
    if (entry.status === 'failed') throw new HostError(`${entry.resource.id} ${when}: ${errorText(entry.error)}`);
  }
  const change = changesOf(plan, layer).find((each) => each.isAction !== true && counts(each));
  if (change) {
    const file = change.file === undefined ? '' : ` in ${change.file}`;
    throw new HostError(
      `${layer} ${change.property}${file} is ${show(change.from)} ${when}, wanted ${show(change.to)}`,
    );
  }
}

/** @throws HostError where the step fails */
export async function runStep(step: Step, session: AgentSession): Promise<void> {
  if (step.do === 'set') return session.set(step.path, step.value);
  if (step.do === 'edit') throw new Error('a file edit is no runtime step');
  const result = await session.run(step.argv, {
    ...(step.stdin !== undefined && { stdin: step.stdin }),
    ...(step.seconds !== undefined && { timeoutMs: step.seconds * 1000 }),
  });
  if (result.code !== 0) {
    const end = result.code === null ? `was ended by signal ${result.signal}` : `failed with exit code ${result.code}`;
    throw new HostError(`"${argvText(step.argv)}" ${end}: ${result.stderr.trim() || 'it printed no reason'}`);
  }
}
