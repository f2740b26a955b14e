import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseEthtoolRings, printEthtoolRings, ringsOf } from '../../../src/formats/ethtool-rings.ts';

/** Printed by ethtool 6.1 of Debian 12, both outputs together: NICs of virtual machines, a veth, a name that no device has. */
const read = (name: string): string =>
  readFileSync(new URL(`../../fixtures/ethtool/${name}.ethtool-6.1.txt`, import.meta.url), 'utf8');
const answer = (text: string, device = 'eth0') => ringsOf(parseEthtoolRings(text), device);

const MAXIMUM = 'Pre-set maximums:\n';
const CURRENT = 'Current hardware settings:\n';
const sizes = (rx: number, tx: number): string => `RX:\t\t${rx}\nRX Mini:\tn/a\nRX Jumbo:\t0\nTX:\t\t${tx}\n`;
const OF = 'Ring parameters for eth0:\n';
const both = {
  kind: 'rings',
  maximum: { rx: 4096, rx_mini: 'n/a', rx_jumbo: 0, tx: 2048 },
  current: { rx: 256, rx_mini: 'n/a', rx_jumbo: 0, tx: 512 },
};

describe('what ethtool prints', () => {
  test('sizes, n/a and rows of newer versions', () => {
    const text = read('virtio');
    const report = parseEthtoolRings(text);
    expect(printEthtoolRings(report)).toBe(text);
    const virtio = { rx: 256, rx_mini: 'n/a', rx_jumbo: 'n/a', tx: 256 };
    expect(ringsOf(report, 'eth0')).toEqual({ kind: 'rings', maximum: virtio, current: virtio });
    expect(report.rows.filter((row) => row.block === 'current').map((row) => `${row.label}=${row.value}`)).toEqual(
      ['RX=256', 'RX Mini=n/a', 'RX Jumbo=n/a', 'TX=256', 'RX Buf Len=n/a', 'CQE Size=n/a', 'TX Push=off'].concat(
        'TCP data split=n/a',
      ),
    );
  });

  test('a ring of jumbo frames, and a small ring', () => {
    expect(answer(read('vmxnet3'), 'ens4')).toEqual({
      kind: 'rings',
      maximum: { rx: 4096, rx_mini: 'n/a', rx_jumbo: 4096, tx: 4096 },
      current: { rx: 1024, rx_mini: 'n/a', rx_jumbo: 512, tx: 512 },
    });
    expect(answer(read('8139cp'), 'ens8')).toMatchObject({ kind: 'rings', current: { rx: 64, tx: 64 } });
  });

  test('a device without rings', () => {
    expect(answer(read('veth'), 'va')).toEqual({
      kind: 'unsupported',
      line: 1,
      message: 'the driver of "va" has no rings to read: netlink error: Operation not supported',
    });
  });

  test('no device', () => {
    expect(answer(read('no-device'), 'nosuch')).toMatchObject({ kind: 'no-device', line: 1 });
    expect(answer('Cannot get device ring settings: No such device\n')).toMatchObject({ kind: 'no-device', line: 1 });
  });

  test('the words of old versions, after the heading or before it', () => {
    const refused = 'Cannot get device ring settings: Operation not supported\n';
    for (const text of [refused, OF + refused, refused + OF, `${OF}\n  ${refused.trim()}\r\n`]) {
      expect(answer(text).kind, text).toBe('unsupported');
    }
  });
});

describe('other shapes', () => {
  const full = OF + MAXIMUM + sizes(4096, 2048) + CURRENT + sizes(256, 512);
  const shapes: readonly (readonly [string, string])[] = [
    ['in full', full],
    ['Windows line ends', full.replaceAll('\n', '\r\n')],
    ['blanks for tabs', full.replaceAll(/\t+/g, '       ')],
    ['indented, with empty lines', full.replaceAll('\n', '\n\n  ')],
    ['no blank after the colon', full.replaceAll('\t', '')],
    ['no last line end', full.trimEnd()],
    ['no heading of the device', full.slice(OF.length)],
    ['no heading of the maximums', full.replace(MAXIMUM, '')],
    ['no heading of the current values', full.replace(CURRENT, '')],
    ['no headings of the blocks', full.replace(MAXIMUM, '').replace(CURRENT, '')],
    ['rows only', sizes(4096, 2048) + sizes(256, 512)],
    ['a warning before it', `netlink error: something\n${full}`],
    ['unknown rows', full.replaceAll('TX:', 'HDS thresh:\t1024\nTX:')],
    ['the same device before', `${full.replaceAll('256', '7')}\n${full}`],
    ['another device first', `${full.replaceAll('eth0', 'eth1').replaceAll('256', '7')}\n${full}`],
    ['another device after it', `${full}\n${full.replaceAll('eth0', 'eth1').replaceAll('256', '7')}`],
  ];
  test.each(shapes)('%s', (_, text) => {
    expect(answer(text)).toEqual(both);
    expect(printEthtoolRings(parseEthtoolRings(text))).toBe(text);
  });

  test('only the current values', () => {
    const none = { rx: undefined, rx_mini: undefined, rx_jumbo: undefined, tx: undefined };
    expect(answer(OF + CURRENT + sizes(256, 512))).toEqual({ ...both, maximum: none });
  });

  test('a driver that knows no size', () => {
    expect(answer(`${OF}${MAXIMUM}RX:\tn/a\nTX:\tn/a\n${CURRENT}RX:\tn/a\nTX:\tn/a\n`).kind).toBe('unsupported');
  });

  test('zero is a size', () => {
    const text = `${OF}${MAXIMUM}RX:\t0\nTX:\t0\n${CURRENT}RX:\t0\nTX:\t0\n`;
    expect(answer(text)).toMatchObject({ kind: 'rings', current: { rx: 0, tx: 0 } });
  });
});

describe('output that is not understood has its line', () => {
  const cases: readonly (readonly [string, string, number, string])[] = [
    ['nothing', '', 1, 'ethtool says nothing of the rings of "eth0"'],
    ['only a heading', OF, 1, 'ethtool says nothing of the rings of "eth0"'],
    [
      'cut before the current values',
      OF + MAXIMUM + sizes(1, 2),
      6,
      'the current settings of "eth0" are missing: the output is cut off',
    ],
    [
      'cut within them',
      `${OF}${MAXIMUM}${sizes(1, 2)}${CURRENT}RX:\t5\n`,
      8,
      'the current tx of "eth0" is missing: the output is cut off',
    ],
    ['a value of letters', `${OF}${MAXIMUM}RX:\tmany\n`, 3, '"RX" is neither a number nor n/a: "many"'],
    ['a value cut off', `${OF}${CURRENT}RX:\t1\nTX:`, 4, '"TX" is neither a number nor n/a: ""'],
    ['a row twice', `${OF}${CURRENT}RX:\t1\nRX:\t2\n`, 4, 'there is a second row "RX" in one block'],
    ['no sizes', `${OF}${CURRENT}RX Mini:\t1\n`, 3, 'neither RX nor TX of "eth0" has a size: the output is cut off'],
    ['another program', 'sh: ethtool: not found\n', 1, 'ethtool says "sh: ethtool: not found"'],
    [
      'no rights',
      'netlink error: Operation not permitted\n',
      1,
      'ethtool says "netlink error: Operation not permitted"',
    ],
    [
      'another device',
      `Ring parameters for eth1:\n${CURRENT}${sizes(1, 2)}`,
      6,
      'ethtool says nothing of the rings of "eth0"',
    ],
  ];
  test.each(cases)('%s', (_, text, line, message) => {
    expect(answer(text)).toEqual({ kind: 'unclear', line, message });
  });
});

test('long lines take no longer than their length', () => {
  const blanks = ' '.repeat(200_000);
  const start = performance.now();
  parseEthtoolRings(`RX${blanks}x\nRing parameters for ${blanks}\nR ${blanks}: ${blanks}x`);
  expect(performance.now() - start).toBeLessThan(500);
});
