import { randomBytes } from 'node:crypto';
import { decodeFields, type Field } from '../agent/wire.ts';
import { HostError, messageOf, UnreachableError } from '../core/errors.ts';
import type { CastCounts, ProbePath, ProbeReport } from '../core/probe.ts';
import type { ProbeParams } from '../core/task.ts';
import { agentSource } from '../paths.ts';
import { nothingOf } from './statistics.ts';
import { verdictOf } from './verdict.ts';

/** What the probe needs of the agent on a node. */
export interface ProbeAgent {
  call(verb: string, args: readonly Field[], timeoutMs?: number): Promise<Buffer[]>;
  load(source: string): Promise<void>;
}

/** A node that joined the group. */
export interface ProbeMember {
  readonly host: string;
  /** The address that it sends from and is sent to. */
  readonly address: string;
  readonly device: string;
}

export interface ProbeOptions {
  /** Milliseconds after the last packet was sent in which late ones still count. Default 300. */
  readonly lingerMs?: number;
  /** Milliseconds beyond the time that sending takes by itself after which a node counts as lost. Default 3,000. */
  readonly slackMs?: number;
  /** Milliseconds between joining and the first packet, in which memberships are reported. Default 150. */
  readonly settleMs?: number;
}

/** Nodes that stay members of the group until it is closed: a membership that ages away shows in a later run. */
export interface ProbeSession {
  readonly members: readonly ProbeMember[];
  /**
   * Sends one round of packets between all nodes. Runs asked for at the same time follow one another.
   * @throws HostError where the session is closed before it ends
   */
  run(overrides?: Partial<Pick<ProbeParams, 'count' | 'intervalMs' | 'maxLoss'>>): Promise<ProbeReport>;
  /** What nodes complained of in the last run, a sentence each: packets that they could not send, no answer. */
  problems(): readonly string[];
  /** Leaves the group at once: a run that is under way throws HostError. */
  close(): Promise<void>;
}

const WARM_UPS = 2;
const GROUP_INDEX = 65_535;

interface Member extends ProbeMember {
  readonly agent: ProbeAgent;
  /** Number in packets: its place among all nodes. */
  readonly index: number;
}

/** The result, or the reason why there is none, within a time: what hangs holds nobody else. */
async function within<T>(promise: Promise<T>, milliseconds: number): Promise<{ value: T } | { error: Error }> {
  const outcome = promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error: error instanceof Error ? error : new HostError(messageOf(error)) }),
  );
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<{ error: Error }>((resolve) => {
    const error = new HostError(`no answer within ${(milliseconds / 1000).toFixed(1)} s`);
    timer = setTimeout(() => resolve({ error }), milliseconds);
  });
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Joins the group on all nodes and stays joined. A node whose connection is gone takes no part: all its paths are unreachable.
 * @param agents at least two, by host, in the order of the report
 * @param interfaces the device to join on, by host; without one: the device that carries the SSH connection
 * @throws HostError where a node that can be asked can't join, all of them at once
 */
export async function openProbe(
  agents: ReadonlyMap<string, ProbeAgent>,
  params: ProbeParams,
  interfaces: ReadonlyMap<string, string>,
  options: ProbeOptions = {},
): Promise<ProbeSession> {
  const { lingerMs = 300, slackMs = 3_000, settleMs = 150 } = options;
  const nodes = [...agents.keys()];
  const token = randomBytes(8).toString('hex');
  const source = agentSource('probe.pl');
  const refused: string[] = [];
  const joined = await Promise.all(
    [...agents].map(async ([host, agent], index): Promise<Member | null> => {
      const args = [params.group, params.port, interfaces.get(host) ?? '', params.ttl, token];
      const opened = Promise.all([agent.load(source), agent.call('probe-open', args)]);
      const outcome = await within(opened, slackMs + 2_000);
      if ('value' in outcome) {
        const [address = '', device = ''] = outcome.value[1].map(String);
        return { host, agent, index, address, device };
      }
      if (!(outcome.error instanceof UnreachableError)) refused.push(`"${host}": ${outcome.error.message}`);
      return null;
    }),
  );
  const members = joined.filter((member) => member !== null);
  const leave = async (): Promise<void> => {
    await Promise.all(members.map(({ agent }) => within(agent.call('probe-close', []), slackMs)));
  };
  if (refused.length > 0) {
    await leave();
    throw new HostError(`can't probe ${params.group} port ${params.port}: ${refused.join('; ')}`);
  }

  const settled = sleep(settleMs);
  let runs = 0;
  let problems: readonly string[] = [];
  let isClosed = false;
  let queue: Promise<unknown> = Promise.resolve();
  const round = async (wanted: ProbeParams): Promise<ProbeReport> => {
    await settled;
    if (isClosed) throw new HostError('the probe was stopped');
    const run = ++runs;
    const found = await sendAndCollect(members, wanted, { run, lingerMs, slackMs, warmUps: run === 1 ? WARM_UPS : 0 });
    if (isClosed) throw new HostError('the probe was stopped');
    problems = found.problems;
    return { group: wanted.group, port: wanted.port, nodes, paths: pathsOf(nodes, wanted, found) };
  };
  return {
    members: members.map(({ host, address, device }) => ({ host, address, device })),
    run(overrides = {}) {
      const next = queue.then(() => round({ ...params, ...overrides }));
      queue = next.catch(() => {});
      return next;
    },
    problems: () => problems,
    async close() {
      isClosed = true;
      await leave();
      await queue;
    },
  };
}

/** What one node received from one other. */
interface Reception {
  readonly multicast: CastCounts;
  readonly unicast: CastCounts;
  /** Round trip from this node to the other. */
  readonly rttMs: number | null;
}

interface Found {
  /** By receiver, then by the sender's index; hosts that did not answer are absent. */
  readonly receptions: ReadonlyMap<string, ReadonlyMap<number, Reception>>;
  readonly problems: readonly string[];
}

interface Round {
  readonly run: number;
  readonly warmUps: number;
  readonly lingerMs: number;
  readonly slackMs: number;
}

/** Only when all have sent their last packet is the time for late ones counted: it does not matter who began when. */
async function sendAndCollect(members: readonly Member[], params: ProbeParams, round: Round): Promise<Found> {
  const { count, intervalMs } = params;
  const problems: string[] = [];
  const giveUp = (member: Member, error: Error): void => {
    problems.push(`"${member.host}" takes no part in the probe: ${error.message}`);
  };
  const plannedMs = count * intervalMs + round.slackMs;
  const senders = await settle(
    members,
    (member) => {
      const peers = members.filter((peer) => peer !== member).flatMap((peer) => [peer.index, peer.address]);
      const args = [round.run, member.index, count, intervalMs, round.warmUps, ...peers];
      return within(member.agent.call('probe-run', args, plannedMs), plannedMs);
    },
    (member, complaints) => problems.push(...complaints.map((row) => sendProblem(member, members, decodeFields(row)))),
    giveUp,
  );
  const receptions = new Map<string, ReadonlyMap<number, Reception>>();
  const limitMs = round.lingerMs + round.slackMs;
  await settle(
    senders,
    (member) => {
      const others = members.filter((peer) => peer !== member);
      const peers = others.flatMap((peer) => [peer.index, senders.includes(peer) ? 1 : 0]);
      return within(member.agent.call('probe-collect', [round.run, round.lingerMs, ...peers], limitMs), limitMs);
    },
    (member, rows) => receptions.set(member.host, new Map(rows.map((row) => receptionOf(decodeFields(row), count)))),
    giveUp,
  );
  return { receptions, problems };
}

/** Asks all at once; gives those that answered. */
async function settle(
  members: readonly Member[],
  ask: (member: Member) => Promise<{ value: Buffer[] } | { error: Error }>,
  take: (member: Member, rows: readonly Buffer[]) => void,
  giveUp: (member: Member, error: Error) => void,
): Promise<readonly Member[]> {
  const outcomes = await Promise.all(members.map(async (member) => ({ member, outcome: await ask(member) })));
  return outcomes.flatMap(({ member, outcome }) => {
    if ('value' in outcome) {
      take(member, outcome.value);
      return [member];
    }
    giveUp(member, outcome.error);
    return [];
  });
}

function sendProblem(member: Member, members: readonly Member[], [index, reason]: readonly Buffer[]): string {
  const to = members.find((peer) => peer.index === Number(index))?.host;
  const target = Number(index) === GROUP_INDEX || to === undefined ? 'the group' : `"${to}"`;
  const hint = String(reason) === 'Operation not permitted' ? ': a firewall on the node itself drops it' : '';
  return `"${member.host}" can't send to ${target} (${reason})${hint}`;
}

function receptionOf(row: readonly Buffer[], sent: number): [number, Reception] {
  const fields = row.map(String);
  const number = (at: number): number | null =>
    fields[at] === undefined || fields[at] === '' ? null : Number(fields[at]);
  const cast = (at: number): CastCounts => ({
    sent,
    received: number(at) ?? 0,
    duplicates: number(at + 1) ?? 0,
    outOfOrder: number(at + 2) ?? 0,
    firstSeq: number(at + 3),
    lastSeq: number(at + 4),
    longestGap: number(at + 5) ?? 0,
  });
  return [Number(fields[0]), { multicast: cast(1), unicast: cast(7), rttMs: number(13) }];
}

function pathsOf(nodes: readonly string[], params: ProbeParams, { receptions }: Found): readonly ProbePath[] {
  const indexOf = new Map(nodes.map((host, index) => [host, index]));
  const received = (by: string, of: string): Reception | undefined => receptions.get(by)?.get(indexOf.get(of) ?? -1);
  return nodes.flatMap((from) =>
    nodes
      .filter((to) => to !== from)
      .map((to): ProbePath => {
        const there = received(to, from);
        const unicast = there?.unicast ?? nothingOf(params.count);
        const multicast = there?.multicast ?? nothingOf(params.count);
        const hasBoth = receptions.has(from) && receptions.has(to);
        const verdict = hasBoth ? verdictOf(unicast, multicast, params.maxLoss) : 'unreachable';
        return { from, to, unicast, multicast, rttMs: received(from, to)?.rttMs ?? null, verdict };
      }),
  );
}
