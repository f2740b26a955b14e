import * as z from 'zod';
import type { Read, Resource, ResourcePlan, ResourceType } from '../core/resource.ts';
import { count, flag, oneOf, seconds, timerFaults } from './bridge/fields.ts';
import { PROPERTIES, shown, toKernel, type Wanted } from './bridge/properties.ts';
import { planRuntime, runtimeReads } from './bridge-vlan/runtime.ts';
import { snoopingSetting, vlanSetting } from './bridge-vlan/stanza.ts';
import { deviceName } from './device-name.ts';
import { INTERFACES_READS, MAIN, type PersistentPlan, readTree } from './interfaces/files.ts';
import { planStanza } from './interfaces/stanza.ts';

const VLAN_FAULT = 'must be a VLAN: a whole number from 1 to 4094';

const BridgeVlanParams = z
  .strictObject({
    bridge: deviceName('a bridge', 'vmbr0').refine(
      (name) => !name.startsWith('-'),
      'must not begin with "-": bridge(8) would take it for an option',
    ),
    vlan: z.int({ error: VLAN_FAULT }).min(1, VLAN_FAULT).max(4094, VLAN_FAULT).describe('The VLAN: 1 to 4094'),
    multicast_snooping: flag('Whether a group is forwarded in this VLAN only to the ports that joined it'),
    multicast_querier: flag('Whether the bridge asks for members in this VLAN, from 0.0.0.0'),
    multicast_igmp_version: oneOf('IGMP version of its queries: 2 or 3', [2, 3]),
    multicast_mld_version: oneOf('MLD version of its queries: 1 or 2', [1, 2]),
    multicast_query_interval: seconds('Time between two general queries', 1),
    multicast_query_response_interval: seconds('Time that hosts have to answer a query', 0.1),
    multicast_querier_interval: seconds('Time without a query after which another querier counts as gone', 0.1),
    multicast_membership_interval: seconds('Time without a report after which a port counts as having left', 0.1),
    multicast_last_member_interval: seconds('Time between the queries that follow a leave', 0.1),
    multicast_startup_query_interval: seconds('Time between the first queries after the start', 1),
    multicast_last_member_count: count('Number of queries that follow a leave', 255),
    multicast_startup_query_count: count('Number of queries sent at the start', 255),
  })
  .superRefine((params, context) => {
    if (context.issues.length > 0) return;
    const isEmpty = Object.keys(params).every((name) => name === 'bridge' || name === 'vlan');
    if (isEmpty) {
      const message = 'names no property: add at least one, such as multicast_querier: true';
      context.addIssue({ code: 'custom', path: [], message });
    }
    for (const { path, message } of timerFaults(params)) context.addIssue({ code: 'custom', path, message });
  });

type BridgeVlanParams = z.output<typeof BridgeVlanParams>;

/**
 * Snooping and querier of one VLAN of a VLAN-aware bridge. Running: bridge(8). Persistent: `post-up` lines in the bridge's stanza, since
 * neither ifupdown2 nor systemd-networkd has a setting for it.
 */
export const bridgeVlan = {
  type: 'bridge_vlan',
  summary: 'IGMP and MLD snooping, querier and timers of one VLAN of a VLAN-aware bridge, now and at the next boot',
  schema: BridgeVlanParams,
  example: `- name: A querier for the cluster's VLAN
  bridge_vlan: { bridge: vmbr0, vlan: 50, multicast_snooping: true, multicast_querier: true }
`,
  resources: (params) => [vlanResource(params)],
} satisfies ResourceType<typeof BridgeVlanParams>;

function vlanResource(params: BridgeVlanParams): Resource {
  const { bridge, vlan } = params;
  const given = params as Readonly<Record<string, unknown>>;
  const wanted = PROPERTIES.flatMap((property): Wanted[] => {
    const value = given[property.name];
    return typeof value === 'boolean' || typeof value === 'number'
      ? [{ property, value: toKernel(property, value) }]
      : [];
  });
  const reads: readonly Read[] = [...runtimeReads(bridge), ...INTERFACES_READS];
  return {
    id: `bridge_vlan[${bridge} ${vlan}]`,
    reads,
    wants: Object.fromEntries(wanted.map(({ property, value }) => [property.name, shown(property, value)])),
    plan(seen): ResourcePlan {
      const runtime = planRuntime(bridge, vlan, wanted, seen);
      const tree = readTree(seen);
      const settings = [snoopingSetting(bridge), ...wanted.map((want) => vlanSetting(bridge, vlan, want))];
      const persistent = planStanza(bridge, settings, tree, seen) ?? unplaced(bridge, wanted);
      return {
        changes: [...runtime.changes, ...persistent.changes],
        try: runtime.try,
        undo: runtime.undo,
        keep: persistent.keep,
        ...(persistent.blocked !== undefined && { blocked: persistent.blocked }),
      };
    },
  };
}

function unplaced(bridge: string, wanted: readonly Wanted[]): PersistentPlan {
  return {
    changes: wanted.map(({ property, value }) => ({
      layer: 'persistent',
      property: property.name,
      from: null,
      to: shown(property, value),
    })),
    keep: [],
    blocked: `no "iface ${bridge}" stanza in ${MAIN} or what it sources: only there can these settings be kept (systemd-networkd has none for the VLANs of a bridge)`,
  };
}
