import { formatErrorAt } from './format-error.ts';

/** A word of a file for nft(8): offsets in the text, end exclusive. A string keeps its quotes. */
export interface NftWord {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A rule, or another line within a chain such as its type or its policy. */
export interface NftStatement {
  readonly words: readonly NftWord[];
  /** Offsets of its first character and after its last; what separates it from the next is not part of it. */
  readonly start: number;
  readonly end: number;
  /** From 1. */
  readonly line: number;
}

interface ChainName {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
}

/** What a file tells nft to do, in order, as far as rules go. */
export type NftItem =
  | { readonly kind: 'include'; readonly path: string }
  | { readonly kind: 'define'; readonly name: string; readonly words: readonly NftWord[] }
  /** `chain x { … }` within a table; `close` is the offset of its brace. */
  | (ChainName & { readonly kind: 'chain'; readonly statements: readonly NftStatement[]; readonly close: number })
  /** `add rule inet filter input …` on a line of its own; `rule` are the words of the rule. */
  | (ChainName & { readonly kind: 'rule'; readonly verb: 'add' | 'insert'; readonly rule: NftStatement })
  /** Something else outside of tables, such as `flush ruleset`. */
  | { readonly kind: 'command'; readonly words: readonly NftWord[] };

/** The families of tables; `ip` where none is named. */
export const NFT_FAMILIES = ['ip', 'ip6', 'inet', 'arp', 'bridge', 'netdev'] as const;

const LEXER =
  /(?<blank>[ \t\r]+|\\\r?\n|#[^\n]*)|(?<newline>\n)|(?<string>"[^"\n]*")|(?<mark>[{};,]|[!=<>]=|[=<>])|(?<word>[^\s{};,"#=!<>\\]+|[!\\])|(?<other>[\s\S])/g;

interface Token extends NftWord {
  readonly kind: 'newline' | 'string' | 'mark' | 'word';
  readonly line: number;
}

/**
 * Reads a file for `nft -f`, as far as its structure goes: tables, chains, rules, includes. What a rule means is not looked at.
 * @throws FormatError where braces or quotes do not match
 */
export function parseNftables(text: string, file: string): readonly NftItem[] {
  const tokens = tokenize(text, file);
  const reader: Reader = { tokens, at: 0, text, file, items: [] };
  readTop(reader);
  return reader.items;
}

interface Reader {
  readonly tokens: readonly Token[];
  at: number;
  readonly text: string;
  readonly file: string;
  readonly items: NftItem[];
}

function fail(reader: Pick<Reader, 'text' | 'file'>, fault: string, start: number, hint: string): never {
  throw formatErrorAt(fault, reader.file, reader.text, start, hint);
}

function tokenize(text: string, file: string): readonly Token[] {
  const tokens: Token[] = [];
  let line = 1;
  for (const match of text.matchAll(LEXER)) {
    const { blank, newline, string, mark, other } = match.groups ?? {};
    const [raw] = match;
    const start = match.index;
    if (other !== undefined) fail({ text, file }, 'a double quote is never closed', start, 'close it on the same line');
    const kind =
      newline === undefined ? (string !== undefined ? 'string' : mark !== undefined ? 'mark' : 'word') : 'newline';
    if (blank === undefined) tokens.push({ kind, text: raw, start, end: start + raw.length, line });
    if (raw.endsWith('\n')) line += 1;
  }
  return tokens;
}

function readTop(reader: Reader): void {
  while (reader.at < reader.tokens.length) {
    const head = readHead(reader, true);
    const names = head.words.map((word) => word.text);
    const start = /^(?:add|create)$/.test(names[0] ?? '') ? 1 : 0;
    if (head.opens && names[start] === 'table') readTable(reader, nameOf(names.slice(start + 1)));
    else if (head.opens && names[start] === 'chain') readFlatChain(reader, names.slice(start + 1));
    else if (head.opens) skip(reader);
    else if (head.words.length > 0) readCommand(reader, head);
    const next = reader.tokens[reader.at];
    if (next?.text === '}' && next.kind === 'mark')
      fail(reader, 'a brace closes nothing', next.start, 'remove it, or add what it closes');
  }
}

interface Head extends NftStatement {
  /** Whether it ends before a brace that opens a block of its own. */
  readonly opens: boolean;
}

const BLOCKS = /^(?:table|chain|set|map|flowtable|counter|quota|limit|secmark|synproxy|ct)$/;

/**
 * Reads up to a separator, or to the brace of a block; braces of sets belong to the statement. The separator is passed.
 * @param hasBlocks false within a chain, where "ct" and "counter" begin rules
 */
function readHead(reader: Reader, hasBlocks: boolean): Head {
  const words: Token[] = [];
  const isBlock = (): boolean => {
    const names = words.map(({ text }) => text);
    const first = /^(?:add|create)$/.test(names[0] ?? '') ? names[1] : names[0];
    const marks = words.some(({ kind, text }) => kind === 'mark' && text !== ',');
    return BLOCKS.test(first ?? '') && !marks && words.length <= 6;
  };
  let depth = 0;
  while (reader.at < reader.tokens.length) {
    const token = reader.tokens[reader.at];
    if (token === undefined) break;
    const isMark = (text: string): boolean => token.kind === 'mark' && token.text === text;
    if (hasBlocks && depth === 0 && isMark('{') && isBlock()) return { ...statement(words), opens: true };
    if (depth === 0 && isMark('}')) break;
    reader.at += 1;
    if (depth === 0 && (isMark(';') || token.kind === 'newline')) break;
    if (token.kind === 'newline') continue;
    if (isMark('{')) depth += 1;
    if (isMark('}')) depth -= 1;
    words.push(token);
  }
  if (depth > 0) fail(reader, 'a brace is never closed', words[0]?.start ?? 0, 'add the "}" that closes it');
  return { ...statement(words), opens: false };
}

function statement(words: readonly Token[]): NftStatement {
  const [first] = words;
  const last = words.at(-1);
  return { words, start: first?.start ?? 0, end: last?.end ?? 0, line: first?.line ?? 0 };
}

function nameOf(words: readonly string[]): { family: string; name: string } {
  const [first = '', second] = words;
  return second === undefined ? { family: 'ip', name: first } : { family: first, name: second };
}

/** Passes the brace that opens a block. */
function enter(reader: Reader): number {
  const start = reader.tokens[reader.at]?.start ?? 0;
  reader.at += 1;
  return start;
}

/** Reads statements up to the brace that closes a block, whose offset it gives. */
function readBlock(reader: Reader, hasBlocks: boolean, onHead: (head: Head) => void): number {
  const opened = enter(reader);
  while (reader.at < reader.tokens.length) {
    const head = readHead(reader, hasBlocks);
    onHead(head);
    const next = reader.tokens[reader.at];
    if (next?.kind === 'mark' && next.text === '}' && !head.opens) {
      reader.at += 1;
      return next.start;
    }
  }
  return fail(reader, 'a brace is never closed', opened, 'add the "}" that closes it');
}

function readTable(reader: Reader, { family, name }: { family: string; name: string }): void {
  readBlock(reader, true, (head) => {
    const [first, chain = ''] = head.words.map((word) => word.text);
    if (head.opens && first === 'chain') readChain(reader, { family, table: name, chain });
    else if (head.opens) skip(reader);
    else if (first === 'include') readCommand(reader, head);
  });
}

function readChain(reader: Reader, name: ChainName): void {
  const statements: NftStatement[] = [];
  const close = readBlock(reader, false, (head) => {
    if (head.words.length > 0) statements.push(head);
  });
  reader.items.push({ kind: 'chain', ...name, statements, close });
}

/** `add chain inet filter input { type filter …; }` */
function readFlatChain(reader: Reader, words: readonly string[]): void {
  const [family, table = '', chain = ''] = words.length > 2 ? words : ['ip', ...words];
  readChain(reader, { family: family ?? 'ip', table, chain });
}

function skip(reader: Reader): void {
  readBlock(reader, true, (head) => {
    if (head.opens) skip(reader);
  });
}

function readCommand(reader: Reader, line: NftStatement): void {
  const { words } = line;
  const [verb = '', object = '', ...rest] = words.map(({ text }) => text);
  if (verb === 'include') reader.items.push({ kind: 'include', path: object.replace(/^"|"$/g, '') });
  else if ((verb === 'define' || verb === 'redefine') && rest[0] === '=')
    reader.items.push({ kind: 'define', name: object, words: words.slice(3) });
  else if ((verb === 'add' || verb === 'insert') && object === 'rule') {
    const hasFamily = (NFT_FAMILIES as readonly string[]).includes(rest[0] ?? '');
    const [family = 'ip', table = '', chain = ''] = hasFamily ? rest : ['ip', ...rest];
    const rule = { ...line, words: words.slice(hasFamily ? 5 : 4) };
    reader.items.push({ kind: 'rule', verb, family, table, chain, rule });
  } else reader.items.push({ kind: 'command', words });
}
