/** How a property is written: true/false, a whole number, or seconds (the kernel counts centiseconds). */
export type Kind = 'flag' | 'number' | 'seconds';

/** One property of a bridge and its spelling in each place that knows it. */
export interface Property {
  /** The parameter's name in a playbook: the kernel's name in sysfs where that says what it belongs to. */
  readonly name: string;
  readonly kind: Kind;
  /** File in /sys/class/net/BRIDGE/bridge. */
  readonly sysfs: string;
  /** Key of `info_data` in the JSON of ip(8). */
  readonly json: string;
  /** Argument of `ip link set … type bridge`. */
  readonly ip: string;
  /** Attribute in /etc/network/interfaces with ifupdown2. */
  readonly ifupdown2: string;
  /** Setting in `[Bridge]` of a .netdev file; undefined where systemd has none. */
  readonly networkd?: string;
}

/** A property and the value that it shall have or has, in the kernel's unit: 0/1, a count, centiseconds. */
export interface Wanted {
  readonly property: Property;
  readonly value: number;
}

function property(name: string, kind: Kind, ip: string, ifupdown2: string, more: Partial<Property> = {}): Property {
  return { name, kind, sysfs: name, json: ip, ip, ifupdown2, ...more };
}

/**
 * All properties, in the order in which they are shown and set.
 * Sources: `ip link help bridge` and `ip -d -j link` of iproute2 6.1; /sys/class/net of Linux 6.18; addons/bridge.py of
 * ifupdown2 3.0.0; systemd.netdev(5) of systemd 252.
 */
export const PROPERTIES: readonly Property[] = [
  property('multicast_snooping', 'flag', 'mcast_snooping', 'bridge-mcsnoop', { networkd: 'MulticastSnooping' }),
  property('multicast_querier', 'flag', 'mcast_querier', 'bridge-mcquerier', { networkd: 'MulticastQuerier' }),
  property('multicast_query_use_ifaddr', 'flag', 'mcast_query_use_ifaddr', 'bridge-mcqifaddr'),
  property('multicast_igmp_version', 'number', 'mcast_igmp_version', 'bridge-igmp-version', {
    networkd: 'MulticastIGMPVersion',
  }),
  property('multicast_mld_version', 'number', 'mcast_mld_version', 'bridge-mld-version'),
  property('multicast_router', 'number', 'mcast_router', 'bridge-mcrouter'),
  property('multicast_query_interval', 'seconds', 'mcast_query_interval', 'bridge-mcqi', { json: 'mcast_query_intvl' }),
  property('multicast_query_response_interval', 'seconds', 'mcast_query_response_interval', 'bridge-mcqri', {
    json: 'mcast_query_response_intvl',
  }),
  property('multicast_querier_interval', 'seconds', 'mcast_querier_interval', 'bridge-mcqpi', {
    json: 'mcast_querier_intvl',
  }),
  property('multicast_membership_interval', 'seconds', 'mcast_membership_interval', 'bridge-mcmi', {
    json: 'mcast_membership_intvl',
  }),
  property('multicast_last_member_interval', 'seconds', 'mcast_last_member_interval', 'bridge-mclmi', {
    json: 'mcast_last_member_intvl',
  }),
  property('multicast_startup_query_interval', 'seconds', 'mcast_startup_query_interval', 'bridge-mcsqi', {
    json: 'mcast_startup_query_intvl',
  }),
  property('multicast_last_member_count', 'number', 'mcast_last_member_count', 'bridge-mclmc', {
    json: 'mcast_last_member_cnt',
  }),
  property('multicast_startup_query_count', 'number', 'mcast_startup_query_count', 'bridge-mcsqc', {
    json: 'mcast_startup_query_cnt',
  }),
  property('multicast_hash_max', 'number', 'mcast_hash_max', 'bridge-hashmax', { sysfs: 'hash_max' }),
  property('multicast_stats_enabled', 'flag', 'mcast_stats_enabled', 'bridge-mcstats'),
];

/** The kernel's number as a person writes it: true/false, seconds, or the number. */
export function shown(property: Property, value: number): boolean | number {
  if (property.kind === 'flag') return value !== 0;
  return property.kind === 'seconds' ? value / 100 : value;
}

/** What a person wrote as the kernel's number; seconds become centiseconds. */
export function toKernel(property: Property, value: boolean | number): number {
  return property.kind === 'seconds' ? Math.round(Number(value) * 100) : Number(value);
}

/**
 * Whether a running value is the desired one. A kernel whose tick is no multiple of 10 ms (CONFIG_HZ=250) gives an
 * odd number of centiseconds back as the even one below it.
 */
export function isSame(property: Property, observed: number, desired: number): boolean {
  return property.kind === 'seconds' ? Math.abs(observed - desired) <= 1 : observed === desired;
}
