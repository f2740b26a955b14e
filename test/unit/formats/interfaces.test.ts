import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Dialect,
  lineAt,
  parseInterfaces,
  printInterfaces,
  stanzaMatches,
  withOption,
  withOptionValue,
  withoutLine,
} from '../../../src/formats/interfaces.ts';

const DIALECTS: readonly Dialect[] = ['ifupdown', 'ifupdown2'];
const pieces = fc.constantFrom(
  ...['auto vmbr0', 'iface vmbr0 inet static', 'iface vmbr1', 'bridge-ports', ' ', '\t', '\n', '\r\n', '\\', '\\\n'],
  ...[
    '# note',
    'post-up echo 1',
    'source /x',
    'mapping eth*',
    'auto',
    '%for',
    '\u00e4',
    '"',
    "'",
    '\r',
    '\f',
    '\ufeff',
  ],
);
const texts = fc.oneof(
  fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 80 }),
);

function options(text: string, dialect: Dialect, name: string): string[] {
  const file = parseInterfaces(text, dialect);
  const stanza = file.stanzas.find((each) => each.name === name);
  return (stanza?.options ?? []).map((index) => `${lineAt(file, index).key}=${lineAt(file, index).value}`);
}

describe.each(DIALECTS)('%s', (dialect) => {
  test('what is parsed prints as it was', () => {
    fc.assert(
      fc.property(texts, (text) => printInterfaces(parseInterfaces(text, dialect)) === text),
      { numRuns: 2000 },
    );
  });

  test('line numbers are those of an editor', () => {
    fc.assert(
      fc.property(texts, (text) => {
        let expected = 1;
        for (const line of parseInterfaces(text, dialect).lines) {
          expect(line.number).toBe(expected);
          expected += line.raw.split('\n').length - 1;
        }
      }),
    );
  });

  test('an option that is added is read back, and every other byte stays', () => {
    fc.assert(
      fc.property(texts, (before) => {
        const text = `${before}\niface br9 inet manual\n\tbridge-ports none\n\n${before}`;
        const file = parseInterfaces(text, dialect);
        const stanza = file.stanzas.find((each) => each.name === 'br9');
        fc.pre(stanza !== undefined && stanza.options.length > 0);
        const edited = printInterfaces(withOption(file, stanza, 'bridge-mcquerier', '1', () => false));
        expect(options(edited, dialect, 'br9')).toContain('bridge-mcquerier=1');
        const last = stanza.options.at(-1) ?? 0;
        const head = file.lines
          .slice(0, last + 1)
          .map((line) => line.raw)
          .join('');
        const tail = text.slice(head.length);
        // At the very end a backslash that would swallow the new line may go.
        expect(edited.startsWith(tail === '' ? head.replace(/[\s\\]*$/, '') : head)).toBe(true);
        expect(edited.endsWith(tail)).toBe(true);
      }),
    );
  });

  test('changing and removing a line touches that line only', () => {
    fc.assert(
      fc.property(texts, texts, fc.nat(), (before, after, pick) => {
        const text = `${before}\niface br9 inet manual\n\tmtu 1 \n${after}`;
        const file = parseInterfaces(text, dialect);
        const indices = file.stanzas.flatMap((stanza) => stanza.options);
        const index = indices[pick % Math.max(1, indices.length)];
        if (index === undefined) return;
        const others = (lines: readonly { raw: string }[]) =>
          lines
            .map(({ raw }) => raw)
            .toSpliced(index, 1)
            .join('');
        expect(printInterfaces(withoutLine(file, index))).toBe(others(file.lines));
        const changed = withOptionValue(file, index, '17');
        expect(lineAt(changed, index)).toMatchObject({ key: lineAt(file, index).key, value: '17' });
        expect(others(changed.lines)).toBe(others(file.lines));
        expect(withOptionValue(changed, index, '17')).toBe(changed);
      }),
    );
  });
});

test('a comment that ends in a backslash swallows the next line with ifupdown2 only', () => {
  const text = 'iface a inet manual\n# note \\\n\tbridge-ports none\n\tbridge-fd 0\n';
  expect(options(text, 'ifupdown2', 'a')).toEqual(['bridge-fd=0']);
  expect(options(text, 'ifupdown', 'a')).toEqual(['bridge-ports=none', 'bridge-fd=0']);
});

test('a continued line is one option; CR LF continues it with ifupdown2 only', () => {
  const text = 'iface a inet manual\n\tbridge-ports eth0 \\\n\t\teth1\n\tmtu 9000\n';
  expect(options(text, 'ifupdown2', 'a')).toEqual(['bridge-ports=eth0 eth1', 'mtu=9000']);
  expect(options(text, 'ifupdown', 'a')).toEqual(['bridge-ports=eth0 \t\teth1', 'mtu=9000']);
  const crlf = text.replaceAll('\n', '\r\n');
  expect(options(crlf, 'ifupdown2', 'a')).toEqual(['bridge-ports=eth0 eth1', 'mtu=9000']);
  expect(options(crlf, 'ifupdown', 'a')).toEqual(['bridge-ports=eth0 \\', 'eth1=', 'mtu=9000']);
});

test('options after a mapping belong to the mapping; a bare "auto" marks the iface that it stands in', () => {
  const text = 'iface a inet manual\n\tup x\n\tauto\n\tdown y\nmapping eth*\n\tscript /z\n';
  expect(options(text, 'ifupdown', 'a')).toEqual(['up=x', 'down=y']);
});

test('the header tells method and what is inherited', () => {
  const file = parseInterfaces('iface a inet static inherits b\niface c inherits d\niface e\n', 'ifupdown2');
  expect(file.stanzas.map(({ name, method, inherits }) => [name, method, inherits])).toEqual([
    ['a', 'static', 'b'],
    ['c', '', 'd'],
    ['e', '', undefined],
  ]);
});

test('a new option takes indentation and line end of the one before it', () => {
  const edit = (text: string) => {
    const file = parseInterfaces(text, 'ifupdown2');
    const [stanza] = file.stanzas;
    return (
      stanza && printInterfaces(withOption(file, stanza, 'bridge-mcquerier', '1', (line) => /^bridge/.test(line.key)))
    );
  };
  expect(edit('iface a inet manual\r\n  bridge-ports none\r\n  mtu 9000\r\n')).toBe(
    'iface a inet manual\r\n  bridge-ports none\r\n  bridge-mcquerier 1\r\n  mtu 9000\r\n',
  );
  expect(edit('iface a inet manual\n    bridge-ports none')).toBe(
    'iface a inet manual\n    bridge-ports none\n    bridge-mcquerier 1',
  );
  expect(edit('iface a inet manual')).toBe('iface a inet manual\n\tbridge-mcquerier 1');
  expect(edit('iface a inet manual\n\tbridge-ports none \\\n')).toBe(
    'iface a inet manual\n\tbridge-ports none\n\tbridge-mcquerier 1\n',
  );
});

test('ifupdown2 knows ranges and takes an alias for its device', () => {
  const [range, alias] = parseInterfaces('iface vmbr[0-3]\niface vmbr0:1\n', 'ifupdown2').stanzas;
  if (range === undefined || alias === undefined) throw new Error('two stanzas were written');
  expect(stanzaMatches(range, 'vmbr3', 'ifupdown2')).toBe('range');
  expect(stanzaMatches(range, 'vmbr4', 'ifupdown2')).toBeUndefined();
  expect(stanzaMatches(range, 'vmbr', 'ifupdown2')).toBeUndefined();
  expect(stanzaMatches(range, 'vmbr3', 'ifupdown')).toBeUndefined();
  expect(stanzaMatches(alias, 'vmbr0', 'ifupdown2')).toBe('exact');
  expect(stanzaMatches(alias, 'vmbr0', 'ifupdown')).toBeUndefined();
});
