import type { YamlNode } from './yaml-nodes.ts';

/** A text that needs the full parser. */
class NotSimple extends Error {}

interface Line {
  readonly indent: number;
  /** Where the text after the indent begins and where the line ends. */
  readonly start: number;
  readonly end: number;
}

// Only characters that mean nothing to YAML wherever they stand in a plain scalar, so that nothing has to be weighed up here.
const KEY = /(?:[A-Za-z0-9_][\w./-]*|"[^"\\\r\n]*")(?=:(?: |$))/my;
const WORD = '[A-Za-z0-9_./+@%=()~^][\\w./+@%=()~^-]*';
const PLAIN = new RegExp(
  `(?:-(?=[0-9.]))?[A-Za-z0-9_./+~(](?:[\\w./+@%=()~^-]|:(?=[\\w/]))*(?: ${WORD})*(?= *$| +#)`,
  'my',
);
const FLOW_PLAIN = new RegExp(`(?:-(?=[0-9.]))?[A-Za-z0-9_./+~(][\\w./+@%=()~^-]*(?: ${WORD})*(?= *[,\\]}]|: )`, 'my');
const QUOTED = /"[^"\\\r\n]*"|'[^'\r\n]*'/y;
const BLANKS = / */y;
const REST = /(?: *| +#.*)$/my;
const LONGEST = 1000;
/** Characters that YAML or a pattern above could take for the end of a line, and those that can't stand in YAML at all. */
const UNUSUAL = /[\0-\x09\x0B-\x1F\x7F-\x9F\u2028\u2029\uD800-\uDFFF\uFEFF\uFFFE\uFFFF]/;

/**
 * Reads the plain layout that most inventories and files of variables have: block mappings and lists of short scalars, and `[…]` or `{…}` within a line.
 * Several times as fast as the full parser, which matters with thousands of hosts; the nodes are the same.
 * @returns undefined where the text holds anything else, be it right or wrong: the full parser then decides
 */
export function composeSimple(text: string): YamlNode | undefined {
  try {
    return new SimpleReader(text).read();
  } catch (error) {
    if (error instanceof NotSimple) return undefined;
    throw error;
  }
}

class SimpleReader {
  private readonly text: string;
  private readonly lines: readonly Line[];
  private next = 0;
  private at = 0;

  constructor(text: string) {
    this.text = text;
    this.lines = linesOf(text);
  }

  read(): YamlNode {
    const first = this.lines[0];
    if (first === undefined) throw new NotSimple();
    const node = this.block(first);
    if (this.next < this.lines.length) throw new NotSimple();
    return node;
  }

  private block(first: Line): YamlNode {
    return this.isItem(first) ? this.list(first) : this.map(first);
  }

  private isItem(line: Line): boolean {
    return this.text.startsWith('- ', line.start);
  }

  private map(first: Line): YamlNode {
    const pairs: (readonly [YamlNode, YamlNode])[] = [];
    for (
      let line = this.lines[this.next];
      line !== undefined && line.indent >= first.indent;
      line = this.lines[this.next]
    ) {
      if (line.indent > first.indent) throw new NotSimple();
      this.next++;
      this.at = line.start;
      const key = this.scalar(KEY);
      this.at++;
      pairs.push([key, this.isAtEnd(line) ? this.below(line, key) : this.value(line, PLAIN)]);
    }
    return { kind: 'map', tag: undefined, offset: first.start, pairs };
  }

  /** What stands below a key: a deeper block, a list in the key's own column, or nothing. */
  private below(line: Line, key: YamlNode): YamlNode {
    const next = this.lines[this.next];
    const isBelow =
      next !== undefined && (next.indent > line.indent || (next.indent === line.indent && this.isItem(next)));
    return isBelow ? this.block(next) : plain('', key.offset);
  }

  private list(first: Line): YamlNode {
    const items: YamlNode[] = [];
    for (
      let line = this.lines[this.next];
      line !== undefined && line.indent >= first.indent;
      line = this.lines[this.next]
    ) {
      if (line.indent > first.indent) throw new NotSimple();
      if (!this.isItem(line)) break;
      this.next++;
      this.at = line.start + 2;
      items.push(this.value(line, PLAIN));
    }
    return { kind: 'list', tag: undefined, offset: first.start, items };
  }

  /** A value that ends with its line. */
  private value(line: Line, pattern: RegExp): YamlNode {
    this.skip(BLANKS);
    const node = this.inline(pattern);
    if (!this.isAtEnd(line)) throw new NotSimple();
    return node;
  }

  private inline(pattern: RegExp): YamlNode {
    const first = this.text[this.at];
    if (first === '[') return this.flowList();
    if (first === '{') return this.flowMap();
    return this.scalar(first === '"' || first === "'" ? QUOTED : pattern);
  }

  private flowList(): YamlNode {
    const offset = this.at;
    const items: YamlNode[] = [];
    this.flow(']', () => items.push(this.inline(FLOW_PLAIN)));
    return { kind: 'list', tag: undefined, offset, items };
  }

  private flowMap(): YamlNode {
    const offset = this.at;
    const pairs: (readonly [YamlNode, YamlNode])[] = [];
    this.flow('}', () => {
      const key = this.scalar(KEY);
      this.at++;
      this.skip(BLANKS);
      const isEmpty = this.text[this.at] === ',' || this.text[this.at] === '}';
      pairs.push([key, isEmpty ? plain('', key.offset) : this.inline(FLOW_PLAIN)]);
    });
    return { kind: 'map', tag: undefined, offset, pairs };
  }

  private flow(close: string, one: () => void): void {
    this.at++;
    this.skip(BLANKS);
    while (this.text[this.at] !== close) {
      one();
      this.skip(BLANKS);
      if (this.text[this.at] === close) break;
      if (this.text[this.at] !== ',') throw new NotSimple();
      this.at++;
      this.skip(BLANKS);
    }
    this.at++;
  }

  private scalar(pattern: RegExp): YamlNode {
    const offset = this.at;
    const found = this.skip(pattern);
    const isQuoted = found.startsWith('"') || found.startsWith("'");
    if (!isQuoted) return plain(found, offset);
    return { kind: 'scalar', tag: undefined, offset, text: found.slice(1, -1), isPlain: false };
  }

  private isAtEnd(line: Line): boolean {
    REST.lastIndex = this.at;
    return this.at === line.end || REST.test(this.text);
  }

  private skip(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found === undefined) throw new NotSimple();
    this.at += found.length;
    return found;
  }
}

function plain(text: string, offset: number): YamlNode {
  return { kind: 'scalar', tag: undefined, offset, text, isPlain: true };
}

/** Lines that hold something; a document mark at the beginning is left out. */
function linesOf(text: string): Line[] {
  if (UNUSUAL.test(text)) throw new NotSimple();
  const lines: Line[] = [];
  let hasMark = false;
  for (let from = 0; from < text.length; ) {
    const newline = text.indexOf('\n', from);
    const end = newline < 0 ? text.length : newline;
    if (end - from > LONGEST) throw new NotSimple();
    let start = from;
    while (text[start] === ' ') start++;
    const isMark = end - from === 3 && text.startsWith('---', from);
    if (isMark && (hasMark || lines.length > 0)) throw new NotSimple();
    hasMark ||= isMark;
    if (start < end && text[start] !== '#' && !isMark) lines.push({ indent: start - from, start, end });
    from = end + 1;
  }
  return lines;
}
