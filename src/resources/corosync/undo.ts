import { HostError } from '../../core/errors.ts';
import type { Observations, TogetherUndo } from '../../core/resource.ts';
import { printCorosyncConf, withValue } from '../../formats/corosync-conf.ts';
import { startCommand } from './node.ts';
import { LOCAL_CONF, SHARED_CONF } from './reads.ts';
import { processOf, type Running, runningOf } from './running.ts';
import {
  DRAFT,
  type FileChange,
  gatherStage,
  type Health,
  type Hosts,
  type KindStage,
  quorumStage,
  reloadStage,
  type StageKind,
  shareStage,
  startStage,
  stopStage,
  whole,
  writeStage,
} from './stages.ts';
import type { ClusterPlan } from './together.ts';

/** How the nodes of a cluster are once something failed. */
interface Now {
  /** Those that can't be asked any more. */
  readonly lost: readonly string[];
  /** Members whose corosync has ended. */
  readonly dead: Hosts;
  readonly alive: Hosts;
  /** Hosts that are to join, or to leave, and whose corosync runs. */
  readonly others: Hosts;
  /** Whether those that live have quorum, or will have it once they have found each other. */
  readonly isQuorate: boolean;
}

/**
 * What takes a change back. A cluster that has quorum is not restarted because one of its nodes ended: then all nodes stay with one
 * config_version, and a person looks at that node.
 * @param begun the stages that were begun, the last of them failed, or what came after it
 */
export function planUndo(
  cluster: ClusterPlan,
  begun: readonly KindStage[],
  seen: ReadonlyMap<string, Observations>,
): TogetherUndo {
  const did = new Set(begun.map(({ kind }) => kind));
  const now = nowOf(cluster, seen);
  if (!did.has('write') && !did.has('leave') && !did.has('join')) return { stages: [] };
  if (!did.has('stop')) return withAdvice(cluster, now, unloaded(cluster, did, now));
  const wasStopping = begun.at(-1)?.kind === 'stop';
  if (now.lost.length > 0 || (now.dead.size > 0 && now.isQuorate && !wasStopping)) {
    const ours = wasStopping || !now.isQuorate ? now.dead : new Map();
    const stages = [
      ...(ours.size === 0 ? [] : [startStage('start', ours, { ...cluster.after, hosts: [], version: null }).stage]),
      ...(now.isQuorate && now.alive.size > 0
        ? [quorumStage([...now.alive.keys()], idsOf(now.dead), cluster.before.formSeconds)]
        : []),
    ];
    return { stages, advice: adviceOf(cluster, now, cluster.version) };
  }
  return { stages: restarted(cluster, begun, now).map(({ stage }) => stage) };
}

function nowOf({ members, joining, leaving }: ClusterPlan, seen: ReadonlyMap<string, Observations>): Now {
  const lost: string[] = [];
  const dead = new Map();
  const alive = new Map();
  let isQuorate = false;
  for (const [host, node] of members) {
    const of = seen.get(host);
    const running = of === undefined ? null : runningOrNull(of);
    if (of === undefined) lost.push(host);
    // One that is only starting has a process and does not answer yet.
    else if (running === null && processOf(of) === null) dead.set(host, node);
    else {
      alive.set(host, node);
      isQuorate ||= running?.isQuorate === true;
    }
  }
  const others = new Map(
    [...joining, ...leaving].filter(([host]) => {
      const of = seen.get(host);
      return of !== undefined && runningOrNull(of) !== null;
    }),
  );
  return { lost, dead, alive, others, isQuorate: isQuorate || alive.size * 2 > members.size };
}

function runningOrNull(seen: Observations): Running | null {
  try {
    return runningOf(seen);
  } catch (error) {
    if (error instanceof HostError) return null;
    throw error;
  }
}

/** Nothing was restarted yet: the files, and where they were loaded a reload. */
function unloaded(cluster: ClusterPlan, did: ReadonlySet<StageKind>, now: Now): KindStage[] {
  const { leaving, joining } = cluster;
  const stages: KindStage[] = [];
  const started = new Map([...joining].filter(([host]) => now.others.has(host)));
  if (did.has('join') && started.size > 0) stages.push(stopStage('join', started));
  if (did.has('write')) stages.push(...restored(cluster, now));
  const [first] = now.alive.keys();
  if (did.has('reload') && first !== undefined) stages.push(reloadStage(first, healthOf(cluster, now)));
  const gone = new Map([...leaving].filter(([host, { running }]) => running !== null && !now.others.has(host)));
  if (did.has('leave') && gone.size > 0)
    stages.push(startStage('start', gone, { ...cluster.before, hosts: [...now.alive.keys()] }));
  return stages;
}

/** The membership that is to be there after an undo: of those that live. */
function healthOf(cluster: ClusterPlan, now: Now): Health {
  const dead = idsOf(now.dead);
  const leaving = idsOf(cluster.leaving);
  const lost = now.lost.flatMap((host) => cluster.members.get(host)?.running?.nodeid ?? []);
  const out = new Set([...dead, ...leaving, ...lost]);
  return {
    hosts: [...now.alive.keys()],
    ids: cluster.before.ids.filter((id) => !out.has(id)),
    version: undoneVersion(cluster),
    formSeconds: cluster.before.formSeconds,
  };
}

/** The version after an undo: the old one; Proxmox VE takes no file that is older than what it has. */
function undoneVersion(cluster: ClusterPlan): number | null {
  return cluster.isShared ? cluster.version + 1 : null;
}

/** The old bytes, on all hosts that can be reached; on Proxmox VE with a version that it takes. */
function restored(cluster: ClusterPlan, now: Now): KindStage[] {
  const { members, hosts, confs } = cluster;
  if (cluster.isShared) {
    const [host] = now.alive.keys();
    const text = sharedText(cluster);
    if (host === undefined || text === null) return [];
    const reachable = [...members.keys()].filter((each) => !now.lost.includes(each));
    const { kind, stage } = shareStage(host, reachable, text);
    return [{ kind, stage }, cleaned(host)];
  }
  const files = new Map<string, FileChange>();
  for (const [host, node] of hosts) {
    const conf = confs.get(host);
    if (now.lost.includes(host)) continue;
    files.set(host, { from: conf === undefined ? null : printCorosyncConf(conf), to: node.local?.text ?? null });
  }
  return [writeStage(`put ${LOCAL_CONF} back`, files)];
}

/** A draft that was written and not renamed. */
function cleaned(host: string): KindStage {
  const argv = ['rm', '-f', '--', DRAFT] as const;
  return {
    kind: 'write',
    stage: { name: `remove the draft of ${SHARED_CONF}`, steps: new Map([[host, [{ do: 'run', argv }]]]) },
  };
}

function sharedText(cluster: ClusterPlan): string | null {
  const [node] = cluster.members.values();
  return node?.conf == null
    ? null
    : printCorosyncConf(withValue(node.conf, 'totem', 'config_version', String(cluster.version + 1)));
}

/** Nodes were restarted with the new file: those take the old one by another restart. */
function restarted(cluster: ClusterPlan, begun: readonly KindStage[], now: Now): KindStage[] {
  const { members, joining, before } = cluster;
  const stops = begun.filter(({ kind }) => kind === 'stop');
  const touched = [...new Set(stops.flatMap(({ stage }) => [...stage.steps.keys()]))];
  const isRolling = stops.every(({ stage }) => stage.steps.size === 1) && members.size > 1;
  const version = undoneVersion(cluster);
  if (isRolling && now.isQuorate) {
    const [first] = now.alive.keys();
    const health: Health = { ...before, version };
    const stages = [gatherStage({ ...before, hosts: [...now.alive.keys()] }), ...restored(cluster, now)];
    if (now.dead.size > 0) stages.push(startStage('start', now.dead, { ...health, version: null }));
    if (first !== undefined) stages.push(reloadStage(first, health));
    for (const host of touched.toReversed().filter((each) => now.alive.has(each))) {
      const one = new Map([...members].filter(([each]) => each === host));
      stages.push(stopStage('stop', one, whole(health)), startStage('start', one, health));
    }
    return stages;
  }
  const up = new Map([...now.alive, ...[...joining].filter(([host]) => now.others.has(host))]);
  const stop = up.size > 0 ? [stopStage('stop', up)] : [];
  if (!cluster.isShared)
    return [...stop, ...restored(cluster, now), startStage('start', members, { ...before, version })];
  if (now.isQuorate) return [...restored(cluster, now), ...stop, startStage('start', members, { ...before, version })];
  // Without quorum the shared file can't be written: first what corosync reads, with a version that is not taken for old.
  const text = sharedText(cluster);
  const files = new Map(
    [...members].map(([host]): [string, FileChange] => [host, { from: newText(cluster, host), to: text }]),
  );
  const local = writeStage(`put ${LOCAL_CONF} back`, files);
  return [
    ...stop,
    local,
    startStage('start', members, { ...before, version }),
    ...restored(cluster, { ...now, alive: members }),
  ];
}

function newText({ confs }: ClusterPlan, host: string): string | null {
  const conf = confs.get(host);
  return conf === undefined ? null : printCorosyncConf(conf);
}

function withAdvice(cluster: ClusterPlan, now: Now, stages: readonly KindStage[]): TogetherUndo {
  const plain = { stages: stages.map(({ stage }) => stage) };
  if (now.lost.length === 0 && now.dead.size === 0) return plain;
  return { ...plain, advice: adviceOf(cluster, now, null) };
}

/** @param version that of the new file where it stays */
function adviceOf(cluster: ClusterPlan, { lost, dead, alive, isQuorate }: Now, version: number | null): string {
  const [first] = dead.values();
  const start = first === undefined ? 'corosync' : startCommand(first);
  const log = first?.hasSystemd === true ? '"journalctl -u corosync"' : 'its log';
  const parts = [
    ...(dead.size > 0 ? [`corosync has ended on ${[...dead.keys()].join(', ')}: see ${log} there`] : []),
    ...(lost.length > 0 ? [`${lost.join(', ')} can't be reached`] : []),
    isQuorate
      ? `the others (${[...alive.keys()].join(', ')}) keep quorum and are not restarted`
      : 'there is no quorum now',
    version === null
      ? `${LOCAL_CONF} is the old one again${lost.length > 0 ? ` except on ${lost.join(', ')}: compare it there` : ' on all nodes'}`
      : `${cluster.isShared ? SHARED_CONF : LOCAL_CONF} stays the new one on all nodes, config_version ${version}, so that none of them leaves`,
    ...(dead.size > 0 ? [`start it there ("${start}") and run this again`] : ['run this again once it is back']),
  ];
  return parts.join('; ');
}

/** The nodeids that these had when the change was planned. */
function idsOf(hosts: Hosts): number[] {
  return [...hosts.values()].flatMap(({ running }) => running?.nodeid ?? []);
}
