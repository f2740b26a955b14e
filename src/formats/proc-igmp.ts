import { FormatError } from './format-error.ts';
import { formatAddress } from './iptables-save/address.ts';

/** When a membership report will be sent. */
export interface ReportTimer {
  readonly isRunning: boolean;
  /** Hundredths of a second left, 0 where it does not run. */
  readonly ticks: number;
}

/** A group that an interface has joined. */
export interface IgmpGroup {
  /** Dotted. */
  readonly address: string;
  /** How many sockets, and the kernel itself, have joined. */
  readonly users: number;
  readonly timer: ReportTimer;
  /** Whether this node was the last to report the group: IGMPv2 keeps others silent then. */
  readonly isReporter: boolean;
  /** From 1. */
  readonly line: number;
}

/** An interface with IPv4 on it. */
export interface IgmpInterface {
  readonly index: number;
  readonly name: string;
  /** What the kernel counts; a group that comes or goes during the read makes it differ from `groups`. */
  readonly count: number;
  /** The version in force: that of the queriers heard, or of force_igmp_version. NONE: a kernel without multicast. */
  readonly querier: 'V1' | 'V2' | 'V3' | 'NONE';
  readonly groups: readonly IgmpGroup[];
  /** From 1. */
  readonly line: number;
}

/** /proc/net/igmp with every byte kept. */
export interface ProcIgmp {
  /** Lines with their line ends. */
  readonly raw: readonly string[];
  readonly interfaces: readonly IgmpInterface[];
}

/** One line of /proc/net/igmp6: a group that an interface has joined. */
export interface Igmp6Group {
  readonly index: number;
  readonly name: string;
  /** As RFC 5952 writes it. */
  readonly address: string;
  readonly users: number;
  /** MAF_* of include/net/if_inet6.h. */
  readonly flags: number;
  /** Hundredths of a second until the report. */
  readonly ticks: number;
  /** From 1. */
  readonly line: number;
}

/** /proc/net/igmp6 with every byte kept. */
export interface ProcIgmp6 {
  readonly raw: readonly string[];
  readonly groups: readonly Igmp6Group[];
}

const HEADER = /^Idx\s+Device\s*:\s*Count\s+Querier\s+Group\s+Users\s+Timer\s+Reporter$/;
const INTERFACE = /^(?<index>\d{1,10})\s+(?<name>[^\s:/]{1,15})\s*:\s*(?<count>\d{1,10})\s+(?<querier>V[123]|NONE)$/;
const GROUP =
  /^\s*(?<group>[0-9A-F]{8})\s+(?<users>\d{1,10})\s+(?<running>[01]):(?<ticks>[0-9A-F]{8,16})\s+(?<reporter>[01])$/i;
const GROUP_6 =
  /^(?<index>\d{1,10})\s+(?<name>[^\s:/]{1,15})\s+(?<group>[0-9a-f]{32})\s+(?<users>\d{1,10})\s+(?<flags>[0-9A-F]{8})\s+(?<ticks>-?\d{1,19})$/i;

/**
 * Reads /proc/net/igmp (`igmp_mc_seq_show` in net/ipv4/igmp.c).
 * @param endianness byte order of the node's CPU: the kernel prints a group as it lies in memory
 * @throws FormatError at a line that the kernel does not print so, or with a group that is no multicast address
 */
export function parseProcIgmp(
  text: string,
  file = '/proc/net/igmp',
  endianness: 'little' | 'big' = 'little',
): ProcIgmp {
  const raw = linesOf(text);
  const interfaces: (IgmpInterface & { groups: IgmpGroup[] })[] = [];
  let hasHeader = false;
  for (const [index, row] of raw.entries()) {
    const line = index + 1;
    const content = row.trimEnd();
    const fail = (fault: string, hint: string): never => {
      throw new FormatError(fault, { file, line, column: Math.max(1, content.search(/\S/) + 1) }, text, hint);
    };
    if (content === '') continue;
    if (!hasHeader) {
      if (!HEADER.test(content)) fail('the line is not the header of /proc/net/igmp', 'it begins with "Idx Device"');
      hasHeader = true;
      continue;
    }
    const device = INTERFACE.exec(content)?.groups;
    if (device) {
      interfaces.push({ ...readInterface(device), groups: [], line });
      continue;
    }
    const group = GROUP.exec(content)?.groups;
    if (group === undefined) return fail('the line is neither an interface nor a group', 'it may be cut off');
    const owner = interfaces.at(-1);
    if (owner === undefined) return fail('a group stands before any interface', 'the text may be cut off at its start');
    const address = addressOf(group.group ?? '', endianness);
    if (!/^(?:22[4-9]|23\d)\./.test(address)) {
      const hint = `read as a ${endianness}-endian number; a node with the other byte order has to be read as such`;
      fail(`"${group.group}" is no multicast address but ${address}`, hint);
    }
    owner.groups.push({ ...readGroup(group), address, line });
  }
  if (!hasHeader) {
    throw new FormatError(
      'there is no header',
      { file, line: 1, column: 1 },
      text,
      'the kernel prints one even without interfaces',
    );
  }
  return { raw, interfaces };
}

/** The text that was parsed, byte for byte. */
export function printProcIgmp(table: ProcIgmp): string {
  return table.raw.join('');
}

/**
 * Reads /proc/net/igmp6 (`igmp6_mc_seq_show` in net/ipv6/mcast.c). Its addresses are in network order on every CPU, and it has no header.
 * @throws FormatError at a line that the kernel does not print so, or with a group that is no multicast address
 */
export function parseProcIgmp6(text: string, file = '/proc/net/igmp6'): ProcIgmp6 {
  const raw = linesOf(text);
  const groups = raw.flatMap((row, index) => {
    const content = row.trimEnd();
    if (content === '') return [];
    const found = GROUP_6.exec(content)?.groups;
    const place = { file, line: index + 1, column: 1 };
    if (found === undefined) throw new FormatError('the line is no IPv6 group', place, text, 'it may be cut off');
    const address = formatAddress(BigInt(`0x${found.group}`), 'ipv6');
    if (!address.startsWith('ff')) throw new FormatError(`${address} is no multicast address`, place, text);
    const { index: device, name = '', users, flags = '', ticks } = found;
    return [
      {
        index: Number(device),
        name,
        address,
        users: Number(users),
        flags: Number.parseInt(flags, 16),
        ticks: Number(ticks),
        line: index + 1,
      },
    ];
  });
  return { raw, groups };
}

/** The text that was parsed, byte for byte. */
export function printProcIgmp6(table: ProcIgmp6): string {
  return table.raw.join('');
}

type Groups = Readonly<Record<string, string>>;

function readInterface({ index, name = '', count, querier }: Groups): Omit<IgmpInterface, 'groups' | 'line'> {
  const versions = ['V1', 'V2', 'V3'] as const;
  return {
    index: Number(index),
    name,
    count: Number(count),
    querier: versions.find((version) => version === querier) ?? 'NONE',
  };
}

function readGroup({ users, running, ticks = '', reporter }: Groups): Omit<IgmpGroup, 'address' | 'line'> {
  return {
    users: Number(users),
    timer: { isRunning: running === '1', ticks: Number.parseInt(ticks, 16) },
    isReporter: reporter === '1',
  };
}

function addressOf(hex: string, endianness: 'little' | 'big'): string {
  const bytes = hex.match(/../g) ?? [];
  const ordered = endianness === 'little' ? bytes.toReversed() : bytes;
  return ordered.map((byte) => Number.parseInt(byte, 16)).join('.');
}

function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}
