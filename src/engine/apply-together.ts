import { type AgentSession, UndoneByNode } from '../agent/session.ts';
import { HostError, UnreachableError } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import type { TaskPlan } from '../core/plan.ts';
import type {
  Condition,
  Observations,
  Resource,
  Stage,
  Step,
  Together,
  TogetherPlan,
  TogetherUndo,
} from '../core/resource.ts';
import { type Facts, type HostTask, resourcesOf } from '../core/task.ts';
import { attempt, beyondPlan, notAsBefore, ProofFailed, requireNone, runStep, type TaskOutcome } from './apply-task.ts';
import type { ConfirmOptions } from './node-switch.ts';
import { errorText, taskReports } from './outcome.ts';
import { planTask } from './plan-task.ts';
import type { Prover } from './prover.ts';
import type { Binding } from './saved-plan.ts';
import { Switches } from './together-switch.ts';
import { Interrupted, untilAborted } from './until-aborted.ts';

/** Milliseconds between two looks at a condition that does not hold yet. */
const POLL_MS = 300;

/** One host of a task that is done on several at once. */
export interface Member {
  readonly host: string;
  readonly session: AgentSession;
  readonly facts: Facts;
  readonly task: HostTask;
}

export interface TogetherContext {
  readonly prover: Prover;
  readonly emit: Emit;
  readonly signal: AbortSignal;
  readonly confirm: ConfirmOptions;
  /** Where the run may only do what was reviewed. */
  readonly binding?: Binding | undefined;
}

/** Whether a task has to be done on all its hosts at once. */
export function isTogether(task: HostTask): boolean {
  return resourcesOf(task).some((resource) => resource.together !== undefined);
}

/** A task compared on every host, and how its hosts are brought there. */
interface Compared {
  readonly plans: ReadonlyMap<string, TaskPlan>;
  readonly seen: ReadonlyMap<string, Observations>;
}

/**
 * Brings one task to its desired state on all hosts at once: stage by stage, then proved. Where a stage or the proof fails, the
 * stages that were begun are taken back as the resource tells.
 * @returns the outcome of each host; all hosts share status and reason
 */
export async function applyTogether(
  members: readonly Member[],
  context: TogetherContext,
): Promise<Map<string, TaskOutcome>> {
  const outcomes = (status: TaskOutcome['status'], plans: Compared['plans'], error?: string, more = {}) =>
    new Map(
      [...plans].map(([host, plan]): [string, TaskOutcome] => [
        host,
        { status, reports: taskReports(plan, status, error ?? null), ...more },
      ]),
    );
  const compared = await compare(members);
  const { plans } = compared;
  const entries = [...plans.values()].flatMap((plan) => plan.resources);
  if (entries.some((entry) => entry.status === 'failed'))
    return outcomes('failed', plans, 'not tried: all nodes change together, and one of them failed');
  if (!entries.some((entry) => entry.status === 'differs')) return outcomes('ok', plans);
  const beyond = beyondPlan(plans.values(), context.binding);
  if (beyond !== null) return outcomes('failed', plans, beyond, { isBeyond: true });
  const run = new Run(members, context);
  try {
    // What can't be done is said before the baseline is taken.
    const steps = [...sharedResources(compared)].map(([together, seen]) => planOf(together, seen));
    await untilAborted(context.prover.baseline(), context.signal);
    for (const plan of steps) await run.forward(plan);
    const after = await compare(members);
    for (const plan of after.plans.values()) {
      requireNone(plan, 'persistent', 'after the change');
      requireNone(plan, 'runtime', 'after the change', (change) => change.after !== 'reboot');
    }
    run.tell('proving');
    const worse = await untilAborted(context.prover.prove(), context.signal);
    if (worse.length > 0) throw new ProofFailed(`multicast is worse than before: ${worse.join('; ')}`);
    await run.switches.disarm();
    const changed = outcomes('changed', plans);
    return new Map([...changed].map(([host, outcome]) => [host, { ...outcome, ...doneOf(plans.get(host)) }]));
  } catch (error) {
    // One host was faster, so all are: nothing of ours may come between.
    if (error instanceof UndoneByNode) {
      run.switches.abandon();
      return outcomes('rolled-back', plans, `${error.message}; all nodes of the task do so`);
    }
    const undone = await run.backward(compared);
    const why = error instanceof Interrupted ? 'interrupted' : errorText(error);
    const text = [why, ...undone.sentences].join('; ');
    const isDisproved = error instanceof ProofFailed;
    const isRolledBack = run.hasBegun && !undone.isHalfDone && (isDisproved || error instanceof Interrupted);
    const more = { isHalfDone: undone.isHalfDone, isDisproved };
    return withLost(outcomes(isRolledBack ? 'rolled-back' : 'failed', plans, text, more), members, run.switches);
  }
}

/** What was done, for a host whose own resources differed. */
function doneOf(plan: TaskPlan | undefined): Pick<TaskOutcome, 'done'> {
  return plan?.resources.some((entry) => entry.status === 'differs') ? { done: plan } : {};
}

/** Hosts that can't be reached any more take the task back by themselves, where they were armed. */
function withLost(
  outcomes: Map<string, TaskOutcome>,
  members: readonly Member[],
  switches: Switches,
): Map<string, TaskOutcome> {
  for (const { host, session } of members) {
    const outcome = outcomes.get(host);
    const name = switches.nameOn(host);
    if (outcome && session.failure)
      outcomes.set(host, {
        ...outcome,
        lost: session.failure,
        ...(name !== null && { leftToNode: { name, otherwise: 'rolled-back' as const } }),
      });
  }
  return outcomes;
}

async function compare(members: readonly Member[]): Promise<Compared> {
  const read = await Promise.all(
    members.map(async ({ host, session, facts, task }) => {
      const seen = await session.read(resourcesOf(task).flatMap((resource) => resource.reads));
      return { host, seen, plan: planTask(task, seen, facts) };
    }),
  );
  return {
    plans: new Map(read.map(({ host, plan }) => [host, plan])),
    seen: new Map(read.map(({ host, seen }) => [host, seen])),
  };
}

/** How the resources of a task are brought there: one entry for each, with the hosts that have it. */
function sharedResources({ plans, seen }: Compared): Map<Together, Map<string, Observations>> {
  const byId = new Map<string, { together: Together; hosts: Map<string, Observations> }>();
  for (const [host, plan] of plans) {
    for (const { resource, status } of plan.resources) {
      const of = seen.get(host);
      if (status === 'skipped' || of === undefined) continue;
      const known = byId.get(resource.id) ?? { together: togetherOf(resource), hosts: new Map() };
      byId.set(resource.id, known);
      known.hosts.set(host, of);
    }
  }
  return new Map([...byId.values()].map(({ together, hosts }) => [together, hosts]));
}

function togetherOf(resource: Resource): Together {
  if (resource.together === undefined)
    throw new Error(`${resource.id} stands in one task with resources that change together`);
  return resource.together;
}

/** @throws HostError where it can't be done */
function planOf(together: Together, seen: ReadonlyMap<string, Observations>): TogetherPlan {
  const plan = together.plan(seen);
  if (plan.blocked !== undefined) throw new HostError(plan.blocked);
  return plan;
}

/** Does stages, and knows which were begun. */
class Run {
  readonly #members: ReadonlyMap<string, Member>;
  readonly #context: TogetherContext;
  readonly #begun: { plan: TogetherPlan; count: number }[] = [];
  readonly switches: Switches;

  constructor(members: readonly Member[], context: TogetherContext) {
    this.#members = new Map(members.map((member) => [member.host, member]));
    this.#context = context;
    this.switches = new Switches(this.#members, context.confirm);
  }

  get hasBegun(): boolean {
    return this.#begun.length > 0;
  }

  async forward(plan: TogetherPlan): Promise<void> {
    await this.switches.arm(plan);
    await this.switches.mark('f');
    for (const [index, stage] of plan.stages.entries()) {
      if (this.#context.signal.aborted) throw new Interrupted();
      await this.#hold(stage.guard, stage, this.#context.signal);
      if (index === 0) this.#begun.push({ plan, count: 0 });
      const last = this.#begun.at(-1);
      if (last) last.count = index + 1;
      if (index === plan.unattended?.from) await this.switches.mark('u');
      await this.#perform(stage, 'trying', this.#context.signal);
    }
  }

  /** Takes back what was begun, the last plan first. Never rejects. */
  async backward(before: Compared): Promise<{ readonly sentences: readonly string[]; readonly isHalfDone: boolean }> {
    const problems: string[] = [];
    if (!this.hasBegun) {
      await this.switches.disarm().catch(() => {});
      return { sentences: [], isHalfDone: false };
    }
    this.tell('undoing');
    const advice: string[] = [];
    for (const { plan, count } of this.#begun.toReversed()) {
      let undo: TogetherUndo = { stages: [] };
      await attempt(problems, async () => {
        undo = plan.undo(count, await this.#look());
      });
      if (undo.advice !== undefined) advice.push(undo.advice);
      // A stage that fails must not keep the others from being taken back.
      for (const stage of undo.stages) {
        await attempt(problems, async () => {
          await this.#hold(stage.guard, stage);
          await this.#perform(stage, 'undoing');
        });
      }
    }
    if (advice.length === 0) {
      await attempt(problems, async () => {
        const now = await compare([...this.#members.values()]);
        for (const [host, plan] of before.plans) {
          const left = plan.resources.flatMap((entry, index) =>
            notAsBefore(entry, now.plans.get(host)?.resources[index]),
          );
          problems.push(...left.map((sentence) => `${host}: ${sentence}`));
        }
      });
    }
    await attempt(problems, () => this.switches.disarm());
    const sentences = [...problems.map((problem) => `undo failed: ${problem}`), ...advice];
    return { sentences, isHalfDone: sentences.length > 0 };
  }

  tell(phase: 'trying' | 'proving' | 'undoing'): void {
    for (const { host, task } of this.#members.values())
      this.#context.emit({ type: 'task', host, name: task.name, phase });
  }

  /** What every host is like now; one that can't be read is left out. */
  async #look(): Promise<Map<string, Observations>> {
    const seen = await Promise.all(
      [...this.#members.values()].map(async ({ host, session, task }): Promise<[string, Observations][]> => {
        try {
          return [[host, await session.read(resourcesOf(task).flatMap((resource) => resource.reads))]];
        } catch {
          return [];
        }
      }),
    );
    return new Map(seen.flat());
  }

  async #perform(stage: Stage, phase: 'trying' | 'undoing', signal?: AbortSignal): Promise<void> {
    for (const host of stage.steps.keys()) {
      const { task } = this.#member(host);
      this.#context.emit({ type: 'task', host, name: task.noLog ? task.name : `${task.name}: ${stage.name}`, phase });
    }
    // Every host is waited for, also where another failed: what is undone must not be overtaken by what is still under way.
    const results = await Promise.allSettled([...stage.steps].map(([host, steps]) => this.#onHost(host, steps)));
    const failed = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    if (failed.length > 0) throw merge(stage.name, failed);
    await this.#hold(stage.until, stage, signal);
  }

  async #onHost(host: string, steps: readonly Step[]): Promise<void> {
    const { session } = this.#member(host);
    for (const step of steps) {
      try {
        if (step.do === 'edit') await editFile(step, session);
        else await runStep(step, session);
      } catch (error) {
        if (error instanceof UndoneByNode) throw new UndoneByNode(`${host}: ${error.message}`);
        throw error instanceof HostError ? new HostError(`${host}: ${error.message}`, { hint: error.hint }) : error;
      }
    }
  }

  /**
   * @param signal lets an interrupt cut the waiting short
   * @throws HostError where it does not come to hold in time
   */
  async #hold(condition: Condition | undefined, stage: Stage, signal?: AbortSignal): Promise<void> {
    if (condition === undefined) return;
    const deadline = performance.now() + condition.seconds * 1000;
    let since: number | null = null;
    while (true) {
      if (signal?.aborted) throw new Interrupted();
      const problem = await this.#problemOf(condition, stage);
      const now = performance.now();
      since = problem === null ? (since ?? now) : null;
      if (since !== null && now - since >= (condition.steadySeconds ?? 0) * 1000) return;
      if (now >= deadline) {
        const time = condition.seconds > 0 ? ` within ${condition.seconds} s` : '';
        throw new HostError(`"${stage.name}"${time}: ${problem ?? 'it did not last'}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #problemOf(condition: Condition, stage: Stage): Promise<string | null> {
    const seen = await Promise.all(
      condition.hosts.map(
        async (host): Promise<[string, Observations]> => [host, await this.#member(host).session.read(condition.reads)],
      ),
    );
    try {
      return condition.problem(new Map(seen));
    } catch (error) {
      throw error instanceof HostError
        ? new HostError(`"${stage.name}": ${error.message}`, { hint: error.hint })
        : error;
    }
  }

  #member(host: string): Member {
    const member = this.#members.get(host);
    if (!member) throw new Error(`"${host}" is no host of this task`);
    return member;
  }
}

async function editFile(step: Extract<Step, { do: 'edit' }>, session: AgentSession): Promise<void> {
  const before = (await session.read([{ read: 'file', path: step.path }])).file(step.path);
  const text = step.edit(before?.text ?? null);
  if (text === (before?.text ?? null)) return;
  const validate = step.validate === undefined ? [] : [step.validate];
  await session.write(step.path, before, text, step.mode ?? 0o644, validate, step.attributes);
}

/** One error for those of several hosts. A lost connection is the first thing to be told. */
function merge(stage: string, failed: readonly unknown[]): unknown {
  const undone = failed.find((each) => each instanceof UndoneByNode);
  if (undone !== undefined) return undone;
  const unexpected = failed.find((each) => !(each instanceof HostError || each instanceof UnreachableError));
  if (unexpected !== undefined) return unexpected;
  return new HostError(`"${stage}": ${failed.map(errorText).join('; ')}`);
}
