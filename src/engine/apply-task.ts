import type { AgentSession } from '../agent/session.ts';
import { HostError, UnreachableError } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import type { FileWrite, TaskPlan } from '../core/plan.ts';
import type { TaskReport } from '../core/report.ts';
import type { Change, Observations, Step } from '../core/resource.ts';
import { type Facts, type HostTask, resourcesOf } from '../core/task.ts';
import { errorText, taskReports } from './outcome.ts';
import { blockedReason, changesOf, planTask } from './plan-task.ts';
import type { Prover } from './prover.ts';
import { Interrupted, untilAborted } from './until-aborted.ts';

/** What a task needs of its host. */
export interface TaskContext {
  readonly session: AgentSession;
  readonly facts: Facts;
  readonly prover: Prover;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export interface TaskOutcome {
  readonly reports: readonly TaskReport[];
  readonly status: 'ok' | 'changed' | 'failed' | 'rolled-back';
  /** The connection broke in the middle of the task. */
  readonly lost?: UnreachableError;
}

/** Multicast is worse than before. */
class ProofFailed extends HostError {}

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
  if (changesOf(plan).length === 0) return { status: 'ok', reports: taskReports(plan, 'ok') };
  const blocked = blockedReason(plan);
  if (blocked !== null) return { status: 'failed', reports: taskReports(plan, 'failed', blocked) };

  const restorer = new Restorer(plan, context);
  try {
    if (changesOf(plan, 'runtime').length > 0) await tryAndProve(plan, context, restorer);
    if (changesOf(plan, 'persistent').length > 0) await keep(plan, context, restorer);
    return { status: 'changed', reports: taskReports(plan, 'changed') };
  } catch (error) {
    if (error instanceof UnreachableError) return lostOutcome(plan, error);
    if (!(error instanceof HostError)) throw error;
    let problems: string[];
    try {
      problems = await restorer.restore();
    } catch (problem) {
      if (problem instanceof UnreachableError) return lostOutcome(plan, problem);
      throw problem;
    }
    const why = error instanceof Interrupted ? `interrupted: ${restorer.summary()}` : errorText(error);
    const text = [why, ...problems.map((problem) => `undo failed: ${problem}`)].join('; ');
    const isRolledBack =
      problems.length === 0 && restorer.hasDone && (error instanceof ProofFailed || error instanceof Interrupted);
    const status = isRolledBack ? 'rolled-back' : 'failed';
    return { status, reports: taskReports(plan, status, text) };
  }
}

function lostOutcome(plan: TaskPlan, lost: UnreachableError): TaskOutcome {
  const text = `the connection broke while this was being changed: ${errorText(lost)}; "check" tells what the node has now`;
  return { status: 'failed', reports: taskReports(plan, 'failed', text), lost };
}

async function tryAndProve(plan: TaskPlan, context: TaskContext, restorer: Restorer): Promise<void> {
  const { task } = plan;
  // The baseline comes first: what is proved is that this change did no harm.
  await untilAborted(context.prover.baseline(), context.signal);
  context.emit({ type: 'task', host: task.host, name: task.name, phase: 'trying' });
  restorer.hasTried = true;
  for (const step of plan.try) await runStep(step, context.session);
  const after = await observe(task, context);
  requireNone(changesOf(after, 'runtime'), 'after the change');
  context.emit({ type: 'task', host: task.host, name: task.name, phase: 'proving' });
  const worse = await untilAborted(context.prover.prove(), context.signal);
  if (worse.length > 0) throw new ProofFailed(`multicast is worse than before: ${worse.join('; ')}`);
}

async function keep(plan: TaskPlan, context: TaskContext, restorer: Restorer): Promise<void> {
  if (context.signal.aborted) throw new Interrupted();
  context.emit({ type: 'task', host: plan.task.host, name: plan.task.name, phase: 'keeping' });
  for (const write of plan.writes) {
    await context.session.write(write.path, write.before, write.text, write.mode);
    restorer.written.push(write);
  }
  requireNone(changesOf(await observe(plan.task, context), 'persistent'), 'after the files were written');
}

/** Knows how to take a half-done task back. */
class Restorer {
  readonly #plan: TaskPlan;
  readonly #context: TaskContext;
  hasTried = false;
  readonly written: FileWrite[] = [];

  constructor(plan: TaskPlan, context: TaskContext) {
    this.#plan = plan;
    this.#context = context;
  }

  /** Whether anything of the task was done that has to be taken back. */
  get hasDone(): boolean {
    return this.hasTried || this.written.length > 0;
  }

  /** What is done where the task is cut short. */
  summary(): string {
    return this.hasDone ? 'what was tried is taken back' : 'nothing of it was begun';
  }

  /** Puts back files and running values, all of them whatever fails. Gives the sentences of what could not be put back. */
  async restore(): Promise<string[]> {
    const { session, emit } = this.#context;
    const problems: string[] = [];
    if (!this.hasDone) return problems;
    emit({ type: 'task', host: this.#plan.task.host, name: this.#plan.task.name, phase: 'undoing' });
    for (const write of this.written.toReversed()) {
      await attempt(problems, () =>
        session.write(write.path, asWritten(write), write.before?.text ?? null, write.mode),
      );
    }
    if (this.hasTried) for (const step of this.#plan.undo) await attempt(problems, () => runStep(step, session));
    await attempt(problems, async () => {
      const left = changesOf(await observe(this.#plan.task, this.#context));
      const wanted = changesOf(this.#plan);
      for (const change of wanted) {
        const now = left.find((other) => other.layer === change.layer && other.property === change.property);
        if (JSON.stringify(now?.from) !== JSON.stringify(change.from)) {
          problems.push(
            `${change.layer} ${change.property} is ${show(now ? now.from : change.to)}, was ${show(change.from)}`,
          );
        }
      }
    });
    return problems;
  }
}

/** The state of a file after a write of ours, to be expected when it is put back. */
function asWritten(write: FileWrite) {
  if (write.text === null) return null;
  const before = write.before ?? { path: write.path, encoding: 'utf8', mode: write.mode, uid: 0, gid: 0, target: null };
  return { ...before, text: write.text };
}

async function attempt(problems: string[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    problems.push(errorText(error));
  }
}

async function observe(task: HostTask, context: TaskContext): Promise<TaskPlan> {
  const seen = await context.session.read(resourcesOf(task).flatMap((resource) => resource.reads));
  return planTask(task, seen, context.facts);
}

function requireNone(left: readonly Change[], when: string): void {
  const [change] = left;
  if (change) {
    const file = change.file === undefined ? '' : ` in ${change.file}`;
    throw new HostError(
      `${change.layer} ${change.property}${file} is ${show(change.from)} ${when}, wanted ${show(change.to)}`,
    );
  }
}

async function runStep(step: Step, session: AgentSession): Promise<void> {
  if (step.do === 'set') return session.set(step.path, step.value);
  if (step.do === 'edit') throw new Error('a file edit is no runtime step');
  const result = await session.run(step.argv);
  if (result.code !== 0) {
    const end = result.code === null ? `was ended by signal ${result.signal}` : `failed with exit code ${result.code}`;
    throw new HostError(`"${step.argv.join(' ')}" ${end}: ${result.stderr.trim() || 'it printed no reason'}`);
  }
}

function show(value: unknown): string {
  return value === null || value === undefined
    ? 'absent'
    : typeof value === 'string'
      ? `"${value}"`
      : JSON.stringify(value);
}
