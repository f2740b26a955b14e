import type { Resource, ResourceType } from '../core/resource.ts';
import { type CorosyncParams, CorosyncSchema, paramsOf } from './corosync/params.ts';
import { planNode } from './corosync/plan.ts';
import { READS } from './corosync/reads.ts';
import { planTogether } from './corosync/together.ts';

function corosyncResource(params: CorosyncParams): Resource {
  return {
    id: 'corosync[cluster]',
    reads: READS,
    wants: wantsOf(params),
    plan: (seen) => planNode(params, seen),
    together: { plan: (seen) => planTogether(params, seen) },
  };
}

/** Every value by its property, so that tasks that contradict each other are found. */
function wantsOf(params: CorosyncParams): Record<string, unknown> {
  const { totem, quorum, logging, system, interfaces, nodes, absent } = params;
  const blocks = { totem, quorum, logging, system };
  const of = (prefix: string, values: Readonly<Record<string, unknown>>): [string, unknown][] =>
    Object.entries(values).map(([key, value]) => [`${prefix}.${key}`, value]);
  return Object.fromEntries([
    ...Object.entries(blocks).flatMap(([section, values]) => of(section, values)),
    ...interfaces.flatMap((each) => [
      [`totem.interface.${each.linknumber}`, each.absent ? 'absent' : 'present'],
      ...of(`totem.interface.${each.linknumber}`, each.values),
    ]),
    ...nodes.flatMap(({ name, values }) => [[`nodelist.${name}`, 'present'], ...of(`nodelist.${name}`, values)]),
    ...absent.map((name) => [`nodelist.${name}`, 'absent']),
  ]);
}

/**
 * The cluster of corosync that the hosts of a play are. Persistent: corosync.conf, in /etc/pve where that exists. Runtime: what the
 * daemon really runs with, by its cmap and, since that lies after a refused reload, by its sockets. All nodes change together.
 */
export const corosync = {
  type: 'corosync',
  summary: 'The configuration of a corosync cluster, on all its nodes and in the daemons that run',
  schema: CorosyncSchema,
  example: `- name: Totem over multicast
  corosync:
    transport: udp
    netmtu: 1500
    token: 5000
    interfaces:
      - { linknumber: 0, mcastaddr: 239.192.77.1, mcastport: 5405 }
`,
  resources: (params) => [corosyncResource(paramsOf(params))],
} satisfies ResourceType<typeof CorosyncSchema>;
