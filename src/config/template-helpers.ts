import { VaultText } from './vault/vault-text.ts';

/** What a helper gets: values, and undefined for a name that is not known where the helper allows that. */
export interface Helper {
  /** How to write it, for messages. */
  readonly usage: string;
  readonly minimum: number;
  readonly maximum: number;
  /** Whether its first argument may be an unknown name. */
  readonly lenient: boolean;
  /** @throws Error with the reason where the values don't fit */
  call(values: readonly unknown[]): unknown;
}

/** The helpers of templates, by name. */
export const HELPERS: ReadonlyMap<string, Helper> = new Map<string, Helper>([
  [
    'default',
    {
      usage: '{{default name "value"}}',
      minimum: 2,
      maximum: 2,
      lenient: true,
      /** The first value, or the second where the first is unknown or null. */
      call: ([value, fallback]) => value ?? fallback,
    },
  ],
  [
    'join',
    {
      usage: '{{join list ","}}',
      minimum: 1,
      maximum: 2,
      lenient: false,
      /** The items of a list with a separator between them, a comma by default. */
      call: ([list, separator = ',']) => {
        if (!Array.isArray(list)) throw new Error(`"join" takes a list, not ${kindOf(list)}`);
        return list.map(textOf).join(textOf(separator));
      },
    },
  ],
  [
    'lookup',
    {
      usage: '{{lookup map key}}',
      minimum: 2,
      maximum: 2,
      lenient: false,
      /** The value of a map under a key, or of a list at an index from 0. */
      call: ([container, key]) => {
        const value = propertyOf(container, textOf(key));
        if (value === undefined) throw new Error(`"lookup" found no ${JSON.stringify(key)} in ${kindOf(container)}`);
        return value;
      },
    },
  ],
  [
    'eq',
    {
      usage: '{{#if (eq name "value")}}',
      minimum: 2,
      maximum: 2,
      lenient: false,
      /** Whether two values are the same, type included. */
      call: ([left, right]) => left === right,
    },
  ],
]);

/** The block helpers, by name. */
export const BLOCKS = ['if', 'unless', 'each', 'with'] as const;

/** An own property of plain data (or the length of a list or text); undefined where there is none. */
export function propertyOf(container: unknown, key: string): unknown {
  if (typeof container === 'string') return key === 'length' ? container.length : undefined;
  if (typeof container !== 'object' || container === null || !Object.hasOwn(container, key)) return undefined;
  const value: unknown = Reflect.get(container, key);
  return typeof value === 'function' ? undefined : value;
}

/** The names under which `propertyOf` finds something in a map. */
export function propertiesOf(container: unknown): readonly string[] {
  return typeof container === 'object' && container !== null && !Array.isArray(container) ? Object.keys(container) : [];
}

/** Text, number or boolean as text. @throws Error for anything else */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  throw new Error(`${kindOf(value)} can't be part of a text`);
}

/** What a value is, for messages: `a list`, `a map`, `null`… */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof VaultText) return 'an encrypted value';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return 'text';
  return typeof value === 'boolean' ? `${value}` : `the ${typeof value} ${String(value)}`;
}
