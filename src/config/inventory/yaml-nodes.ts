import { Composer, isAlias, isMap, isPair, isScalar, isSeq, type Scalar, Schema, type YAMLError } from 'yaml';
import { composeSimple } from './simple-yaml.ts';
import type { Findings, SourceText } from './source-text.ts';
import { parseTokens } from './yaml-tokens.ts';

/** A node as it is written: tags resolved to their full names, aliases replaced by the node that they stand for. */
export type YamlNode = ScalarNode | ListNode | MapNode;

interface NodeBase {
  /** Full tag, such as "tag:yaml.org,2002:int" or "!vault"; undefined where none is written. */
  readonly tag: string | undefined;
  readonly offset: number;
}

export interface ScalarNode extends NodeBase {
  readonly kind: 'scalar';
  readonly text: string;
  /** Neither quoted nor a block scalar: its form decides its type. */
  readonly isPlain: boolean;
}

export interface ListNode extends NodeBase {
  readonly kind: 'list';
  readonly items: YamlNode[];
}

export interface MapNode extends NodeBase {
  readonly kind: 'map';
  /** Merge keys are still among them. */
  pairs: (readonly [YamlNode, YamlNode])[];
}

// With "failsafe" every scalar stays the text that it is: types are given by PyYAML's rules, in scalars.ts.
const SCHEMA = new Schema({ schema: 'failsafe', resolveKnownTags: false, merge: false });
const ANCHOR = /^[A-Za-z0-9_-]+$/;
/** Complaints about what is no YAML by the book but is read by libyaml. */
const LIBYAML_ALLOWS = /^Comments must be separated/;
/** What libyaml refuses to read. */
const UNPRINTABLE = /[\0-\x08\x0B\x0C\x0E-\x1F\x7F\x80-\x84\x86-\x9F\uFFFE\uFFFF]|(?!^)\uFEFF/;

/**
 * Composes the only document of a YAML text, as PyYAML with libyaml does.
 * @returns undefined where the text holds nothing, or is no YAML: `findings` then has the fault
 */
export function composeYaml(source: SourceText, findings: Findings): YamlNode | undefined {
  return composeSimple(source.text) ?? composeFully(source, findings);
}

/** As `composeYaml`, by the full parser only. */
export function composeFully(source: SourceText, findings: Findings): YamlNode | undefined {
  const unprintable = UNPRINTABLE.exec(source.text);
  if (unprintable !== null) {
    const code = (source.text.codePointAt(unprintable.index) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    findings.faults.push(source.fault(unprintable.index, `the control character U+${code} can't stand in YAML`));
    return undefined;
  }
  const composer = new Composer({ schema: SCHEMA, version: '1.1', uniqueKeys: false, prettyErrors: false });
  // A carriage return alone ends a line in YAML; the parser knows it only before a line feed.
  const text = source.text.replace(/\r(?!\n)/g, '\n');
  const documents = [...composer.compose(parseTokens(text), true, text.length)];
  const [document, second] = documents;
  const errors = documents.flatMap((each) => each.errors).filter((error) => !LIBYAML_ALLOWS.test(error.message));
  const error = errors.sort((a, b) => a.pos[0] - b.pos[0])[0];
  const version = document?.directives?.yaml.explicit === true && badVersion(text);
  if (error !== undefined || version) {
    findings.faults.push(
      error === undefined ? source.fault(0, 'YAML 1.1 and 1.2 are the known versions') : syntaxFault(source, error),
    );
    return undefined;
  }
  if (document === undefined) return undefined;
  if (second !== undefined) {
    findings.faults.push(source.fault(second.range[0], 'a second document begins here', 'keep one document in a file'));
    return undefined;
  }
  if (document.contents === null) return undefined;
  return new Linker(source, findings).link(document.contents, document.range[0]);
}

function badVersion(text: string): boolean {
  return /^%YAML[ \t]+(?!1\.[12][ \t]*(?:#.*)?\r?$)/m.test(text);
}

/** Turns the parser's nodes into ours, in the order in which they are written, so that anchors mean what they do in PyYAML. */
class Linker {
  private readonly source: SourceText;
  private readonly findings: Findings;
  private readonly anchors = new Map<string, YamlNode>();

  constructor(source: SourceText, findings: Findings) {
    this.source = source;
    this.findings = findings;
  }

  link(node: unknown, fallback: number): YamlNode {
    if (isAlias(node)) return this.resolve(node.source, node.range?.[0] ?? fallback);
    if (isScalar(node)) {
      const offset = node.range?.[0] ?? fallback;
      const text = this.scalarText(node);
      const isPlain = (node.type === 'PLAIN' || node.type === undefined) && !(node.tag === '!' && text === '');
      return this.named(node.anchor, { kind: 'scalar', tag: tagOf(node.tag), offset, text, isPlain });
    }
    if (isMap(node)) {
      const offset = node.range?.[0] ?? fallback;
      const map: MapNode = { kind: 'map', tag: tagOf(node.tag), offset, pairs: [] };
      this.named(node.anchor, map);
      for (const pair of node.items) {
        this.checkColon(pair.key, node.flow === true);
        map.pairs.push(this.pair(pair.key, pair.value, offset));
      }
      return map;
    }
    if (isSeq(node)) {
      const offset = node.range?.[0] ?? fallback;
      const list: ListNode = { kind: 'list', tag: tagOf(node.tag), offset, items: [] };
      this.named(node.anchor, list);
      for (const item of node.items) list.items.push(this.item(item, offset));
      return list;
    }
    return { kind: 'scalar', tag: undefined, offset: fallback, text: '', isPlain: true };
  }

  /** An item of a list may be a lone pair: `[a: 1]`. */
  private item(item: unknown, fallback: number): YamlNode {
    if (!isPair(item)) return this.link(item, fallback);
    const pair = this.pair(item.key, item.value, fallback);
    return { kind: 'map', tag: undefined, offset: pair[0].offset, pairs: [pair] };
  }

  /** Two places of a colon that the parser accepts and libyaml does not. */
  private checkColon(key: unknown, inFlow: boolean): void {
    if (!isScalar(key) || key.range == null) return;
    const [start, end] = key.range;
    const { text } = this.source;
    const line = text.slice(text.lastIndexOf('\n', start - 1) + 1, start);
    const isLate =
      !inFlow && key.value === '' && key.type === 'PLAIN' && /[^\s?-]/.test(line) && !key.tag && !key.anchor;
    const isTight = inFlow && key.type === 'PLAIN' && /^:[,?[\]{}]/.test(text.slice(end, end + 2)) && end > start;
    if (!isLate && !isTight) return;
    const hint = isTight ? 'put a blank after ":"' : 'quote a value that holds ": "';
    this.findings.faults.push(
      this.source.fault(isLate ? start : end, 'no valid YAML: a ":" is not allowed here', hint),
    );
  }

  /** libyaml adds no line end to a block scalar that ends with the file. */
  private scalarText(node: Scalar): string {
    const text = String(node.value ?? '');
    const isBlock = node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED';
    const isCut = isBlock && text.endsWith('\n') && (node.range?.[1] ?? 0) >= this.source.text.length;
    return isCut && /[^\s][^\n]*$/.test(this.source.text) ? text.slice(0, -1) : text;
  }

  private pair(key: unknown, value: unknown, fallback: number): readonly [YamlNode, YamlNode] {
    const keyNode = this.link(key, fallback);
    return [keyNode, this.link(value, keyNode.offset)];
  }

  private named<Node extends YamlNode>(anchor: string | undefined, node: Node): Node {
    if (anchor === undefined || anchor === '') return node;
    if (!ANCHOR.test(anchor)) {
      const hint = 'an anchor is made of letters, digits, "-" and "_"';
      this.findings.faults.push(this.source.fault(node.offset, `"${anchor}" can't be the name of an anchor`, hint));
    }
    if (this.anchors.has(anchor)) {
      const message = `the anchor "${anchor}" is defined a second time`;
      this.findings.faults.push(this.source.fault(node.offset, message, 'give it another name'));
    }
    this.anchors.set(anchor, node);
    return node;
  }

  private resolve(name: string, offset: number): YamlNode {
    const target = this.anchors.get(name);
    if (target !== undefined) return target;
    const hint = `a value that begins with "*" is an alias: quote it where it is text, or define "&${name}" before`;
    this.findings.faults.push(this.source.fault(offset, `there is no anchor "${name}" before this alias`, hint));
    return { kind: 'scalar', tag: undefined, offset, text: '', isPlain: true };
  }
}

/** The non-specific tag "!" changes nothing in libyaml. */
function tagOf(tag: string | undefined): string | undefined {
  return tag === '!' ? undefined : tag;
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [/tab/i, 'indent with blanks: YAML takes no tabs there'],
  [/plain value cannot start with/i, 'quote the value'],
  [/nested mappings|compact mappings|implicit key/i, 'quote a value that holds ": ", and check the indentation'],
  [/missing closing|flow/i, 'close every quote and bracket'],
  [/indent/i, 'entries of one mapping or list begin in one column'],
];

function syntaxFault(source: SourceText, error: YAMLError) {
  const said = error.message.replace(/\s+/g, ' ').trim();
  const hint = HINTS.find(([pattern]) => pattern.test(`${error.code} ${said}`))?.[1];
  return source.fault(error.pos[0], `no valid YAML: ${said[0]?.toLowerCase() ?? ''}${said.slice(1)}`, hint);
}
