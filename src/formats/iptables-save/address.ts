import { isIPv4, isIPv6 } from 'node:net';

export type Family = 'ipv4' | 'ipv6';

/** Addresses that agree with `address` in the bits that `mask` has. */
export interface Network {
  readonly family: Family;
  readonly address: bigint;
  readonly mask: bigint;
}

const WIDTH: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 };

/**
 * Reads what follows -s or -d: an address, with /LENGTH or /MASK behind it or not. Bits outside of the mask are cleared, and
 * IPv4 addresses may leave out their last numbers (10/8), as iptables does.
 * @returns undefined for anything else, such as the name of a host
 */
export function parseNetwork(text: string, family: Family): Network | undefined {
  const [host = '', length] = text.split(/\/(.*)/s);
  const address = parseAddress(host, family);
  const mask = length === undefined ? prefixMask(WIDTH[family], family) : parseMask(length, family);
  if (address === undefined || mask === undefined) return undefined;
  return { family, address: address & mask, mask };
}

/** As `iptables -S` prints it: always with a length, or with a mask that no length can say. */
export function formatNetwork({ family, address, mask }: Network): string {
  const length = prefixLength(mask, family);
  return `${formatAddress(address, family)}/${length ?? formatAddress(mask, family)}`;
}

/** Whether every address of `inner` is one of `outer`. */
export function containsNetwork(outer: Network, inner: Network): boolean {
  return (
    outer.family === inner.family &&
    (outer.mask & inner.mask) === outer.mask &&
    (inner.address & outer.mask) === outer.address
  );
}

/** Whether no address is in both. */
export function areDisjoint(one: Network, other: Network): boolean {
  const both = one.mask & other.mask;
  return one.family !== other.family || (one.address & both) !== (other.address & both);
}

function parseAddress(text: string, family: Family): bigint | undefined {
  if (family === 'ipv6') return isIPv6(text) && !text.includes('%') ? parseIpv6(text) : undefined;
  const parts = text.split('.');
  const full = [...parts, '0', '0', '0'].slice(0, 4).join('.');
  return parts.length <= 4 && isIPv4(full) ? joinGroups(full.split('.').map(Number), 8) : undefined;
}

function parseIpv6(text: string): bigint {
  const tail = /(?:^|:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)?.[1];
  const numbers = tail?.split('.').map(Number) ?? [];
  const [a = 0, b = 0, c = 0, d = 0] = numbers;
  const groupsOnly =
    tail === undefined
      ? text
      : `${text.slice(0, -tail.length)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  const [head = [], rest = []] = groupsOnly.split('::').map((side) => side.split(':').filter((group) => group !== ''));
  const zeros = Array<string>(Math.max(0, 8 - head.length - rest.length)).fill('0');
  const groups = [...head, ...zeros, ...rest].map((group) => Number.parseInt(group, 16));
  return joinGroups(groups, 16);
}

function joinGroups(groups: readonly number[], bits: number): bigint {
  let value = 0n;
  for (const group of groups) value = (value << BigInt(bits)) | BigInt(group);
  return value;
}

function parseMask(text: string, family: Family): bigint | undefined {
  if (/^\d+$/.test(text)) return Number(text) <= WIDTH[family] ? prefixMask(Number(text), family) : undefined;
  if (family === 'ipv4' && !isIPv4(text)) return undefined;
  return parseAddress(text, family);
}

function prefixMask(length: number, family: Family): bigint {
  const width = WIDTH[family];
  return ((1n << BigInt(length)) - 1n) << BigInt(width - length);
}

function prefixLength(mask: bigint, family: Family): number | undefined {
  const width = WIDTH[family];
  for (let length = 0; length <= width; length++) if (prefixMask(length, family) === mask) return length;
  return undefined;
}

/** `address` has 32 or 128 bits. */
export function formatAddress(address: bigint, family: Family): string {
  const groups = (count: number, bits: number): number[] =>
    Array.from({ length: count }, (_, index) =>
      Number((address >> BigInt(bits * (count - 1 - index))) & ((1n << BigInt(bits)) - 1n)),
    );
  if (family === 'ipv4') return groups(4, 8).join('.');
  // inet_ntop writes mapped IPv4 addresses so.
  if (address >> 32n === 0xffffn) return `::ffff:${formatAddress(address & 0xffffffffn, 'ipv4')}`;
  const words = groups(8, 16).map((group) => group.toString(16));
  const runs = [...words.join(':').matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g)].map(([run]) => run);
  const longest = runs.find((run) => run.length === Math.max(...runs.map((each) => each.length)));
  if (longest === undefined) return words.join(':');
  const joined = words.join(':');
  const at = joined.search(new RegExp(`(?<![0-9a-f])${longest}(?![0-9a-f])`));
  return `${joined.slice(0, at).replace(/:$/, '')}::${joined.slice(at + longest.length).replace(/^:/, '')}`;
}
