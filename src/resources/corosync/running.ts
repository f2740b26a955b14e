import { isIPv4, isIPv6 } from 'node:net';
import { HostError } from '../../core/errors.ts';
import type { Observations } from '../../core/resource.ts';
import type { Transport } from './keys.ts';
import { CMAP, NODES, PROCESS, QUORUM, SOCKETS } from './reads.ts';
import { isRight, type Target } from './targets.ts';

/** A UDP socket of corosync. */
interface Socket {
  readonly address: string;
  readonly port: number;
}

/** What a corosync that runs is about, as far as it can be observed. */
export interface Running {
  /** Keys of cmap, see cmap_keys(7). Some lie after a refused reload: a key that is gone from the file is gone from here. */
  readonly cmap: ReadonlyMap<string, string>;
  readonly nodeid: number;
  /** Those that it is in one membership with, itself included. */
  readonly members: readonly number[];
  readonly isQuorate: boolean;
  /** Of votequorum, such as `WaitForAll`. */
  readonly flags: readonly string[];
  readonly transport: Transport;
  /** The group, or broadcast address, that it listens to. */
  readonly group: Socket | null;
  readonly sockets: readonly Socket[];
  /** Bytes of a packet with all headers; null: not known (knet, or a cluster of one node). */
  readonly netmtu: number | null;
  /** config_version as of the last reload or start; 0: none. */
  readonly version: number;
  /** The highest config_version that it has heard of. */
  readonly highestVersion: number;
}

const BROADCAST = '255.255.255.255';

/** Bytes that `corosync-cfgtool -n` leaves out: two headers of totem (struct mcast), and IP and UDP, with IPv6 as with IPv4. */
const OVERHEAD = 62 + 28;

/**
 * What the corosync of a node runs with: cmap, and where that may lie its sockets.
 * @returns null: it does not run
 * @throws HostError where it runs but does not answer
 */
export function runningOf(seen: Observations): Running | null {
  const asked = seen.run(CMAP);
  if (asked.code !== 0) {
    if (processOf(seen) === null) return null;
    throw new HostError(`corosync runs but "corosync-cmapctl" can't ask it: ${asked.stderr.trim()}`, {
      hint: asked.code === 127 ? 'install the package corosync completely' : 'look at its log; it may be starting',
    });
  }
  const cmap = parseCmap(asked.stdout);
  const sockets = parseSockets(seen.run(SOCKETS).stdout);
  const group = sockets.find(({ address }) => isGroup(address)) ?? null;
  const quorum = seen.run(QUORUM).stdout;
  const transport = transportOf(cmap, sockets, group);
  const versions = [...cmap].filter(([key]) => /^runtime\.members\.\d+\.config_version$/.test(key));
  const version = Number(cmap.get('totem.config_version') ?? 0);
  return {
    cmap,
    nodeid: Number(cmap.get('runtime.votequorum.this_node_id') ?? ownNodeid(cmap)),
    members: [...cmap].flatMap(([key, value]) => {
      const id = /^runtime\.members\.(\d+)\.status$/.exec(key)?.[1];
      return id !== undefined && value === 'joined' ? [Number(id)] : [];
    }),
    isQuorate: cmap.get('quorum.provider') === undefined || /^Quorate:\s+Yes/m.test(quorum),
    flags: /^Flags:\s+(.*)$/m.exec(quorum)?.[1]?.trim().split(/\s+/) ?? [],
    transport,
    group,
    sockets,
    netmtu: transport === 'knet' ? null : netmtuOf(seen.run(NODES).stdout),
    version,
    highestVersion: Math.max(version, ...versions.map(([, value]) => Number(value))),
  };
}

/** The process and the words that it was started with; null: there is none. */
export function processOf(seen: Observations): { readonly words: readonly string[] } | null {
  const [line] = seen.run(PROCESS).stdout.split('\n');
  return line === undefined || line === '' ? null : { words: line.split(' ').slice(2) };
}

/** `key (type) = value` lines. */
function parseCmap(text: string): Map<string, string> {
  const lines = text.matchAll(/^(\S+) \(\w+\) = ?(.*)$/gm);
  return new Map([...lines].map(([, key, value]): [string, string] => [key ?? '', value ?? '']));
}

function ownNodeid(cmap: ReadonlyMap<string, string>): string {
  return cmap.get(`nodelist.node.${cmap.get('nodelist.local_node_pos')}.nodeid`) ?? '0';
}

function parseSockets(text: string): Socket[] {
  return text.split('\n').flatMap((line) => {
    const [, , , local = ''] = line.trim().split(/\s+/);
    const parts = /^\[?([^\]%]+)(?:%[^\]:]+)?\]?:(\d+)$/.exec(local);
    if (parts === null || !line.includes('(("corosync",')) return [];
    return [{ address: parts[1] ?? '', port: Number(parts[2]) }];
  });
}

function isGroup(address: string): boolean {
  if (!isIPv4(address)) return isIPv6(address) && /^ff/i.test(address);
  return address === BROADCAST || /^2(2[4-9]|3\d)\./.test(address);
}

/** cmap lacks a transport that was removed from the file: udp is known by its group, udpu by a socket for each peer. */
function transportOf(cmap: ReadonlyMap<string, string>, sockets: readonly Socket[], group: Socket | null): Transport {
  if (group !== null) return 'udp';
  const isUdpu = cmap.get('totem.transport') === 'udpu' || sockets.some(({ port }) => port >= 32_768);
  return isUdpu ? 'udpu' : 'knet';
}

function netmtuOf(text: string): number | null {
  const found = /LINK: 0 .* mtu: (\d+)/.exec(text);
  return found === null ? null : Number(found[1]) + OVERHEAD;
}

/** Keys that votequorum reads at the start only, and the flag that tells of them. */
const FLAGS: Readonly<Record<string, string>> = {
  'quorum.two_node': '2Node',
  'quorum.wait_for_all': 'WaitForAll',
  'quorum.last_man_standing': 'LastManStanding',
  'quorum.auto_tie_breaker': 'AutoTieBreaker',
  'quorum.allow_downscale': 'AllowDownscale',
};

/** Nothing tells what a running corosync has of these: it reads them at the start, and cmap shows the file. */
const UNKNOWN: ReadonlySet<string> = new Set([
  'totem.link_mode',
  'quorum.last_man_standing_window',
  'quorum.auto_tie_breaker_node',
  'quorum.expected_votes_tracking',
]);
const UNKNOWN_OF_LINKS: ReadonlySet<string> = new Set(['bindnetaddr', 'ttl', 'knet_transport']);

/** A running value: `is` says whether it is as wanted; undefined: it can't be observed. */
export type Found = { readonly is: boolean; readonly value: string | null } | undefined;

/** What a running corosync has of a target. */
export function foundOf(target: Target, running: Running): Found {
  const { property, key, of } = target;
  if (UNKNOWN.has(property)) return undefined;
  if (key === null) return blockFound(target, running);
  if (key.section === 'node') return found(target, running.cmap.get(`${nodePrefix(running, of)}.${key.name}`) ?? null);
  if (key.section === 'interface') return foundOfLink(target, key.name, Number(of), running);
  const flag = FLAGS[property];
  if (flag !== undefined) return foundFlag(target, flag, running);
  if (property === 'totem.transport') return found(target, running.transport, 'knet');
  if (property === 'totem.netmtu' && running.netmtu !== null) return found(target, String(running.netmtu), '1500');
  if (property === 'totem.token') return foundToken(target, running);
  const inForce = running.cmap.get(`runtime.config.${property}`);
  if (inForce !== undefined && target.value !== null && key.kind.is === 'number') return found(target, inForce);
  return found(target, running.cmap.get(property) ?? null);
}

/** @param byDefault what the daemon does where the key is absent */
function found(target: Target, value: string | null, byDefault: string | null = null): Found {
  const wanted = target.value === null ? { ...target, value: byDefault } : target;
  return { is: isRight(wanted, value), value };
}

function foundFlag(target: Target, flag: string, running: Running): Found {
  // two_node brings wait_for_all along unless the file says otherwise.
  if (flag === 'WaitForAll' && target.value === null && running.flags.includes('2Node')) return undefined;
  return found(target, running.flags.includes(flag) ? '1' : '0', '0');
}

/** What is in force grows with the number of nodes (totem_volatile_config_read). */
function foundToken(target: Target, { cmap }: Running): Found {
  const inForce = cmap.get('runtime.config.totem.token');
  if (inForce === undefined) return undefined;
  const nodes = [...cmap.keys()].filter((key) => /^nodelist\.node\.\d+\.ring0_addr$/.test(key)).length;
  const more = nodes > 2 ? (nodes - 2) * Number(cmap.get('totem.token_coefficient') ?? 650) : 0;
  const value = Number(inForce) - more;
  return found(target, String(value), '3000');
}

function foundOfLink(target: Target, name: string, link: number, running: Running): Found {
  const { cmap, group, sockets, transport } = running;
  if (UNKNOWN_OF_LINKS.has(name)) return undefined;
  if (name === 'mcastport') return foundPort(target, link, running);
  if (name === 'mcastaddr') {
    if (transport !== 'udp') return undefined;
    return target.value === null ? undefined : found(target, group?.address ?? null);
  }
  if (name === 'broadcast') {
    const isBroadcast = sockets.some(({ address }) => address === BROADCAST);
    return found(target, isBroadcast ? 'yes' : 'no', 'no');
  }
  const key = `totem.interface.${link}.${name}`;
  return found(
    target,
    (target.value === null ? undefined : cmap.get(`runtime.config.${key}`)) ?? cmap.get(key) ?? null,
  );
}

function foundPort(target: Target, link: number, { transport, group, sockets }: Running): Found {
  if (transport === 'udp') return found(target, group === null ? null : String(group.port), '5405');
  const ports = sockets.map(({ port }) => port).filter((port) => transport === 'knet' || port < 32_768);
  const wanted = Number(target.value ?? 5405 + link);
  if (ports.includes(wanted)) return { is: true, value: String(wanted) };
  return { is: false, value: ports.length === 0 ? null : ports.join(' ') };
}

function blockFound(target: Target, running: Running): Found {
  const prefix = typeof target.of === 'number' ? `totem.interface.${target.of}` : nodePrefix(running, target.of);
  // A link has keys in cmap as long as a node has an address on it.
  const isThere = typeof target.of === 'string' && [...running.cmap.keys()].some((key) => key.startsWith(`${prefix}.`));
  return typeof target.of === 'number' ? undefined : { is: !isThere, value: isThere ? 'present' : null };
}

/** Where cmap has a node of this name; a prefix that it has not, where there is none. */
function nodePrefix({ cmap }: Running, name: string | number | null): string {
  for (const [key, value] of cmap) {
    const at = /^(nodelist\.node\.\d+)\.(name|ring0_addr)$/.exec(key);
    if (at !== null && value === name) return at[1] ?? '';
  }
  return 'nodelist.node.none';
}
