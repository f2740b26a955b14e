import { trimmed, trimmedEnd } from './trim.ts';

/**
 * Which program reads the file. They split lines differently: ifupdown joins a line that ends in a backslash with the
 * next (not a comment, not where CR LF ends the line); ifupdown2 joins at every backslash, comments included.
 */
export type Dialect = 'ifupdown' | 'ifupdown2';

const BLANKS = ' \t\r\n\f\v';

/** One logical line: one physical line, or several joined by backslashes. */
export interface InterfacesLine {
  /** `template` is a Mako control line, which only ifupdown2 knows. */
  readonly kind: 'blank' | 'comment' | 'keyword' | 'option' | 'template';
  /** The bytes as they are, line end included. The `raw` of all lines together are the file. */
  readonly raw: string;
  /** Number of its first physical line, from 1. */
  readonly number: number;
  /** First word; "" for blank lines and comments. */
  readonly key: string;
  /** All after the first word, joined and trimmed. */
  readonly value: string;
}

/** An `iface` line and the options that belong to it. */
export interface Stanza {
  /** The name on the `iface` line, as written. */
  readonly name: string;
  /** `static`, `dhcp`, … or "" where the line has none. */
  readonly method: string;
  /** The stanza named by `inherits`, whose options come first. */
  readonly inherits: string | undefined;
  /** Index of the `iface` line in `lines`. */
  readonly header: number;
  /** Indices of the option lines in `lines`. */
  readonly options: readonly number[];
}

/** /etc/network/interfaces or a file that it sources, with every byte kept. */
export interface InterfacesFile {
  readonly dialect: Dialect;
  readonly lines: readonly InterfacesLine[];
  readonly stanzas: readonly Stanza[];
}

const STANZA_KEYWORDS = new Set(['iface', 'mapping', 'source', 'rename', 'vlan', 'template']);
/** Without an argument these belong to the `iface` before them (ifupdown ≥ 0.8.36). */
const MARKING_KEYWORDS = /^(?:auto|allow-.+|no-auto-down|no-scripts)$/;

/**
 * Reads the text of an interfaces file. Never fails: what neither program understands is kept as it is.
 * Sources: interfaces(5) and config.c of ifupdown 0.8.41; networkinterfaces.py of ifupdown2 3.0.0.
 */
export function parseInterfaces(text: string, dialect: Dialect): InterfacesFile {
  const lines: InterfacesLine[] = [];
  const stanzas: { name: string; method: string; inherits: string | undefined; header: number; options: number[] }[] =
    [];
  let number = 1;
  let inside: 'iface' | 'other' = 'other';
  for (const raw of dialect === 'ifupdown2' ? splitAtBackslashes(text) : splitContinued(text)) {
    const line = readLine(raw, number, dialect);
    number += raw.split('\n').length - 1;
    lines.push(line);
    if (line.kind === 'option' && inside === 'iface') stanzas.at(-1)?.options.push(lines.length - 1);
    if (line.kind !== 'keyword' || (inside === 'iface' && isMark(line))) continue;
    inside = line.key === 'iface' ? 'iface' : 'other';
    if (inside === 'iface') stanzas.push({ ...readHeader(line.value), header: lines.length - 1, options: [] });
  }
  return { dialect, lines, stanzas };
}

/** The text of the file: what was parsed, byte for byte, where nothing was changed. */
export function printInterfaces(file: InterfacesFile): string {
  return file.lines.map((line) => line.raw).join('');
}

/** The file with another value in an option line. Indentation, spelling of the key and the line end stay. */
export function withOptionValue(file: InterfacesFile, index: number, value: string): InterfacesFile {
  const line = file.lines[index];
  if (line === undefined || line.value === value) return file;
  const parts = /^[ \t\f\v]*[^ \t\r\n\f\v]+[ \t\f\v]+/.exec(line.raw);
  const isOnePiece = parts !== null && !line.raw.includes('\\');
  const head = isOnePiece ? parts[0] : `${indentOf(line)}${line.key} `;
  return withRaw(file, index, `${head}${value}${lineEndOf(line)}`);
}

/** The file without one logical line. */
export function withoutLine(file: InterfacesFile, index: number): InterfacesFile {
  return withRaw(file, index, '');
}

/**
 * The file with one more option in a stanza: after the last option for which `near` holds, else after the last option,
 * else after the `iface` line. Indentation and line end are those of the line before it.
 */
export function withOption(
  file: InterfacesFile,
  stanza: Stanza,
  key: string,
  value: string,
  near: (line: InterfacesLine) => boolean,
): InterfacesFile {
  const options = stanza.options.filter((index) => file.lines[index] !== undefined);
  const after = options.findLast((index) => near(lineAt(file, index))) ?? options.at(-1) ?? stanza.header;
  const before = lineAt(file, after);
  const indent = after === stanza.header ? '\t' : indentOf(before);
  const end = lineEndOf(before);
  const usual = end !== '' ? end : (/\r?\n/.exec(printInterfaces(file))?.[0] ?? '\n');
  // A backslash at the very end of the file would swallow the new line.
  const kept = withoutDanglingEnd(before.raw, file.dialect).replace(/\r?\n$|\r$/, '') + (end === '' ? usual : end);
  return withRaw(file, after, `${kept}${indent}${key} ${value}${end}`);
}

/** Whether an `iface` name stands for `name`: itself, an ifupdown2 range such as `vmbr[0-3]`, or with ifupdown2 an alias `vmbr0:1`. */
export function stanzaMatches(stanza: Stanza, name: string, dialect: Dialect): 'exact' | 'range' | undefined {
  if (stanza.name === name) return 'exact';
  if (dialect === 'ifupdown') return undefined;
  if (stanza.name.split(':')[0] === name) return 'exact';
  const range = /^(.*)\[(\d+)-(\d+)\](.*)$/.exec(stanza.name);
  if (range === null) return undefined;
  const [, head = '', first = '', last = '', tail = ''] = range;
  if (!name.startsWith(head) || !name.endsWith(tail) || name.length <= head.length + tail.length) return undefined;
  const middle = name.slice(head.length, name.length - tail.length);
  return /^\d+$/.test(middle) && Number(middle) >= Number(first) && Number(middle) <= Number(last)
    ? 'range'
    : undefined;
}

/** A line that the file is known to have: `index` comes from one of its stanzas. */
export function lineAt(file: InterfacesFile, index: number): InterfacesLine {
  const line = file.lines[index];
  if (line === undefined) throw new RangeError(`there is no line with index ${index}`);
  return line;
}

function withRaw(file: InterfacesFile, index: number, raw: string): InterfacesFile {
  const text = file.lines.map((line, at) => (at === index ? raw : line.raw)).join('');
  return parseInterfaces(text, file.dialect);
}

function readLine(raw: string, number: number, dialect: Dialect): InterfacesLine {
  const text = logicalText(raw, dialect);
  if (text === '') return { kind: 'blank', raw, number, key: '', value: '' };
  if (text.startsWith('#')) return { kind: 'comment', raw, number, key: '', value: '' };
  const gap = text.search(/[ \t\r\n\f\v]/);
  const key = gap < 0 ? text : text.slice(0, gap);
  const value = gap < 0 ? '' : trim(text.slice(gap));
  const isKeyword = STANZA_KEYWORDS.has(key) || key.startsWith('source-dir') || MARKING_KEYWORDS.test(key);
  const isTemplate = dialect === 'ifupdown2' && (key.startsWith('%') || key.startsWith('<%'));
  return { kind: isTemplate ? 'template' : isKeyword ? 'keyword' : 'option', raw, number, key, value };
}

function isMark(line: InterfacesLine): boolean {
  return line.value === '' && MARKING_KEYWORDS.test(line.key);
}

function readHeader(value: string): Pick<Stanza, 'name' | 'method' | 'inherits'> {
  const words = value.split(/[ \t\r\n\f\v]+/);
  const at = words.indexOf('inherits', 1);
  const isFamily = /^(?:inet6?|ipx|can|meta)$/.test(words[1] ?? '');
  const method = isFamily && words[2] !== 'inherits' ? (words[2] ?? '') : '';
  return { name: words[0] ?? '', method, inherits: at < 0 ? undefined : words[at + 1] };
}

function logicalText(raw: string, dialect: Dialect): string {
  if (dialect === 'ifupdown2') return trim(raw.split('\\').map(trim).join(' '));
  return trim(raw.trimStart().startsWith('#') ? raw : raw.replaceAll('\\\n', ''));
}

/** ifupdown: a physical line that ends in a backslash goes on in the next one, unless it is a comment. */
function splitContinued(text: string): string[] {
  const lines: string[] = [];
  let open = false;
  for (const physical of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    if (open) lines.push((lines.pop() ?? '') + physical);
    else lines.push(physical);
    const isComment: boolean = !open && /^[ \t\r\f\v]*#/.test(physical);
    open = !isComment && physical.endsWith('\\\n');
  }
  return lines;
}

/** ifupdown2: white space around any backslash, line ends included, counts as one blank. */
function splitAtBackslashes(text: string): string[] {
  const glued = new Set<number>();
  for (const run of text.matchAll(/[ \t\r\n\f\v\\]+/g)) {
    if (!run[0].includes('\\')) continue;
    for (let at = run.index; at < run.index + run[0].length; at++) glued.add(at);
  }
  const lines: string[] = [];
  let start = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) {
    if (glued.has(at)) continue;
    lines.push(text.slice(start, at + 1));
    start = at + 1;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}

/** The raw line without the backslashes at its end, and without what the program drops around them. */
function withoutDanglingEnd(raw: string, dialect: Dialect): string {
  if (dialect === 'ifupdown2') {
    const kept = trimmedEnd(raw, `${BLANKS}\\`);
    return raw.slice(kept.length).includes('\\') ? kept : raw;
  }
  let end = raw.length;
  while (end > 0 && (raw[end - 1] === '\\' || (raw[end - 1] === '\n' && raw[end - 2] === '\\'))) end--;
  return raw.slice(0, end);
}

function indentOf(line: InterfacesLine): string {
  return /^[ \t]*/.exec(line.raw)?.[0] ?? '';
}

function lineEndOf(line: InterfacesLine): string {
  return /\r?\n$/.exec(line.raw)?.[0] ?? '';
}

/** The white space of C and Python alone: no byte order mark, no no-break space. */
function trim(text: string): string {
  return trimmed(text, BLANKS);
}
