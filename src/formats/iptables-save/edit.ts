import { type IptablesFile, lineEndOf, parseIptablesList, parseIptablesSave } from '../iptables-save.ts';
import type { Family } from './address.ts';
import { builtInChains, chainsOf, type IptablesRule, lastSection } from './chains.ts';
import { quoteWord } from './words.ts';

/** Where a rule goes and what it says. */
export interface NewRule {
  readonly table: string;
  readonly chain: string;
  /** Without command and chain. */
  readonly words: readonly string[];
  /** Position in the chain, from 0; past the end is the end. */
  readonly position: number;
}

/**
 * The file with one more rule. Its table is added where it is missing, and its chain, unless the kernel gives the
 * table that chain. All lines that were there stay as they are.
 * @throws RangeError for a word with a line break or NUL
 */
export function withRule(file: IptablesFile, { table, chain, words, position }: NewRule, family: Family): IptablesFile {
  const ready = withChain(file, table, chain);
  const rules = chainsOf(ready, table, family).get(chain)?.rules ?? [];
  const at = Math.max(0, Math.min(position, rules.length));
  const rest = words.map((word) => ` ${quoteWord(word)}`).join('');
  const next = rules[at];
  const index = next?.index ?? indexAfter(ready, rules, table);
  const appended = withLine(ready, index, `-A ${quoteWord(chain)}${rest}`);
  const order = [...rules.slice(0, at).map(indexOf), -1, ...rules.slice(at).map(indexOf)];
  if (isOrder(appended, order, index, table, chain, family)) return appended;
  // Lines of other commands (-I, -D, …) put rules elsewhere than they stand: after all of them the position is plain.
  return withLine(ready, endOf(ready, table), `-I ${quoteWord(chain)} ${at + 1}${rest}`);
}

/** The file without the line of a rule. Rules that -I N put in by number may then be elsewhere. */
export function withoutRule(file: IptablesFile, rule: IptablesRule): IptablesFile {
  return withRows(file, (rows) => rows.toSpliced(rule.index, 1));
}

/** The file with a chain of one's own, and its table; a chain that is there, or that the kernel gives the table, is left alone. */
export function withChain(file: IptablesFile, table: string, chain: string): IptablesFile {
  const ready = withTable(file, table);
  if (builtInChains(table).includes(chain)) return ready;
  const section = lastSection(ready, table);
  const isDeclared = ready.lines.some(
    (line) =>
      line.section === section &&
      ((line.kind === 'chain' && line.chain === chain) ||
        (line.kind === 'command' && line.command.name === 'new-chain' && line.command.chain === chain)),
  );
  if (isDeclared) return ready;
  const before = ready.lines.findLastIndex(
    (line) => line.section === section && (line.kind === 'chain' || line.kind === 'table' || isPolicy(line)),
  );
  return withLine(ready, before + 1, ready.form === 'list' ? `-N ${quoteWord(chain)}` : `:${chain} - [0:0]`);
}

/** The file with a section for a table at its end, with the policies that a fresh kernel has. */
export function withTable(file: IptablesFile, table: string): IptablesFile {
  if (file.sections.includes(table)) return file;
  if (file.form === 'list') throw new RangeError(`the list is of the table "${file.sections[0]}", not of "${table}"`);
  const rows = [`*${table}`, ...builtInChains(table).map((chain) => `:${chain} ACCEPT [0:0]`), 'COMMIT'];
  return withRows(file, (old, end) => {
    const isOpen = old.length > 0 && !old.at(-1)?.endsWith('\n');
    return [...old, ...rows.map((row, at) => (isOpen && at === rows.length - 1 ? row : row + end))];
  });
}

const indexOf = (rule: IptablesRule): number => rule.index;

function isPolicy(line: IptablesFile['lines'][number]): boolean {
  return line.kind === 'command' && (line.command.name === 'policy' || line.command.name === 'new-chain');
}

/** Whether the chain has its rules in this order: indices of the file before a line was put in at `index`, which is -1. */
function isOrder(
  file: IptablesFile,
  order: readonly number[],
  index: number,
  table: string,
  chain: string,
  family: Family,
): boolean {
  const rules = chainsOf(file, table, family).get(chain)?.rules ?? [];
  const before = rules.map((rule) => (rule.index === index ? -1 : rule.index - (rule.index > index ? 1 : 0)));
  return JSON.stringify(before) === JSON.stringify(order);
}

/** After the last line of the chain's rules; before COMMIT where it has none. */
function indexAfter(file: IptablesFile, rules: readonly IptablesRule[], table: string): number {
  return rules.length === 0 ? endOf(file, table) : Math.max(...rules.map(indexOf)) + 1;
}

/** Index of the COMMIT of the table; of the end of a list. */
function endOf(file: IptablesFile, table: string): number {
  const section = lastSection(file, table);
  const commit = file.lines.findIndex((line) => line.section === section && line.kind === 'commit');
  return commit < 0 ? file.lines.length : commit;
}

function withLine(file: IptablesFile, index: number, text: string): IptablesFile {
  return withRows(file, (rows, end) => rows.toSpliced(index, 0, text + end));
}

/** The file read anew from other rows. A last row without line end gets one when another follows it. */
function withRows(file: IptablesFile, change: (rows: string[], end: string) => string[]): IptablesFile {
  const end = lineEndOf(file);
  const rows = change(
    file.lines.map((line) => line.raw),
    end,
  );
  const text = rows
    .map((row, at) => (at < rows.length - 1 && !row.endsWith('\n') ? row.replace(/(?<!\r)\r*$/, end) : row))
    .join('');
  return file.form === 'list' ? parseIptablesList(text, '', file.sections[0]) : parseIptablesSave(text, '');
}
