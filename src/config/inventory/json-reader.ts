import type { Vault } from '../vault/vault.ts';
import { wholeNumber } from './scalars.ts';
import type { SourceText } from './source-text.ts';
import { Dict, FloatValue, UnsafeText, type Value, VaultText } from './value.ts';

/**
 * The value of a JSON text as Python's json module reads it (NaN and Infinity included, whole numbers exact), with Ansible's
 * `{"__ansible_vault": …}` and `{"__ansible_unsafe": …}`. Of repeated keys the last one counts.
 * @returns undefined where the text is no JSON: Ansible then takes it for YAML
 */
export function readJson(source: SourceText, vault?: Vault): Value | undefined {
  if (!/^[ \t\r\n]*[[{"\-0-9tfnNI]/.test(source.text)) return undefined;
  return new JsonReader(source, vault).read();
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?<rest>(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)/y;
const TEXT = /"(?:[^"\\\0-\x1F]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const BLANK = /[ \t\r\n]*/y;
const WORDS: readonly (readonly [string, Value])[] = [
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', new FloatValue(Number.NaN)],
  ['Infinity', new FloatValue(Number.POSITIVE_INFINITY)],
  ['-Infinity', new FloatValue(Number.NEGATIVE_INFINITY)],
];

class NoJson extends Error {}

class JsonReader {
  private readonly source: SourceText;
  private readonly text: string;
  private readonly vault: Vault | undefined;
  private at = 0;

  constructor(source: SourceText, vault: Vault | undefined) {
    this.source = source;
    this.vault = vault;
    this.text = source.text;
  }

  read(): Value | undefined {
    try {
      this.blank();
      const value = this.value();
      this.blank();
      return this.at === this.text.length ? value : undefined;
    } catch (error) {
      if (error instanceof NoJson) return undefined;
      throw error;
    }
  }

  private value(): Value {
    const first = this.text[this.at];
    if (first === '{') return this.object();
    if (first === '[') return this.list();
    if (first === '"') return this.string();
    for (const [word, value] of WORDS) {
      if (!this.text.startsWith(word, this.at)) continue;
      this.at += word.length;
      return value;
    }
    return this.number();
  }

  private object(): Value {
    const dict = new Dict();
    const start = this.at;
    this.members('}', () => {
      const keyMark = { text: this.source, offset: this.at };
      const key = this.string();
      this.blank();
      if (this.text[this.at] !== ':') throw new NoJson();
      this.at++;
      this.blank();
      const mark = { text: this.source, offset: this.at };
      dict.set({ key, value: this.value(), keyMark, mark });
    });
    return this.special(dict, start);
  }

  private special(dict: Dict, offset: number): Value {
    for (const { key, value } of dict.entries()) {
      if (key === '__ansible_vault' && typeof value === 'string')
        return new VaultText(value, this.vault, (message, hint) => this.source.fault(offset, message, hint));
      if (key === '__ansible_unsafe' && typeof value === 'string') return new UnsafeText(value);
    }
    return dict;
  }

  private list(): Value {
    const items: Value[] = [];
    this.members(']', () => items.push(this.value()));
    return items;
  }

  private members(end: string, one: () => void): void {
    this.at++;
    this.blank();
    if (this.text[this.at] === end) {
      this.at++;
      return;
    }
    for (;;) {
      one();
      this.blank();
      const next = this.text[this.at++];
      if (next === end) return;
      if (next !== ',') throw new NoJson();
      this.blank();
    }
  }

  private string(): string {
    return JSON.parse(this.match(TEXT)[0]) as string;
  }

  private number(): Value {
    const match = this.match(NUMBER);
    return match.groups?.['rest'] ? new FloatValue(Number(match[0])) : wholeNumber(BigInt(match[0]));
  }

  private match(pattern: RegExp): RegExpExecArray {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match === null) throw new NoJson();
    this.at = pattern.lastIndex;
    return match;
  }

  private blank(): void {
    this.match(BLANK);
  }
}
