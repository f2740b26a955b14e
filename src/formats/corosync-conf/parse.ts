import { type FormatError, formatErrorAt } from '../format-error.ts';
import type { ConfBlock, ConfItem, ConfLine, CorosyncConf, Encoding } from './model.ts';

/** corosync reads a line into 512 bytes: the text, the newline and a NUL. */
const MAX_LINE_BYTES = 510;
/** ICMAP_KEYNAME_MAXLEN and ICMAP_KEYNAME_MINLEN, of the names of all blocks and the key together. */
const MAX_PATH = 255;
const MIN_PATH = 3;
/** corosync calls itself for each block within a block; no real file has more than four. */
const MAX_DEPTH = 100;

const KEY = /^[A-Za-z0-9._/:-]+$/;
/** Blocks whose items corosync stores only when the block ends: another block in them ends them too early. */
const WITHOUT_BLOCKS = new Set(['logging.logger_subsys', 'logging.logging_daemon']);
/** Blocks in which, and in the blocks of which, corosync refuses all other keys. */
const ONLY_KEYS: readonly (readonly [path: string, keys: readonly string[]])[] = [
  ['uidgid', ['uid', 'gid']],
  ['totem.interface.member', ['memberaddr']],
];

interface OpenBlock extends ConfBlock {
  close: number;
  readonly items: ConfItem[];
  readonly blocks: OpenBlock[];
}

/** What is wrong with a line: the message, the column from 0 in the line, and what to do. */
interface Refusal {
  readonly fault: string;
  readonly column: number;
  readonly hint?: string;
}

type Read =
  | { readonly kind: 'blank' | 'comment' | 'close' }
  | { readonly kind: 'open'; readonly name: string }
  | { readonly kind: 'item'; readonly key: string; readonly value: string };

/**
 * Reads a corosync.conf as corosync 3.1.7 does (coroparse.c, icmap.c): "{" anywhere makes a line a block's beginning, then ":" makes
 * it an item, then "}" has to stand alone; comments are whole lines; blocks and keys may come twice. What values mean is not
 * looked at here, see `valueFaults`.
 * @param file the name that errors carry
 * @param encoding how the bytes became `text`: a line may have 510 bytes
 * @throws FormatError where corosync would refuse the file, and for a byte order mark or NUL anywhere
 */
export function parseCorosyncConf(text: string, file = 'corosync.conf', encoding: Encoding = 'utf8'): CorosyncConf {
  const raws = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const lines: ConfLine[] = [];
  const root: OpenBlock = { name: '', path: '', open: -1, close: raws.length, items: [], blocks: [] };
  const open: OpenBlock[] = [root];
  let offset = 0;
  const refuse = ({ fault, column, hint }: Refusal): FormatError =>
    formatErrorAt(fault, file, text, offset + column, hint);
  for (const [index, raw] of raws.entries()) {
    // First of all, so that no line is long.
    const damage = badBytes(raw, index, encoding);
    if (damage !== undefined) throw refuse(damage);
    const body = logicalText(raw);
    const refusal = badLine(body);
    if (refusal !== undefined) throw refuse(refusal);
    const read = readLine(body);
    lines.push({ kind: read.kind, raw });
    const block = open.at(-1) ?? root;
    if (read.kind === 'item') {
      const wrong = badItem(block, read.key, body);
      if (wrong !== undefined) throw refuse(wrong);
      block.items.push({ key: read.key, value: read.value, line: index });
    } else if (read.kind === 'open') {
      const wrong = badBlock(block, read.name, open.length, body);
      if (wrong !== undefined) throw refuse(wrong);
      const inner = {
        name: read.name,
        path: join(block.path, read.name),
        open: index,
        close: -1,
        items: [],
        blocks: [],
      };
      block.blocks.push(inner);
      open.push(inner);
    } else if (read.kind === 'close') {
      const wrong = badEnd(block, body);
      if (wrong !== undefined) throw refuse(wrong);
      block.close = index;
      open.pop();
    }
    offset += raw.length;
  }
  const unclosed = open.at(-1);
  if (unclosed !== undefined && unclosed !== root) {
    offset = raws.slice(0, unclosed.open).join('').length;
    const column = indentOf(raws[unclosed.open] ?? '');
    throw refuse({ fault: `the block "${unclosed.name}" that begins here has no "}"`, column });
  }
  return { file, encoding, lines, root };
}

/** The text of the file: what was parsed, byte for byte, where nothing was changed. */
export function printCorosyncConf(conf: CorosyncConf): string {
  return conf.lines.map((line) => line.raw).join('');
}

/** The line as corosync looks at it: without newline, one carriage return before it, then blanks and tabs at the end. */
export function logicalText(raw: string): string {
  return raw
    .replace(/\n$/, '')
    .replace(/\r$/, '')
    .replace(/[ \t]+$/, '');
}

function readLine(body: string): Read {
  const first = /[^ \t]/.exec(body)?.[0];
  if (first === undefined) return { kind: 'blank' };
  if (first === '#') return { kind: 'comment' };
  const brace = body.indexOf('{');
  if (brace >= 0) return { kind: 'open', name: strip(body.slice(0, brace)) };
  const colon = body.indexOf(':');
  if (colon < 0) return { kind: 'close' };
  const gap = /^[ \t]*/.exec(body.slice(colon + 1))?.[0].length ?? 0;
  // Where blanks follow the colon, corosync cuts the line at the last of them, and so takes the colon off with the key's own blanks.
  const head = gap > 0 ? body.slice(0, colon + gap) : body.slice(0, colon);
  return { kind: 'item', key: strip(head), value: body.slice(colon + 1 + gap) };
}

/** Without blanks at both ends, and without ":" and "{" at the end, except where nothing else is there. */
function strip(text: string): string {
  const start = text.replace(/^[ \t]+/, '');
  return start.slice(0, 1) + start.slice(1).replace(/[ \t:{]+$/, '');
}

function badBytes(raw: string, index: number, encoding: Encoding): Refusal | undefined {
  const mark = encoding === 'latin1' ? '\u00ef\u00bb\u00bf' : '\ufeff';
  if (index === 0 && raw.startsWith(mark)) {
    const hint = 'remove it: save the file as UTF-8 without BOM';
    return { fault: 'the file begins with a byte order mark, which corosync takes for text', column: 0, hint };
  }
  const nul = raw.indexOf('\0');
  if (nul >= 0) return { fault: 'a NUL byte: this is no text file, or it was damaged', column: nul };
  const bytes = Buffer.byteLength(raw.replace(/\n$/, ''), encoding);
  if (bytes <= MAX_LINE_BYTES) return undefined;
  return { fault: `the line has ${bytes} bytes, corosync reads at most ${MAX_LINE_BYTES}`, column: MAX_LINE_BYTES };
}

function badLine(body: string): Refusal | undefined {
  const column = indentOf(body);
  if (column === body.length || body[column] === '#') return undefined;
  const brace = body.indexOf('{');
  if (brace >= 0) {
    if (strip(body.slice(0, brace)) === '') return { fault: 'the block has no name before "{"', column: brace };
    const after = brace + 1 + indentOf(body.slice(brace + 1));
    if (after === body.length) return undefined;
    const hint = 'put what follows on a line of its own: corosync takes neither a value nor a comment there';
    return { fault: `"${body.slice(after)}" follows "{"`, column: after, hint };
  }
  if (body.includes(':')) return undefined;
  const brackets = body.indexOf('}');
  if (brackets < 0) {
    const hint = 'a comment begins with "#"';
    return { fault: `"${body.slice(column)}" is neither "key: value" nor "name {" nor "}"`, column, hint };
  }
  if (body.slice(column) === '}') return undefined;
  const hint = 'put "}" on a line of its own: corosync does not even take a comment behind it';
  return { fault: `there is more than "}" in the line`, column: brackets === column ? column + 1 : column, hint };
}

function badItem(block: ConfBlock, key: string, body: string): Refusal | undefined {
  const column = indentOf(body);
  if (byteLength(block.path) + byteLength(key) + 1 >= MAX_PATH) {
    return { fault: `the names of the blocks and the key have more than ${MAX_PATH - 2} bytes together`, column };
  }
  const only = ONLY_KEYS.find(([around]) => isWithin(block.path, around))?.[1];
  if (only !== undefined) {
    const names = only.map((name) => `"${name}"`).join(' and ');
    return only.includes(key)
      ? undefined
      : { fault: `corosync takes no "${key}" in "${block.path}", only ${names}`, column };
  }
  // Names of blocks in a node are not part of what is stored.
  const path = join(isWithin(block.path, 'nodelist.node') ? 'nodelist.node' : block.path, key);
  if (!KEY.test(path)) {
    const hint = 'corosync takes letters of ASCII, digits and ". _ - / :" in the names of keys and blocks';
    return { fault: `corosync can't store the key "${path}": it has a character that is not allowed`, column, hint };
  }
  if (path.length >= MIN_PATH) return undefined;
  return { fault: `corosync can't store the key "${path}": it has less than ${MIN_PATH} characters`, column };
}

function isWithin(path: string, around: string): boolean {
  return path === around || path.startsWith(`${around}.`);
}

function badBlock(block: ConfBlock, name: string, depth: number, body: string): Refusal | undefined {
  const column = indentOf(body);
  if (byteLength(block.path) + byteLength(name) + 1 >= MAX_PATH) {
    return { fault: `the names of the blocks have more than ${MAX_PATH - 2} bytes together`, column };
  }
  if (depth > MAX_DEPTH) return { fault: `more than ${MAX_DEPTH} blocks in one another`, column };
  if (!WITHOUT_BLOCKS.has(block.path)) return undefined;
  return { fault: `corosync takes no block within "${block.path}"`, column };
}

function badEnd(block: ConfBlock, body: string): Refusal | undefined {
  const column = indentOf(body);
  if (block.open < 0) return { fault: 'a "}" too many: no block is open here', column };
  if (!WITHOUT_BLOCKS.has(block.path)) return undefined;
  const value = (key: string) => block.items.findLast((item) => item.key === key)?.value;
  const needed = block.path === 'logging.logger_subsys' ? 'subsys' : 'name';
  if (value(needed) === undefined)
    return { fault: `the block "${block.name}" that ends here has no "${needed}"`, column };
  const names = [value('subsys'), needed === 'name' ? value('name') : undefined];
  const wrong = names.find((name) => name !== undefined && name !== '' && !KEY.test(name));
  if (wrong === undefined) return undefined;
  return {
    fault: `corosync can't store the block "${block.name}" that ends here: "${wrong}" can't be part of a key`,
    column,
  };
}

function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function indentOf(text: string): number {
  return /^[ \t]*/.exec(text)?.[0].length ?? 0;
}
