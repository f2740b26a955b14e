import type { Counters, IptablesFile, IptablesLine } from '../iptables-save.ts';
import { own } from '../own.ts';
import type { Family } from './address.ts';
import { canonicalRule, ruleKey } from './canonical.ts';

/** A rule where it stands in its chain. */
export interface IptablesRule {
  readonly chain: string;
  /** The words without the command and the chain. */
  readonly words: readonly string[];
  readonly counters: Counters | undefined;
  /** Index of its line in `lines` of the file. */
  readonly index: number;
  /** Line of the file, from 1. */
  readonly line: number;
}

/** A chain as it is when the file has been loaded. */
export interface IptablesChain {
  readonly name: string;
  /** undefined: a chain of one's own, or a built-in one whose policy the file leaves alone. */
  readonly policy: string | undefined;
  readonly isBuiltIn: boolean;
  readonly rules: readonly IptablesRule[];
}

/** Chains of one table by name. */
export type Chains = ReadonlyMap<string, IptablesChain>;

type Draft = { name: string; policy: string | undefined; isBuiltIn: boolean; rules: IptablesRule[] };
/** Index of the first rule that means the same as `words`, -1 without any. */
type Find = (rules: readonly IptablesRule[], words: readonly string[]) => number;
type CommandLine = Extract<IptablesLine, { kind: 'command' }>;

const FILTER = ['INPUT', 'FORWARD', 'OUTPUT'];
const BUILT_IN: Readonly<Record<string, readonly string[]>> = {
  filter: FILTER,
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  raw: ['PREROUTING', 'OUTPUT'],
  security: FILTER,
};

/** The chains that the kernel gives a table. */
export function builtInChains(table: string): readonly string[] {
  return own(BUILT_IN, table) ?? [];
}

/** Index of the section that has the last word on a table, -1 without any: iptables-restore empties the table at each `*table`. */
export function lastSection(file: IptablesFile, table: string): number {
  return file.sections.lastIndexOf(table);
}

/**
 * The chains of a table as they are once the file is loaded into an empty table: all commands are carried out, so that a rule put in
 * with -I is where iptables puts it. Chains that rules name and nothing declares are taken for existing ones, as with
 * `iptables-restore --noflush`; a position past the end of a chain is its end.
 */
export function chainsOf(file: IptablesFile, table: string, family: Family): Chains {
  const chains = new Map<string, Draft>();
  const section = lastSection(file, table);
  const find = finder(family);
  const chain = (name: string): Draft => {
    const found = chains.get(name);
    if (found) return found;
    const fresh = { name, policy: undefined, isBuiltIn: builtInChains(table).includes(name), rules: [] };
    chains.set(name, fresh);
    return fresh;
  };
  for (const [index, line] of file.lines.entries()) {
    if (line.section !== section) continue;
    if (line.kind === 'chain') chain(line.chain).policy = line.policy === '-' ? undefined : line.policy;
    if (line.kind === 'command') carryOut(line, index, chains, chain, find);
  }
  return chains;
}

/** Names of the chains that a rule of one's own jumps or goes to, each once. */
export function jumpsOf(chain: IptablesChain, chains: Chains, family: Family): readonly string[] {
  const targets = chain.rules.map((rule) => canonicalRule(rule.words, family).target?.name ?? '');
  return [...new Set(targets)].filter((name) => chains.has(name));
}

function carryOut(
  line: CommandLine,
  index: number,
  chains: Map<string, Draft>,
  chain: (name: string) => Draft,
  find: Find,
): void {
  const { command, counters } = line;
  const { position, words } = command;
  const rule: IptablesRule = { chain: command.chain, words, counters, index, line: line.number };
  switch (command.name) {
    case 'append':
      chain(command.chain).rules.push(rule);
      break;
    case 'insert':
      chain(command.chain).rules.splice(Math.max(0, (position ?? 1) - 1), 0, rule);
      break;
    case 'replace':
      chain(command.chain).rules.splice((position ?? 1) - 1, 1, rule);
      break;
    case 'delete': {
      const { rules } = chain(command.chain);
      const at = position === undefined ? find(rules, words) : position - 1;
      if (at >= 0) rules.splice(at, 1);
      break;
    }
    case 'policy':
      chain(command.chain).policy = command.argument;
      break;
    case 'new-chain':
      chain(command.chain);
      break;
    case 'flush':
      for (const each of named(chains, command.chain)) each.rules = [];
      break;
    case 'delete-chain':
      for (const each of named(chains, command.chain)) if (!each.isBuiltIn) chains.delete(each.name);
      break;
    case 'rename-chain': {
      const { rules, policy } = chain(command.chain);
      chains.delete(command.chain);
      Object.assign(chain(command.argument), { rules, policy });
      break;
    }
  }
}

function named(chains: ReadonlyMap<string, Draft>, name: string): Draft[] {
  return [...chains.values()].filter((chain) => name === '' || chain.name === name);
}

/** Finds rules by their meaning. Each rule's key is worked out once: a file may delete thousands. */
function finder(family: Family): Find {
  const keys = new WeakMap<readonly string[], string>();
  const keyOf = (words: readonly string[]): string => {
    const key = keys.get(words) ?? ruleKey(canonicalRule(words, family));
    keys.set(words, key);
    return key;
  };
  return (rules, words) => {
    const wanted = keyOf(words);
    return rules.findIndex((rule) => keyOf(rule.words) === wanted);
  };
}
