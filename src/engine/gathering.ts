import type { AgentSession } from '../agent/session.ts';
import { HostError } from '../core/errors.ts';
import { formatSource } from '../core/source.ts';
import type { CompiledPlay, Facts, HostTask } from '../core/task.ts';
import type { TaskOutcome } from './apply-task.ts';
import { applyTogether, type Member, type TogetherContext } from './apply-together.ts';

/** What is known of a host of the play: null where it could not be read. */
export type HostOf = (host: string) => {
  readonly session: AgentSession;
  readonly facts: Facts;
  /** Why it takes no more tasks; null: it does. */
  readonly stop: unknown;
} | null;

/** Where the hosts of a play wait for each other before a task that is done on all of them at once. */
export interface Gathering {
  /** A batch begins: these hosts will arrive or leave. */
  begin(hosts: readonly string[]): void;
  /**
   * A host is at such a task. Once all hosts of the batch are there, it is done on all hosts of the play, also on those of later
   * batches, which then find it done.
   */
  arrive(host: string, task: HostTask): Promise<TaskOutcome>;
  /** A host has done its tasks or takes no more. */
  leave(host: string): void;
}

interface Meeting {
  readonly task: HostTask;
  /** Its place among the tasks and handlers of the play. */
  readonly order: number;
  readonly here: Set<string>;
  result: Promise<Map<string, TaskOutcome>> | null;
  start(): void;
  readonly started: Promise<void>;
}

export function createGathering(play: CompiledPlay, hostOf: HostOf, context: TogetherContext): Gathering {
  const under = new Set<string>();
  const meetings = new Map<string, Meeting>();

  function meetingOf(task: HostTask): Meeting {
    const key = formatSource(task.source);
    const known = meetings.get(key);
    if (known) return known;
    let start: () => void = () => {};
    const started = new Promise<void>((resolve) => {
      start = resolve;
    });
    const own = [...(play.tasks.get(task.host) ?? []), ...(play.handlers.get(task.host) ?? [])];
    const meeting: Meeting = { task, order: own.indexOf(task), here: new Set(), result: null, start, started };
    meetings.set(key, meeting);
    return meeting;
  }

  /**
   * Begins a meeting once nobody of the batch can still come to it: all are there or have left. Hosts may also wait at different
   * handlers, since not all were notified of the same ones: then nobody comes to the first of them any more.
   */
  function check(): void {
    const open = [...meetings.values()].filter(({ result, here }) => result === null && here.size > 0);
    const waiting = new Set(open.flatMap(({ here }) => [...here]));
    if (open.length === 0 || ![...under].every((host) => waiting.has(host))) return;
    const [next] = open.toSorted((a, b) => a.order - b.order);
    if (!next) return;
    next.result = hold(next.task);
    next.result.catch(() => {});
    next.start();
  }

  async function hold(task: HostTask): Promise<Map<string, TaskOutcome>> {
    const key = formatSource(task.source);
    const members: Member[] = [];
    for (const host of play.hosts) {
      const own = [...(play.tasks.get(host) ?? []), ...(play.handlers.get(host) ?? [])].find(
        (each) => formatSource(each.source) === key,
      );
      const state = hostOf(host);
      if (own === undefined) continue;
      if (state === null || state.stop !== null)
        throw new HostError(
          `not done: all nodes change together, and ${host} ${state ? 'has failed' : 'can not be read'}`,
        );
      members.push({ host, session: state.session, facts: state.facts, task: own });
    }
    return applyTogether(members, context);
  }

  return {
    begin(hosts) {
      for (const host of hosts) under.add(host);
    },
    async arrive(host, task) {
      const meeting = meetingOf(task);
      meeting.here.add(host);
      check();
      await meeting.started;
      const outcome = (await meeting.result)?.get(host);
      if (!outcome) throw new Error(`${host} was not part of task "${task.name}"`);
      return outcome;
    },
    leave(host) {
      under.delete(host);
      check();
    },
  };
}
