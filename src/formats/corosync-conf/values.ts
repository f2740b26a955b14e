import type { Fault } from '../../core/errors.ts';
import { codeFrame, sourceAt } from '../../core/source.ts';
import type { ConfBlock, ConfItem, CorosyncConf } from './model.ts';
import { printCorosyncConf } from './parse.ts';

const U8 = 255n;
const U16 = 65_535n;
const U32 = 4_294_967_295n;
const U64 = 18_446_744_073_709_551_615n;

type Rule = { readonly min: bigint; readonly max: bigint } | { readonly words: readonly string[] };

const numbers = (path: string, max: bigint, keys: string): readonly (readonly [string, Rule])[] =>
  keys.split(' ').map((key) => [`${path}.${key}`, { min: 0n, max }]);
const words = (path: string, ...allowed: readonly string[]): readonly [string, Rule] => [path, { words: allowed }];

/** What coroparse.c of corosync 3.1.7 looks at while it reads; man page corosync.conf(5). */
const RULES: ReadonlyMap<string, Rule> = new Map([
  ...numbers('pload', U32, 'count size'),
  ...numbers('quorum', U32, 'expected_votes votes last_man_standing_window leaving_timeout'),
  ...numbers(
    'quorum',
    U8,
    'two_node expected_votes_tracking allow_downscale wait_for_all auto_tie_breaker last_man_standing',
  ),
  ...numbers('quorum.device', U32, 'timeout sync_timeout votes'),
  ...numbers('quorum.device', U8, 'master_wins'),
  ...numbers('totem', U32, 'version nodeid threads token token_coefficient token_retransmit token_warning hold'),
  ...numbers('totem', U32, 'token_retransmits_before_loss_const join send_join consensus merge downcheck'),
  ...numbers('totem', U32, 'fail_recv_const seqno_unchanged_const rrp_token_expired_timeout rrp_problem_count_timeout'),
  ...numbers('totem', U32, 'rrp_problem_count_threshold rrp_problem_count_mcast_threshold'),
  ...numbers('totem', U32, 'rrp_autorecovery_check_timeout heartbeat_failures_allowed max_network_delay window_size'),
  ...numbers(
    'totem',
    U32,
    'max_messages miss_count_const knet_pmtud_interval knet_mtu knet_compression_threshold netmtu',
  ),
  ...numbers('totem', U64, 'config_version'),
  ...numbers('totem.interface', U8, 'linknumber ttl knet_link_priority'),
  ...numbers('totem.interface', U16, 'mcastport'),
  ...numbers('totem.interface', U32, 'knet_ping_interval knet_ping_timeout knet_ping_precision knet_pong_count'),
  ...numbers('nodelist.node', U32, 'nodeid quorum_votes'),
  ...numbers('resources', U32, 'watchdog_timeout'),
  ['totem.knet_compression_level', { min: -2_147_483_648n, max: 2_147_483_647n }],
  words('totem.ip_version', 'ipv4', 'ipv6', 'ipv4-6', 'ipv6-4'),
  words('totem.crypto_cipher', 'none', 'aes256', 'aes192', 'aes128'),
  words('totem.crypto_hash', 'none', 'md5', 'sha1', 'sha256', 'sha384', 'sha512'),
  words('system.qb_ipc_type', 'native', 'shm', 'socket'),
  words('system.sched_rr', 'yes', 'no'),
  words('system.move_to_root_cgroup', 'yes', 'no', 'auto'),
  words('system.allow_knet_handle_fallback', 'yes', 'no'),
]);

/**
 * The values that corosync 3.1.7 refuses while it reads the file, or that make it abort (`config_version: abc`), in order. Whether
 * values fit together, such as crypto with udp, is not looked at.
 */
export function valueFaults(conf: CorosyncConf): readonly Fault[] {
  const faults: (Fault & { line: number })[] = [];
  const text = printCorosyncConf(conf);
  const visit = (block: ConfBlock): void => {
    for (const item of block.items) {
      const message = objection(`${block.path}.${item.key}`, item);
      if (message !== undefined) faults.push({ line: item.line, message, ...placeOf(conf, text, item) });
    }
    for (const inner of block.blocks) visit(inner);
  };
  visit(conf.root);
  return faults.toSorted((a, b) => a.line - b.line).map(({ line: _, ...fault }) => fault);
}

function objection(path: string, { key, value }: ConfItem): string | undefined {
  const rule = RULES.get(path);
  if (rule === undefined) return undefined;
  if ('words' in rule) {
    if (rule.words.includes(value)) return undefined;
    return `"${key}" is "${value}", corosync takes ${rule.words.map((word) => `"${word}"`).join(', ')}`;
  }
  const number = /^[+-]?\d+$/.test(value) ? BigInt(value.replace('+', '')) : undefined;
  if (number !== undefined && number >= rule.min && number <= rule.max) return undefined;
  return `"${key}" is "${value}", corosync takes a whole number from ${rule.min} to ${rule.max}`;
}

function placeOf(conf: CorosyncConf, text: string, item: ConfItem): Pick<Fault, 'source' | 'frame'> {
  const raw = conf.lines[item.line]?.raw ?? '';
  const start = conf.lines.slice(0, item.line).reduce((length, line) => length + line.raw.length, 0);
  const source = sourceAt(conf.file, text, start + Math.max(0, raw.lastIndexOf(item.value)));
  return { source, frame: codeFrame(text, source) };
}
