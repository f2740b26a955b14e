import { HostError } from '../../core/errors.ts';
import type { Argv, Change, Observations, Read, Step } from '../../core/resource.ts';
import { isSame, type Property, shown, type Wanted } from '../bridge/properties.ts';

const linkArgv = (bridge: string): Argv => ['ip', '-d', '-j', 'link', 'show', 'dev', bridge];
const vlansArgv = (bridge: string): Argv => ['bridge', '-j', 'vlan', 'global', 'show', 'dev', bridge];
const KERNEL = '/proc/sys/kernel/osrelease';

/** What must be read to know how the VLANs of a bridge are now. */
export function runtimeReads(bridge: string): readonly Read[] {
  return [
    { read: 'run', argv: linkArgv(bridge) },
    { read: 'run', argv: vlansArgv(bridge) },
    { read: 'file', path: KERNEL },
  ];
}

type Entry = Readonly<Record<string, unknown>>;

/**
 * Compares one VLAN of a running bridge with what is wanted. Its settings have an effect only with `mcast_vlan_snooping`, which is
 * turned on where it is off (bridge(8), ip-link(8)).
 * @throws HostError where there is no such bridge or VLAN, the bridge is not VLAN-aware, or the kernel or iproute2 is too old
 */
export function planRuntime(
  bridge: string,
  vlan: number,
  wanted: readonly Wanted[],
  seen: Observations,
): { changes: Change[]; try: Step[]; undo: Step[] } {
  const isOn = readVlanSnooping(bridge, seen);
  const entry = readVlan(bridge, vlan, seen);
  const differing = wanted.flatMap(({ property, value }) => {
    const now = numberOf(entry, property, bridge, seen);
    return isSame(property, now, value) ? [] : [{ property, value, now }];
  });
  const changes = differing.map(
    ({ property, value, now }): Change => ({
      layer: 'runtime',
      property: property.name,
      from: shown(property, now),
      to: shown(property, value),
      ...(property.name === 'multicast_querier' &&
        value === 1 && { note: 'the queries of a VLAN come from 0.0.0.0: on several nodes they silence each other' }),
    }),
  );
  const set = (values: readonly Wanted[]): Step[] => {
    const words = values.flatMap(({ property, value }) => [property.ip, String(value)]);
    if (words.length === 0) return [];
    return [{ do: 'run', argv: ['bridge', 'vlan', 'global', 'set', 'dev', bridge, 'vid', String(vlan), ...words] }];
  };
  const turn = (value: '0' | '1'): Step[] =>
    isOn
      ? []
      : [{ do: 'run', argv: ['ip', 'link', 'set', 'dev', bridge, 'type', 'bridge', 'mcast_vlan_snooping', value] }];
  const switched: Change[] = isOn
    ? []
    : [
        {
          layer: 'runtime',
          property: 'mcast_vlan_snooping',
          from: false,
          to: true,
          note: `from then on each VLAN has its own snooping and querier, those of "${bridge}" itself no longer count: untagged traffic is VLAN 1, or the port's pvid`,
        },
      ];
  return {
    changes: [...switched, ...changes],
    try: [...turn('1'), ...set(differing)],
    undo: [...set(differing.map(({ property, now }) => ({ property, value: now }))), ...turn('0')],
  };
}

function readVlanSnooping(bridge: string, seen: Observations): boolean {
  const { code, stdout, stderr } = seen.run(linkArgv(bridge));
  if (code !== 0) {
    const isMissing = /does not exist|Cannot find device/.test(stderr);
    throw new HostError(isMissing ? `there is no device "${bridge}"` : `ip can't show "${bridge}": ${stderr.trim()}`, {
      hint: '"ip link show type bridge" on the host lists its bridges',
    });
  }
  const link = entries(stdout).find(({ ifname }) => ifname === bridge);
  const info = record(link?.['linkinfo']);
  if (info['info_kind'] !== 'bridge') {
    throw new HostError(`"${bridge}" is not a Linux bridge`, {
      hint: 'name the bridge itself; "ip link show type bridge" lists them',
    });
  }
  const data = record(info['info_data']);
  if (Number(data['vlan_filtering'] ?? 0) === 0) {
    throw new HostError(`"${bridge}" is not VLAN-aware, so its VLANs have no settings of their own`, {
      hint: 'write "bridge-vlan-aware yes" in its stanza, or manage the bridge as a whole with "bridge"',
    });
  }
  const value = data['mcast_vlan_snooping'];
  if (typeof value !== 'number' && typeof value !== 'boolean') throw tooOld(bridge, seen);
  return Number(value) !== 0;
}

function readVlan(bridge: string, vlan: number, seen: Observations): Entry {
  const { code, stdout, stderr } = seen.run(vlansArgv(bridge));
  if (code !== 0) {
    const isOld = /Command "global" is unknown|not supported/i.test(stderr);
    throw isOld ? tooOld(bridge, seen) : new HostError(`bridge can't show the VLANs of "${bridge}": ${stderr.trim()}`);
  }
  const vlans = entries(stdout)
    .filter(({ ifname }) => ifname === bridge)
    .flatMap((entry) => (Array.isArray(entry['vlans']) ? entry['vlans'].map(record) : []));
  // VLANs with equal settings are one entry, from "vlan" to "vlanEnd".
  const found = vlans.find((entry) => {
    const first = Number(entry['vlan']);
    return vlan >= first && vlan <= Number(entry['vlanEnd'] ?? first);
  });
  if (found !== undefined) return found;
  throw new HostError(`"${bridge}" has no VLAN ${vlan}`, {
    hint: `give it to a port or the bridge first: "bridge-vids ${vlan}" in their stanzas, or "bridge vlan add vid ${vlan} dev ${bridge} self"`,
  });
}

function numberOf(entry: Entry, property: Property, bridge: string, seen: Observations): number {
  const value = entry[property.ip];
  if (typeof value === 'number' || typeof value === 'boolean') return Number(value);
  throw tooOld(bridge, seen);
}

function tooOld(bridge: string, seen: Observations): HostError {
  const kernel = seen.file(KERNEL)?.text.trim() ?? '';
  return new HostError(`the VLANs of "${bridge}" have no multicast settings here (Linux ${kernel})`, {
    hint: 'that takes Linux 5.15 and iproute2 5.15 or newer: update, or put the cluster on a bridge of its own and use "bridge"',
  });
}

function entries(stdout: string): readonly Entry[] {
  if (stdout.trim() === '') return [];
  try {
    const list: unknown = JSON.parse(stdout);
    return (Array.isArray(list) ? list : []).map(record);
  } catch {
    throw new HostError('the JSON of iproute2 is broken', { hint: 'look at "bridge -j vlan global show" on the host' });
  }
}

function record(value: unknown): Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Entry) : {};
}
