import { resolve } from 'node:path';
import { type Fault, InputError } from '../../core/errors.ts';
import { NO_VAULT, type Vault } from '../vault/vault.ts';
import { type Findings, faultAt, readSource, SourceText } from './source-text.ts';
import { Dict, dictToPlain, kindOf } from './value.ts';
import { readValue } from './yaml-reader.ts';

const SOURCE_NAME = '--extra-vars';

/**
 * What `-e` gives, the last one winning: `key=value key2="two words"` (values are text), JSON or YAML text that begins with
 * "{" or "[", or `@file`.
 * @throws InputError with all faults
 */
export function parseExtraVars(specs: readonly string[], vault: Vault = NO_VAULT): Record<string, unknown> {
  const findings = { faults: [] as Fault[], warnings: [] as Fault[], vault };
  const dict = readExtraVars(specs, findings);
  if (findings.faults.length > 0) throw new InputError(findings.faults);
  return dictToPlain(dict);
}

/** As `parseExtraVars`, with the places where values are written. */
export function readExtraVars(specs: readonly string[], findings: Findings): Dict {
  let result = new Dict();
  for (const spec of specs) {
    if (spec !== '') result = result.combine(readSpec(spec, findings));
  }
  return result;
}

function readSpec(spec: string, findings: Findings): Dict {
  if (spec.startsWith('@')) {
    const file = unquote(spec.slice(1));
    const source = readSource(resolve(file), file, findings);
    return source === undefined ? new Dict() : readMapping(source, findings);
  }
  const source = new SourceText(SOURCE_NAME, spec);
  if (spec.startsWith('/') || spec.startsWith('.')) {
    findings.faults.push(source.fault(0, `"${spec}" looks like a file`, `write "@${spec}"`));
    return new Dict();
  }
  return /^[[{]/.test(spec) ? readMapping(source, findings) : readPairs(source, findings);
}

function readMapping(source: SourceText, findings: Findings): Dict {
  const before = findings.faults.length;
  const { value, mark } = readValue(source, findings);
  if (value instanceof Dict) return value;
  if (findings.faults.length === before) {
    findings.faults.push(faultAt(mark, `extra variables must be a mapping, this is ${kindOf(value)}`));
  }
  return new Dict();
}

function readPairs(source: SourceText, findings: Findings): Dict {
  const dict = new Dict();
  for (const { word, offset } of splitWords(source, findings)) {
    const text = decodeEscapes(word);
    const equals = /(?<=[^\\])=/.exec(text)?.index;
    if (equals === undefined) {
      findings.faults.push(
        source.fault(offset, `"${word}" is no extra variable`, 'write "name=value"; quote a value with blanks'),
      );
      continue;
    }
    const mark = { text: source, offset };
    dict.set({ key: text.slice(0, equals).trim(), value: unquote(text.slice(equals + 1).trim()), keyMark: mark, mark });
  }
  return dict;
}

interface Word {
  readonly word: string;
  readonly offset: number;
}

/** Splits at blanks and line ends that are neither quoted nor inside `{{ }}`, `{% %}` or `{# #}`. */
function splitWords(source: SourceText, findings: Findings): readonly Word[] {
  const { text } = source;
  const words: Word[] = [];
  let start = -1;
  let quote = '';
  const blocks: string[] = [];
  for (let at = 0; at <= text.length; at++) {
    const char = text[at] ?? '';
    const isGap = char === '' || char === ' ' || char === '\n';
    if (isGap && quote === '' && blocks.length === 0) {
      if (start >= 0 && text.slice(start, at) !== '\\') words.push({ word: text.slice(start, at), offset: start });
      start = -1;
      continue;
    }
    if (start < 0) start = at;
    if ((char === '"' || char === "'") && text[at - 1] !== '\\') quote = nextQuote(quote, char);
    const pair = text.slice(at, at + 2);
    if (['{{', '{%', '{#'].includes(pair)) blocks.push(pair);
    if (['}}', '%}', '#}'].includes(pair)) blocks.pop();
  }
  if (start >= 0) {
    const hint = 'close every quote and every "{{"';
    findings.faults.push(source.fault(start, 'a quote or a block is not closed', hint));
    return [];
  }
  return words;
}

function nextQuote(open: string, char: string): string {
  if (open === '') return char;
  return open === char ? '' : open;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

function decodeEscapes(text: string): string {
  const pattern = /\\(?:U([0-9a-fA-F]{8})|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\\'"abfnrtv]))/g;
  return text.replace(pattern, (whole: string, long?: string, short?: string, byte?: string, letter?: string) => {
    if (letter !== undefined) return ESCAPES[letter] ?? letter;
    const code = Number.parseInt(long ?? short ?? byte ?? '', 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** Takes off one pair of equal quotes around the whole text. */
function unquote(text: string): string {
  const first = text[0];
  const isQuoted = text.length > 1 && (first === '"' || first === "'") && text.endsWith(first) && text.at(-2) !== '\\';
  return isQuoted ? text.slice(1, -1) : text;
}
