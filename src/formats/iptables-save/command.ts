import { own } from '../own.ts';
import { BASE_OPTIONS, BASE_WITH_ARGUMENT } from './options.ts';
import type { Word } from './words.ts';

/** What a line asks iptables to do. */
export type CommandName =
  | 'append'
  | 'insert'
  | 'replace'
  | 'delete'
  | 'check'
  | 'policy'
  | 'new-chain'
  | 'flush'
  | 'delete-chain'
  | 'rename-chain'
  | 'zero'
  | 'list';

/** One command of iptables(8), its words taken apart. */
export interface IptablesCommand {
  readonly name: CommandName;
  /** "" where the command is for all chains, as `-F` alone. */
  readonly chain: string;
  /** The rule number given after the chain, from 1. */
  readonly position: number | undefined;
  /** The policy of `policy`, the new name of `rename-chain`, else "". */
  readonly argument: string;
  /** All other words: those of the rule. */
  readonly words: readonly string[];
}

/** Why a line is no command, and where: `at` is 0-based. */
export interface CommandFault {
  readonly fault: string;
  readonly hint: string;
  readonly at: number;
}

const SHORT: Readonly<Record<string, CommandName>> = {
  '-A': 'append',
  '-I': 'insert',
  '-R': 'replace',
  '-D': 'delete',
  '-C': 'check',
  '-P': 'policy',
  '-N': 'new-chain',
  '-F': 'flush',
  '-X': 'delete-chain',
  '-E': 'rename-chain',
  '-Z': 'zero',
  '-L': 'list',
  '-S': 'list',
};

/** In full: matches have options of their own that begin like these, such as --pol. */
const LONG: Readonly<Record<string, CommandName>> = {
  '--append': 'append',
  '--insert': 'insert',
  '--replace': 'replace',
  '--delete': 'delete',
  '--check': 'check',
  '--policy': 'policy',
  '--new-chain': 'new-chain',
  '--new': 'new-chain',
  '--flush': 'flush',
  '--delete-chain': 'delete-chain',
  '--rename-chain': 'rename-chain',
  '--zero': 'zero',
  '--list': 'list',
  '--list-rules': 'list',
};

const NEEDS_CHAIN: ReadonlySet<CommandName> = new Set([
  'append',
  'insert',
  'replace',
  'delete',
  'check',
  'policy',
  'new-chain',
  'rename-chain',
]);
const HAS_ARGUMENT: ReadonlySet<CommandName> = new Set(['policy', 'rename-chain']);
const TAKES_POSITION: ReadonlySet<CommandName> = new Set(['insert', 'replace', 'delete', 'zero']);

/** Options whose one argument may begin with a dash: free text. */
export const TEXT_OPTIONS: ReadonlySet<string> = new Set([
  '--comment',
  '--log-prefix',
  '--nflog-prefix',
  '--ulog-prefix',
  '--string',
  '--hex-string',
]);

/** Reads the words of one line. */
export function readCommand(words: readonly Word[], form: 'save' | 'list'): IptablesCommand | CommandFault {
  const first = words[0];
  const hint = 'a rule is written -A CHAIN …; the other commands of iptables(8) are read as well';
  if (first === undefined) return { fault: 'the line holds nothing but blanks', hint: 'leave it empty', at: 0 };
  if (!/^[-!]/.test(first.text)) {
    const known = form === 'save' ? 'the line is neither a rule, a chain, a comment nor COMMIT' : 'the line is no rule';
    return { fault: known, hint: first.text === 'COMMIT' ? 'COMMIT stands alone on its line' : hint, at: first.at };
  }
  const found = findCommand(words);
  if (found === undefined) return { fault: 'the line has no command such as -A', hint, at: first.at };
  if ('fault' in found) return found;
  return take(words, found);
}

interface Found {
  readonly name: CommandName;
  /** Index of the command's word. */
  readonly index: number;
  /** What was written together with it, as in -AINPUT or --append=INPUT. */
  readonly attached: string | undefined;
}

function findCommand(words: readonly Word[]): Found | CommandFault | undefined {
  let found: Found | undefined;
  for (let index = 0; index < words.length; index++) {
    const word = words[index];
    if (word === undefined) continue;
    if (TEXT_OPTIONS.has(word.text)) index++;
    if (/^(?:-t|--table)(?:$|=)/.test(word.text)) {
      return { fault: 'a line can not choose its table with -t', hint: 'put it below its *table line', at: word.at };
    }
    const match = matchCommand(word.text, index);
    if (match === undefined) continue;
    if (found !== undefined && !(found.name === 'zero' || match.name === 'zero')) {
      return { fault: 'there are two commands on one line', hint: 'give each a line of its own', at: word.at };
    }
    found ??= match;
  }
  return found;
}

function matchCommand(word: string, index: number): Found | undefined {
  if (!word.startsWith('--')) {
    const name = own(SHORT, word.slice(0, 2));
    return name && { name, index, attached: word.length > 2 ? word.slice(2) : undefined };
  }
  const [option = '', attached] = word.split(/=(.*)/s);
  const name = own(LONG, option);
  return name && { name, index, attached };
}

function take(words: readonly Word[], { name, index, attached }: Found): IptablesCommand | CommandFault {
  const command = words[index];
  const after = words.slice(index + 1);
  const shiftValue = (): string | undefined => (isValue(after[0]) ? after.shift()?.text : undefined);
  const chain = attached ?? shiftValue() ?? '';
  if (chain === '' && NEEDS_CHAIN.has(name)) {
    const at = (command?.at ?? 0) + (command?.text.length ?? 0);
    return { fault: `"${command?.text ?? ''}" names no chain`, hint: 'write the chain after it, such as -A INPUT', at };
  }
  const hasPosition = TAKES_POSITION.has(name) && /^\d+$/.test(after[0]?.text ?? '');
  const position = hasPosition ? Number(shiftValue()) : undefined;
  const argument = (HAS_ARGUMENT.has(name) ? shiftValue() : undefined) ?? '';
  if (HAS_ARGUMENT.has(name) && argument === '') {
    const hint = name === 'policy' ? 'write ACCEPT or DROP after the chain' : 'write the new name after the old one';
    return { fault: `the command for the chain "${chain}" is not complete`, hint, at: words.at(-1)?.at ?? 0 };
  }
  const rest = [...words.slice(0, index), ...after];
  const stray = isValue(after[0]) && index === 0 ? after[0] : strayIn(rest);
  if (stray !== undefined) {
    const hint = 'options begin with a dash; text that holds blanks stands in double quotes';
    return { fault: `"${stray.text}" belongs to no option`, hint, at: stray.at };
  }
  return { name, chain, position, argument, words: rest.map((word) => word.text) };
}

/** A word after an option that has its one argument already. Options of matches, whose number of arguments is not known, may have more. */
function strayIn(words: readonly Word[]): Word | undefined {
  for (let index = 0; index < words.length; index++) {
    const option = words[index]?.text ?? '';
    const isOfOne = BASE_WITH_ARGUMENT.has(own(BASE_OPTIONS, option) ?? option) || TEXT_OPTIONS.has(option);
    if (!isOfOne) continue;
    // Until 1.4 an exclamation mark could stand before the argument.
    index += words[index + 1]?.text === '!' && !TEXT_OPTIONS.has(option) ? 2 : 1;
    if (isValue(words[index + 1])) return words[index + 1];
  }
  return undefined;
}

function isValue(word: Word | undefined): boolean {
  return word !== undefined && !/^(?:-|!$)/.test(word.text);
}
