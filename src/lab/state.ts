import { existsSync, readFileSync } from 'node:fs';
import * as z from 'zod';
import { type LabNode, type LabSpec, labNodes, labPaths, netnsName } from './layout.ts';
import { labNamespaces, labProcesses, nodeProcess } from './processes.ts';

const LabState = z.object({
  name: z.string(),
  nodes: z.number(),
  switch: z.enum(['strict', 'flood']),
  maxStartups: z.string(),
  layers: z.array(z.string()),
  corosync: z.enum(['udp', 'knet']).optional(),
});

/** A node and whether it runs. */
export interface NodeStatus extends LabNode {
  /** Its process 1 as this machine sees it; null: it does not run. */
  readonly pid: number | null;
}

/**
 * absent: nothing there; up: everything runs; broken: left over from a lab that was killed.
 * `spec` is null where a lab never came to its end of making.
 */
export interface LabStatus {
  readonly name: string;
  readonly state: 'absent' | 'up' | 'broken';
  readonly spec: LabSpec | null;
  readonly nodes: readonly NodeStatus[];
}

/** What the lab was made of, written when it was ready; null: none is. */
export function readSpec(name: string): LabSpec | null {
  try {
    return LabState.parse(JSON.parse(readFileSync(labPaths(name).state, 'utf8')));
  } catch {
    return null;
  }
}

/** The text of a lab's state file. */
export function specText(spec: LabSpec): string {
  return `${JSON.stringify(spec)}\n`;
}

/** How the lab is now. Looks only; needs root to see the processes. */
export function labStatusOf(name: string): LabStatus {
  const spec = readSpec(name);
  const nodes = spec ? labNodes(name, spec.nodes).map((node) => ({ ...node, pid: nodeProcess(node) })) : [];
  const spaces = labNamespaces(name);
  if (spec === null) {
    const isAbsent = spaces.length === 0 && !existsSync(labPaths(name).dir) && labProcesses(name).length === 0;
    return { name, state: isAbsent ? 'absent' : 'broken', spec, nodes };
  }
  const isWhole =
    nodes.every((node) => node.pid !== null) &&
    ['switch', 'ctl'].every((part) => spaces.includes(netnsName(name, part)));
  return { name, state: isWhole ? 'up' : 'broken', spec, nodes };
}
