import fc from 'fast-check';
import type { z } from 'zod';

/** Every command in these strings makes a file whose name begins with this, wherever it is run. */
export const SENTINEL = 'pwned';

/** Strings that become commands in a shell, in Perl, in options of programs or in templates, wherever somebody was careless. */
export const CURATED: readonly string[] = [
  '"; touch pwned; #"',
  "'; touch pwned; #'",
  '; touch pwned;',
  '&& touch pwned',
  '|| touch pwned #',
  '& touch pwned &',
  '| touch pwned',
  'touch pwned |',
  '$(touch pwned)',
  '"$(touch pwned)"',
  `'"$(touch pwned)"'`,
  '`touch pwned`',
  '\\`touch pwned\\`',
  '\\$(touch pwned)',
  `$(touch\${IFS}pwned)`,
  `\${x:-$(touch pwned)}`,
  '$((a[$(touch pwned)]))',
  '<(touch pwned)',
  '> pwned',
  '2>pwned',
  '>pwned',
  '$(>pwned)',
  '`>pwned`',
  ';>pwned;',
  '|>pwned|',
  '\n touch pwned\n',
  '\r\ntouch pwned\r\n',
  'x\ntouch pwned',
  "'\ntouch pwned\n'",
  '\0touch pwned\0',
  'a\0b',
  '\u0085touch pwned\u2028touch pwned\u2029',
  '{touch,pwned}',
  '~root/pwned',
  '!touch',
  '*',
  '/*',
  '?[a-z]*',
  '-h',
  '--help',
  '-oProxyCommand=touch pwned',
  '-e touch pwned',
  '-i',
  '--',
  '#0',
  '#-1',
  '%s%n%h%p',
  '%(touch pwned)',
  '@{[`touch pwned`]}',
  `\${\\ system("touch pwned")}`,
  '");system("touch pwned");("',
  "'.`touch pwned`.'",
  'system(q(touch pwned))',
  '|touch pwned',
  'BEGIN{`touch pwned`}',
  '__proto__',
  'constructor',
  '../../../../root/pwned',
  '/proc/self/root/root/pwned',
  '\\',
  "'",
  '"',
  '$',
  '`',
  '',
  ' ',
  '\t',
  'a b',
  '\ufeff',
  '\u202e',
  '\ud800',
  'é',
  'e\u0301',
  '💥',
  '\u001b]0;touch pwned\u0007',
  'x'.repeat(5000),
];

/** Names of at most 15 bytes without white space, "/" or ":": what the kernel takes for a device. */
export const DEVICE_NAMES: readonly string[] = [
  '$(>pwned)',
  '`>pwned`',
  ';>pwned;',
  '|>pwned|',
  '&>pwned&',
  '">pwned"',
  "'>pwned;'",
  '>pwned',
  `$(touch\${IFS}a)`,
  '*',
  '-h',
  '--',
  '#x',
  '%s%n',
  '$IFS',
  '\\',
  '=a',
  '[a]',
  '{a,b}',
  'é💥',
];

const fragment = fc.constantFrom(
  ...['$(', ')', '`', ';', '|', '&', '>', '<', "'", '"', '\\', '\n', '\r\n', '\0', ' ', '\t', '#', '*', '?', '~', '!'],
  ...[
    'touch pwned',
    ';touch pwned;',
    '$(touch pwned)',
    '`touch pwned`',
    '-x',
    '--',
    '%h',
    `\${IFS}`,
    '$$',
    '{{',
    '}}',
    '{%',
  ],
  ...['@{[', ']}', 'EOF', '/', '..', '=', ':'],
);

/** Any text, most of it with commands in it. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => `${text}$(touch pwned)`) },
  {
    weight: 2,
    arbitrary: fc
      .array(fc.oneof(fc.string({ maxLength: 4 }), fragment), { maxLength: 9 })
      .map((words) => words.join('')),
  },
);

/** Text that passes for the name of a device. */
export const hostileName: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...['$(', ')', '`', ';', '|', '&', '>', '<', "'", '"', '\\', '#', '*', '~', '!', '-', '%', '$IFS'],
      ),
      fc.constantFrom('>pwned', 'a', 'vmbr0', 'é'),
    ),
    { minLength: 1, maxLength: 5 },
  )
  .map((words) => words.join(''))
  .filter((name) => Buffer.byteLength(name) <= 15);

/** Where a text may stand in the parameters of a resource. */
export interface Place {
  /** For people: `name`, `<key>`, `<value>`. */
  readonly label: string;
  /** Whether the schema wants a text there; false: a number, a flag and so on. */
  readonly isText: boolean;
  /** Parameters like `base` with `text` in this place. */
  put(base: unknown, text: string): unknown;
}

/** Every leaf of a schema. Throws where the schema is of a kind that this function does not know, so that none is left out. */
export function placesOf(schema: z.core.$ZodType): Place[] {
  const { def } = schema._zod;
  const parts = def as unknown as Record<string, never>;
  switch (def.type) {
    case 'string':
    case 'any':
    case 'unknown':
      return [{ label: '', isText: true, put: (_, text) => text }];
    case 'number':
    case 'boolean':
    case 'literal':
    case 'enum':
    case 'bigint':
      return [{ label: '', isText: false, put: (_, text) => text }];
    case 'optional':
    case 'nullable':
    case 'default':
    case 'readonly':
    case 'catch':
      return placesOf(parts['innerType'] as unknown as z.core.$ZodType);
    case 'pipe':
      return placesOf(parts['in'] as unknown as z.core.$ZodType);
    case 'union': {
      const places = (parts['options'] as unknown as z.core.$ZodType[]).flatMap(placesOf);
      // A text beside a number in the same place is one place that takes text.
      const labels = new Set(places.map(({ label }) => label));
      return [...labels].flatMap((label) => {
        const same = places.filter((place) => place.label === label);
        return same.find(({ isText }) => isText) ?? same[0] ?? [];
      });
    }
    case 'object':
      return Object.entries(parts['shape'] as unknown as Record<string, z.core.$ZodType>).flatMap(([key, inner]) =>
        placesOf(inner).map((place) => ({
          ...place,
          label: `${key}${place.label}`,
          put: (base: unknown, text: string) => ({ ...record(base), [key]: place.put(record(base)[key], text) }),
        })),
      );
    case 'array':
      return placesOf(parts['element'] as unknown as z.core.$ZodType).map((place) => ({
        ...place,
        label: `[]${place.label}`,
        put: (base: unknown, text: string) => [place.put(Array.isArray(base) ? base[0] : undefined, text)],
      }));
    case 'record':
      return [
        {
          label: '<key>',
          isText: true,
          put: (base, text) => Object.fromEntries([[text, Object.values(record(base))[0]]]),
        },
        ...placesOf(parts['valueType'] as unknown as z.core.$ZodType).map((place) => ({
          ...place,
          label: `<value>${place.label}`,
          put: (base: unknown, text: string) => {
            const [key = 'key', value] = Object.entries(record(base))[0] ?? [];
            return { [key]: place.put(value, text) };
          },
        })),
      ];
    default:
      throw new Error(`a schema of the kind "${def.type}" is not walked`);
  }
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** JSON that YAML reads as the same: with what YAML takes for line ends and marks as escapes. */
export function asYaml(value: unknown): string {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(value).replace(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, escaped);
}
