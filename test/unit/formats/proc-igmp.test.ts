import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../../src/formats/format-error.ts';
import { parseProcIgmp, parseProcIgmp6, printProcIgmp, printProcIgmp6 } from '../../../src/formats/proc-igmp.ts';

/** Of a network namespace on Linux 6.18: va speaks IGMPv2, br0 v1, sockets have joined three groups; `later`: reports sent. */
const read = (name: string): string =>
  readFileSync(new URL(`../../fixtures/igmp/${name}.linux-6.18`, import.meta.url), 'utf8');

const HEADER = 'Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n';
const LO = '1\tlo        :     1      V3\n';
const ALL = '\t\t\t\t010000E0     1 0:00000000\t\t0\n';

describe('/proc/net/igmp', () => {
  test('versions, long names, groups, users and reporters', () => {
    const text = read('igmp-later');
    const table = parseProcIgmp(text);
    expect(printProcIgmp(table)).toBe(text);
    expect(table.interfaces.map(({ index, name, count, querier }) => [index, name, count, querier])).toEqual([
      [1, 'lo', 1, 'V3'],
      [2, 'vb', 1, 'V3'],
      [3, 'va', 4, 'V2'],
      [4, 'br0', 5, 'V1'],
      [5, 'vc', 1, 'V3'],
      [6, 'corosync-ring01', 4, 'V3'],
    ]);
    for (const { groups, count } of table.interfaces) expect(groups).toHaveLength(count);
    const still = { isRunning: false, ticks: 0 };
    expect(table.interfaces[2]?.groups).toEqual([
      { address: '232.1.2.3', users: 1, timer: still, isReporter: true, line: 7 },
      { address: '226.94.1.1', users: 1, timer: still, isReporter: true, line: 8 },
      { address: '239.192.77.1', users: 2, timer: still, isReporter: true, line: 9 },
      { address: '224.0.0.1', users: 1, timer: still, isReporter: false, line: 10 },
    ]);
  });

  test('bridges of a virtual machine, one with a VLAN, after an IGMPv2 query', () => {
    const text = readFileSync(new URL('../../fixtures/igmp/igmp-bridge.linux-6.1', import.meta.url), 'utf8');
    const versions = parseProcIgmp(text).interfaces.map(({ name, querier }) => `${name} ${querier}`);
    expect(versions).toEqual(['lo V3', 'ens3 V3', 'ens4 V3', 'vmbr0 V2', 'vmbr0.50 V2']);
  });

  test('a report that is due', () => {
    const [group] = parseProcIgmp(read('igmp')).interfaces[2]?.groups ?? [];
    expect(group).toMatchObject({ timer: { isRunning: true, ticks: 0 }, isReporter: false });
    const running = `${HEADER}${LO}\t\t\t\t010000E0     1 1:000001F4\t\t0\n`;
    expect(parseProcIgmp(running).interfaces[0]?.groups[0]?.timer).toEqual({ isRunning: true, ticks: 500 });
  });

  test('the other byte order', () => {
    const text = `${HEADER}${LO}\t\t\t\tEFC04D01     1 0:00000000\t\t0\n`;
    expect(parseProcIgmp(text, '/proc/net/igmp', 'big').interfaces[0]?.groups[0]?.address).toBe('239.192.77.1');
    expect(() => parseProcIgmp(text)).toThrow(
      '/proc/net/igmp:3:5: "EFC04D01" is no multicast address but 1.77.192.239',
    );
  });

  test('Windows line ends, blanks for tabs, no last line end, no interface', () => {
    for (const text of [
      read('igmp').replaceAll('\n', '\r\n'),
      read('igmp').replaceAll('\t', '  '),
      read('igmp').trimEnd(),
      read('igmp').replaceAll('\n', '\n\n'),
    ]) {
      const table = parseProcIgmp(text);
      expect(printProcIgmp(table)).toBe(text);
      expect(table.interfaces).toHaveLength(6);
    }
    expect(parseProcIgmp(HEADER).interfaces).toEqual([]);
  });

  const broken: readonly (readonly [string, string, string])[] = [
    ['nothing', '', '1:1: there is no header'],
    ['no header', LO, '1:1: the line is not the header of /proc/net/igmp'],
    ['a group first', HEADER + ALL, '2:5: a group stands before any interface'],
    ['a cut group', `${HEADER}${LO}\t\t\t\t010000E0     1 0:0000`, '3:5: the line is neither an interface nor a group'],
    ['a cut interface', `${HEADER}${LO}${ALL}2\teth`, '4:1: the line is neither an interface nor a group'],
    ['an unknown version', HEADER + LO.replace('V3', 'V4'), '2:1: the line is neither an interface nor a group'],
    ['NUL', `${HEADER}${LO}\0${ALL}`, '3:1: the line is neither an interface nor a group'],
  ];
  test.each(broken)('%s is an error with its place', (_, text, message) => {
    expect(() => parseProcIgmp(text)).toThrow(FormatError);
    expect(() => parseProcIgmp(text)).toThrow(`/proc/net/igmp:${message}`);
  });
});

describe('/proc/net/igmp6', () => {
  test('groups with their interface', () => {
    const text = read('igmp6');
    const table = parseProcIgmp6(text);
    expect(printProcIgmp6(table)).toBe(text);
    expect(table.groups).toHaveLength(text.split('\n').length - 1);
    expect(table.groups[5]).toEqual({
      index: 3,
      name: 'va',
      address: 'ff15::4242',
      users: 1,
      flags: 4,
      ticks: 0,
      line: 6,
    });
    expect(table.groups.at(-1)).toMatchObject({ name: 'corosync-ring01', address: 'ff01::1' });
    expect(parseProcIgmp6('').groups).toEqual([]);
    expect(parseProcIgmp6(text.replaceAll('\n', '\r\n')).groups).toHaveLength(table.groups.length);
  });

  test('broken lines', () => {
    const line = '1    lo              ff020000000000000000000000000001     1 0000000C 0\n';
    expect(() => parseProcIgmp6(`${line}1 lo ff02`)).toThrow('/proc/net/igmp6:2:1: the line is no IPv6 group');
    expect(() => parseProcIgmp6(line.replace('ff02', 'fe80'))).toThrow('1:1: fe80::1 is no multicast address');
  });
});

test('long lines take no longer than their length', () => {
  const blanks = ' '.repeat(200_000);
  const start = performance.now();
  for (const row of [`1${blanks}x`, blanks, `1 a${blanks}:${blanks}`, `010000E0${blanks}1${blanks}0:0${blanks}`]) {
    expect(() => parseProcIgmp(`${HEADER}${row}x`)).toThrow(FormatError);
  }
  expect(() => parseProcIgmp(`Idx${blanks}Device${blanks}:`)).toThrow(FormatError);
  expect(performance.now() - start).toBeLessThan(500);
});
