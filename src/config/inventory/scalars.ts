import { DateValue, FloatValue, type Value } from './value.ts';

/** What a plain scalar is by its form, in YAML 1.1 as PyYAML resolves it. */
export type ScalarKind = 'null' | 'bool' | 'int' | 'float' | 'timestamp' | 'merge' | 'value' | 'str';

const BOOL = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const NULL = /^(?:~|null|Null|NULL|)$/;
const FLOAT =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const INT =
  /^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
const TIMESTAMP =
  /^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?)$/;

/** The kind of a plain (unquoted) scalar without a tag. Order and first letters as in PyYAML's resolver. */
export function resolvePlain(text: string): ScalarKind {
  const first = text[0] ?? '';
  if (first === '' || '~nN'.includes(first)) {
    if (NULL.test(text)) return 'null';
  }
  if ('yYnNtTfFoO'.includes(first)) return first !== '' && BOOL.test(text) ? 'bool' : 'str';
  if ('-+0123456789.'.includes(first)) {
    if (FLOAT.test(text)) return 'float';
    if (INT.test(text)) return 'int';
    return TIMESTAMP.test(text) ? 'timestamp' : 'str';
  }
  if (text === '<<') return 'merge';
  return text === '=' ? 'value' : 'str';
}

/**
 * The value of a scalar of the given kind.
 * @throws RangeError with the reason where the text is none of that kind
 */
export function constructScalar(kind: Exclude<ScalarKind, 'merge' | 'value'>, text: string): Value {
  switch (kind) {
    case 'null':
      return null;
    case 'bool':
      return constructBool(text);
    case 'int':
      return constructInt(text);
    case 'float':
      return constructFloat(text);
    case 'timestamp':
      return constructTimestamp(text);
    case 'str':
      return text;
  }
}

/** A whole number: a number where it is exact, a bigint otherwise. */
export function wholeNumber(value: bigint): number | bigint {
  const small = Number(value);
  return Number.isSafeInteger(small) ? small : value;
}

function constructBool(text: string): boolean {
  const lower = text.toLowerCase();
  if (['yes', 'true', 'on'].includes(lower)) return true;
  if (['no', 'false', 'off'].includes(lower)) return false;
  throw new RangeError(`"${text}" is no boolean`);
}

function constructInt(text: string): number | bigint {
  const digits = text.replaceAll('_', '').trim();
  const match = /^(?<sign>[-+]?)(?<rest>.*)$/s.exec(digits);
  const rest = match?.groups?.['rest'] ?? '';
  const magnitude = unsignedInt(rest);
  if (magnitude === undefined) throw new RangeError(`"${text}" is no whole number`);
  return wholeNumber(match?.groups?.['sign'] === '-' ? -magnitude : magnitude);
}

function unsignedInt(text: string): bigint | undefined {
  if (/^0b[01]+$/.test(text) || /^0x[0-9a-fA-F]+$/.test(text)) return BigInt(text);
  if (/^0[0-7]*$/.test(text)) return BigInt(`0o${text}`);
  if (/^[1-9][0-9]*(?::[0-9]+)+$/.test(text)) {
    let sum = 0n;
    for (const part of text.split(':')) sum = sum * 60n + BigInt(part);
    return sum;
  }
  return /^[1-9][0-9]*$/.test(text) ? BigInt(text) : undefined;
}

function constructFloat(text: string): FloatValue {
  const lower = text.replaceAll('_', '').toLowerCase();
  const sign = lower.startsWith('-') ? -1 : 1;
  const rest = /^[-+]/.test(lower) ? lower.slice(1) : lower;
  if (rest === '.inf') return new FloatValue(sign * Number.POSITIVE_INFINITY);
  if (rest === '.nan') return new FloatValue(Number.NaN);
  let sum = 0;
  let base = 1;
  for (const part of rest.split(':').reverse()) {
    if (!/^\s*(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?\s*$/.test(part))
      throw new RangeError(`"${text}" is no number`);
    sum += Number(part) * base;
    base *= 60;
  }
  return new FloatValue(sign * sum);
}

const TIMESTAMP_PARTS =
  /^(?<year>[0-9]{4})-(?<month>[0-9]{1,2})-(?<day>[0-9]{1,2})(?:(?:[Tt]|[ \t]+)(?<hour>[0-9]{1,2}):(?<minute>[0-9]{2}):(?<second>[0-9]{2})(?:\.(?<fraction>[0-9]*))?(?:[ \t]*(?<zone>Z|(?<sign>[-+])(?<zoneHour>[0-9]{1,2})(?::(?<zoneMinute>[0-9]{2}))?))?)?$/;

function constructTimestamp(text: string): DateValue {
  const parts = TIMESTAMP_PARTS.exec(text)?.groups;
  if (parts === undefined) throw new RangeError(`"${text}" is no date`);
  const year = Number(parts['year']);
  const month = Number(parts['month']);
  const day = Number(parts['day']);
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) {
    throw new RangeError(`there is no day "${text}"; quote it where it is text`);
  }
  const date = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
  if (parts['hour'] === undefined) return new DateValue(date);
  const [hour, minute, second] = [Number(parts['hour']), Number(parts['minute']), Number(parts['second'])];
  if (hour > 23 || minute > 59 || second > 59)
    throw new RangeError(`there is no time "${text}"; quote it where it is text`);
  const micros = (parts['fraction'] ?? '').slice(0, 6).padEnd(6, '0');
  const fraction = Number(micros) === 0 ? '' : `.${micros}`;
  return new DateValue(`${date}T${two(hour)}:${two(minute)}:${two(second)}${fraction}${zoneOf(parts, text)}`);
}

function zoneOf(parts: Readonly<Record<string, string | undefined>>, text: string): string {
  if (parts['zone'] === undefined) return '';
  const total = Number(parts['zoneHour'] ?? 0) * 60 + Number(parts['zoneMinute'] ?? 0);
  if (total >= 24 * 60) throw new RangeError(`there is no time zone as in "${text}"; quote it where it is text`);
  const sign = parts['sign'] === '-' && total > 0 ? '-' : '+';
  return `${sign}${two(Math.floor(total / 60))}:${two(total % 60)}`;
}

function daysIn(year: number, month: number): number {
  const date = new Date(Date.UTC(2000, month, 0));
  date.setUTCFullYear(year, month, 0);
  return date.getUTCDate();
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
