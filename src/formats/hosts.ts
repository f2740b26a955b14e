import { isIPv4, isIPv6 } from 'node:net';

/** One line of /etc/hosts, hosts(5), that gives an address. */
export interface HostsLine {
  /** As it is compared, see `normaliseAddress`. */
  readonly address: string;
  readonly names: readonly string[];
  /** Line of the file, from 1. */
  readonly line: number;
}

/** Names that an address shall have. */
export interface HostsEntry {
  /** IPv4 or IPv6 address. */
  readonly address: string;
  /** One or more, the first is the canonical one, hosts(5); compared without regard to case. */
  readonly names: readonly string[];
}

/** An address as it is compared: IPv6 in the form of RFC 5952, a zone kept; null where it is none, as the resolver ignores it. */
export function normaliseAddress(text: string): string | null {
  if (isIPv4(text)) return text;
  const [bare = '', zone] = text.split('%');
  if (!isIPv6(bare)) return null;
  const short = new URL(`http://[${bare}]/`).hostname.slice(1, -1);
  return zone === undefined ? short : `${short}%${zone}`;
}

/** Whether an address never leaves the machine. */
export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** A line in its parts. */
interface Parts {
  /** What stands before the names: white space, the address as it is spelled, white space. */
  readonly head: string;
  readonly address: string;
  readonly names: readonly string[];
  /** Names as they stand, with what is between them. */
  readonly namesText: string;
  /** White space and comment after them. */
  readonly tail: string;
}

function partsOf(row: string): Parts | null {
  const hash = row.indexOf('#');
  const said = (hash < 0 ? row : row.slice(0, hash)).trimEnd();
  const [head = '', spelled = ''] = /^\s*(\S+)\s+/.exec(said) ?? [];
  const address = normaliseAddress(spelled);
  if (address === null) return null;
  const namesText = said.slice(head.length);
  return { head, address, names: namesText.split(/\s+/), namesText, tail: row.slice(said.length) };
}

/** The rows of a text without their ends, and the end of each ("" where the last has none). */
function rowsOf(text: string): { readonly row: string; readonly end: string }[] {
  return [...text.matchAll(/([^\r\n]*)(\r\n|\n|\r|$)/g)]
    .map(([, row = '', end = '']) => ({ row, end }))
    .filter(({ row, end }) => row !== '' || end !== '');
}

/** The lines of a hosts(5) file that give an address; what is none of that is ignored, as by the resolver. */
export function parseHosts(text: string): readonly HostsLine[] {
  return rowsOf(text).flatMap(({ row }, index) => {
    const parts = partsOf(row);
    return parts === null ? [] : [{ address: parts.address, names: parts.names, line: index + 1 }];
  });
}

const isSame = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
const has = (names: readonly string[], name: string): boolean => names.some((each) => isSame(each, name));

/**
 * Whether a line gives a name another address than it shall have: one of the same family, or a loopback address of either for a
 * node that others shall reach, as the `127.0.1.1` that Debian's installer writes for the node's own name.
 */
export function isRival(line: Pick<HostsLine, 'address'>, address: string): boolean {
  if (line.address === address) return false;
  return isIPv4(line.address) === isIPv4(address) || (isLoopback(line.address) && !isLoopback(address));
}

/** Where the names of an entry stand, or would be added. */
function homeOf(lines: readonly HostsLine[], { names }: HostsEntry, address: string): HostsLine | undefined {
  return lines.find((line) => line.address === address && names.some((name) => has(line.names, name)));
}

/** Whether an address has the names, the first of them as its canonical one, and no line gives one of them another address. */
export function hasHostsEntry(text: string, entry: HostsEntry): boolean {
  const address = normaliseAddress(entry.address) ?? entry.address;
  const lines = parseHosts(text);
  const home = homeOf(lines, entry, address);
  const isFirst = home !== undefined && entry.names.every((name, index) => isSame(home.names[index] ?? '', name));
  return isFirst && !lines.some((line) => isRival(line, address) && entry.names.some((name) => has(line.names, name)));
}

/**
 * The text with an entry in it: its names come first on the line of its address that has one of them, or on a new line after the
 * last of its family; lines that give them another address lose them. All other bytes stay.
 */
export function setHostsEntry(text: string, entry: HostsEntry): string {
  if (hasHostsEntry(text, entry)) return text;
  const address = normaliseAddress(entry.address) ?? entry.address;
  const home = homeOf(parseHosts(text), entry, address);
  const rewritten = rewrite(text, (parts, line) => {
    const rest = without(parts, entry.names);
    if (line === home?.line) return [...entry.names, ...rest];
    return isRival(parts, address) ? rest : parts.names;
  });
  return home === undefined ? insert(rewritten, address, `${entry.address} ${entry.names.join(' ')}`) : rewritten;
}

/**
 * The text without some names, all other bytes kept.
 * @param address only on lines with this address; null: on all
 */
export function removeHostsNames(text: string, names: readonly string[], address: string | null): string {
  const wanted = address === null ? null : normaliseAddress(address);
  return rewrite(text, (parts) => (wanted === null || parts.address === wanted ? without(parts, names) : parts.names));
}

const without = ({ names }: Parts, gone: readonly string[]): readonly string[] =>
  names.filter((name) => !has(gone, name));

/** Gives each line that has an address the names that `change` makes of it: a line that loses all of them is left out, but for its comment. */
function rewrite(text: string, change: (parts: Parts, line: number) => readonly string[]): string {
  return rowsOf(text)
    .map(({ row, end }, index) => {
      const parts = partsOf(row);
      if (parts === null) return row + end;
      const names = change(parts, index + 1);
      if (names.length === 0) return parts.tail.trim() === '' ? '' : parts.tail.trim() + end;
      const isEqual = names.length === parts.names.length && names.every((name, at) => name === parts.names[at]);
      return parts.head + (isEqual ? parts.namesText : names.join(' ')) + parts.tail + end;
    })
    .join('');
}

/** Puts a row after the last one with an address of the same family, or at the end. */
function insert(text: string, address: string, row: string): string {
  const rows = rowsOf(text);
  const end = rows.find((each) => each.end !== '')?.end ?? '\n';
  const last = rows.findLastIndex((each) => {
    const parts = partsOf(each.row);
    return parts !== null && isIPv4(parts.address) === isIPv4(address);
  });
  const at = last < 0 ? rows.length : last + 1;
  const previous = rows[at - 1];
  if (previous?.end === '') rows[at - 1] = { ...previous, end };
  rows.splice(at, 0, { row, end });
  return rows.map((each) => each.row + each.end).join('');
}
