import { VaultText } from '../vault/vault-text.ts';
import { type Mark, NOWHERE } from './source-text.ts';

export { VaultText };

/** A floating-point number. A class of its own: 1.0 and 1 are printed differently. */
export class FloatValue {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** A date or a time stamp, in ISO 8601 as Python's `isoformat` writes it. */
export class DateValue {
  readonly iso: string;
  constructor(iso: string) {
    this.iso = iso;
  }
}

/** Text marked with `!unsafe`: never a template. */
export class UnsafeText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What can be the key of a mapping. */
export type Key = null | boolean | number | bigint | string | FloatValue | DateValue;

/** A value of an inventory. Whole numbers are bigint where a number would lose digits. */
export type Value = Key | UnsafeText | VaultText | readonly Value[] | Dict;

/** One pair of a mapping. */
export interface Entry {
  readonly key: Key;
  readonly value: Value;
  /** Where the key is written. */
  readonly keyMark: Mark;
  /** Where the value is written; where it is empty: the key. */
  readonly mark: Mark;
}

type Identity = null | string | number | bigint;

/** Keys that Python takes for one and the same: 1, 1.0 and true are. */
function identityOf(key: Key): Identity {
  if (typeof key === 'boolean') return Number(key);
  if (key instanceof FloatValue) return key.value;
  if (key instanceof DateValue) return `\0date ${key.iso}`;
  return key;
}

/** A mapping that keeps the order in which keys first appeared, as a Python dict does, and where each pair is written. */
export class Dict {
  private readonly pairs: Map<Identity, Entry>;

  constructor(from?: Dict) {
    this.pairs = new Map(from?.pairs);
  }

  get size(): number {
    return this.pairs.size;
  }

  /** An existing key keeps its place and its spelling. */
  set(entry: Entry): void {
    const identity = identityOf(entry.key);
    const old = this.pairs.get(identity);
    this.pairs.set(identity, old === undefined ? entry : { ...entry, key: old.key });
  }

  has(key: Key): boolean {
    return this.pairs.has(identityOf(key));
  }

  entry(key: Key): Entry | undefined {
    return this.pairs.get(identityOf(key));
  }

  get(key: Key): Value | undefined {
    return this.entry(key)?.value;
  }

  delete(key: Key): void {
    this.pairs.delete(identityOf(key));
  }

  entries(): IterableIterator<Entry> {
    return this.pairs.values();
  }

  /** A new mapping in which the pairs of `over` win (Ansible's hash_behaviour "replace"). */
  combine(over: Dict): Dict {
    if (over.size === 0) return this;
    if (this.size === 0) return over;
    const result = new Dict(this);
    for (const entry of over.entries()) result.set(entry);
    return result;
  }
}

/** A mapping of values that no file gives. */
export function dictOf(pairs: Iterable<readonly [string, Value]>): Dict {
  const dict = new Dict();
  for (const [key, value] of pairs) dict.set({ key, value, keyMark: NOWHERE, mark: NOWHERE });
  return dict;
}

/** The text of plain or `!unsafe` text; undefined for everything else. */
export function textOf(value: Value | undefined): string | undefined {
  if (typeof value === 'string') return value;
  return value instanceof UnsafeText ? value.text : undefined;
}

/** Whether Python takes the value for false: null, false, 0, "", an empty list or mapping. */
export function isFalsy(value: Value): boolean {
  if (value instanceof FloatValue) return value.value === 0;
  if (value instanceof Dict) return value.size === 0;
  if (Array.isArray(value)) return value.length === 0;
  if (value instanceof UnsafeText) return value.text === '';
  return value === null || value === false || value === 0 || value === '';
}

/** How messages name the kind of a value. */
export function kindOf(value: Value): string {
  if (value === null) return 'nothing';
  if (value instanceof Dict) return 'a mapping';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'boolean') return `the boolean ${value}`;
  if (typeof value === 'number' || typeof value === 'bigint') return `the number ${value}`;
  if (value instanceof FloatValue) return `the number ${value.value}`;
  if (value instanceof DateValue) return `the date ${value.iso}`;
  if (value instanceof VaultText) return 'an encrypted value';
  return 'text';
}

/** How messages and plain objects spell a key. */
export function keyText(key: Key): string {
  if (key instanceof FloatValue) return String(key.value);
  if (key instanceof DateValue) return key.iso;
  return String(key);
}

/**
 * The value as plain JavaScript: floats are numbers, dates ISO text, `!unsafe` its text. A VaultText stays one:
 * who needs the value reveals it. Whole numbers beyond 2^53 stay bigint.
 */
export function toPlain(value: Value): unknown {
  if (value instanceof Dict) return dictToPlain(value);
  if (Array.isArray(value)) return value.map(toPlain);
  if (value instanceof FloatValue) return value.value;
  if (value instanceof DateValue) return value.iso;
  if (value instanceof UnsafeText) return value.text;
  return value;
}

/** A mapping as a plain object. See `toPlain`. */
export function dictToPlain(dict: Dict): Record<string, unknown> {
  return Object.fromEntries([...dict.entries()].map((entry) => [keyText(entry.key), toPlain(entry.value)]));
}
