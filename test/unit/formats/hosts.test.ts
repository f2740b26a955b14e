import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  hasHostsEntry,
  normaliseAddress,
  parseHosts,
  removeHostsNames,
  setHostsEntry,
} from '../../../src/formats/hosts.ts';

/** What Debian's installer writes. */
const DEBIAN = `127.0.0.1\tlocalhost
127.0.1.1\tpve1.example.com\tpve1

# The following lines are desirable for IPv6 capable hosts
::1     localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
`;

const PVE1 = { address: '192.0.2.11', names: ['pve1.example.com', 'pve1'] } as const;

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:DB8:0:0::1', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1%eth0'],
  ['192.0.2', null],
  ['192.0.2.01', null],
  ['pve1', null],
  ['', null],
])('%j is the address %j', (text, address) => expect(normaliseAddress(text)).toBe(address));

test('lines as the resolver reads them', () => {
  const text = ' 192.0.2.1\ta  b # c\r\n#192.0.2.2 x\nnothing\n192.0.2.3\n192.0.2.4 d#e\n';
  expect(parseHosts(text)).toEqual([
    { address: '192.0.2.1', names: ['a', 'b'], line: 1 },
    { address: '192.0.2.4', names: ['d'], line: 5 },
  ]);
});

describe('set', () => {
  test('the 127.0.1.1 of the own name goes, everything else stays', () => {
    expect(setHostsEntry(DEBIAN, PVE1)).toBe(
      DEBIAN.replace('127.0.1.1\tpve1.example.com\tpve1\n', '192.0.2.11 pve1.example.com pve1\n'),
    );
  });

  test.each([
    ['no text', '', '192.0.2.11 pve1.example.com pve1\n'],
    ['no final newline', '192.0.2.1 x', '192.0.2.1 x\n192.0.2.11 pve1.example.com pve1\n'],
    ['CRLF', '192.0.2.1 x\r\n', '192.0.2.1 x\r\n192.0.2.11 pve1.example.com pve1\r\n'],
    ['another address', '192.0.2.9  pve1 other # old\n', '192.0.2.9  other # old\n192.0.2.11 pve1.example.com pve1\n'],
    [
      'a line that loses all its names keeps its comment',
      '192.0.2.9 pve1 # the old one\n::1 localhost\n',
      '# the old one\n::1 localhost\n192.0.2.11 pve1.example.com pve1\n',
    ],
    ['a missing name', '\t192.0.2.11\tpve1 # me\n', '\t192.0.2.11\tpve1.example.com pve1 # me\n'],
    ['more names', '192.0.2.11 web pve1\n', '192.0.2.11 pve1.example.com pve1 web\n'],
    [
      'the same address for others stays apart',
      '192.0.2.11 storage\n',
      '192.0.2.11 storage\n192.0.2.11 pve1.example.com pve1\n',
    ],
    ['::1 of the own name', '::1 localhost pve1\n', '::1 localhost\n192.0.2.11 pve1.example.com pve1\n'],
    ['IPv6 of the same name stays', '2001:db8::11 pve1\n', '2001:db8::11 pve1\n192.0.2.11 pve1.example.com pve1\n'],
  ])('%s', (_, before, after) => {
    expect(setHostsEntry(before, PVE1)).toBe(after);
    expect(hasHostsEntry(after, PVE1)).toBe(true);
    expect(setHostsEntry(after, PVE1)).toBe(after);
  });

  test('IPv6, whatever its spelling', () => {
    const entry = { address: '2001:db8::11', names: ['pve1'] } as const;
    expect(hasHostsEntry('2001:DB8:0::11\tPVE1 more\n', entry)).toBe(true);
    expect(setHostsEntry('2001:DB8:0::11 more pve1\n192.0.2.11 pve1\n', entry)).toBe(
      '2001:DB8:0::11 pve1 more\n192.0.2.11 pve1\n',
    );
  });
});

test.each([
  ['on all lines', null, '192.0.2.1 a b\n::1 a\n', '192.0.2.1 b\n'],
  ['of one address', '::1', '192.0.2.1 a b\n0::1 a\n', '192.0.2.1 a b\n'],
  ['of none', null, '192.0.2.1  b\tc\n', '192.0.2.1  b\tc\n'],
])('removed %s', (_, address, before, after) => expect(removeHostsNames(before, ['A'], address)).toBe(after));

test('of any text only the touched lines differ', () => {
  const word = fc.constantFrom(
    '192.0.2.11',
    '127.0.1.1',
    '::1',
    'pve1',
    'pve1.example.com',
    'x',
    '#',
    ' ',
    '\t',
    '\n',
    '\r\n',
    '\r',
  );
  fc.assert(
    fc.property(
      fc.array(word, { maxLength: 40 }).map((words) => words.join('')),
      (text) => {
        const after = setHostsEntry(text, PVE1);
        expect(hasHostsEntry(after, PVE1)).toBe(true);
        expect(setHostsEntry(after, PVE1)).toBe(after);
        const untouched = text.split(/\r\n|\n|\r/).filter((row) => !/pve1/.test(row) && row !== '');
        const rows = after.split(/\r\n|\n|\r/);
        for (const row of untouched) expect(rows).toContain(row);
        expect(removeHostsNames(text, ['none'], null)).toBe(text);
      },
    ),
  );
});

test('a row without end costs no time', () => {
  const started = performance.now();
  setHostsEntry(`192.0.2.1 a${' '.repeat(200_000)}b${'\t'.repeat(200_000)}`, PVE1);
  expect(performance.now() - started).toBeLessThan(500);
});
