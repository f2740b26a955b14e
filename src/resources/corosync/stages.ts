import { HostError } from '../../core/errors.ts';
import type { Argv, Condition, Observations, Stage, Step } from '../../core/resource.ts';
import { type CorosyncConf, printCorosyncConf, withValue } from '../../formats/corosync-conf.ts';
import { type ClusterNode, startCommand } from './node.ts';
import { LOCAL_CONF, PROCESS, RUNNING_READS, SHARED_CONF, SHARED_DRAFT } from './reads.ts';
import { foundOf, processOf, type Running, runningOf } from './running.ts';
import type { Target } from './targets.ts';

/** Where the next file of a cluster of Proxmox VE is drafted: not ".new", which the GUI and pvecm share. */
export const DRAFT = '/etc/pve/corosync.conf.mcastctl';

/** Seconds that a membership has to last before it counts. */
const STEADY_SECONDS = 1.5;

/** What a stage does, which tells what takes it back. */
export type StageKind = 'check' | 'write' | 'reload' | 'stop' | 'start' | 'join' | 'leave';

/** A stage whose kind is known. */
export interface KindStage {
  readonly kind: StageKind;
  readonly stage: Stage;
}

/** A host by its name in the inventory, as a node of the cluster. */
export type Hosts = ReadonlyMap<string, ClusterNode>;

/** How a cluster has to be. */
export interface Health {
  /** Hosts whose corosync runs. */
  readonly hosts: readonly string[];
  /** The nodeids of one membership. */
  readonly ids: readonly number[];
  /** config_version that all of them have loaded; null: any. */
  readonly version: number | null;
  /** Seconds that they have to find each other. */
  readonly formSeconds: number;
}

/**
 * What keeps a cluster from being whole: all members there, quorate, one version.
 * @throws HostError where a corosync has ended: waiting does not bring it back
 */
export function healthProblem({ hosts, ids, version }: Health, seen: ReadonlyMap<string, Observations>): string | null {
  // Of all first: one that has ended is the reason for what the others lack.
  const found = hosts.flatMap((host): { host: string; running: Running | string }[] => {
    const of = seen.get(host);
    return of === undefined ? [] : [{ host, running: runningOrStarting(of, host) }];
  });
  for (const { host, running } of found) {
    if (typeof running === 'string') return running;
    const missing = ids.filter((id) => !running.members.includes(id));
    if (missing.length > 0) return `${host} does not see node ${missing.join(', ')}`;
    const more = running.members.filter((id) => !ids.includes(id));
    if (more.length > 0) return `${host} still sees node ${more.join(', ')}`;
    if (!running.isQuorate) return `${host} has no quorum`;
    if (version !== null && running.version !== version) return notLoaded(host, running, version);
  }
  return null;
}

function notLoaded(host: string, running: Running, version: number): string {
  const status = running.cmap.get('config.reload_status') ?? '1';
  const refused = status === '1' ? '' : `, it refused the file (config.reload_status ${status}): look at its log`;
  return `${host} runs with config_version ${running.version}, not ${version}${refused}`;
}

/** @throws HostError where it has ended */
function runningOrStarting(seen: Observations, host: string): Running | string {
  let running: Running | null;
  try {
    running = runningOf(seen);
  } catch (error) {
    if (error instanceof HostError) return `${host}: ${error.message}`;
    throw error;
  }
  if (running === null) throw new HostError(`corosync does not run on ${host} any more`);
  return running;
}

/** That a cluster is whole, now. */
export function whole(health: Health): Condition {
  return { hosts: health.hosts, reads: RUNNING_READS, seconds: 5, problem: (seen) => healthProblem(health, seen) };
}

function becomesWhole(health: Health): Condition {
  return { ...whole(health), seconds: health.formSeconds, steadySeconds: STEADY_SECONDS };
}

/** Asks corosync itself, on every node, as its addresses matter; nothing is written. */
export function checkStage(confs: ReadonlyMap<string, CorosyncConf>): KindStage {
  const steps = new Map(
    [...confs].map(([host, conf]): [string, readonly Step[]] => {
      // The reason goes where the log goes: here it has to come back.
      const stdin = printCorosyncConf(withValue(conf, 'logging', 'to_stderr', 'yes'));
      return [host, [{ do: 'run', argv: ['corosync', '-t', '-c', '/dev/stdin'], stdin, seconds: 30 }]];
    }),
  );
  return { kind: 'check', stage: { name: 'corosync -t of the new corosync.conf', steps } };
}

/** The new file of each host; null: it goes. `from` is what has to be there before. */
export interface FileChange {
  readonly from: string | null;
  readonly to: string | null;
}

/** Replaces the file of each host. */
export function writeStage(name: string, files: ReadonlyMap<string, FileChange>, guard?: Condition): KindStage {
  const steps = new Map(
    [...files].map(([host, { from, to }]): [string, readonly Step[]] => [
      host,
      [{ do: 'edit', path: LOCAL_CONF, edit: (text) => replaced(text, from, to) }],
    ]),
  );
  return { kind: 'write', stage: { name, steps, ...(guard !== undefined && { guard }) } };
}

function replaced(text: string | null, from: string | null, to: string | null): string | null {
  if (text === from || text === to) return to;
  throw new HostError(`${LOCAL_CONF} was changed by someone else meanwhile`, { hint: 'run again' });
}

/**
 * Replaces the file that Proxmox VE shares, on one host: drafted beside it, then renamed, since that file system knows no owner and no
 * mode to keep. It copies the file to what corosync reads, on every node at its own time.
 */
export function shareStage(host: string, all: readonly string[], text: string, guard?: Condition): KindStage {
  const steps: readonly Step[] = [
    { do: 'run', argv: ['tee', DRAFT], stdin: text },
    { do: 'run', argv: ['mv', '-f', '--', DRAFT, SHARED_CONF] },
  ];
  const until: Condition = {
    hosts: all,
    reads: [
      { read: 'file', path: LOCAL_CONF },
      { read: 'file', path: SHARED_CONF },
    ],
    seconds: 30,
    problem(seen) {
      const behind = [...seen].filter(([, of]) => of.file(LOCAL_CONF)?.text !== text).map(([each]) => each);
      return behind.length === 0 ? null : `${LOCAL_CONF} is not yet the new one on ${behind.join(', ')}`;
    },
  };
  const stage: Stage = { name: `write ${SHARED_CONF}`, steps: new Map([[host, steps]]), until };
  return { kind: 'write', stage: guard === undefined ? stage : { ...stage, guard } };
}

/** That nobody else is about to replace the file that Proxmox VE shares. */
export function unshared(host: string, text: string, health: Health): Condition {
  const base = whole(health);
  return {
    ...base,
    reads: [...base.reads, { read: 'file', path: SHARED_DRAFT }, { read: 'file', path: SHARED_CONF }],
    problem(seen) {
      const of = seen.get(host);
      if (of !== undefined && of.file(SHARED_DRAFT) !== null)
        throw new HostError(`there is a draft ${SHARED_DRAFT}: someone is changing the cluster`, {
          hint: 'let them finish, or remove it',
        });
      if (of !== undefined && of.file(SHARED_CONF)?.text !== text)
        throw new HostError(`${SHARED_CONF} was changed by someone else meanwhile`, { hint: 'run again' });
      return base.problem(seen);
    },
  };
}

/**
 * Lets all nodes load their file; asked of one. Its exit code tells little: what the daemons have afterwards is looked at.
 * @param targets by host: what a reload has to give
 */
export function reloadStage(
  host: string,
  health: Health,
  targets: ReadonlyMap<string, readonly Target[]> = new Map(),
): KindStage {
  const base = whole(health);
  const until: Condition = {
    ...base,
    seconds: 15,
    problem(seen) {
      const problem = base.problem(seen);
      if (problem !== null) return problem;
      for (const [each, wanted] of targets) {
        const of = seen.get(each);
        const running = of === undefined ? null : runningOf(of);
        const refused = running && wanted.find((target) => foundOf(target, running)?.is === false);
        if (refused) return `${each} did not take ${refused.property} in its reload`;
      }
      return null;
    },
  };
  const argv: Argv = ['corosync-cfgtool', '-R'];
  return { kind: 'reload', stage: { name: 'reload corosync', steps: new Map([[host, [{ do: 'run', argv }]]]), until } };
}

/** Stops corosync on hosts at once, and waits until it is gone. */
export function stopStage(kind: StageKind, hosts: Hosts, guard?: Condition): KindStage {
  const steps = new Map(
    [...hosts].map(([host, node]): [string, readonly Step[]] => [
      host,
      // Pacemaker stops first and may move its resources.
      node.hasSystemd
        ? [{ do: 'run', argv: ['systemctl', 'stop', 'corosync'], seconds: 300 }]
        : [{ do: 'run', argv: ['corosync-cfgtool', '-H'] }],
    ]),
  );
  const until: Condition = {
    hosts: [...hosts.keys()],
    reads: [{ read: 'run', argv: PROCESS }],
    seconds: 30,
    problem(seen) {
      const still = [...seen].filter(([, of]) => processOf(of) !== null).map(([host]) => host);
      return still.length === 0 ? null : `corosync still runs on ${still.join(', ')}`;
    },
  };
  return {
    kind,
    stage: { name: `stop corosync on ${namesOf(hosts)}`, steps, until, ...(guard !== undefined && { guard }) },
  };
}

/** Starts corosync on hosts at once, and waits until the cluster is whole. */
export function startStage(kind: StageKind, hosts: Hosts, health: Health): KindStage {
  const steps = new Map([...hosts].map(([host, node]): [string, readonly Step[]] => [host, [startStep(node)]]));
  return { kind, stage: { name: `start corosync on ${namesOf(hosts)}`, steps, until: becomesWhole(health) } };
}

function startStep(node: ClusterNode): Step {
  if (node.hasSystemd) return { do: 'run', argv: ['systemctl', 'start', 'corosync', ...node.dependents], seconds: 120 };
  return { do: 'run', argv: ['corosync', ...node.words] };
}

/**
 * That a node can be started again as it was started.
 * @throws HostError where it can't
 */
export function requireStartable(host: string, node: ClusterNode): void {
  if (node.hasSystemd) return;
  if (node.words.every((word) => ['-r', '-p'].includes(word))) return;
  throw new HostError(
    `corosync on ${host} was started with "${node.words.join(' ')}", and no systemd is there to restart it`,
    {
      hint: `let "${startCommand(node)}" start it, without arguments, or restart the nodes yourself after writing the file`,
    },
  );
}

function namesOf(hosts: Hosts): string {
  return [...hosts.keys()].join(', ');
}

/** Nothing is done: one that is only starting has to join the others first. */
export function gatherStage(health: Health): KindStage {
  return { kind: 'check', stage: { name: 'wait for all nodes', steps: new Map(), until: becomesWhole(health) } };
}

/** Nothing is done: those that live have to notice who is gone, and to have quorum without them. */
export function quorumStage(hosts: readonly string[], gone: readonly number[], seconds: number): Stage {
  const until: Condition = {
    hosts,
    reads: RUNNING_READS,
    seconds,
    problem(seen) {
      for (const [host, of] of seen) {
        const running = runningOrStarting(of, host);
        if (typeof running === 'string') return running;
        if (running.members.some((id) => gone.includes(id))) return `${host} has not noticed yet who is gone`;
        if (!running.isQuorate) return `${host} has no quorum`;
      }
      return null;
    },
  };
  return { name: `quorum of ${hosts.join(', ')}`, steps: new Map(), until };
}
