import type { AgentSession, ReadSession } from '../agent/session.ts';
import { conflictsOf, describeConflict } from '../core/conflicts.ts';
import { HostError } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import type { TaskPlan } from '../core/plan.ts';
import type { Observations, Read } from '../core/resource.ts';
import { type CompiledPlay, type Facts, type HostTask, NO_FACTS, resourcesOf, type TaskItem } from '../core/task.ts';
import { limiter } from './limit.ts';
import { planTask } from './plan-task.ts';
import { Interrupted, untilAborted } from './until-aborted.ts';

/** Logs in to a host and starts the agent. Throws UnreachableError or HostError. */
export type OpenSession<Session extends ReadSession = AgentSession> = (host: string) => Promise<OpenedSession<Session>>;

export interface OpenedSession<Session extends ReadSession = AgentSession> {
  readonly session: Session;
  close(): Promise<void>;
}

/** What every run needs. One that only looks takes `RunContext<ReadSession>`: nothing in its reach can change a node. */
export interface RunContext<Session extends ReadSession = AgentSession> {
  readonly plays: readonly CompiledPlay[];
  readonly open: OpenSession<Session>;
  /** How many hosts may be logged in to at the same moment; those that are logged in don't count. */
  readonly forks: number;
  readonly emit: Emit;
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal;
}

/** A host that was logged in to and read. */
export interface ReadHost<Session extends ReadSession = AgentSession> extends OpenedSession<Session> {
  readonly host: string;
  readonly seen: Observations;
  readonly facts: Facts;
}

/** All hosts of all plays, each once, in the order of the plays. */
export function hostsOf(plays: readonly CompiledPlay[]): string[] {
  return [...new Set(plays.flatMap((play) => play.hosts))];
}

/** All tasks of a host, handlers apart, in the order in which they will run. */
export function tasksOf(plays: readonly CompiledPlay[], host: string): HostTask[] {
  return plays.flatMap((play) => play.tasks.get(host) ?? []);
}

/** All that the tasks of a host ask of it, handlers apart. */
export function readsOf(plays: readonly CompiledPlay[], host: string): Read[] {
  return tasksOf(plays, host)
    .flatMap(resourcesOf)
    .flatMap((resource) => resource.reads);
}

/** All tasks of a host, handlers apart, compared with what was observed before the first of them. */
export function planAll(plays: readonly CompiledPlay[], host: string, seen: Observations, facts: Facts): TaskPlan[] {
  const overlay = new Map();
  return tasksOf(plays, host).map((task) => planTask(task, seen, facts, overlay));
}

/**
 * Logs in to every host and reads all that its tasks ask, in one message. Hosts don't wait for each other.
 * @param then what to do with a host once it is read
 * @param otherwise what to do where logging in, reading or `then` threw
 */
export async function readHosts<T, Session extends ReadSession>(
  context: RunContext<Session>,
  then: (host: ReadHost<Session>) => Promise<T>,
  otherwise: (host: string, error: unknown) => T,
): Promise<Map<string, T>> {
  const limit = limiter(context.forks);
  const results = await Promise.all(
    hostsOf(context.plays).map(async (host): Promise<[string, T]> => {
      try {
        return [host, await then(await limit(() => readHost(context, host)))];
      } catch (error) {
        return [host, otherwise(host, error)];
      }
    }),
  );
  return new Map(results);
}

/** Nothing is changed yet: an interrupt waits neither for a login nor for an answer. */
async function readHost<Session extends ReadSession>(
  context: RunContext<Session>,
  host: string,
): Promise<ReadHost<Session>> {
  if (context.signal.aborted) throw new Interrupted();
  context.emit({ type: 'host', host, phase: 'connecting' });
  const opening = context.open(host);
  const opened = await untilAborted(opening, context.signal).catch((error) => {
    void opening.then((late) => late.close()).catch(() => {});
    throw error;
  });
  try {
    context.emit({ type: 'host', host, phase: 'reading' });
    const wantsFacts = context.plays.some((play) => play.needsFacts && play.hosts.includes(host));
    // Both travel at once: the second does not wait for the first's answer.
    const answers = Promise.all([
      opened.session.read(readsOf(context.plays, host)),
      wantsFacts ? opened.session.facts() : NO_FACTS,
    ]);
    const [seen, facts] = await untilAborted(answers, context.signal);
    refuseConflicts(context.plays, host, facts);
    return { ...opened, host, seen, facts };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Conflicts that only the facts bring about; others were faults of the playbook. @throws HostError with all of them */
function refuseConflicts(plays: readonly CompiledPlay[], host: string, facts: Facts): void {
  const handlers = plays.flatMap((play) => play.handlers.get(host) ?? []);
  const found = conflictsOf([...tasksOf(plays, host), ...handlers], (item) => isActive(item, facts));
  if (found.length === 0) return;
  const told = found.map(describeConflict);
  throw new HostError(told.map(({ message }) => message).join('; '), { hint: told[0]?.hint });
}

/** A condition that can't be evaluated fails its own task. */
function isActive(item: TaskItem, facts: Facts): boolean {
  try {
    return item.when(facts);
  } catch (error) {
    if (error instanceof HostError) return false;
    throw error;
  }
}
