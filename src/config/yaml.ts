import { isAlias, isMap, isScalar, isSeq, type Node as LibraryNode, type Pair, parseDocument, type Scalar } from 'yaml';
import type { Fault } from '../core/errors.ts';
import { codeFrame, sourceAt } from '../core/source.ts';
import type { Vault } from './vault/vault.ts';
import { addSecretsOf, VaultText, withoutQuotes } from './vault/vault-text.ts';

/** A text with the name under which faults show it. */
export interface SourceText {
  readonly file: string;
  readonly text: string;
  /** What opens encrypted values in it; left out: nothing does. */
  readonly vault?: Vault;
  /** Whether the file was encrypted: faults then tell the place, but show nothing of it. */
  readonly isSecret?: boolean;
}

interface Place {
  readonly doc: SourceText;
  /** Offset of the first character in `doc.text`. */
  readonly start: number;
  /** Offset after the last one. */
  readonly end: number;
}

export interface YamlScalar extends Place {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  /** `!vault`: `value` is what ansible-vault made of the value. */
  readonly isEncrypted?: true;
}

export interface YamlList extends Place {
  readonly kind: 'list';
  readonly items: readonly YamlNode[];
}

export interface YamlEntry extends Place {
  readonly key: string;
  readonly value: YamlNode;
}

export interface YamlMap extends Place {
  readonly kind: 'map';
  /** In the order of the file; entries taken over by a merge (`<<`) come where the merge stands. `start` and `end` are the key's. */
  readonly entries: ReadonlyMap<string, YamlEntry>;
}

/** A value of a YAML file that knows where it stands. */
export type YamlNode = YamlScalar | YamlList | YamlMap;

/** What became of a YAML text. */
export interface YamlResult {
  /** null: the text holds nothing, or is so broken that nothing can be said of it. */
  readonly root: YamlNode | null;
  readonly faults: readonly Fault[];
}

/** The tags by which Ansible marks an encrypted value. */
const VAULT_TAGS = ['!vault', '!vault-encrypted'].map((tag) => ({ tag, resolve: (text: string) => text }));

/** Nodes that aliases may add to a file: more is a mistake or an attack ("billion laughs"). */
const MAX_NODES = 100_000;

/** A fault at an offset of a text, with its code frame. */
export function faultAt(doc: SourceText, offset: number, message: string, hint?: string): Fault {
  const source = sourceAt(doc.file, doc.text, offset);
  if (doc.isSecret)
    return {
      message: `${withoutQuotes(message)} (place in the decrypted text)`,
      source,
      hint: hint && withoutQuotes(hint),
    };
  return { message, source, hint, frame: codeFrame(doc.text, source) };
}

/** A fault at the first character of a node or key. */
export function faultOf(place: Place, message: string, hint?: string): Fault {
  return faultAt(place.doc, place.start, message, hint);
}

/**
 * Reads YAML 1.2 (core schema: `yes` is text, `0o17` a number) into nodes with positions. One document a file. Anchors,
 * aliases, the merge key `<<` and Ansible's tag `!vault` are understood; duplicate keys, other tags and keys that are no scalars are
 * faults.
 * Never throws: every fault found is in the result; where the tree is sound in spite of them, so is `root`.
 */
export function readYaml(
  file: string,
  text: string,
  { vault, isSecret = false }: { readonly vault?: Vault; readonly isSecret?: boolean } = {},
): YamlResult {
  const doc: SourceText = { file, text, isSecret, ...(vault && { vault }) };
  const parsed = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    customTags: (tags) => [...tags, ...VAULT_TAGS],
    strict: true,
    uniqueKeys: true,
    prettyErrors: false,
    logLevel: 'error',
  });
  const faults: Fault[] = [];
  const fatalLines = new Set<number>();
  for (const problem of [...parsed.errors, ...parsed.warnings]) {
    const fault = describeProblem(doc, problem);
    if (isHarmless(problem.code)) {
      faults.push(fault);
      continue;
    }
    // The parser goes on after an error and then stumbles over the rest of the same line.
    const line = fault.source?.line ?? 0;
    if (!fatalLines.has(line)) faults.push(fault);
    fatalLines.add(line);
  }
  if (fatalLines.size > 0 || parsed.contents === null) return { root: null, faults };
  const reader = new Reader(doc, faults);
  const root = reader.read(parsed.contents);
  if (isSecret) addSecretsOf(toValue(root));
  return { root, faults };
}

/** The plain value of a node. Maps have no prototype, so that no key can be mistaken for an inherited one. */
export function toValue(node: YamlNode): unknown {
  if (node.kind === 'scalar') return node.isEncrypted ? encryptedValue(node) : node.value;
  if (node.kind === 'list') return node.items.map(toValue);
  const value: Record<string, unknown> = Object.create(null);
  for (const entry of node.entries.values()) value[entry.key] = toValue(entry.value);
  return value;
}

function encryptedValue(node: YamlScalar): VaultText {
  return new VaultText(String(node.value), node.doc.vault, (message, hint) => faultOf(node, message, hint));
}

/** The child of a node under a key or index, or undefined. */
export function childOf(node: YamlNode | undefined, key: PropertyKey): YamlNode | undefined {
  if (node?.kind === 'map') return node.entries.get(String(key))?.value;
  if (node?.kind === 'list' && typeof key === 'number') return node.items[key];
  return undefined;
}

/**
 * The offset in the file of character `index` of a scalar's value: quotes, escapes, folding and indentation are taken
 * into account. Where they can't be, the start of the scalar.
 */
export function offsetInScalar(node: YamlScalar, index: number): number {
  const value = String(node.value);
  const raw = node.doc.text.slice(node.start, node.end);
  const direct = raw.indexOf(value);
  if (direct >= 0) return node.start + direct + index;
  const header = /^[|>][^\n]*\n/.exec(raw)?.[0].length ?? 0;
  const isDouble = raw.startsWith('"');
  let at = header > 0 ? header : Number(isDouble || raw.startsWith("'"));
  for (let read = 0; read < index; read++) {
    const character = value[read] ?? '';
    at = skipTo(raw, at, character, isDouble);
    // One escape may stand for two units.
    if (isDouble && raw.startsWith('\\U', at) && /[\ud800-\udbff]/.test(character)) read++;
    at += escapeLength(raw, at, isDouble, character);
    if (at >= raw.length) return node.start;
  }
  return node.start + skipTo(raw, at, value[index] ?? '', isDouble);
}

function skipTo(raw: string, from: number, character: string, isDouble: boolean): number {
  let at = from;
  while (at < raw.length && raw[at] !== character && /\s/.test(raw[at] ?? '')) {
    const folded = character === ' ' && raw[at] === '\n';
    if (folded) break;
    at++;
  }
  // A backslash at the end of a line joins it with the next one.
  const joined = isDouble && character !== '\\' ? /^\\\r?\n\s*/.exec(raw.slice(at, at + 200)) : null;
  return joined === null ? at : at + joined[0].length;
}

function escapeLength(raw: string, at: number, isDouble: boolean, character: string): number {
  if (raw[at] === "'" && raw[at + 1] === "'") return 2;
  if (isDouble && raw[at] === '\\') return { x: 4, u: 6, U: 10 }[raw[at + 1] ?? ''] ?? 2;
  if (character === ' ' && raw[at] === '\n') return /^\n[ \t]*/.exec(raw.slice(at))?.[0].length ?? 1;
  return 1;
}

interface Problem {
  readonly code: string;
  readonly message: string;
  readonly pos: readonly [number, number];
}

/** Problems that leave the tree as it was meant. */
function isHarmless(code: string): boolean {
  return code === 'DUPLICATE_KEY' || code === 'TAG_RESOLVE_FAILED';
}

function describeProblem(doc: SourceText, problem: Problem): Fault {
  const [start, end] = problem.pos;
  const excerpt = doc.text.slice(start, end);
  switch (problem.code) {
    case 'DUPLICATE_KEY': {
      const key = /^[^:\s]*/.exec(doc.text.slice(start, start + 100))?.[0] ?? '';
      return faultAt(doc, start, `duplicate key ${JSON.stringify(key)}`, 'a key stands once in a mapping');
    }
    case 'TAB_AS_INDENT':
      return faultAt(doc, start, 'a tab is used for indentation', 'YAML indents with blanks only');
    case 'MULTIPLE_DOCS':
      return faultAt(
        doc,
        start,
        'a second YAML document begins',
        'one document a file: remove the "---" or split the file',
      );
    case 'TAG_RESOLVE_FAILED':
      return faultAt(doc, start, `the YAML tag ${JSON.stringify(excerpt)} is not supported`, 'write the plain value');
    case 'BLOCK_AS_IMPLICIT_KEY':
      return faultAt(doc, start, 'a second ": " on one line', 'put a value that contains ": " in quotes');
    case 'BAD_SCALAR_START':
      return faultAt(
        doc,
        start,
        `a plain value can't start with ${JSON.stringify(excerpt)}`,
        'put the value in quotes',
      );
    default:
      return describeSyntax(doc, problem);
  }
}

function describeSyntax(doc: SourceText, { message, pos: [start] }: Problem): Fault {
  const lineStart = doc.text.lastIndexOf('\n', start - 1) + 1;
  const indentation = /^[ \t]*/.exec(doc.text.slice(lineStart))?.[0] ?? '';
  const tab = indentation.indexOf('\t');
  if (tab >= 0) return faultAt(doc, lineStart + tab, 'a tab is used for indentation', 'YAML indents with blanks only');
  const [line = ''] = doc.text.slice(lineStart).split('\n');
  const hint = /[:,[{-]\s*\{\{/.test(line) ? UNQUOTED : undefined;
  return faultAt(doc, start, `not valid YAML: ${message.replace(/\.$/, '')}`, hint);
}

const UNQUOTED = 'a value that starts with "{{" stands in quotes: "{{name}}"';

class Reader {
  readonly #doc: SourceText;
  readonly #faults: Fault[];
  readonly #anchors = new Map<string, LibraryNode>();
  /** Anchored nodes that an alias is being read of: an alias to one of them has no end. */
  readonly #open = new Set<LibraryNode>();
  #count = 0;

  constructor(doc: SourceText, faults: Fault[]) {
    this.#doc = doc;
    this.#faults = faults;
  }

  read(node: unknown): YamlNode {
    if (isAlias(node)) return this.#alias(node);
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) return this.#scalar(null, node as LibraryNode | null);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    this.#count++;
    if (isScalar(node)) return this.#scalar(scalarValue(node), node);
    const place = this.#place(node);
    if (isMap(node) && this.#doc.text.startsWith('{{', place.start)) {
      this.#faults.push(faultOf(place, 'a template without quotes', UNQUOTED));
      return { kind: 'scalar', ...place, value: this.#doc.text.slice(place.start, place.end).trim() };
    }
    this.#open.add(node);
    const result: YamlNode = isSeq(node)
      ? { kind: 'list', ...place, items: node.items.map((item) => this.read(item)) }
      : { kind: 'map', ...place, entries: this.#entries(node.items) };
    this.#open.delete(node);
    return result;
  }

  #place(node: LibraryNode | null | undefined): Place {
    const [start, end] = node?.range ?? [0, 0];
    return { doc: this.#doc, start, end };
  }

  #scalar(value: YamlScalar['value'], node: LibraryNode | null | undefined): YamlScalar {
    const isEncrypted = VAULT_TAGS.some(({ tag }) => tag === node?.tag);
    return { kind: 'scalar', ...this.#place(node), value, ...(isEncrypted && { isEncrypted }) };
  }

  #alias(node: LibraryNode & { readonly source: string }): YamlNode {
    const target = this.#anchors.get(node.source);
    const place = this.#place(node);
    if (target === undefined) {
      this.#faults.push(faultOf(place, `no anchor "&${node.source}" stands before this alias`));
    } else if (this.#open.has(target)) {
      this.#faults.push(faultOf(place, `the alias "*${node.source}" stands inside what it means`));
    } else if (this.#count > MAX_NODES) {
      if (this.#count !== Number.POSITIVE_INFINITY) this.#faults.push(faultOf(place, 'aliases blow this file up'));
      this.#count = Number.POSITIVE_INFINITY;
    } else {
      return this.read(target);
    }
    return this.#scalar(null, node);
  }

  #entries(pairs: readonly Pair[]): ReadonlyMap<string, YamlEntry> {
    const own = new Map<string, YamlEntry>();
    const merged = new Set<string>();
    for (const pair of pairs) {
      const entry = this.#entry(pair);
      if (entry === null) continue;
      if (entry.key === '<<') {
        for (const taken of this.#merge(entry)) {
          if (own.has(taken.key)) continue;
          own.set(taken.key, taken);
          merged.add(taken.key);
        }
      } else if (!own.has(entry.key) || merged.delete(entry.key)) {
        own.set(entry.key, entry);
      }
    }
    return own;
  }

  #entry(pair: Pair): YamlEntry | null {
    const key = isAlias(pair.key) ? this.#anchors.get(pair.key.source) : (pair.key as LibraryNode | null);
    const place = this.#place(pair.key as LibraryNode | null);
    if (!isScalar(key)) {
      this.#faults.push(faultOf(place, 'a key must be plain text'));
      return null;
    }
    if (key.anchor !== undefined) this.#anchors.set(key.anchor, key);
    const name = keyText(key);
    if (name === '__proto__') {
      this.#faults.push(faultOf(place, 'the key "__proto__" is not allowed'));
      return null;
    }
    // A key without a value has no node of its own: it stands where the key ends.
    const value: YamlNode =
      pair.value === null
        ? { kind: 'scalar', doc: this.#doc, start: place.end, end: place.end, value: null }
        : this.read(pair.value);
    return { ...place, key: name, value };
  }

  #merge(entry: YamlEntry): readonly YamlEntry[] {
    const sources = entry.value.kind === 'list' ? entry.value.items : [entry.value];
    return sources.flatMap((source) => {
      if (source.kind === 'map') return [...source.entries.values()];
      this.#faults.push(faultOf(source, 'the merge key "<<" takes a mapping or a list of mappings'));
      return [];
    });
  }
}

function keyText(key: Scalar): string {
  return key.value === null ? (key.source ?? '') : String(key.value);
}

function scalarValue(node: Scalar): YamlScalar['value'] {
  const { value } = node;
  const isPlain =
    value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  return isPlain ? value : String(value);
}
