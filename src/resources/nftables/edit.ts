import { HostError } from '../../core/errors.ts';
import { type NftStatement, parseNftables } from '../../formats/nftables-conf.ts';
import { placesIn, statementText } from './boot.ts';
import { type ChainKey, keyText } from './ruleset.ts';

/** A rule of a chain in a file: its text, and which one it was when it was looked for. */
export interface Anchor {
  readonly text: string;
  readonly ordinal: number;
}

/**
 * The file with rules added to a chain, all else byte for byte as it was.
 * @param before the rule that they come before; null: the end of the chain
 * @throws FormatError, HostError where the chain is not in the file any more
 */
export function insertRules(
  text: string,
  file: string,
  key: ChainKey,
  rules: readonly string[],
  before: Anchor | null,
): string {
  const places = placesIn(parseNftables(text, file), key);
  const anchor = before === null ? undefined : find(places.rules, before);
  if (anchor !== undefined) return insertBefore(text, anchor.statement, asLines(rules, key, anchor.isFlat));
  if (places.close !== null && !places.rules.at(-1)?.isFlat) return insertAtEnd(text, places.close, rules);
  const last = places.rules.at(-1);
  if (last !== undefined) return insertAfter(text, last.statement, asLines(rules, key, true));
  throw new HostError(`"${file}" does not say anything of the chain "${keyText(key)}" any more`, {
    hint: 'something else changed it: run again',
  });
}

/** The file without these rules of a chain. */
export function removeRules(text: string, file: string, key: ChainKey, rules: readonly Anchor[]): string {
  let out = text;
  for (const anchor of rules.toReversed()) {
    const found = find(placesIn(parseNftables(out, file), key).rules, anchor);
    if (found !== undefined) out = cut(out, found.statement);
  }
  return out;
}

type Place = { readonly statement: NftStatement; readonly isFlat: boolean };

function find(rules: readonly Place[], { text, ordinal }: Anchor): Place | undefined {
  const isIt = ({ statement }: Place): boolean => statementText(statement) === text;
  return rules.slice(ordinal).find(isIt) ?? rules.find(isIt);
}

function asLines(rules: readonly string[], key: ChainKey, isFlat: boolean): readonly string[] {
  return isFlat ? rules.map((rule) => `add rule ${keyText(key)} ${rule}`) : rules;
}

const lineEnd = (text: string): string => (/\r\n/.test(text) ? '\r\n' : '\n');
/** What stands between the begin of its line and an offset. */
const lead = (text: string, offset: number): string => text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset);

function insertBefore(text: string, { start }: NftStatement, rules: readonly string[]): string {
  const indent = lead(text, start);
  const isFirst = /^[ \t]*$/.test(indent);
  const added = isFirst
    ? rules.map((rule) => `${rule}${lineEnd(text)}${indent}`).join('')
    : rules.map((rule) => `${rule}; `).join('');
  return text.slice(0, start) + added + text.slice(start);
}

function insertAfter(text: string, { start, end }: NftStatement, rules: readonly string[]): string {
  const indent = /^[ \t]*/.exec(lead(text, start))?.[0] ?? '';
  return text.slice(0, end) + rules.map((rule) => `${lineEnd(text)}${indent}${rule}`).join('') + text.slice(end);
}

function insertAtEnd(text: string, close: number, rules: readonly string[]): string {
  const indent = lead(text, close);
  if (/^[ \t]*$/.test(indent)) {
    const above = text.slice(0, close - indent.length).trimEnd();
    const last = /(?:^|\n)([ \t]*)[^\n]*$/.exec(above)?.[1] ?? '';
    const own = last.length > indent.length ? last : `${indent}\t`;
    const at = close - indent.length;
    return text.slice(0, at) + rules.map((rule) => `${own}${rule}${lineEnd(text)}`).join('') + text.slice(at);
  }
  const before = text.slice(0, close).trimEnd();
  const separator = /[;{]$/.test(before) ? '' : ';';
  const added = rules.map((rule) => ` ${rule};`).join('');
  return `${before}${separator}${added}${text.slice(before.length)}`;
}

/** Its line, where it stands there alone; else the statement and what separates it from the next. */
function cut(text: string, { start, end }: NftStatement): string {
  const indent = lead(text, start);
  const rest = /^[ \t]*;?[ \t]*(?:\r?\n|$)/.exec(text.slice(end));
  if (/^[ \t]*$/.test(indent) && rest !== null)
    return text.slice(0, start - indent.length) + text.slice(end + rest[0].length);
  const separator = /^[ \t]*;[ \t]*/.exec(text.slice(end))?.[0] ?? '';
  return text.slice(0, start) + text.slice(end + separator.length);
}
