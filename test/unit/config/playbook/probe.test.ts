import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupFault, parseDuration } from '../../../../src/config/playbook/index.ts';
import { cutBatches } from '../../../../src/config/playbook/serial.ts';
import { compile, shortFaultsOf } from './fixtures.ts';

describe('parseDuration', () => {
  it.each([
    [1, 1000],
    [0.3, 300],
    ['10ms', 10],
    ['0.5s', 500],
    ['14s', 14_000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['3', 3000],
    [' 2 s ', 2000],
    [0, 0],
  ])('%j is %d ms', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(['', 'x', '-1s', '1d', '1 2', '1s2', '.5s', 'NaN', -1, Number.NaN, Number.POSITIVE_INFINITY])(
    '%j is none',
    (text) => {
      expect(parseDuration(text)).toBeNull();
    },
  );
});

describe('groupFault', () => {
  it.each(['224.0.1.1', '239.192.77.1', '232.1.1.1', 'ff05::77', 'ff3e::1', 'FF15:0:0::1', 'ff08::1.2.3.4'])(
    '%s can be probed',
    (group) => {
      expect(groupFault(group)).toBeNull();
    },
  );

  it.each([
    ['224.0.0.251', '224.0.0.251 is link-local: switches never snoop 224.0.0.x, so it would prove nothing'],
    ['192.0.2.1', '192.0.2.1 is no multicast address: those are 224.0.0.0 to 239.255.255.255'],
    ['240.0.0.1', '240.0.0.1 is no multicast address: those are 224.0.0.0 to 239.255.255.255'],
    ['ff02::fb', 'ff02::fb is link-local: switches never snoop ff02::/16, so it would prove nothing'],
    ['ff12::1', 'ff12::1 is link-local: switches never snoop ff02::/16, so it would prove nothing'],
    ['ff01::1', 'ff01::1 never leaves the node: take a group of scope 5 (site) or 8 (organisation)'],
    ['2001:db8::1', '2001:db8::1 is no multicast address: those are ff00::/8'],
    ['::ff05', '::ff05 is no multicast address: those are ff00::/8'],
    ['ff05::1%eth0', '"ff05::1%eth0" is no IPv4 or IPv6 address'],
    ['239.192.77', '"239.192.77" is no IPv4 or IPv6 address'],
    ['all', '"all" is no IPv4 or IPv6 address'],
  ])('%s can not', (group, fault) => {
    expect(groupFault(group)).toBe(fault);
  });
});

describe('the probe of a play', () => {
  it.each([
    ['{}', { count: 20, intervalMs: 10 }],
    ['', { count: 20, intervalMs: 10 }],
    ['{ count: 5, interval: 0.5 }', { count: 5, intervalMs: 500 }],
    ['{ duration: 2m, interval: 1s }', { count: 120, intervalMs: 1000 }],
    ['{ duration: 3ms }', { count: 1 }],
    [
      '{ group: 239.1.2.3, port: 5405, ttl: 255, max_loss: 100 }',
      { group: '239.1.2.3', port: 5405, ttl: 255, maxLoss: 100 },
    ],
  ])('%s', (probe, expected) => {
    expect(compile(`- hosts: all\n  probe: ${probe}\n`)[0]?.probe).toMatchObject(expected);
  });

  it.each([
    ['{ count: 5, duration: 1s }', ['2:32 give either "count" or "duration", not both']],
    [
      '{ group: 224.0.0.5, port: 0 }',
      [
        '2:19 224.0.0.5 is link-local: switches never snoop 224.0.0.x, so it would prove nothing',
        '2:36 "port" must be at least 1, not 0',
      ],
    ],
    [
      '{ interval: 10 ms x, ttl: 256, max_loss: 101 }',
      [
        '2:22 "interval" is seconds as a number, or text such as "10ms" or "0.5s", not "10 ms x"',
        '2:36 "ttl" must be at most 255, not 256',
        '2:51 "max_loss" must be at most 100, not 101',
      ],
    ],
    ['{ interval: 0 }', ['2:22 "interval" lies between 1ms and 60s, not 0']],
    ['{ interval: [] }', ['2:22 "interval" is seconds as a number, or text such as "10ms" or "0.5s"']],
    ['{ duration: 24h, interval: 1ms }', ['2:22 that would be more than 1000000 packets']],
    ['{ interface: "eth 0" }', ['2:23 "eth 0" is no name of a network device']],
    [
      '{ interface: "{{nic}}", grp: x }',
      ['2:24 unknown variable "nic" (hosts pve1, pve2)', '2:34 unknown key "grp" in "probe" | did you mean "group"?'],
    ],
    ['fast', ['2:10 "probe" must be a mapping, not "fast"']],
  ])('%s is faulty', (probe, faults) => {
    expect(shortFaultsOf(() => compile(`- hosts: all\n  probe: ${probe}\n`))).toEqual(faults);
  });
});

describe('cutBatches', () => {
  const ten = Array.from({ length: 10 }, (_, index) => `h${index}`);
  it.each([
    [[], [10]],
    [[1], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]],
    [[3], [3, 3, 3, 1]],
    [['30%'], [3, 3, 3, 1]],
    [['25%'], [2, 2, 2, 2, 2]],
    [['1%'], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]],
    [
      [1, 2, 5],
      [1, 2, 5, 2],
    ],
    [
      [1, '50%', '100%'],
      [1, 5, 4],
    ],
    [[0], [10]],
    [['4'], [4, 4, 2]],
    [[20], [10]],
  ])('%j gives batches of %j', (serial, sizes) => {
    const batches = cutBatches(ten, serial);
    expect(batches.map((batch) => batch.length)).toEqual(sizes);
    expect(batches.flat()).toEqual(ten);
  });

  it('never loses a host', () => {
    const entry = fc.oneof(
      fc.nat(12),
      fc.nat(200).map((number) => `${number}%`),
    );
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 4 }), fc.nat(12), (serial, count) => {
        const hosts = ten.slice(0, count);
        const batches = cutBatches(hosts, serial);
        expect(batches.flat()).toEqual(hosts);
        expect(batches.every((batch) => batch.length > 0)).toBe(true);
      }),
    );
  });

  it('serves the "serial" of a play', () => {
    expect(compile('- hosts: all\n  serial: 1\n')[0]?.batches).toEqual([['pve1'], ['pve2']]);
    expect(compile('- hosts: all\n  serial: "50%"\n')[0]?.batches).toEqual([['pve1'], ['pve2']]);
    expect(compile('- hosts: all\n  serial: ["100%"]\n')[0]?.batches).toEqual([['pve1', 'pve2']]);
    expect(shortFaultsOf(() => compile('- hosts: all\n  serial: [1, x, -1]\n'))).toEqual([
      '2:15 "serial" is a number of hosts, a percentage such as "30%", or a list of those',
      '2:18 "serial[2]" must be at least 0, not -1',
    ]);
  });
});
