import { addSecretsOf } from '../vault/vault-text.ts';
import { readJson } from './json-reader.ts';
import { constructScalar, resolvePlain, type ScalarKind } from './scalars.ts';
import type { Findings, Mark, SourceText } from './source-text.ts';
import { Dict, type Key, keyText, toPlain, UnsafeText, type Value, VaultText } from './value.ts';
import { composeYaml, type MapNode, type YamlNode } from './yaml-nodes.ts';

/** A value and where it begins. */
export interface ReadValue {
  readonly value: Value;
  readonly mark: Mark;
}

/**
 * The value of a text as Ansible's loader understands it: JSON where the text is JSON, otherwise YAML 1.1 by PyYAML's rules
 * with Ansible's `!vault` and `!unsafe`. Repeated keys are warnings, the last one counts.
 * @returns null as value where the text is empty or faulty; faults are in `findings`
 */
export function readValue(source: SourceText, findings: Findings): ReadValue {
  const read = readAny(source, findings);
  if (source.isSecret) addSecretsOf(toPlain(read.value));
  return read;
}

function readAny(source: SourceText, findings: Findings): ReadValue {
  const json = readJson(source, findings.vault);
  if (json !== undefined) return { value: json, mark: { text: source, offset: firstInk(source.text) } };
  const node = composeYaml(source, findings);
  if (node === undefined) return { value: null, mark: { text: source, offset: 0 } };
  return { value: new Constructor(source, findings).construct(node), mark: { text: source, offset: node.offset } };
}

function firstInk(text: string): number {
  return Math.max(0, text.search(/\S/));
}

const YAML_TAG = 'tag:yaml.org,2002:';
const SCALAR_TAGS: Readonly<Record<string, Exclude<ScalarKind, 'merge' | 'value'>>> = {
  null: 'null',
  bool: 'bool',
  int: 'int',
  float: 'float',
  timestamp: 'timestamp',
  str: 'str',
  'python/unicode': 'str',
};
const MAP_TAGS = [undefined, `${YAML_TAG}map`, `${YAML_TAG}python/dict`];
const LIST_TAGS = [undefined, `${YAML_TAG}seq`];
const PAIRS_TAGS = [`${YAML_TAG}omap`, `${YAML_TAG}pairs`];

class Constructor {
  private readonly source: SourceText;
  private readonly findings: Findings;
  private readonly done = new Map<YamlNode, Value>();
  private readonly open = new Set<YamlNode>();
  /** Mappings whose merge keys are resolved, with the number of merged pairs that stand first. */
  private readonly flat = new Map<MapNode, number>();

  constructor(source: SourceText, findings: Findings) {
    this.source = source;
    this.findings = findings;
  }

  construct(node: YamlNode): Value {
    const known = this.done.get(node);
    if (known !== undefined) return known;
    if (this.open.has(node)) return this.fault(node, 'this value contains itself by an alias');
    this.open.add(node);
    const value = this.build(node);
    this.open.delete(node);
    this.done.set(node, value);
    return value;
  }

  private build(node: YamlNode): Value {
    if (node.tag === '!unsafe') return this.unsafe(node);
    if (node.kind === 'map' && MAP_TAGS.includes(node.tag)) return this.mapping(node);
    if (node.kind === 'list' && LIST_TAGS.includes(node.tag)) return node.items.map((item) => this.construct(item));
    if (node.kind === 'list' && PAIRS_TAGS.includes(node.tag ?? '')) return this.pairs(node.items);
    if (node.kind === 'scalar') return this.scalar(node.text, kindOfScalar(node), node);
    const inner = node.kind === 'map' ? defaultValueOf(node) : undefined;
    if (inner !== undefined && scalarKindOfTag(node.tag) !== undefined) {
      return this.scalar(inner, scalarKindOfTag(node.tag) ?? 'str', node);
    }
    return this.badTag(node);
  }

  private scalar(text: string, kind: ScalarKind | 'vault' | undefined, node: YamlNode): Value {
    if (kind === 'vault') return this.encrypted(text, node);
    if (kind === undefined) return this.badTag(node);
    if (kind === 'merge' || kind === 'value') {
      return this.fault(node, `a lone "${text}" can't be a value`, `quote it: "${text}"`);
    }
    try {
      return constructScalar(kind, text);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return this.fault(node, error.message);
    }
  }

  private encrypted(text: string, node: YamlNode): VaultText {
    const offset = this.tagOffset(node);
    return new VaultText(text, this.findings.vault, (message, hint) => this.source.fault(offset, message, hint));
  }

  private mapping(node: MapNode): Dict {
    this.flatten(node);
    const dict = new Dict();
    const mergedCount = this.flat.get(node) ?? 0;
    let index = 0;
    for (const [keyNode, valueNode] of node.pairs) {
      const isOwn = index++ >= mergedCount;
      const key = this.key(keyNode);
      if (key === undefined) continue;
      const first = isOwn ? dict.entry(key)?.keyMark.offset : undefined;
      if (first !== undefined) {
        const isMerged = node.pairs.slice(0, mergedCount).some(([other]) => other.offset === first);
        this.warnRepeated(key, keyNode, first, isMerged);
      }
      const value = this.construct(valueNode);
      const mark = this.markOf(valueNode);
      const isEmpty = value === null && valueNode.kind === 'scalar' && valueNode.text === '';
      const keyMark = this.markOf(keyNode);
      dict.set({ key, value, keyMark, mark: isEmpty ? keyMark : mark });
    }
    return dict;
  }

  private key(node: YamlNode): Key | undefined {
    if (node.kind === 'scalar' && isValueKey(node)) return '=';
    const value = this.construct(node);
    if (value instanceof UnsafeText) return value.text;
    if (value instanceof Dict || value instanceof VaultText || Array.isArray(value)) {
      const what = value instanceof VaultText ? 'an encrypted value' : `a ${Array.isArray(value) ? 'list' : 'mapping'}`;
      this.fault(node, `${what} can't be a key`, 'quote the key where it is text, as in "{{ name }}"');
      return undefined;
    }
    return value as Key;
  }

  private warnRepeated(key: Key, keyNode: YamlNode, first: number, isMerged: boolean): void {
    const name = keyText(key);
    const message = isMerged
      ? `"${name}" overrides the key merged with "<<"`
      : `"${name}" is a key of this mapping already`;
    const hint = isMerged ? undefined : `the last one counts; the first is in line ${this.source.at(first).line}`;
    this.findings.warnings.push(this.source.fault(keyNode.offset, message, hint));
  }

  /** Puts the pairs of merged mappings first, as PyYAML does: own pairs then override them. */
  private flatten(node: MapNode): void {
    if (this.flat.has(node)) return;
    this.flat.set(node, 0);
    const merged: (readonly [YamlNode, YamlNode])[] = [];
    const own: (readonly [YamlNode, YamlNode])[] = [];
    for (const pair of node.pairs) {
      if (pair[0].kind === 'scalar' && kindOfScalar(pair[0]) === 'merge') merged.push(...this.mergedPairs(pair[1]));
      else own.push(pair);
    }
    this.flat.set(node, merged.length);
    node.pairs = merged.length === 0 ? own : [...merged, ...own];
  }

  private mergedPairs(node: YamlNode): (readonly [YamlNode, YamlNode])[] {
    if (node.kind === 'map') {
      this.flatten(node);
      return node.pairs;
    }
    if (node.kind === 'list' && node.items.every((item) => item.kind === 'map')) {
      return [...node.items].reverse().flatMap((item) => this.mergedPairs(item));
    }
    this.fault(node, '"<<" merges a mapping or a list of mappings', 'write an alias such as "<<: *name" after it');
    return [];
  }

  /** `!!omap` and `!!pairs`: a list of pairs. */
  private pairs(items: readonly YamlNode[]): Value {
    return items.map((item) => {
      const pair = item.kind === 'map' && item.pairs.length === 1 ? item.pairs[0] : undefined;
      if (pair === undefined) return this.fault(item, 'an item of this list must be a mapping with one key');
      return [this.construct(pair[0]), this.construct(pair[1])];
    });
  }

  // Ansible marks the text directly inside; what is nested deeper is not filled in yet at that moment and stays empty.
  private unsafe(node: YamlNode): Value {
    if (node.kind === 'scalar') return new UnsafeText(node.text);
    if (node.kind === 'list') return node.items.map((item) => this.unsafeMember(item));
    const inner = new Set(
      node.pairs.filter(([, value]) => value.tag === '!unsafe').map(([, value]) => this.construct(value)),
    );
    const result = new Dict();
    for (const entry of this.mapping(node).entries()) {
      result.set(inner.has(entry.value) ? entry : { ...entry, value: markUnsafe(entry.value) });
    }
    return result;
  }

  private unsafeMember(node: YamlNode): Value {
    const value = this.construct(node);
    return node.tag === '!unsafe' ? value : markUnsafe(value);
  }

  private markOf(node: YamlNode): Mark {
    return { text: this.source, offset: node.offset };
  }

  /** The place of the tag: a node itself begins after it. */
  private tagOffset(node: YamlNode): number {
    const line = this.source.text.slice(0, node.offset).split('\n').at(-1) ?? '';
    const written = /!\S*[ \t]*$/.exec(line)?.[0];
    return written === undefined ? node.offset : node.offset - written.length;
  }

  private badTag(unplaced: YamlNode): null {
    const node = { ...unplaced, offset: this.tagOffset(unplaced) };
    const tag = (node.tag ?? '').replace(YAML_TAG, '!!');
    if (node.tag?.startsWith(YAML_TAG) && scalarKindOfTag(node.tag) !== undefined) {
      return this.fault(node, `"${tag}" can't stand before a ${node.kind === 'map' ? 'mapping' : 'list'}`);
    }
    if ([`${YAML_TAG}map`, ...LIST_TAGS, ...PAIRS_TAGS].includes(node.tag)) {
      return this.fault(
        node,
        `"${tag}" can't stand before ${node.kind === 'scalar' ? 'a single value' : `a ${node.kind}`}`,
      );
    }
    return this.fault(
      node,
      `the tag "${tag}" is not known`,
      'Ansible knows "!vault" and "!unsafe"; quote a text that begins with "!"',
    );
  }

  private fault(node: YamlNode, message: string, hint?: string): null {
    this.findings.faults.push(this.source.fault(node.offset, message, hint));
    return null;
  }
}

function markUnsafe(value: Value): Value {
  if (typeof value === 'string') return new UnsafeText(value);
  if (value instanceof Dict) return new Dict();
  return Array.isArray(value) ? [] : value;
}

function scalarKindOfTag(tag: string | undefined): Exclude<ScalarKind, 'merge' | 'value'> | undefined {
  return tag?.startsWith(YAML_TAG) ? SCALAR_TAGS[tag.slice(YAML_TAG.length)] : undefined;
}

function kindOfScalar(node: YamlNode & { kind: 'scalar' }): ScalarKind | 'vault' | undefined {
  if (node.tag === undefined) return node.isPlain ? resolvePlain(node.text) : 'str';
  if (node.tag === '!vault' || node.tag === '!vault-encrypted') return 'vault';
  if (node.tag === `${YAML_TAG}merge`) return 'merge';
  return scalarKindOfTag(node.tag);
}

function isValueKey(node: YamlNode & { kind: 'scalar' }): boolean {
  return kindOfScalar(node) === 'value';
}

/** The text after the key "=" of a mapping that has a scalar's tag: `!!str {=: x}`. */
function defaultValueOf(node: MapNode): string | undefined {
  const pair = node.pairs.find(([key]) => key.kind === 'scalar' && isValueKey(key));
  return pair?.[1].kind === 'scalar' ? pair[1].text : undefined;
}
