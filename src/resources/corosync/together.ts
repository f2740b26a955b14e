import { HostError } from '../../core/errors.ts';
import type { Observations, TogetherPlan } from '../../core/resource.ts';
import { blocksAt, type CorosyncConf, itemIn, printCorosyncConf } from '../../formats/corosync-conf.ts';
import { heaviest } from './keys.ts';
import { type ClusterNode, tokenOf, versionOf } from './node.ts';
import type { CorosyncParams } from './params.ts';
import { compareNode, impactOf, type NodePlan, wantedConf } from './plan.ts';
import { LOCAL_CONF, SHARED_CONF } from './reads.ts';
import {
  checkStage,
  type FileChange,
  type Health,
  type Hosts,
  type KindStage,
  reloadStage,
  requireStartable,
  shareStage,
  startStage,
  stopStage,
  unshared,
  whole,
  writeStage,
} from './stages.ts';
import type { Target } from './targets.ts';
import { unattendedOf } from './unattended.ts';
import { planUndo } from './undo.ts';

/** A cluster before and after. */
export interface ClusterPlan {
  readonly hosts: Hosts;
  readonly members: Hosts;
  readonly joining: Hosts;
  readonly leaving: Hosts;
  /** The new file of each host that has one afterwards. */
  readonly confs: ReadonlyMap<string, CorosyncConf>;
  /** config_version afterwards. */
  readonly version: number;
  /** Whether the nodes share one file. */
  readonly isShared: boolean;
  /** The membership now, and once all is done. */
  readonly before: Health;
  readonly after: Health;
}

/**
 * Plans all nodes of a cluster together.
 * @throws HostError where they can't be brought there
 */
export function planTogether(params: CorosyncParams, seen: ReadonlyMap<string, Observations>): TogetherPlan {
  const plans = new Map([...seen].map(([host, of]): [string, NodePlan] => [host, compareNode(params, of)]));
  const cluster = clusterOf(params, plans);
  const effects = [...plans.values()].flatMap((plan) => plan.effects);
  const impact = impactOf(effects, cluster.isShared);
  const blocked = blockedBy(params, cluster);
  if (blocked !== null) return { stages: [], blocked, impact, undo: () => ({ stages: [] }) };
  const stages = stagesOf(cluster, plans);
  const unattended = unattendedOf(cluster, stages);
  return {
    stages: stages.map(({ stage }) => stage),
    impact,
    ...(unattended !== null && { unattended }),
    undo: (begun, now) => planUndo(cluster, stages.slice(0, begun), now),
  };
}

function clusterOf(params: CorosyncParams, plans: ReadonlyMap<string, NodePlan>): ClusterPlan {
  const hosts = new Map([...plans].map(([host, { node }]) => [host, node]));
  const of = (role: ClusterNode['role']) => new Map([...hosts].filter(([, node]) => node.role === role));
  const members = of('member');
  const joining = of('joining');
  const versions = [...members.values()].map(({ conf }) => (conf === null ? 0 : versionOf(conf)));
  const newest = Math.max(0, ...versions);
  const version = Math.max(newest, ...[...members.values()].map(({ running }) => running?.highestVersion ?? 0)) + 1;
  const source = [...members.values()].find(({ conf }) => conf !== null && versionOf(conf) === newest)?.conf;
  if (source == null)
    throw new HostError('none of the hosts is in a cluster that runs: there is nothing to join or to change', {
      hint: 'make the cluster first ("pvecm create", "pcs cluster setup", or corosync.conf by hand), with at least one node',
    });
  // A node with an older file gets the newest.
  const confs = new Map(
    [...members, ...joining].map(([host, { conf, role }]): [string, CorosyncConf] => {
      const isCurrent = role === 'member' && conf !== null && versionOf(conf) === newest;
      return [host, wantedConf(isCurrent ? conf : source, params, version)];
    }),
  );
  const ids = [...new Set([...members.values()].flatMap(({ running }) => running?.members ?? []))];
  const last = [...confs.values()][0] ?? source;
  const formSeconds = formSecondsOf([source, ...confs.values()]);
  const listed = nodesOf(last).map(({ nodeid }) => nodeid);
  return {
    hosts,
    members,
    joining,
    leaving: of('leaving'),
    confs,
    version,
    isShared: [...members.values()].some(({ isShared }) => isShared),
    before: { hosts: [...members.keys()], ids, version: null, formSeconds },
    after: {
      hosts: [...members.keys(), ...joining.keys()],
      ids: listed.some((id) => id === null) || listed.length === 0 ? ids : listed.flatMap((id) => id ?? []),
      version,
      formSeconds,
    },
  };
}

/** Some token times, and what a busy machine adds. */
function formSecondsOf(confs: readonly CorosyncConf[]): number {
  const longest = Math.max(...confs.map(tokenOf));
  return 15 + Math.ceil((4 * longest) / 1000);
}

interface ListedNode {
  readonly name: string;
  readonly address: string;
  readonly nodeid: number | null;
}

function nodesOf(conf: CorosyncConf): ListedNode[] {
  return blocksAt(conf, 'nodelist.node').map((block) => {
    const address = itemIn(block, 'ring0_addr')?.value ?? '';
    const nodeid = itemIn(block, 'nodeid')?.value;
    return {
      name: itemIn(block, 'name')?.value ?? address,
      address,
      nodeid: nodeid === undefined ? null : Number(nodeid),
    };
  });
}

/** Why the nodes can't be changed now. */
function blockedBy(params: CorosyncParams, cluster: ClusterPlan): string | null {
  const { members, joining, leaving, confs, isShared, before } = cluster;
  const own = new Set([...members.values(), ...joining.values()].map(({ name }) => name));
  const listed = [...confs.values()].flatMap(nodesOf);
  const missing = [...new Set(listed.map(({ name }) => name))].filter((name) => !own.has(name));
  if (missing.length > 0) {
    const names = missing.map((name) => `"${name}"`).join(', ');
    return `all nodes change together, and ${names} of the cluster ${missing.length === 1 ? 'is' : 'are'} no host of this task: run without --limit, or add it to the hosts of the play`;
  }
  if (isShared && [...members.values()].some((node) => !node.isShared))
    return `only some of the nodes have ${SHARED_CONF}: see that pve-cluster runs on all of them`;
  if (isShared && joining.size + leaving.size > 0)
    return 'on Proxmox VE nodes join by "pvecm add" and leave by "pvecm delnode", which do more than corosync.conf needs';
  const inquorate = [...members].find(([, { running }]) => running?.isQuorate === false);
  if (inquorate !== undefined)
    return `${inquorate[0]} has no quorum: bring all nodes together first, see "corosync-quorumtool -s" there`;
  const lost = [...members].find(([, { running }]) => before.ids.some((id) => running?.members.includes(id) === false));
  if (lost !== undefined) return `${lost[0]} does not see all of the other nodes: bring them together first`;
  for (const [host, { conf }] of members) {
    const there = conf === null ? [] : nodesOf(conf);
    const offline = there.find(
      ({ nodeid, name }) => nodeid !== null && !before.ids.includes(nodeid) && !params.absent.includes(name),
    );
    if (offline !== undefined && !isLeaving(offline.name, leaving))
      return `node "${offline.name}" of ${host}'s nodelist is offline: start it, or name it below "nodelist.absent"`;
    const running = there.find(
      ({ nodeid, name }) => nodeid !== null && before.ids.includes(nodeid) && params.absent.includes(name),
    );
    if (running !== undefined && !isLeaving(running.name, leaving))
      return `node "${running.name}" is to leave and still runs: stop corosync there first, or add it to the hosts of the play`;
  }
  return null;
}

function isLeaving(name: string, leaving: Hosts): boolean {
  return [...leaving.values()].some((node) => node.name === name);
}

function stagesOf(cluster: ClusterPlan, plans: ReadonlyMap<string, NodePlan>): KindStage[] {
  const { members, joining, leaving, confs, before, after, version } = cluster;
  const worst = heaviest([...plans.values()].flatMap(({ effects }) => effects.map(({ effect }) => effect)));
  if (worst !== 'reload') for (const [host, node] of members) requireStartable(host, node);
  const stayed: Health = { ...before, ids: before.ids.filter((id) => !idsOf(leaving).includes(id)) };
  const going = new Map([...leaving].filter(([, { running }]) => running !== null));
  const stock = new Map([...joining].filter(([, { running }]) => running !== null));
  const stages = [
    checkStage(confs),
    ...(going.size > 0 ? [stopStage('leave', going, whole(before))] : []),
    ...(stock.size > 0 ? [stopStage('join', stock)] : []),
    writing(cluster, stayed),
  ];
  const [first = ''] = members.keys();
  if (worst === 'restart-cluster') {
    const all = new Map([...members, ...joining]);
    return [...stages, stopStage('stop', members, whole(stayed)), startStage('start', all, after)];
  }
  const loaded: Health = { ...stayed, version };
  stages.push(reloadStage(first, loaded, reloadTargets(plans)));
  if (worst === 'restart-node') {
    for (const [host, node] of members) {
      const one = new Map([[host, node]]);
      stages.push(stopStage('stop', one, whole(loaded)), startStage('start', one, loaded));
    }
  }
  if (joining.size > 0) stages.push(startStage('join', joining, after));
  return stages;
}

function writing(cluster: ClusterPlan, health: Health): KindStage {
  const { members, hosts, leaving, confs, isShared } = cluster;
  const [first = ''] = members.keys();
  const source = members.get(first);
  if (isShared && source?.file != null) {
    const conf = confs.get(first);
    const text = conf === undefined ? source.file.text : printCorosyncConf(conf);
    return shareStage(first, [...members.keys()], text, unshared(first, source.file.text, health));
  }
  const files = new Map<string, FileChange>();
  for (const [host, conf] of confs)
    files.set(host, { from: hosts.get(host)?.local?.text ?? null, to: printCorosyncConf(conf) });
  for (const [host, node] of leaving) files.set(host, { from: node.local?.text ?? null, to: null });
  return writeStage(`write ${LOCAL_CONF}`, files, whole(health));
}

function reloadTargets(plans: ReadonlyMap<string, NodePlan>): ReadonlyMap<string, readonly Target[]> {
  return new Map([...plans].map(([host, { targets }]) => [host, targets.filter(({ effect }) => effect === 'reload')]));
}

function idsOf(hosts: Hosts): number[] {
  return [...hosts.values()].flatMap(({ running }) => (running === null ? [] : [running.nodeid]));
}
