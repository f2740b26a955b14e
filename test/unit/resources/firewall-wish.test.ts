import { describe, expect, test } from 'vitest';
import {
  acceptRules,
  familyOf,
  isNetwork,
  parsePorts,
  propertyOf,
  WishSchema,
  wishId,
  wishOf,
  wishWants,
} from '../../../src/resources/firewall/wish.ts';

const wish = (params: object) => wishOf(WishSchema.parse({ accept: ['multicast', 'corosync', 'igmp'], ...params }));
const faults = (params: object) => WishSchema.safeParse(params).error?.issues.map(({ message }) => message) ?? [];

describe('what a wish means', () => {
  test('both families, corosync 5404-5412, IGMP and MLD', () => {
    const rules = (family: 'ipv4' | 'ipv6') =>
      acceptRules(wish({}), family).map(({ protocol, dports, destination, icmpTypes }) => [
        protocol,
        dports,
        destination,
        icmpTypes,
      ]);
    expect(rules('ipv4')).toEqual([
      [null, [], '224.0.0.0/4', []],
      ['udp', [{ from: 5404, to: 5412 }], null, []],
      ['igmp', [], null, []],
    ]);
    expect(rules('ipv6')).toEqual([
      [null, [], 'ff00::/8', []],
      ['udp', [{ from: 5404, to: 5412 }], null, []],
      ['icmpv6', [], null, [130, 131, 132, 143]],
    ]);
  });

  test('a source limits its family and what is not IGMP', () => {
    const limited = wish({ source: ['10.0.0.0/24', '10.1.0.7'], interface: 'vmbr0' });
    expect(limited.families).toEqual(['ipv4']);
    expect(acceptRules(limited, 'ipv6')).toEqual([]);
    expect(acceptRules(limited, 'ipv4').map(propertyOf)).toEqual([
      'ipv4 multicast from 10.0.0.0/24',
      'ipv4 multicast from 10.1.0.7',
      'ipv4 corosync from 10.0.0.0/24',
      'ipv4 corosync from 10.1.0.7',
      'ipv4 igmp',
    ]);
    expect(acceptRules(limited, 'ipv4').every((rule) => rule.interface === 'vmbr0')).toBe(true);
    expect(wishId('firewall', limited)).toBe('firewall[input vmbr0 10.0.0.0/24 10.1.0.7]');
  });

  test('a source of one family with "both": the other gets only what has no source', () => {
    expect(acceptRules(wish({ source: 'fd00::/64', family: 'both' }), 'ipv4').map(propertyOf)).toEqual(['ipv4 igmp']);
  });

  test('ports are sorted; two tasks with one id that want other ports differ in "wants"', () => {
    expect(wish({ ports: ['5405-5412', 5400] }).ports).toEqual([
      { from: 5400, to: 5400 },
      { from: 5405, to: 5412 },
    ]);
    expect(wishWants(wish({ family: 'ipv4', ports: 5405 }))).toEqual({
      'ipv4 multicast': 'accept',
      'ipv4 corosync': 'accept 5405',
      'ipv4 igmp': 'accept',
    });
    expect(wishWants(wish({ family: 'ipv4', state: 'absent' }))).toMatchObject({ 'ipv4 igmp': 'absent' });
  });
});

test.each([
  [{ accept: [] }, 'name at least one'],
  [{ accept: ['ssh'] }, 'must be one of multicast, corosync, igmp'],
  [{ accept: 'corosync' }, 'must be a list such as'],
  [{ accept: ['igmp', 'igmp'] }, 'names something twice'],
  [{ accept: ['igmp'], ports: 5405 }, 'are those of "corosync"'],
  [{ accept: ['corosync'], ports: 0 }, '0 is no port'],
  [{ accept: ['corosync'], ports: '5412-5405' }, '"5412-5405" is no port'],
  [{ accept: ['corosync'], source: '10.0.0.0/33' }, '"10.0.0.0/33" is no source'],
  [{ accept: ['corosync'], source: 'pve1' }, '"pve1" is no source'],
  [{ accept: ['corosync'], source: '10.0.0.0/8', family: 'ipv6' }, '"10.0.0.0/8" is no ipv6 network'],
  [{ accept: ['corosync'], interface: 'eth+' }, 'interface "eth+" is no name of a network device'],
  [{ accept: ['corosync'], interface: '-j' }, 'interface "-j" is no name'],
])('%o is a fault that says what to write', (params, message) => {
  expect(faults(params).join('\n')).toContain(message);
});

test('networks and ports', () => {
  expect(['10.0.0.1', '10.0.0.0/0', 'fd00::/64', '::1'].every(isNetwork)).toBe(true);
  expect(['10.0.0', '10.0.0.1/', '10.0.0.1/08', 'fe80::1%eth0', 'fd00::/129', '1.1.1.1/2/3'].some(isNetwork)).toBe(
    false,
  );
  expect([familyOf('10.0.0.0/8'), familyOf('ff00::/8')]).toEqual(['ipv4', 'ipv6']);
  expect([parsePorts('5404:5405'), parsePorts(5405), parsePorts('a'), parsePorts(70000)]).toEqual([
    { from: 5404, to: 5405 },
    { from: 5405, to: 5405 },
    null,
    null,
  ]);
});
