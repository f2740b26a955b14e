import type { Step } from '../core/resource.ts';
import { agentSource } from '../paths.ts';
import type { AgentSession } from './session.ts';
import { decodeFields, encodeFields } from './wire.ts';

/** What a node needs to take a task back by itself. */
export interface UndoData {
  /** A name that no other task on the node has: letters, digits, "-". */
  readonly name: string;
  /** Whom it belongs to, for those who find it: run, task, user. */
  readonly about: string;
  /** Files as they are now will be put back. */
  readonly files: readonly string[];
  /** What takes back the programs of `keep`, and what takes back running values. */
  readonly unkeep: readonly Step[];
  readonly undo: readonly Step[];
}

/** A task that a node took back by itself, as it tells afterwards. */
export interface Leftover {
  readonly name: string;
  readonly about: string;
  /** What could not be taken back, a sentence a line; "" where all could. */
  readonly problems: string;
  /** Why: the time was over, the node was started again in the middle, or the next run found that the one before was no more. */
  readonly cause: 'time' | 'reboot' | 'early';
}

/** The dead-man's switch of one task on one node. */
export interface Switch {
  /**
   * A part of the task begins: running values (`u`), files (`f`) or programs of `keep` (`k`). To be waited for: what the node has not
   * noted it would not take back.
   */
  mark(part: 'u' | 'f' | 'k'): Promise<void>;
  /** All was taken back from here but these parts, which the node goes on with by itself. */
  leave(parts: readonly ('f' | 'k')[]): Promise<void>;
  /** The task is done, or was taken back from here. @throws UndoneByNode where the node was faster */
  disarm(): Promise<void>;
  /** No more is said to the node: it will take the task back. */
  abandon(): void;
}

const loaded = new WeakMap<AgentSession, Promise<void>>();

function load(session: AgentSession): Promise<void> {
  const known = loaded.get(session) ?? session.loadWithChange(agentSource('switch.pl'));
  loaded.set(session, known);
  return known;
}

/**
 * Gives a node what it needs to take a task back, and the time after which it does so unless it is told to wait on.
 * @param seconds from the last word of ours; 5 or more
 * @throws HostError where it can't keep that: nothing of the task is begun then
 */
export async function armSwitch(session: AgentSession, data: UndoData, seconds: number): Promise<Switch> {
  await load(session);
  const records = [
    ...data.files.map((path) => encodeFields(['file', path])),
    ...data.unkeep.map((step) => encodeStep('k', step)),
    ...data.undo.map((step) => encodeStep('u', step)),
  ];
  await session.call('arm', [session.stateDir, data.name, data.about, seconds, agentSource('undo.pl'), ...records]);
  const renewal = setInterval(() => void session.call('renew', [seconds]).catch(() => {}), (seconds * 1000) / 4);
  renewal.unref();
  return {
    mark: async (part) => void (await session.call('mark', [part])),
    async leave(parts) {
      clearInterval(renewal);
      await session.call('left', [parts.join('')]);
    },
    async disarm() {
      clearInterval(renewal);
      await session.call('disarm', []);
    },
    abandon: () => clearInterval(renewal),
  };
}

function encodeStep(part: 'u' | 'k', step: Step): Buffer {
  if (step.do === 'set') return encodeFields([part, 'set', step.path, step.value]);
  if (step.do === 'run') return encodeFields([part, 'run', step.seconds ?? 60, step.stdin ?? '', ...step.argv]);
  throw new Error('a file edit takes nothing back');
}

/** That one run alone changes a node, until it is released or the run ends in whatever way. */
export interface NodeLock {
  release(): Promise<void>;
}

/**
 * Makes other runs wait before a node. A lock whose holder is gone, or has not been heard by the node for twice `seconds`, is
 * nobody's.
 * @param who holds it, for those who find it: user, host, process, start
 * @param patience seconds to wait for a run that has it now
 * @param seconds within which the node hears from us
 * @throws HostError naming the one who has it
 */
export async function lockNode(
  session: AgentSession,
  who: string,
  patience: number,
  seconds: number,
): Promise<NodeLock> {
  await load(session);
  await session.call('lock', [session.stateDir, who, patience, seconds * 2], patience * 1000 + 10_000);
  const sign = setInterval(() => void session.call('ping', []).catch(() => {}), (seconds * 1000) / 2);
  sign.unref();
  return {
    async release() {
      clearInterval(sign);
      await session.call('unlock', []);
    },
  };
}

/**
 * Takes back what earlier runs left half done on a node, and tells that and what it took back by itself since.
 * @param only the one task that is asked for, by a run that has no lock: others may be another run's, which is at work
 */
export async function takeLeftovers(session: AgentSession, only?: string): Promise<Leftover[]> {
  await load(session);
  const told = await session.call('leftovers', [session.stateDir, ...(only === undefined ? [] : [only])], 130_000);
  return told.map((entry) => {
    const [name, about, problems, cause] = decodeFields(entry).map(String);
    return {
      name: name ?? '',
      about: about ?? '',
      problems: problems?.trim() ?? '',
      cause: cause === 'reboot' || cause === 'early' ? cause : 'time',
    };
  });
}
