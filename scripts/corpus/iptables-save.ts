import type { Family } from '../../src/formats/iptables-save/address.ts';
import { builtInChains, type Chains, chainsOf, type IptablesRule } from '../../src/formats/iptables-save/chains.ts';
import { withChain, withoutRule, withRule, withTable } from '../../src/formats/iptables-save/edit.ts';
import { firstTerminal } from '../../src/formats/iptables-save/reach.ts';
import { type IptablesFile, parseIptablesSave, printIptablesSave } from '../../src/formats/iptables-save.ts';
import { format, type Opened, type Trial } from './format.ts';

const WORDS = ['-p', 'udp', '-m', 'comment', '--comment', 'a "b" \\ c', '-j', 'ACCEPT'];
const CHAIN = 'mcastctl-sample';
/** Chains, and rules of one chain, that are tried: the largest files have thousands of rules. */
const TRIED = 12;

export const iptablesSave: Opened = format<IptablesFile>({
  name: 'iptables-save',
  folder: 'iptables',
  parse: parseIptablesSave,
  print: printIptablesSave,
  edits: [
    {
      kind: 'add a rule',
      *trials(file) {
        for (const { table, chain, rules, family } of some(allChains(file))) {
          const terminal = firstTerminal(chainsOf(file, table, family), chain, family)?.position ?? rules.length;
          const middle = Math.floor(rules.length / 2);
          for (const position of new Set([0, middle, terminal, rules.length])) {
            yield addition(file, { table, chain, words: WORDS, position }, family);
          }
        }
      },
    },
    {
      kind: 'add a rule to a chain or table that may be missing',
      *trials(file) {
        for (const [table, chain] of [
          ['filter', 'INPUT'],
          ['raw', 'PREROUTING'],
          ['filter', CHAIN],
        ] as const) {
          yield addition(file, { table, chain, words: WORDS, position: 0 }, familyOf(file));
        }
      },
    },
    {
      kind: 'remove a rule',
      *trials(file) {
        for (const { table, rules, family } of some(allChains(file))) {
          for (const rule of some(rules)) yield removal(file, table, rule, family);
        }
      },
    },
    {
      kind: 'add a chain',
      *trials(file) {
        for (const table of new Set(file.sections)) {
          yield {
            what: table,
            edited: () => printIptablesSave(withChain(file, table, CHAIN)),
            touches: [],
            adds: 1,
            objection: (text) =>
              chainsOf(parseIptablesSave(text, 'edited'), table, 'ipv4').has(CHAIN)
                ? undefined
                : 'the chain is not there',
          };
        }
      },
    },
    {
      kind: 'add a table',
      *trials(file) {
        for (const table of ['raw', 'security']) {
          const isMissing = !file.sections.includes(table);
          yield {
            what: table,
            edited: () => printIptablesSave(withTable(file, table)),
            touches: [],
            adds: isMissing ? builtInChains(table).length + 2 : 0,
            objection: (text) =>
              parseIptablesSave(text, 'edited').sections.includes(table) ? undefined : 'the table is not there',
          };
        }
      },
    },
  ],
});

/** At most `TRIED` of them, from all over the list. */
function some<T>(list: readonly T[]): readonly T[] {
  const step = Math.ceil(list.length / TRIED);
  return list.filter((_, at) => at % step === 0);
}

interface Place {
  readonly table: string;
  readonly chain: string;
  readonly rules: readonly IptablesRule[];
  readonly family: Family;
}

function allChains(file: IptablesFile): readonly Place[] {
  const family = familyOf(file);
  return [...new Set(file.sections)].flatMap((table) =>
    [...chainsOf(file, table, family).values()].map(({ name, rules }) => ({ table, chain: name, rules, family })),
  );
}

function familyOf(file: IptablesFile): Family {
  return file.lines.some(({ raw }) => /ip6tables|ipv6-icmp|icmp6| -[sd] [0-9a-f]*:/.test(raw)) ? 'ipv6' : 'ipv4';
}

/** Words of all rules of the file, by table and chain. */
function meaning(file: IptablesFile, family: Family): Map<string, string[]> {
  const chains = (table: string): Chains => chainsOf(file, table, family);
  return new Map(
    [...new Set(file.sections)].flatMap((table) =>
      [...chains(table).values()].map(
        ({ name, rules }) => [`${table} ${name}`, rules.map((rule) => JSON.stringify(rule.words))] as const,
      ),
    ),
  );
}

function objection(file: IptablesFile, text: string, key: string, wanted: readonly string[], family: Family) {
  const before = meaning(file, family);
  const after = meaning(parseIptablesSave(text, 'edited'), family);
  if ((after.get(key) ?? []).join() !== wanted.join()) return 'the chain has other rules than it should';
  const other = [...before].find(([name, rules]) => name !== key && after.get(name)?.join() !== rules.join());
  return other && `the chain "${other[0]}" changes as well`;
}

function addition(
  file: IptablesFile,
  rule: { table: string; chain: string; words: readonly string[]; position: number },
  family: Family,
): Trial {
  const { table, chain, words, position } = rule;
  const old = meaning(file, family).get(`${table} ${chain}`) ?? [];
  const isNewTable = !file.sections.includes(table);
  return {
    what: `${table} ${chain} ${position}`,
    edited: () => printIptablesSave(withRule(file, rule, family)),
    touches: [],
    adds: 2 + (isNewTable ? builtInChains(table).length + 2 : 0),
    objection: (text) =>
      objection(file, text, `${table} ${chain}`, old.toSpliced(position, 0, JSON.stringify(words)), family),
  };
}

/** Rules put in by number move when one before them goes: the line alone is looked at there. */
function removal(file: IptablesFile, table: string, rule: IptablesRule, family: Family): Trial {
  const key = `${table} ${rule.chain}`;
  const old = meaning(file, family).get(key) ?? [];
  const at =
    chainsOf(file, table, family)
      .get(rule.chain)
      ?.rules.findIndex(({ index }) => index === rule.index) ?? -1;
  const isPlain = file.lines.every((line) => line.kind !== 'command' || line.command.name === 'append');
  return {
    what: `${key} ${rule.line}`,
    edited: () => printIptablesSave(withoutRule(file, rule)),
    touches: [rule.index],
    adds: 0,
    objection: (text) => (isPlain ? objection(file, text, key, old.toSpliced(at, 1), family) : undefined),
  };
}
