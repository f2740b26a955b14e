import type { Change, Observations, Resource, ResourcePlan, ResourceType } from '../core/resource.ts';
import { guestsResource } from './bridge/guests.ts';
import { planInterfaces } from './bridge/ifupdown.ts';
import { NETWORKD_READS, planNetworkd } from './bridge/networkd.ts';
import { BridgeParams, guestsWantedOf, wantedOf } from './bridge/params.ts';
import { shown, type Wanted } from './bridge/properties.ts';
import { planRuntime, runtimeReads } from './bridge/runtime.ts';
import { INTERFACES_READS, MAIN, type PersistentPlan, readTree } from './interfaces/files.ts';

export { BridgeParams };

/**
 * The multicast properties of a Linux bridge. Running: by ip(8), or sysfs where iproute2 is too old. Persistent: in the
 * stanza or .netdev file that makes the bridge, with ifupdown2, classic ifupdown or systemd-networkd.
 */
export const bridge = {
  type: 'bridge',
  summary: 'IGMP and MLD snooping, querier and timers of a Linux bridge, now and at the next boot',
  schema: BridgeParams,
  example: [
    '- name: IGMP querier on the cluster bridge',
    '  bridge:',
    '    name: vmbr0',
    '    multicast_snooping: true',
    '    multicast_querier: true',
    '    multicast_query_use_ifaddr: true',
    '',
  ].join('\n'),
  resources(params) {
    const guests = guestsWantedOf(params);
    return [
      ...(wantedOf(params).length > 0 ? [bridgeResource(params)] : []),
      ...(guests.length > 0 ? [guestsResource(params.name, guests)] : []),
    ];
  },
} satisfies ResourceType<typeof BridgeParams>;

function bridgeResource(params: BridgeParams): Resource {
  const { name } = params;
  const wanted = wantedOf(params);
  return {
    id: `bridge[${name}]`,
    reads: [...runtimeReads(name, wanted), ...INTERFACES_READS, ...NETWORKD_READS],
    wants: Object.fromEntries(wanted.map(({ property, value }) => [property.name, shown(property, value)])),
    plan: (seen) => plan(name, wanted, seen),
  };
}

function plan(name: string, wanted: readonly Wanted[], seen: Observations): ResourcePlan {
  const runtime = planRuntime(name, wanted, seen);
  const persistent = planPersistent(name, wanted, seen);
  return {
    changes: [...runtime.changes, ...persistent.changes],
    try: runtime.try,
    undo: runtime.undo,
    keep: persistent.keep,
    ...(persistent.blocked !== undefined && { blocked: persistent.blocked }),
  };
}

/** Where several programs define the bridge, each of their files has to say the same: which of them runs at boot is not asked. */
function planPersistent(name: string, wanted: readonly Wanted[], seen: Observations): PersistentPlan {
  const tree = readTree(seen);
  const plans = [planInterfaces(name, wanted, tree, seen), planNetworkd(name, wanted, seen)].filter(
    (each) => each !== undefined,
  );
  if (plans.length === 0)
    return undefinedBridge(name, wanted, [...tree.files, ...tree.unread.map((line) => `"${line}"`)]);
  const reasons = plans.flatMap(({ blocked }) => (blocked === undefined ? [] : [blocked]));
  return {
    changes: plans.flatMap(({ changes }) => changes),
    keep: plans.flatMap(({ keep }) => keep),
    blocked: reasons.length > 0 ? reasons.join('; ') : undefined,
  };
}

function undefinedBridge(name: string, wanted: readonly Wanted[], places: readonly string[]): PersistentPlan {
  const changes = wanted.map(
    ({ property, value }): Change => ({
      layer: 'persistent',
      property: property.name,
      from: null,
      to: shown(property, value),
    }),
  );
  const searched = places.length > 0 ? places.join(', ') : `${MAIN} (absent)`;
  const blocked = `"${name}" runs, but no file that was searched makes it at boot (${searched}; .netdev files of systemd): give it an "iface ${name}" stanza there. Bridges of NetworkManager, and those made by hand or by a "source" that leads elsewhere, are not managed`;
  return { changes, keep: [], blocked };
}
