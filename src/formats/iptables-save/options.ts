import { own } from '../own.ts';
import type { Family } from './address.ts';

/** Long spellings of the options that iptables itself has; others are those of matches and targets. */
export const BASE_OPTIONS: Readonly<Record<string, string>> = {
  '--source': '-s',
  '--src': '-s',
  '--destination': '-d',
  '--dst': '-d',
  '--in-interface': '-i',
  '--out-interface': '-o',
  '--protocol': '-p',
  '--proto': '-p',
  '--fragment': '-f',
  '--jump': '-j',
  '--goto': '-g',
  '--match': '-m',
  '--set-counters': '-c',
  '--ipv4': '-4',
  '--ipv6': '-6',
};

/** Options of iptables itself with one argument; -c has two, -f, -4 and -6 have none. */
export const BASE_WITH_ARGUMENT: ReadonlySet<string> = new Set(['-s', '-d', '-i', '-o', '-p', '-j', '-g', '-m']);

/** Other spellings of options of matches. */
export const ALIASES: Readonly<Record<string, string>> = {
  '--source-port': '--sport',
  '--destination-port': '--dport',
  '--source-ports': '--sports',
  '--destination-ports': '--dports',
};

/** Matches that an option can belong to, in the order in which they are looked for among those of the rule. */
export const OWNERS: Readonly<Record<string, readonly string[]>> = {
  '--sports': ['multiport'],
  '--dports': ['multiport'],
  '--ports': ['multiport'],
  '--state': ['state'],
  '--ctstate': ['conntrack'],
  '--ctproto': ['conntrack'],
  '--ctdir': ['conntrack'],
  '--src-type': ['addrtype'],
  '--dst-type': ['addrtype'],
  '--limit-iface-in': ['addrtype'],
  '--limit-iface-out': ['addrtype'],
  '--pkt-type': ['pkttype'],
  '--comment': ['comment'],
  '--limit': ['limit'],
  '--limit-burst': ['limit'],
  '--mac-source': ['mac'],
};

/** Options of the matches that come with a protocol and need no -m. */
export const PROTOCOL_OPTIONS: ReadonlySet<string> = new Set([
  '--sport',
  '--dport',
  '--syn',
  '--tcp-flags',
  '--tcp-option',
  '--icmp-type',
  '--icmpv6-type',
  '--chunk-types',
]);

/** Options of targets, so that they find back to -j when a match stands between. */
export const TARGET_OPTION =
  /^--(?:reject-with|log-.+|nflog-.+|ulog-.+|to-.+|set-x?mark|set-dscp.*|set-tos|notrack|checksum-fill|queue-.+|clamp-mss-to-pmtu|set-mss|ttl-(?:set|inc|dec)|random(?:-fully)?|persistent)$/;

/** Options without argument, where a following word would be taken for one. */
export const FLAGS: ReadonlySet<string> = new Set(['--syn', '--limit-iface-in', '--limit-iface-out', '--notrack']);

/** Matches that remember packets: what stands before them decides what they see. */
export const STATEFUL: ReadonlySet<string> = new Set([
  'connlimit',
  'hashlimit',
  'limit',
  'nfacct',
  'quota',
  'rateest',
  'recent',
  'statistic',
]);

/** Protocols by number and by other names, to the name that `iptables -S` prints where /etc/protocols is Debian's. */
const PROTOCOLS: Readonly<Record<string, string>> = {
  '1': 'icmp',
  '2': 'igmp',
  '4': 'ipencap',
  '6': 'tcp',
  '17': 'udp',
  '33': 'dccp',
  '41': 'ipv6',
  '47': 'gre',
  '50': 'esp',
  '51': 'ah',
  '58': 'ipv6-icmp',
  '103': 'pim',
  '112': 'vrrp',
  '115': 'l2tp',
  '132': 'sctp',
  '136': 'udplite',
  icmpv6: 'ipv6-icmp',
  'ipv6-crypt': 'esp',
  'ipv6-auth': 'ah',
};

/** @returns "all" for any protocol */
export function protocolName(text: string): string {
  const lower = text.toLowerCase();
  return lower === '0' ? 'all' : (own(PROTOCOLS, lower) ?? lower);
}

/** The match that brings the options of a protocol, by its module's name. */
export function protocolMatch(protocol: string): string {
  return protocol === 'ipv6-icmp' ? 'icmp6' : protocol;
}

const ICMP_TYPES: Readonly<Record<Family, Readonly<Record<string, string>>>> = {
  ipv4: {
    'echo-reply': '0',
    pong: '0',
    'destination-unreachable': '3',
    'network-unreachable': '3/0',
    'host-unreachable': '3/1',
    'protocol-unreachable': '3/2',
    'port-unreachable': '3/3',
    'fragmentation-needed': '3/4',
    'source-quench': '4',
    redirect: '5',
    'echo-request': '8',
    ping: '8',
    'router-advertisement': '9',
    'router-solicitation': '10',
    'time-exceeded': '11',
    'ttl-exceeded': '11',
    'parameter-problem': '12',
    'timestamp-request': '13',
    'timestamp-reply': '14',
  },
  ipv6: {
    'destination-unreachable': '1',
    'packet-too-big': '2',
    'time-exceeded': '3',
    'ttl-exceeded': '3',
    'parameter-problem': '4',
    'echo-request': '128',
    ping: '128',
    'echo-reply': '129',
    pong: '129',
    'router-solicitation': '133',
    'router-advertisement': '134',
    'neighbour-solicitation': '135',
    'neighbor-solicitation': '135',
    'neighbour-advertisement': '136',
    'neighbor-advertisement': '136',
    redirect: '137',
  },
};

export function icmpType(text: string, family: Family): string {
  return own(ICMP_TYPES[family], text.toLowerCase()) ?? text;
}

const REJECTIONS: Readonly<Record<string, string>> = {
  'net-unreach': 'icmp-net-unreachable',
  'host-unreach': 'icmp-host-unreachable',
  'proto-unreach': 'icmp-proto-unreachable',
  'port-unreach': 'icmp-port-unreachable',
  'net-prohib': 'icmp-net-prohibited',
  'host-prohib': 'icmp-host-prohibited',
  'admin-prohib': 'icmp-admin-prohibited',
  'tcp-rst': 'tcp-reset',
};

const REJECTIONS_6: Readonly<Record<string, string>> = {
  'no-route': 'icmp6-no-route',
  'adm-prohibited': 'icmp6-adm-prohibited',
  'addr-unreach': 'icmp6-addr-unreachable',
  'port-unreach': 'icmp6-port-unreachable',
};

/** @param text undefined: the default of REJECT */
export function rejection(text: string | undefined, family: Family): string {
  if (text === undefined) return family === 'ipv6' ? 'icmp6-port-unreachable' : 'icmp-port-unreachable';
  const aliases = family === 'ipv6' ? REJECTIONS_6 : REJECTIONS;
  return (family === 'ipv6' && text === 'tcp-rst' ? 'tcp-reset' : own(aliases, text)) ?? text;
}

const LOG_LEVELS = ['emerg', 'alert', 'crit', 'error', 'warning', 'notice', 'info', 'debug'];
const LOG_NAMES: Readonly<Record<string, string>> = { panic: 'emerg', err: 'error', warn: 'warning' };

/** The number of a syslog level; other text as it is. */
export function logLevel(text: string): string {
  const lower = text.toLowerCase();
  const level = LOG_LEVELS.indexOf(own(LOG_NAMES, lower) ?? lower);
  return level < 0 ? text : String(level);
}
