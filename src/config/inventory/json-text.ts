import { DateValue, Dict, FloatValue, type Key, UnsafeText, type Value, VaultText } from './value.ts';

/**
 * JSON as `ansible-inventory` prints it: Python's json module with an indent of 4, sorted keys and non-ASCII text as it is.
 * Where the keys of any mapping can't be sorted (text among numbers) nothing is sorted, as there.
 * @returns the text without a final newline
 */
export function toJsonText(value: Value): string {
  return write(value, '\n', isSortable(value));
}

/** A number as Python's `repr` writes it: 1.0, 1e+16, 1e-05; NaN and Infinity as Python's json does. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [mantissa = '', power = '0'] = value.toExponential().split('e');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const digits = String(Math.abs(exponent)).padStart(2, '0');
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${digits}`;
  }
  const digits = mantissa.replace(/[-.]/g, '');
  const sign = value < 0 ? '-' : '';
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}

/** Orders texts by code point, as Python does; JavaScript's own order is by UTF-16 unit. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const [left, right] = [a.charCodeAt(index), b.charCodeAt(index)];
    if (left !== right) return fixSurrogate(left) - fixSurrogate(right);
  }
  return a.length - b.length;
}

/** Surrogates stand for characters beyond U+FFFF: they sort after all others. */
function fixSurrogate(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function write(value: Value, newline: string, isSorted: boolean): string {
  if (value instanceof Dict) {
    const entries = isSorted ? sorted(value) : [...value.entries()];
    return block('{', '}', entries, newline, (entry, inner) => {
      return `${JSON.stringify(jsonKey(entry.key))}: ${write(entry.value, inner, isSorted)}`;
    });
  }
  if (Array.isArray(value)) {
    return block('[', ']', value as readonly Value[], newline, (item, inner) => write(item, inner, isSorted));
  }
  if (value instanceof UnsafeText) return wrapped('__ansible_unsafe', value.text, newline);
  if (value instanceof VaultText) return wrapped('__ansible_vault', value.ciphertext, newline);
  if (value instanceof FloatValue) return floatText(value.value);
  if (value instanceof DateValue) return JSON.stringify(value.iso);
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

function block<Item>(
  open: string,
  close: string,
  items: readonly Item[],
  newline: string,
  one: (item: Item, inner: string) => string,
): string {
  if (items.length === 0) return open + close;
  const inner = `${newline}    `;
  return open + items.map((item) => inner + one(item, inner)).join(',') + newline + close;
}

function wrapped(name: string, text: string, newline: string): string {
  return `{${newline}    "${name}": ${JSON.stringify(text)}${newline}}`;
}

function jsonKey(key: Key): string {
  if (key instanceof FloatValue) return floatText(key.value);
  return key instanceof DateValue ? key.iso : String(key);
}

function isSortable(value: Value): boolean {
  if (Array.isArray(value)) return (value as readonly Value[]).every(isSortable);
  if (!(value instanceof Dict)) return true;
  const classes = new Set([...value.entries()].map((entry) => sortClass(entry.key)));
  if (classes.size > 1 || (classes.has('none') && value.size > 1)) return false;
  return [...value.entries()].every((entry) => isSortable(entry.value));
}

function sortClass(key: Key): 'text' | 'number' | 'date' | 'none' {
  if (typeof key === 'string') return 'text';
  if (key instanceof DateValue) return 'date';
  return key === null ? 'none' : 'number';
}

function sorted(dict: Dict) {
  return [...dict.entries()].sort((a, b) => {
    const [left, right] = [sortValue(a.key), sortValue(b.key)];
    if (typeof left === 'string' && typeof right === 'string') return compareCodePoints(left, right);
    return left < right ? -1 : 1;
  });
}

function sortValue(key: Key): string | number | bigint {
  if (key instanceof FloatValue) return key.value;
  if (key instanceof DateValue) return key.iso;
  return typeof key === 'string' || typeof key === 'bigint' ? key : Number(key);
}
