/**
 * What it takes until a running corosync has a new value. reload: `corosync-cfgtool -R` gives it; restart-node: read at the start only, and
 * nodes with the old and the new value get along; restart-cluster: refused at run time, and a node with the new value does not find
 * those with the old one, so all of them stop before the first starts.
 */
export type Effect = 'reload' | 'restart-node' | 'restart-cluster';

/** What a value may be. Numbers are whole. */
export type Kind =
  | { readonly is: 'number'; readonly min: number; readonly max: number; readonly unit?: string }
  | { readonly is: 'words'; readonly words: readonly string[] }
  /** Two words that true and false may stand for. */
  | { readonly is: 'flag'; readonly yes: string; readonly no: string }
  | { readonly is: 'address'; readonly of: 'multicast' | 'any' }
  | { readonly is: 'text' };

/** The blocks that have keys of their own; `interface` stands for `totem.interface`. */
export type Section = 'totem' | 'interface' | 'quorum' | 'logging' | 'system' | 'node';

/** One key of corosync.conf(5) or votequorum(5). */
export interface Key {
  readonly section: Section;
  readonly name: string;
  readonly kind: Kind;
  readonly effect: Effect;
  /** What it means, with its default. */
  readonly about: string;
  /** The transports that take it; left out: all. */
  readonly only?: readonly Transport[];
}

export type Transport = 'knet' | 'udp' | 'udpu';

const U32 = 4_294_967_295;
const KNET: readonly Transport[] = ['knet'];
const UDP: readonly Transport[] = ['udp'];

const number = (min: number, max: number, unit?: string): Kind => ({
  is: 'number',
  min,
  max,
  ...(unit !== undefined && { unit }),
});
const ms = (min = 0) => number(min, U32, 'milliseconds');
const words = (...list: string[]): Kind => ({ is: 'words', words: list });
const flag = (yes: string, no: string): Kind => ({ is: 'flag', yes, no });
const YES = flag('yes', 'no');
const ON = flag('on', 'off');
const ONE = flag('1', '0');
const TEXT: Kind = { is: 'text' };

type Row = readonly [name: string, kind: Kind, effect: Effect, about: string, only?: readonly Transport[]];

const TOTEM: readonly Row[] = [
  [
    'transport',
    words('knet', 'udp', 'udpu'),
    'restart-cluster',
    'How nodes talk: knet (unicast, the default), udp (multicast) or udpu (unicast)',
  ],
  [
    'netmtu',
    number(576, 65_536, 'bytes'),
    'restart-cluster',
    'Largest packet; default 1500 with udp and udpu, 65536 with knet (there it is no MTU of the network: see knet_mtu)',
  ],
  [
    'cluster_name',
    TEXT,
    'restart-cluster',
    'Name of the cluster; with udp the multicast group follows from it where mcastaddr is not set',
  ],
  [
    'ip_version',
    words('ipv4', 'ipv6', 'ipv4-6', 'ipv6-4'),
    'restart-cluster',
    'What names are looked up as; default ipv6-4, with udp ipv4',
  ],
  ['token', ms(30), 'reload', 'Time without the token after which it counts as lost; default 3000'],
  ['token_coefficient', ms(), 'reload', 'Added to token for each node beyond two; default 650'],
  ['token_warning', number(0, 100, 'percent of token'), 'reload', 'When a late token is logged, 0 never; default 75'],
  ['token_retransmit', ms(30), 'reload', 'Time after which a token is sent again; by default worked out from token'],
  [
    'token_retransmits_before_loss_const',
    number(1, U32),
    'reload',
    'Attempts to send the token before a new membership is formed; default 4',
  ],
  [
    'hold',
    ms(30),
    'reload',
    'How long the token is held while there is little to send; by default worked out from token',
  ],
  [
    'consensus',
    ms(),
    'reload',
    'How long to wait for agreement on a membership, at least 1.2 times the token time in force; that is its default',
  ],
  ['join', ms(), 'reload', 'How long to wait for join messages; default 50'],
  [
    'send_join',
    ms(),
    'reload',
    'Upper bound of a random wait before a join message; default 0, with more than 32 nodes 80',
  ],
  ['merge', ms(), 'reload', 'How long without traffic before looking for another partition; default 200'],
  ['downcheck', ms(), 'reload', 'How long before looking whether a device is up again; default 1000'],
  [
    'fail_recv_const',
    number(1, U32, 'rotations'),
    'reload',
    'Rotations of the token without an expected message after which a new membership is formed; default 2500',
  ],
  [
    'seqno_unchanged_const',
    number(1, U32, 'rotations'),
    'reload',
    'Rotations without traffic before the token is held; default 30',
  ],
  ['heartbeat_failures_allowed', number(0, U32), 'reload', 'Heartbeats that may fail; 0, the default: no heartbeat'],
  ['max_network_delay', ms(), 'reload', 'Time that a packet takes, for the heartbeat; default 50'],
  [
    'window_size',
    number(1, U32, 'messages'),
    'reload',
    'Messages sent in one rotation; default 50, with slow nodes at most 256000 / netmtu',
  ],
  [
    'max_messages',
    number(1, U32, 'messages'),
    'reload',
    'Messages that one node sends in one rotation, at most 256000 / netmtu; default 17',
  ],
  [
    'miss_count_const',
    number(1, U32),
    'reload',
    'Times that a missing message is looked for before it is asked for again; default 5',
  ],
  [
    'cancel_token_hold_on_retransmit',
    YES,
    'reload',
    'Whether the token is never held while messages are sent again; default no',
  ],
  [
    'block_unlisted_ips',
    YES,
    'reload',
    'Whether packets of addresses that are not in the nodelist are dropped (knet, udpu); default yes',
  ],
  ['secauth', ON, 'reload', 'Short for crypto_cipher: aes256 and crypto_hash: sha256; default off', KNET],
  [
    'crypto_cipher',
    words('none', 'aes256', 'aes192', 'aes128'),
    'reload',
    'Encryption, needs crypto_hash; default none',
    KNET,
  ],
  [
    'crypto_hash',
    words('none', 'md5', 'sha1', 'sha256', 'sha384', 'sha512'),
    'reload',
    'Authentication; default none',
    KNET,
  ],
  [
    'crypto_model',
    words('nss', 'openssl', 'gcrypt'),
    'reload',
    'Library for both, as libknet was built with; default nss',
    KNET,
  ],
  ['keyfile', TEXT, 'reload', 'Path of the shared key; default /etc/corosync/authkey', KNET],
  [
    'link_mode',
    words('passive', 'active', 'rr'),
    'restart-node',
    'Which links carry traffic: the one with the highest priority, all, or in turn; default passive',
    KNET,
  ],
  ['knet_mtu', number(0, 65_535, 'bytes'), 'reload', 'MTU of the links; 0, the default: found out', KNET],
  ['knet_pmtud_interval', number(1, U32, 'seconds'), 'reload', 'How often the MTU is looked for; default 30', KNET],
  [
    'knet_compression_model',
    words('none', 'zlib', 'lz4', 'lz4hc', 'lzo2', 'lzma', 'bzip2', 'zstd'),
    'reload',
    'Compression, as libknet was built with; default none',
    KNET,
  ],
  [
    'knet_compression_threshold',
    number(0, U32, 'bytes'),
    'reload',
    'Smaller packets are not compressed; 0 means the default, 100',
    KNET,
  ],
  [
    'knet_compression_level',
    number(-2_147_483_648, 2_147_483_647),
    'reload',
    "The compression library's own level",
    KNET,
  ],
];

const INTERFACE: readonly Row[] = [
  [
    'bindnetaddr',
    { is: 'address', of: 'any' },
    'restart-cluster',
    'Address of the node or of its network; not needed with a nodelist',
    UDP,
  ],
  [
    'mcastaddr',
    { is: 'address', of: 'multicast' },
    'restart-cluster',
    'Multicast group; where it is not set it follows from cluster_name',
    UDP,
  ],
  ['broadcast', YES, 'restart-cluster', 'Whether the broadcast address is used in place of a group; default no', UDP],
  ['ttl', number(0, 255), 'restart-cluster', 'TTL of multicast packets, more than 1 to cross routers; default 1', UDP],
  [
    'mcastport',
    number(2, 65_535),
    'restart-cluster',
    'UDP port; with udp the port below is used too, so clusters that share a group need a gap of 2; default 5405, with knet plus linknumber',
  ],
  [
    'knet_link_priority',
    number(0, 255),
    'reload',
    'With link_mode passive the link with the highest number is used; default 0',
    KNET,
  ],
  [
    'knet_ping_interval',
    ms(1),
    'reload',
    'Time between two pings, goes with knet_ping_timeout; by default worked out from token',
    KNET,
  ],
  [
    'knet_ping_timeout',
    ms(1),
    'reload',
    'Time without an answer after which a link is down; by default worked out from token',
    KNET,
  ],
  [
    'knet_ping_precision',
    number(1, U32, 'samples'),
    'reload',
    'Latencies that the average is made of; default 2048',
    KNET,
  ],
  ['knet_pong_count', number(1, 255), 'reload', 'Answers after which a link is up; default 2', KNET],
  ['knet_transport', words('udp', 'sctp'), 'restart-cluster', 'Protocol below knet; default udp', KNET],
];

const QUORUM: readonly Row[] = [
  ['provider', words('corosync_votequorum'), 'restart-cluster', 'Quorum algorithm; not set: none'],
  [
    'expected_votes',
    number(1, U32, 'votes'),
    'reload',
    'Votes of the whole cluster; by default counted in the nodelist',
  ],
  [
    'two_node',
    ONE,
    'reload',
    'Whether one of two nodes is enough; turns wait_for_all on unless that is set; default 0',
  ],
  ['wait_for_all', ONE, 'restart-node', 'Whether the first quorum needs all nodes at once; default 0'],
  ['last_man_standing', ONE, 'restart-node', 'Whether expected_votes follows when nodes go; default 0'],
  ['last_man_standing_window', ms(1), 'restart-node', 'How long after nodes went; default 10000'],
  [
    'auto_tie_breaker',
    ONE,
    'restart-node',
    'Whether one half of the nodes may go on; with an odd number of nodes it needs wait_for_all; default 0',
  ],
  [
    'auto_tie_breaker_node',
    TEXT,
    'restart-node',
    'The half with the lowest or highest nodeid, or a nodeid; default lowest',
  ],
  ['allow_downscale', ONE, 'restart-node', 'Whether expected_votes falls when nodes leave in order; default 0'],
  ['expected_votes_tracking', ONE, 'restart-node', 'Whether the highest number of votes is remembered; default 0'],
];

const PRIORITIES = words('alert', 'crit', 'debug', 'emerg', 'err', 'info', 'notice', 'warning');

const LOGGING: readonly Row[] = [
  ['debug', words('on', 'off', 'trace'), 'reload', 'Debug messages; default off'],
  ['timestamp', words('on', 'off', 'hires'), 'reload', 'Time of messages; default hires'],
  ['fileline', ON, 'reload', 'File and line of the source; default off'],
  ['function_name', ON, 'reload', 'Function of the source; default off'],
  ['blackbox', ON, 'reload', 'Whether the last messages are kept in memory; default on'],
  ['to_stderr', YES, 'reload', 'Messages to standard error; default yes'],
  ['to_syslog', YES, 'reload', 'Messages to syslog; default yes'],
  ['to_logfile', YES, 'reload', 'Messages to logfile; default no'],
  ['logfile', TEXT, 'reload', 'Path of the log file, needed with to_logfile'],
  ['logfile_priority', PRIORITIES, 'reload', 'Least level in the log file; default info'],
  [
    'syslog_facility',
    words('daemon', ...[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `local${n}`)),
    'reload',
    'Facility of messages to syslog; default daemon',
  ],
  ['syslog_priority', PRIORITIES, 'reload', 'Least level in syslog; default info'],
];

const SYSTEM: readonly Row[] = [
  ['qb_ipc_type', words('native', 'shm', 'socket'), 'restart-node', 'How clients talk to it; default native'],
  ['sched_rr', YES, 'restart-node', 'Whether it asks for round robin real-time scheduling; default yes'],
  ['priority', TEXT, 'restart-node', 'Priority without sched_rr: max, min or a nice value'],
  [
    'move_to_root_cgroup',
    words('yes', 'no', 'auto'),
    'restart-node',
    'Whether it moves to the root cgroup; default auto',
  ],
  ['allow_knet_handle_fallback', YES, 'restart-node', 'Whether it may run without privileges; default no'],
  ['state_dir', TEXT, 'restart-node', 'Folder of its state; default /var/lib/corosync'],
];

/** The addresses that a node may have: ring0_addr to ring7_addr. */
export const RINGS = [0, 1, 2, 3, 4, 5, 6, 7] as const;

const NODE: readonly Row[] = [
  ['nodeid', number(1, U32), 'restart-cluster', 'Number of the node; needed for a new one'],
  ['quorum_votes', number(0, U32, 'votes'), 'reload', 'Its votes; default 1'],
  ...RINGS.map((ring): Row => {
    const about = `Its address or name on link ${ring}${ring === 0 ? '; needed for a new node' : ''}`;
    return ring === 0
      ? [`ring${ring}_addr`, TEXT, 'restart-cluster', about]
      : [`ring${ring}_addr`, TEXT, 'restart-cluster', about, KNET];
  }),
];

const keysOf = (section: Section, rows: readonly Row[]): readonly Key[] =>
  rows.map(([name, kind, effect, about, only]) => ({ section, name, kind, effect, about, ...(only && { only }) }));

/**
 * Every key that can be managed, and what a running corosync makes of its change: corosync.conf(5), votequorum(5); remove_ro_entries in
 * cfg.c, votequorum_readconfig and totemknet.c of corosync 3.1.7; each row was tried on a running cluster.
 */
export const KEYS: Readonly<Record<Section, readonly Key[]>> = {
  totem: keysOf('totem', TOTEM),
  interface: keysOf('interface', INTERFACE),
  quorum: keysOf('quorum', QUORUM),
  logging: keysOf('logging', LOGGING),
  system: keysOf('system', SYSTEM),
  node: keysOf('node', NODE),
};

/** From the cheapest to the dearest. */
const ORDER: readonly Effect[] = ['reload', 'restart-node', 'restart-cluster'];

/** The effect that costs most; reload where there is none. */
export function heaviest(effects: readonly Effect[]): Effect {
  return ORDER[Math.max(0, ...effects.map((effect) => ORDER.indexOf(effect)))] ?? 'reload';
}
