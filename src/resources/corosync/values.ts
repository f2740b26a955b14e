import { isIP } from 'node:net';
import type { Kind } from './keys.ts';

/** A value as a playbook gives it; null: the key is left out of the file. */
export type Given = string | number | boolean | null;

/** Why a value can't be given to a key, or null where it can. */
export function valueFault(kind: Kind, value: unknown): string | null {
  if (value === null) return null;
  const said = `must be ${kindText(kind)}, or null to leave the key out`;
  switch (kind.is) {
    case 'number':
      return typeof value === 'number' && Number.isInteger(value) && value >= kind.min && value <= kind.max
        ? null
        : said;
    case 'words':
      return typeof value === 'string' && kind.words.includes(value) ? null : said;
    case 'flag':
      return typeof value === 'boolean' || [kind.yes, kind.no].includes(String(value)) ? null : said;
    case 'address':
      if (typeof value !== 'string' || isIP(value) === 0) return said;
      return kind.of === 'any' ? null : groupFault(value);
    case 'text':
      if (typeof value === 'number' && Number.isFinite(value)) return null;
      return typeof value === 'string' && isWord(value) ? null : said;
  }
}

/** A value in the words of the file. */
export function textOf(kind: Kind, value: Given): string | null {
  if (value === null) return null;
  if (kind.is === 'flag' && typeof value === 'boolean') return value ? kind.yes : kind.no;
  return String(value);
}

/** What a value may be, as a person says it. */
export function kindText(kind: Kind): string {
  switch (kind.is) {
    case 'number': {
      const unit = kind.unit === undefined ? '' : ` ${kind.unit}`;
      // The largest that the file can hold says nothing of what makes sense.
      const range = kind.max >= 4_294_967_295 ? `${kind.min} or more` : `${kind.min} to ${kind.max}`;
      return `a whole number, ${range}${unit}`;
    }
    case 'words':
      return kind.words.length === 1 ? `"${kind.words[0]}"` : `one of ${kind.words.join(', ')}`;
    case 'flag':
      return `true or false (or ${kind.yes}, ${kind.no})`;
    case 'address':
      return kind.of === 'any' ? 'an IP address' : 'an IPv4 or IPv6 multicast address';
    case 'text':
      return 'one word without "#", "{" and "}"';
  }
}

/** Whether two values of a file mean the same: numbers are compared as numbers. */
export function sameValue(kind: Kind, a: string | null, b: string | null): boolean {
  if (a === null || b === null) return a === b;
  if (a === b) return true;
  const isNumber = kind.is === 'number' || (kind.is === 'flag' && kind.yes === '1');
  return isNumber && /^[+-]?\d+$/.test(a) && /^[+-]?\d+$/.test(b) && Number(a) === Number(b);
}

/** Proxmox cuts values at "#" and at white space, corosync lines at braces. */
function isWord(text: string): boolean {
  return /^[^\s\p{Cc}\p{Cs}#{}\ufeff]+$/u.test(text);
}

function groupFault(address: string): string | null {
  const isGroup = isIP(address) === 4 ? /^2(2[4-9]|3\d)\./.test(address) : /^ff/i.test(address);
  if (!isGroup) return 'must be a multicast address: 224.0.0.0 to 239.255.255.255, or one that begins with ff';
  if (address.startsWith('224.0.0.'))
    return 'is a group of the local network that snooping never filters and routers never pass on: use one of 239.192.0.0/14 (RFC 2365)';
  return null;
}
