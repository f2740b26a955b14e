import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  lastAssignment,
  networkdBoolean,
  parseNetworkd,
  printNetworkd,
  withAssignment,
} from '../../../src/formats/networkd.ts';

const pieces = fc.constantFrom(
  ...['[NetDev]', '[Bridge]', 'Name=br0', 'STP=no', '=', ' ', '\n', '\r\n', '\\', '\\\n', '# note', '; note', '\u00e4'],
);
const texts = fc.array(pieces, { maxLength: 30 }).map((parts) => parts.join(''));

function edit(text: string, value: string): string {
  return printNetworkd(withAssignment(parseNetworkd(text), 'Bridge', 'MulticastQuerier', value));
}

test('what is parsed prints as it was', () => {
  fc.assert(
    fc.property(texts, (text) => printNetworkd(parseNetworkd(text)) === text),
    { numRuns: 2000 },
  );
});

test('a value that is set is read back, wherever it went; setting it twice is setting it once', () => {
  fc.assert(
    fc.property(texts, (before) => {
      const once = edit(`${before}\n`, 'yes');
      expect(lastAssignment(parseNetworkd(once), 'Bridge', 'MulticastQuerier')?.value).toBe('yes');
      expect(edit(once, 'yes')).toBe(once);
    }),
    { numRuns: 2000 },
  );
});

test('the last of several sections counts and is edited in place', () => {
  const text = '[NetDev]\nKind=bridge\n\n[Bridge]\nMulticastQuerier = no\n\n[Bridge]\n MulticastQuerier =  0\n# end\n';
  expect(lastAssignment(parseNetworkd(text), 'Bridge', 'MulticastQuerier')).toEqual({ value: '0', line: 8 });
  expect(edit(text, 'yes')).toBe(text.replace('=  0', '=  yes'));
});

test('a new value goes to the end of its section, a new section to the end of the file', () => {
  expect(edit('[Bridge]\r\nSTP=no\r\n\r\n[NetDev]\r\nName=a\r\n', 'yes')).toBe(
    '[Bridge]\r\nSTP=no\r\nMulticastQuerier=yes\r\n\r\n[NetDev]\r\nName=a\r\n',
  );
  expect(edit('[NetDev]\nName=a', 'no')).toBe('[NetDev]\nName=a\n\n[Bridge]\nMulticastQuerier=no\n');
  expect(edit('', 'no')).toBe('[Bridge]\nMulticastQuerier=no\n');
});

test('comments inside a continued line are no part of its value', () => {
  const file = parseNetworkd('[Bridge]\nMulticastQuerier=\\\n# why\n  yes\nSTP=no\n');
  expect(lastAssignment(file, 'Bridge', 'MulticastQuerier')).toEqual({ value: 'yes', line: 2 });
  expect(lastAssignment(file, 'Bridge', 'STP')).toEqual({ value: 'no', line: 5 });
});

test('booleans of systemd', () => {
  expect(['1', 'Yes', 'y', 'TRUE', 't', 'on'].map(networkdBoolean)).toEqual(Array(6).fill(true));
  expect(['0', 'no', 'N', 'false', 'F', 'off'].map(networkdBoolean)).toEqual(Array(6).fill(false));
  expect(['', '2', 'ja'].map(networkdBoolean)).toEqual(Array(3).fill(undefined));
});
