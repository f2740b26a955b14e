import { HostError } from '../../core/errors.ts';
import type { Argv, Change, Observations, Read, Step } from '../../core/resource.ts';
import { isSame, PROPERTIES, type Property, shown, type Wanted } from './properties.ts';

/** What a bridge does now, and how to make it do what is wanted. */
export interface RuntimePlan {
  readonly changes: readonly Change[];
  readonly try: readonly Step[];
  readonly undo: readonly Step[];
}

/** What must be read to know what a bridge does now. sysfs is read too, for an iproute2 that is too old: it costs no process. */
export function runtimeReads(bridge: string, wanted: readonly Wanted[]): readonly Read[] {
  return [
    { read: 'run', argv: showArgv(bridge) },
    { read: 'file', path: `/sys/class/net/${bridge}/ifindex` },
    { read: 'file', path: sysfsPath(bridge, 'bridge_id') },
    ...readProperties(wanted).map(({ sysfs }): Read => ({ read: 'file', path: sysfsPath(bridge, sysfs) })),
  ];
}

/**
 * Compares the running bridge with what is wanted.
 * @throws HostError where there is no such device, it is no Linux bridge, or the kernel lacks a property
 */
export function planRuntime(bridge: string, wanted: readonly Wanted[], seen: Observations): RuntimePlan {
  const link = readLink(bridge, seen);
  const changes: Change[] = [];
  const differing: { want: Wanted; now: Now }[] = [];
  for (const want of wanted) {
    const now = readNow(bridge, want.property, link, seen);
    if (isSame(want.property, now.value, want.value)) continue;
    const note = querierNote(bridge, want, wanted, link, seen);
    changes.push({
      layer: 'runtime',
      property: want.property.name,
      from: shown(want.property, now.value),
      to: shown(want.property, want.value),
      ...(note !== undefined && { note }),
    });
    differing.push({ want, now });
  }
  const to = (pick: (each: { want: Wanted; now: Now }) => number) =>
    steps(
      bridge,
      differing.map((each) => ({ property: each.want.property, value: pick(each), via: each.now.via })),
    );
  return { changes, try: to(({ want }) => want.value), undo: to(({ now }) => now.value) };
}

/** What `ip` says of the device; null where it is too old to say it in JSON. */
type Link = { readonly data: Readonly<Record<string, unknown>>; readonly hasIpv4: boolean } | null;

interface Now {
  readonly value: number;
  readonly via: 'ip' | 'sysfs';
}

const USE_IFADDR = PROPERTIES.find(({ name }) => name === 'multicast_query_use_ifaddr');

/** use_ifaddr is read with the querier even where it is not managed: without it the querier speaks from 0.0.0.0. */
function readProperties(wanted: readonly Wanted[]): Property[] {
  const named = wanted.map(({ property }) => property);
  return [...new Set(USE_IFADDR ? [...named, USE_IFADDR] : named)];
}

function showArgv(bridge: string): Argv {
  return ['ip', '-d', '-j', 'addr', 'show', 'dev', bridge];
}

function sysfsPath(bridge: string, file: string): string {
  return `/sys/class/net/${bridge}/bridge/${file}`;
}

/** All that `ip` can set goes in one message to the kernel, the rest file by file. */
function steps(bridge: string, values: readonly { property: Property; value: number; via: Now['via'] }[]): Step[] {
  const byIp = values.filter(({ via }) => via === 'ip').flatMap(({ property, value }) => [property.ip, String(value)]);
  const bySysfs = values
    .filter(({ via }) => via === 'sysfs')
    .map(({ property, value }): Step => ({ do: 'set', path: sysfsPath(bridge, property.sysfs), value: String(value) }));
  if (byIp.length === 0) return bySysfs;
  return [{ do: 'run', argv: ['ip', 'link', 'set', 'dev', bridge, 'type', 'bridge', ...byIp] }, ...bySysfs];
}

function readNow(bridge: string, property: Property, link: Link, seen: Observations): Now {
  const value = link?.data[property.json];
  if (typeof value === 'number' || typeof value === 'boolean') return { value: Number(value), via: 'ip' };
  const text = seen.file(sysfsPath(bridge, property.sysfs))?.text.trim();
  if (text !== undefined && /^\d+$/.test(text)) return { value: Number(text), via: 'sysfs' };
  throw new HostError(
    `bridge "${bridge}" has no ${property.name}: neither ip nor ${sysfsPath(bridge, property.sysfs)} gives it`,
    {
      hint: 'this kernel lacks it (built without CONFIG_BRIDGE_IGMP_SNOOPING, or too old): leave the property out, or update',
    },
  );
}

function readLink(bridge: string, seen: Observations): Link {
  const { code, stdout, stderr } = seen.run(showArgv(bridge));
  if (/does not exist|Cannot find device/.test(stderr)) throw missing(bridge);
  const entry = code === 0 ? findEntry(stdout, bridge) : undefined;
  if (entry === undefined) {
    if (seen.file(sysfsPath(bridge, 'bridge_id')) !== null) return null;
    if (seen.file(`/sys/class/net/${bridge}/ifindex`) === null) throw missing(bridge);
    throw new HostError(`"${bridge}" is not a bridge`, {
      hint: 'name the bridge itself; "ip link show type bridge" lists them',
    });
  }
  const info = record(entry['linkinfo']);
  if (info['info_kind'] !== 'bridge') throw wrongKind(bridge, entry, info);
  const addresses = Array.isArray(entry['addr_info']) ? entry['addr_info'].map(record) : [];
  return { data: record(info['info_data']), hasIpv4: addresses.some((address) => address['family'] === 'inet') };
}

/** Old versions print `{}` for each device that was not asked for. An alternative name gives the device under its own. */
function findEntry(stdout: string, bridge: string): Readonly<Record<string, unknown>> | undefined {
  let list: unknown;
  try {
    list = JSON.parse(stdout);
  } catch {
    return undefined;
  }
  const entries = (Array.isArray(list) ? list : []).map(record).filter((entry) => typeof entry['ifname'] === 'string');
  const [first] = entries;
  const entry = entries.find(({ ifname }) => ifname === bridge);
  if (entry === undefined && first !== undefined) {
    throw new HostError(`"${bridge}" is another name of "${first['ifname']}"`, {
      hint: `write name: ${first['ifname']}`,
    });
  }
  return entry;
}

function missing(bridge: string): HostError {
  return new HostError(`there is no device "${bridge}"`, {
    hint: 'see "ip link show type bridge" on the host for the names of its bridges',
  });
}

function wrongKind(
  bridge: string,
  entry: Readonly<Record<string, unknown>>,
  info: Readonly<Record<string, unknown>>,
): HostError {
  const master = entry['master'];
  if (info['info_kind'] === 'openvswitch') {
    return new HostError(
      `"${bridge}" is an Open vSwitch bridge: Open vSwitch has no querier, and none of these properties`,
      {
        hint: 'let the switch or a Linux bridge of this segment be the querier; snooping is "ovs-vsctl set Bridge … mcast_snooping_enable=…"',
      },
    );
  }
  if (info['info_slave_kind'] === 'bridge' && typeof master === 'string') {
    return new HostError(`"${bridge}" is a port of bridge "${master}", not a bridge`, {
      hint: `write name: ${master}`,
    });
  }
  if (master === 'ovs-system') {
    return new HostError(`"${bridge}" is a port of an Open vSwitch bridge, not a bridge`, {
      hint: 'Open vSwitch has no querier: let the switch or a Linux bridge of this segment be one',
    });
  }
  const kind = typeof info['info_kind'] === 'string' ? ` but "${info['info_kind']}"` : '';
  return new HostError(`"${bridge}" is not a bridge${kind}`, {
    hint: 'name the bridge itself; "ip link show type bridge" lists them',
  });
}

/** Why a querier that is turned on will not do what it should: queries from 0.0.0.0. */
function querierNote(
  bridge: string,
  want: Wanted,
  wanted: readonly Wanted[],
  link: Link,
  seen: Observations,
): string | undefined {
  const isOn = (name: string) => want.property.name === name && want.value === 1;
  if (!isOn('multicast_querier') && !isOn('multicast_query_use_ifaddr')) return undefined;
  const wish = wanted.find(({ property }) => property === USE_IFADDR)?.value;
  const observed =
    link?.data['mcast_query_use_ifaddr'] ?? seen.file(sysfsPath(bridge, 'multicast_query_use_ifaddr'))?.text;
  if ((wish ?? Number(observed ?? 0)) === 0) {
    return 'its queries come from 0.0.0.0: such queriers on several nodes silence each other; add multicast_query_use_ifaddr: true';
  }
  if (link === null || link.hasIpv4) return undefined;
  return `"${bridge}" has no IPv4 address: its queries come from 0.0.0.0 all the same, and such queriers on several nodes silence each other`;
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
