import { HostError } from '../../core/errors.ts';
import type { Change, FileState, Impact, Observations, ResourcePlan, Step } from '../../core/resource.ts';
import {
  blocksAt,
  type CorosyncConf,
  itemAt,
  parseCorosyncConf,
  printCorosyncConf,
  withValue,
} from '../../formats/corosync-conf.ts';
import { checkConf } from './checks.ts';
import { explainNode } from './explain.ts';
import { type Effect, heaviest } from './keys.ts';
import { type ClusterNode, nodeOf, startCommand, versionOf } from './node.ts';
import type { CorosyncParams } from './params.ts';
import { LOCAL_CONF } from './reads.ts';
import { foundOf } from './running.ts';
import { isInFile, type Target, targetsOf } from './targets.ts';

/** A node compared with what is wanted. */
export interface NodePlan {
  readonly node: ClusterNode;
  readonly changes: readonly Change[];
  /** What putting it in force takes; null: nothing but the files differ, or nothing at all. */
  readonly effects: readonly { readonly effect: Effect; readonly property: string }[];
  readonly targets: readonly Target[];
}

/**
 * A file with what is wanted, and its version.
 * @throws HostError where the file does not allow it
 */
export function wantedConf(conf: CorosyncConf, params: CorosyncParams, version: number): CorosyncConf {
  const edited = targetsOf(params, conf).reduce(
    (now, target) => (isInFile(target, now) ? now : target.write(now)),
    conf,
  );
  return withValue(edited, 'totem', 'config_version', String(version));
}

/**
 * Compares one host with what is wanted.
 * @throws HostError where it can't be brought there
 */
export function compareNode(params: CorosyncParams, seen: Observations): NodePlan {
  const node = nodeOf(params, seen);
  if (node.role === 'leaving') return { node, targets: [], ...leavingChanges(node) };
  if (node.role === 'joining') return { node, targets: [], ...joiningChanges(node) };
  const { conf, running } = node;
  if (conf === null) throw new HostError(`there is no ${LOCAL_CONF}`);
  if (running === null)
    throw new HostError('corosync does not run on this node', {
      hint: `start it ("${startCommand(node)}"), see that it joins the others, then run this again`,
    });
  const targets = targetsOf(params, conf);
  checkConf(wantedConf(conf, params, versionOf(conf)), node, params, seen);
  const persistent = targets.flatMap((target): { change: Change; target: Target }[] => {
    if (isInFile(target, conf)) return [];
    const now = target.read(conf);
    const note = target.note ?? noteOf(target, conf);
    const place = { file: conf.file, ...(now !== null && { line: now.line }) };
    const change: Change = {
      layer: 'persistent',
      property: target.property,
      from: now?.value ?? null,
      to: target.value,
      ...place,
    };
    return [{ target, change: note === undefined ? change : { ...change, note } }];
  });
  const runtime = targets.flatMap((target): { change: Change; target: Target }[] => {
    const found = foundOf(target, running);
    if (found === undefined || found.is) return [];
    const change: Change = {
      layer: 'runtime',
      property: target.property,
      from: found.value,
      to: target.value,
      after: 'keep',
    };
    return [{ target, change }];
  });
  const unobserved = persistent.filter(({ target }) => foundOf(target, running) === undefined);
  const differs = persistent.length + runtime.length > 0;
  return {
    node,
    targets,
    effects: [...runtime, ...unobserved].map(({ target }) => ({ effect: target.effect, property: target.property })),
    changes: [
      ...persistent.map(({ change }) => change),
      ...versionChanges(node, conf, differs),
      ...localCopyChanges(node),
      ...runtime.map(({ change }) => change),
    ],
  };
}

function noteOf(target: Target, conf: CorosyncConf): string | undefined {
  if (target.property !== 'totem.transport') return undefined;
  if (target.value === 'udp') return 'the next corosync has no udp by default; knet is what it, and Proxmox VE, want';
  const nodes = blocksAt(conf, 'nodelist.node').length;
  return target.value === 'udpu' && nodes > 4
    ? `udpu is not recommended with more than 4 nodes, these are ${nodes}`
    : undefined;
}

/** One more with every change; a node whose file or daemon is behind what it has heard of would leave the cluster. */
function versionChanges(node: ClusterNode, conf: CorosyncConf, differs: boolean): Change[] {
  const own = versionOf(conf);
  const highest = Math.max(own, node.running?.highestVersion ?? 0);
  const base = { property: 'totem.config_version', file: conf.file } as const;
  if (differs) return [{ layer: 'persistent', ...base, from: own, to: highest + 1, isAction: true }];
  if (own < highest) {
    const note = 'other nodes have a newer file: this one would leave the cluster at its next start';
    return [{ layer: 'persistent', ...base, from: own, to: highest + 1, note }];
  }
  const loaded = node.running?.version ?? own;
  if (loaded === own) return [];
  const note = 'the file was changed and not loaded';
  return [{ layer: 'runtime', property: base.property, from: loaded, to: own + 1, after: 'keep', note }];
}

/** On Proxmox VE corosync reads a copy. */
function localCopyChanges({ isShared, file, local }: ClusterNode): Change[] {
  if (!isShared || file === null || file.text === local?.text) return [];
  const from = local === null ? null : 'another text';
  return [{ layer: 'persistent', property: 'local copy', from, to: `as ${file.path}`, file: LOCAL_CONF }];
}

function joiningChanges({ conf, running, name, file }: ClusterNode) {
  if (running !== null && running.members.length > 1)
    throw new HostError(
      `"${name}" is to join, but its corosync is in a cluster of ${running.members.length} nodes already`,
      {
        hint: 'take it out of that cluster first, or leave it out of "nodelist.nodes"',
      },
    );
  const from = conf === null ? null : 'the file of another cluster';
  const changes: Change[] = [
    { layer: 'persistent', property: 'nodelist', from, to: 'as on the other nodes', file: file?.path ?? LOCAL_CONF },
    { layer: 'runtime', property: 'member', from: false, to: true, after: 'keep' },
  ];
  return { changes, effects: [{ effect: 'reload' as const, property: `nodelist.node.${name}` }] };
}

function leavingChanges({ file, running, name }: ClusterNode) {
  const changes: Change[] = [];
  if (file !== null)
    changes.push({ layer: 'persistent', property: 'corosync.conf', from: 'present', to: null, file: file.path });
  if (running !== null) changes.push({ layer: 'runtime', property: 'member', from: true, to: false, after: 'keep' });
  return {
    changes,
    effects: changes.length === 0 ? [] : [{ effect: 'reload' as const, property: `nodelist.node.${name}` }],
  };
}

/** What people are told of the cost, worst first. */
export function impactOf(effects: NodePlan['effects'], isProxmox: boolean): Impact {
  const worst = heaviest(effects.map(({ effect }) => effect));
  const names = [...new Set(effects.filter(({ effect }) => effect === worst).map(({ property }) => property))].join(
    ', ',
  );
  if (worst === 'restart-cluster') {
    const ha = isProxmox
      ? 'disarm HA first ("ha-manager crm-command disarm-ha freeze")'
      : 'with Pacemaker set maintenance-mode first';
    return {
      kind: worst,
      text: `needs a restart of the whole cluster, without quorum for some seconds: a running corosync refuses ${names}; ${ha}`,
    };
  }
  if (worst === 'restart-node')
    return {
      kind: worst,
      text: `needs a restart of corosync node by node, quorum is kept: it reads ${names} at its start only`,
    };
  return { kind: 'reload', text: 'needs a reload of corosync, nothing is restarted' };
}

/** What becomes of a node that comes or goes. */
function roleImpact({ role, running }: ClusterNode): Impact | null {
  if (role === 'joining')
    return { kind: 'restart-node', text: 'corosync is started on this node, and loaded anew on the others' };
  if (role === 'member') return null;
  const text =
    running === null
      ? 'its corosync.conf is removed'
      : 'corosync is stopped on this node and its corosync.conf removed';
  return { kind: 'restart-node', text };
}

/** The plan of one host as it is shown; what is done is planned for all of them together. */
export function planNode(params: CorosyncParams, seen: Observations): ResourcePlan {
  const { node, changes, effects } = compareNode(params, seen);
  const explain = explainNode(node);
  if (changes.length === 0) return { changes: [], try: [], undo: [], keep: [], explain };
  const highest = Math.max(node.conf === null ? 0 : versionOf(node.conf), node.running?.highestVersion ?? 0);
  const impact = roleImpact(node) ?? impactOf(effects, node.isShared);
  const keep: readonly Step[] = node.role === 'member' ? shownSteps(node.file, params, highest + 1, effects, node) : [];
  return { changes, try: [], undo: [], keep, impact, explain };
}

function shownSteps(
  file: FileState | null,
  params: CorosyncParams,
  version: number,
  effects: NodePlan['effects'],
  node: ClusterNode,
): readonly Step[] {
  if (file === null) return [];
  const edit: Step = {
    do: 'edit',
    path: file.path,
    // The key of the whole cluster may stand in it.
    isSecret: node.conf !== null && itemAt(node.conf, 'totem', 'key') !== undefined,
    edit: (text) =>
      text === null
        ? null
        : printCorosyncConf(wantedConf(parseCorosyncConf(text, file.path, file.encoding), params, version)),
  };
  const worst = heaviest(effects.map(({ effect }) => effect));
  if (worst === 'reload') return [edit, { do: 'run', argv: ['corosync-cfgtool', '-R'] }];
  if (node.hasSystemd) return [edit, { do: 'run', argv: ['systemctl', 'restart', 'corosync'] }];
  return [edit, { do: 'run', argv: ['corosync-cfgtool', '-H'] }, { do: 'run', argv: ['corosync', ...node.words] }];
}
