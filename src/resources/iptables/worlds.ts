import { HostError } from '../../core/errors.ts';
import type { Argv, Observations, Read } from '../../core/resource.ts';
import type { Family } from '../../formats/iptables-save/address.ts';
import { type Chains, chainsOf } from '../../formats/iptables-save/chains.ts';
import { type IptablesFile, parseIptablesSave } from '../../formats/iptables-save.ts';

/** The two places in the kernel where rules of iptables can be. Packets pass both: what one drops is dropped. */
export type Backend = 'nft' | 'legacy';

export const PROGRAMS: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' };

const saveArgv = (family: Family, backend: Backend | null): Argv => [
  `${PROGRAMS[family]}${backend === null ? '' : `-${backend}`}-save`,
];
const versionArgv = (family: Family): Argv => [PROGRAMS[family], '--version'];

/** Not there where the kernel was started without IPv6. */
const IPV6_ADDRESSES = '/proc/net/if_inet6';

/** `-save` of all tables that exist: asking for one table would make it. */
export function runtimeReads(family: Family): readonly Read[] {
  return [
    { read: 'file', path: IPV6_ADDRESSES },
    { read: 'run', argv: versionArgv(family) },
    ...([null, 'nft', 'legacy'] as const).map((each): Read => ({ read: 'run', argv: saveArgv(family, each) })),
  ];
}

/** The rules of one family as they run. */
export interface Running {
  readonly family: Family;
  /** The program to change them with, with its option to wait for others: `iptables -w`, `iptables-legacy -w`. */
  readonly command: readonly [string, ...string[]];
  readonly backend: Backend;
  readonly saved: IptablesFile;
  /** What a person should know: rules in the other place. */
  readonly note: string | null;
  /** Whether `iptables` itself works in the place that was chosen. */
  readonly isDefault: boolean;
  /** Rules in the other place, and what shows them; null where there are none. */
  readonly other: { readonly program: string; readonly saved: IptablesFile } | null;
}

/** Whether the node has iptables for a family, and the family at all. */
export function hasIptables(seen: Observations, family: Family): boolean {
  if (family === 'ipv6' && seen.file(IPV6_ADDRESSES) === null) return false;
  return seen.run(versionArgv(family)).code === 0;
}

/** Chains of a table as they run; those that the kernel would make when asked are empty and accept. */
export function runningChains(running: Running, table: string): Chains {
  return chainsOf(running.saved, table, running.family);
}

/**
 * Reads the rules that run, and decides where they are: in the place that `iptables` works in, unless it has none and the other has.
 * @throws HostError where there is no iptables, it may not look, or nft made the table into something of its own
 */
export function readRunning(seen: Observations, family: Family): Running {
  const program = PROGRAMS[family];
  const version = seen.run(versionArgv(family));
  if (version.code !== 0)
    throw new HostError(`there is no program "${program}" on the node`, {
      hint: 'install it: apt-get install iptables; on a node with nftables alone use the resource "nftables"',
    });
  const own: Backend = version.stdout.includes('nf_tables') ? 'nft' : 'legacy';
  const other: Backend = own === 'nft' ? 'legacy' : 'nft';
  const mine = readSave(seen, family, own) ?? readSave(seen, family, null);
  if (mine === null)
    throw new HostError(`"${program}-save" failed: ${failure(seen, family)}`, {
      hint: 'it needs root: "become: true"',
    });
  const theirs = readSave(seen, family, other);
  const hasTheirs = theirs !== null && hasRules(theirs);
  const isDefault = hasRules(mine) || !hasTheirs;
  const saved = isDefault || theirs === null ? mine : theirs;
  const wait = canWait(version.stdout) ? ['-w'] : [];
  return {
    family,
    command: [isDefault ? program : `${program}-${other}`, ...wait],
    backend: isDefault ? own : other,
    saved,
    isDefault,
    note: noteOf(program, own, other, isDefault, hasTheirs),
    other: isDefault && hasTheirs ? { program: `${program}-${other}`, saved: theirs } : null,
  };
}

function noteOf(program: string, own: Backend, other: Backend, isDefault: boolean, hasTheirs: boolean): string | null {
  if (!hasTheirs) return null;
  if (isDefault) return `"${program}-${other}-save" shows rules too, which packets pass as well`;
  return `the rules are those of "${program}-${other}", while "${program}" is ${own}: at boot "${program}-restore" will load its file as ${own}`;
}

function readSave(seen: Observations, family: Family, backend: Backend | null): IptablesFile | null {
  const argv = saveArgv(family, backend);
  const { code, stdout } = seen.run(argv);
  if (code !== 0) return null;
  const odd = /Table [`']filter' is incompatible/.exec(stdout);
  if (odd !== null)
    throw new HostError(`the table "filter" of ${family} was made with nft and holds what "${argv[0]}" can't show`, {
      hint: 'make it in /etc/nftables.conf, where the resource "nftables" finds it, and use that or "firewall"',
    });
  return parseIptablesSave(stdout, `output of ${argv[0]}`);
}

function failure(seen: Observations, family: Family): string {
  const { code, stderr } = seen.run(saveArgv(family, null));
  return stderr.trim() || `exit code ${code}`;
}

function hasRules(file: IptablesFile): boolean {
  return file.lines.some(
    (line) =>
      line.kind === 'command' || (line.kind === 'chain' && (line.policy === 'DROP' || line.policy === 'REJECT')),
  );
}

/** -w is there since 1.4.20. */
export function canWait(version: string): boolean {
  const [, major = '0', minor = '0', patch = '0'] = /v(\d+)\.(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  const number = Number(major) * 10_000 + Number(minor) * 100 + Number(patch);
  return number >= 10_420;
}
