import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Resource } from '../../../src/core/resource.ts';
import { bridge } from '../../../src/resources/bridge.ts';
import { bridgeVlan } from '../../../src/resources/bridge-vlan.ts';
import { afterEdits, type Node, planOn } from '../../support/observed.ts';

// The kernel here has no VLAN filtering: the JSON is that of a Debian 12 virtual machine, in test/fixtures, or made after it.

const MAIN = '/etc/network/interfaces';
const LINK = 'ip -d -j link show dev vmbr0';
const VLANS = 'bridge -j vlan global show dev vmbr0';

const only = (params: Record<string, unknown>): Resource => {
  const [first] = bridgeVlan.resources(bridgeVlan.schema.parse({ bridge: 'vmbr0', vlan: 50, ...params }));
  if (first === undefined) throw new Error('a task is one resource');
  return first;
};

const link = (data: Record<string, unknown>, kind = 'bridge') => ({
  stdout: JSON.stringify([{ ifname: 'vmbr0', linkinfo: { info_kind: kind, info_data: data } }]),
});
const options = {
  mcast_snooping: 1,
  mcast_querier: 0,
  mcast_igmp_version: 2,
  mcast_mld_version: 1,
  mcast_last_member_count: 2,
  mcast_last_member_interval: 100,
  mcast_startup_query_count: 2,
  mcast_startup_query_interval: 3124,
  mcast_membership_interval: 26000,
  mcast_querier_interval: 25500,
  mcast_query_interval: 12500,
  mcast_query_response_interval: 1000,
};
const shown = (...vlans: Record<string, unknown>[]) => ({ stdout: JSON.stringify([{ ifname: 'vmbr0', vlans }]) });
const AWARE = link({ vlan_filtering: 1, mcast_vlan_snooping: 1, mcast_snooping: 1 });
const STANZA =
  'auto vmbr0\niface vmbr0 inet manual\n\tbridge-ports ens4\n\tbridge-vlan-aware yes\n\tbridge-vids 2-4094\n';

const node = (runs: Node['runs'] = {}, text = STANZA): Node => ({
  files: { [MAIN]: text, '/proc/sys/kernel/osrelease': '6.1.0-56-amd64\n' },
  folders: ['/usr/share/ifupdown2'],
  runs: { [LINK]: AWARE, [VLANS]: shown({ vlan: 1, ...options }, { vlan: 2, vlanEnd: 4094, ...options }), ...runs },
});

test('parameters are checked, all faults at once', () => {
  const faults = (params: Record<string, unknown>) =>
    bridgeVlan.schema.safeParse(params).error?.issues.map(({ path, message }) => [...path, message].join(': '));
  expect(faults({ bridge: '-d', vlan: 4095, multicast_querier: 1, multicast_igmp_version: 1 })).toEqual([
    'bridge: must not begin with "-": bridge(8) would take it for an option',
    'vlan: must be a VLAN: a whole number from 1 to 4094',
    'multicast_querier: must be true or false, 1 is a number',
    'multicast_igmp_version: must be one of 2, 3 (a number)',
  ]);
  expect(faults({ bridge: 'vmbr0', vlan: 50 })).toEqual([
    'names no property: add at least one, such as multicast_querier: true',
  ]);
  expect(
    faults({ bridge: 'vmbr0', vlan: 50, multicast_query_interval: 5, multicast_query_response_interval: 5 })?.[0],
  ).toContain('must be less than multicast_query_interval (5)');
  expect(only({ multicast_querier: true }).id).toBe('bridge_vlan[vmbr0 50]');
});

test('what Linux 6.1 and iproute2 6.1 say of a bridge with a querier in VLAN 50 is understood', () => {
  const fixture = (name: string) => ({
    stdout: readFileSync(new URL(`../../fixtures/bridge/${name}.iproute2-6.1.0.json`, import.meta.url), 'utf8'),
  });
  const runs = { [LINK]: fixture('ip-link-vlan-aware-vmbr0'), [VLANS]: fixture('vlan-global-vmbr0') };
  const running = (params: Record<string, unknown>) =>
    planOn(node(runs), only(params)).changes.filter(({ layer }) => layer === 'runtime');
  const as = {
    multicast_snooping: true,
    multicast_igmp_version: 2,
    multicast_mld_version: 1,
    multicast_query_interval: 125,
    multicast_query_response_interval: 10,
    multicast_querier_interval: 255,
    multicast_membership_interval: 260,
    multicast_last_member_interval: 1,
    multicast_startup_query_interval: 31.24,
    multicast_last_member_count: 2,
    multicast_startup_query_count: 2,
  };
  expect(running({ ...as, multicast_querier: true })).toEqual([]);
  expect(running({ ...as, vlan: 51, multicast_querier: true }).map(({ property }) => property)).toEqual([
    'multicast_querier',
  ]);
  expect(running({ ...as, vlan: 49, multicast_querier: false })).toEqual([]);
});

describe('running', () => {
  test('a VLAN within a range is read and set by one command, and taken back', () => {
    const plan = planOn(
      node(),
      only({ multicast_querier: true, multicast_query_interval: 60, multicast_snooping: true }),
    );
    expect(plan.changes.filter(({ layer }) => layer === 'runtime')).toMatchObject([
      { property: 'multicast_querier', from: false, to: true, note: expect.stringContaining('0.0.0.0') },
      { property: 'multicast_query_interval', from: 125, to: 60 },
    ]);
    const set = ['bridge', 'vlan', 'global', 'set', 'dev', 'vmbr0', 'vid', '50'];
    expect(plan.try).toEqual([{ do: 'run', argv: [...set, 'mcast_querier', '1', 'mcast_query_interval', '6000'] }]);
    expect(plan.undo).toEqual([{ do: 'run', argv: [...set, 'mcast_querier', '0', 'mcast_query_interval', '12500'] }]);
  });

  test('mcast_vlan_snooping is turned on first, told, and turned off last', () => {
    const off = link({ vlan_filtering: 1, mcast_vlan_snooping: 0 });
    const plan = planOn(node({ [LINK]: off }), only({ multicast_querier: true }));
    expect(plan.changes[0]).toMatchObject({
      layer: 'runtime',
      property: 'mcast_vlan_snooping',
      from: false,
      to: true,
      note: expect.stringContaining('no longer count'),
    });
    const turn = (value: string) => ({
      do: 'run',
      argv: ['ip', 'link', 'set', 'dev', 'vmbr0', 'type', 'bridge', 'mcast_vlan_snooping', value],
    });
    expect([plan.try[0], plan.undo.at(-1)]).toEqual([turn('1'), turn('0')]);
  });

  test.each<[string, Node['runs'], string]>([
    ['no device', { [LINK]: { code: 1, stderr: 'Device "vmbr0" does not exist.\n' } }, 'there is no device "vmbr0"'],
    ['no bridge', { [LINK]: link({}, 'veth') }, '"vmbr0" is not a Linux bridge'],
    ['not VLAN-aware', { [LINK]: link({ vlan_filtering: 0, mcast_vlan_snooping: 0 }) }, '"vmbr0" is not VLAN-aware'],
    [
      'an old kernel',
      { [LINK]: link({ vlan_filtering: 1 }) },
      'have no multicast settings here (Linux 6.1.0-56-amd64)',
    ],
    [
      'an old iproute2',
      { [VLANS]: { code: 255, stderr: 'Command "global" is unknown, try "bridge vlan help".\n' } },
      'have no multicast settings here',
    ],
    ['a VLAN that is not there', { [VLANS]: shown({ vlan: 1, ...options }) }, '"vmbr0" has no VLAN 50'],
    ['no VLANs at all', { [VLANS]: { stdout: '[]' } }, '"vmbr0" has no VLAN 50'],
    ['broken JSON', { [VLANS]: { stdout: '[{' } }, 'the JSON of iproute2 is broken'],
  ])('%s is an error that says so', (_, runs, message) => {
    expect(() => planOn(node(runs), only({ multicast_querier: true }))).toThrow(message);
  });
});

describe('kept', () => {
  const kept = (text: string, params: Record<string, unknown>): string => {
    const place = node({}, text);
    const plan = planOn(place, only(params));
    expect(plan.blocked).toBeUndefined();
    const after = afterEdits(place, plan.keep);
    expect(planOn(after, only(params)).changes.filter(({ layer }) => layer === 'persistent')).toEqual([]);
    return after.files[MAIN] ?? '';
  };
  const SNOOPING = '\tpost-up ip link set dev vmbr0 type bridge mcast_vlan_snooping 1\n';

  test('one line turns it on, one is for the VLAN', () => {
    expect(kept(STANZA, { multicast_querier: true, multicast_query_interval: 60 })).toBe(
      `${STANZA}${SNOOPING}\tpost-up bridge vlan global set dev vmbr0 vid 50 mcast_querier 1 mcast_query_interval 6000\n`,
    );
  });

  test.each([
    [
      'another value',
      '\tpost-up bridge vlan global set vid 50 dev $IFACE mcast_querier 0 mcast_snooping 1\n',
      '\tpost-up bridge vlan global set vid 50 dev vmbr0 mcast_querier 1 mcast_snooping 1\n',
    ],
    [
      'another property of this VLAN',
      '\tup /sbin/bridge vlan global set dev vmbr0 vid 50 mcast_snooping 1\n',
      '\tup /sbin/bridge vlan global set dev vmbr0 vid 50 mcast_snooping 1 mcast_querier 1\n',
    ],
    [
      'a range of VLANs, which stays as it is',
      '\tpost-up bridge vlan global set dev vmbr0 vid 40-60 mcast_querier 0\n',
      '\tpost-up bridge vlan global set dev vmbr0 vid 40-60 mcast_querier 0\n\tpost-up bridge vlan global set dev vmbr0 vid 50 mcast_querier 1\n',
    ],
    [
      'another VLAN',
      '\tpost-up bridge vlan global set dev vmbr0 vid 51 mcast_querier 0\n',
      '\tpost-up bridge vlan global set dev vmbr0 vid 51 mcast_querier 0\n\tpost-up bridge vlan global set dev vmbr0 vid 50 mcast_querier 1\n',
    ],
  ])('a line that is there: %s', (_, before, after) => {
    expect(kept(`${STANZA}${SNOOPING}${before}`, { multicast_querier: true })).toBe(`${STANZA}${SNOOPING}${after}`);
  });

  test('right lines of any hand need nothing, a range too; a wrong switch is turned', () => {
    const range = '\tpost-up bridge vlan global set dev vmbr0 vid 2-4094 mcast_querier 1\n';
    expect(kept(`${STANZA}${SNOOPING}${range}`, { multicast_querier: true })).toBe(`${STANZA}${SNOOPING}${range}`);
    const off = SNOOPING.replace('snooping 1', 'snooping 0 mcast_stats_enabled 1');
    expect(kept(`${STANZA}${off}${range}`, { multicast_querier: true })).toBe(
      `${STANZA}${off.replace('snooping 0', 'snooping 1')}${range}`,
    );
  });

  test('classic ifupdown gets the same lines; without a stanza it is blocked', () => {
    const place = { ...node(), folders: [] };
    const plan = planOn(place, only({ multicast_snooping: false }));
    expect(afterEdits(place, plan.keep).files[MAIN]).toContain('vid 50 mcast_snooping 0\n');
    expect(planOn(node({}, 'auto lo\n'), only({ multicast_querier: true })).blocked).toContain(
      'no "iface vmbr0" stanza',
    );
  });

  test('the resource "bridge" does not take these lines for its own', () => {
    const [whole] = bridge.resources(bridge.schema.parse({ name: 'vmbr0', multicast_querier: true }));
    if (whole === undefined) throw new Error('no resource');
    const text = `${STANZA}${SNOOPING}\tpost-up bridge vlan global set dev vmbr0 vid 50 mcast_querier 1\n`;
    const runs = {
      'ip -d -j addr show dev vmbr0': {
        stdout: JSON.stringify([
          {
            ifname: 'vmbr0',
            linkinfo: { info_kind: 'bridge', info_data: { mcast_querier: 1, mcast_query_use_ifaddr: 1 } },
          },
        ]),
      },
    };
    const [change] = planOn(node(runs, text), whole).changes;
    expect([change?.from, change?.note]).toEqual([null, undefined]);
  });
});
