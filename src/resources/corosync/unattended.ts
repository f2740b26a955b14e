import type { Step, Unattended } from '../../core/resource.ts';
import type { ClusterNode } from './node.ts';
import type { KindStage } from './stages.ts';
import type { ClusterPlan } from './together.ts';

/** Seconds in which the nodes, whose time is over at about the same moment, are all at the same point. */
const APART_S = 3;
/** Seconds between the reloads of two nodes: corosync 3.1.7 loses one of two that are asked for at once (seen). */
const NEXT_S = 2;

/**
 * What the nodes do where their controller is gone, once their files are as they were. A reload is asked of every node, one
 * after the other, since one of them may be gone and the last one finds the old files on all. After a restart all stop first, and start later: one that came up with the old config_version
 * while others still run with the new one would exit.
 * @returns null where nodes can't do it each for itself: a file that they share, nodes that join or leave
 */
export function unattendedOf(cluster: ClusterPlan, stages: readonly KindStage[]): Unattended | null {
  if (cluster.isShared || cluster.joining.size + cluster.leaving.size > 0) return null;
  const from = stages.findIndex(({ kind }) => kind !== 'check' && kind !== 'write');
  const isRestart = stages.some(({ kind }) => kind === 'stop');
  const steps = [...cluster.members].map(([host, node], index): [string, readonly Step[]] => [
    host,
    isRestart ? restart(node) : [wait(APART_S + NEXT_S * index), { do: 'run', argv: ['corosync-cfgtool', '-R'] }],
  ]);
  return { from, steps: new Map(steps) };
}

function wait(seconds: number): Step {
  return { do: 'run', argv: ['sleep', String(seconds)], seconds: seconds + 30 };
}

function restart({ hasSystemd, dependents, words }: ClusterNode): readonly Step[] {
  if (hasSystemd) {
    return [
      { do: 'run', argv: ['systemctl', 'stop', 'corosync'], seconds: 300 },
      wait(APART_S),
      { do: 'run', argv: ['systemctl', 'start', 'corosync', ...dependents], seconds: 120 },
    ];
  }
  return [
    // Where it has ended already there is nothing to stop; what follows waits until it is gone.
    { do: 'run', argv: ['sh', '-c', STOP] },
    wait(APART_S),
    { do: 'run', argv: ['corosync', ...words] },
  ];
}

const STOP =
  'corosync-cfgtool -H; n=0; while pidof corosync >/dev/null && [ $n -lt 50 ]; do sleep 0.2; n=$((n+1)); done';
