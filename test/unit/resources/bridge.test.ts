import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { HostError } from '../../../src/core/errors.ts';
import { BridgeParams, bridge } from '../../../src/resources/bridge.ts';
import { type Node, planOn } from '../../support/observed.ts';

type Input = { readonly [key: string]: unknown };

function resource(input: Input) {
  const [only] = bridge.resources(BridgeParams.parse(input));
  if (only === undefined) throw new Error('one task is one bridge');
  return only;
}

function fixture(name: string): string {
  const url = new URL(`../../fixtures/bridge/ip-addr-${name}.iproute2-6.1.0.json`, import.meta.url);
  return readFileSync(url, 'utf8');
}

function show(name: string, stdout: string, more: { code?: number; stderr?: string } = {}) {
  return { [`ip -d -j addr show dev ${name}`]: { stdout, ...more } };
}

test('says what it wants, in the words of reports', () => {
  const { wants } = resource({
    name: 'br0',
    multicast_querier: false,
    multicast_router: 0,
    multicast_query_interval: 2.5,
  });
  expect(wants).toEqual({ multicast_querier: false, multicast_router: 0, multicast_query_interval: 2.5 });
});

/** What a real iproute2 said of a real bridge: querier on, igmp version 3, 198.18.0.1/24. */
const running: Node = { files: {}, runs: show('br0', fixture('br0')) };

function runtime(node: Node, input: Input) {
  const plan = planOn(node, resource(input));
  return { ...plan, changes: plan.changes.filter(({ layer }) => layer === 'runtime') };
}

function failure(node: Node, input: Input): HostError {
  try {
    planOn(node, resource(input));
  } catch (error) {
    if (error instanceof HostError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('running values', () => {
  test('what is as desired is no change, 0 and false included', () => {
    const input = {
      name: 'br0',
      multicast_snooping: true,
      multicast_querier: true,
      multicast_query_use_ifaddr: false,
      multicast_igmp_version: 3,
      multicast_mld_version: 1,
      multicast_router: 1,
      multicast_query_interval: 3.33,
      multicast_query_response_interval: 1.5,
      multicast_querier_interval: 255,
      multicast_membership_interval: 260,
      multicast_last_member_interval: 1,
      multicast_startup_query_interval: 31.25,
      multicast_last_member_count: 2,
      multicast_startup_query_count: 2,
      multicast_hash_max: 4096,
      multicast_stats_enabled: false,
    };
    const { changes } = runtime(running, input);
    expect(changes.map(({ property, from, to }) => [property, from, to])).toEqual([
      ['multicast_query_response_interval', 10, 1.5],
    ]);
  });

  test('all that differs is set in one command, and put back in one', () => {
    const plan = runtime(running, {
      name: 'br0',
      multicast_querier: false,
      multicast_snooping: true,
      multicast_query_interval: 5,
      multicast_last_member_count: 0,
    });
    expect(plan.changes).toEqual([
      { layer: 'runtime', property: 'multicast_querier', from: true, to: false },
      { layer: 'runtime', property: 'multicast_query_interval', from: 3.32, to: 5 },
      { layer: 'runtime', property: 'multicast_last_member_count', from: 2, to: 0 },
    ]);
    const set = (...values: string[]) => [
      { do: 'run', argv: ['ip', 'link', 'set', 'dev', 'br0', 'type', 'bridge', ...values] },
    ];
    expect(plan.try).toEqual(set('mcast_querier', '0', 'mcast_query_interval', '500', 'mcast_last_member_count', '0'));
    expect(plan.undo).toEqual(set('mcast_querier', '1', 'mcast_query_interval', '332', 'mcast_last_member_count', '2'));
  });

  test.each([
    ['does not know -j', { code: 255, stdout: '', stderr: 'Option "-j" is unknown, try "ip -help".\n' }],
    ['prints text', { code: 0, stdout: '2: br0: <BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state UP\n' }],
    ['is not installed', { code: 127, stdout: '', stderr: '' }],
  ])('sysfs serves where ip %s', (_, answer) => {
    const at = '/sys/class/net/br0/bridge';
    const files = {
      '/sys/class/net/br0/ifindex': '2\n',
      [`${at}/bridge_id`]: '8000.020000000001\n',
      [`${at}/multicast_querier`]: '0\n',
      [`${at}/multicast_snooping`]: '1\n',
      [`${at}/multicast_query_use_ifaddr`]: '0\n',
      [`${at}/hash_max`]: '512\n',
    };
    const node: Node = { files, runs: { 'ip -d -j addr show dev br0': answer } };
    const input = { name: 'br0', multicast_querier: true, multicast_snooping: true, multicast_hash_max: 1024 };
    const plan = runtime(node, input);
    expect(plan.changes.map(({ property, from, to }) => [property, from, to])).toEqual([
      ['multicast_querier', false, true],
      ['multicast_hash_max', 512, 1024],
    ]);
    expect(plan.try).toEqual([
      { do: 'set', path: `${at}/multicast_querier`, value: '1' },
      { do: 'set', path: `${at}/hash_max`, value: '1024' },
    ]);
    expect(plan.undo).toEqual([
      { do: 'set', path: `${at}/multicast_querier`, value: '0' },
      { do: 'set', path: `${at}/hash_max`, value: '512' },
    ]);
  });

  test('one property that ip does not print comes from sysfs, and only that one', () => {
    const old = fixture('br0').replace('"mcast_mld_version":1,', '').replace('[{', '[{},{},{');
    const files = { '/sys/class/net/br0/bridge/multicast_mld_version': '1\n' };
    const node: Node = { files, runs: show('br0', old) };
    const input = { name: 'br0', multicast_mld_version: 2, multicast_igmp_version: 2 };
    expect(runtime(node, input).try).toEqual([
      { do: 'run', argv: ['ip', 'link', 'set', 'dev', 'br0', 'type', 'bridge', 'mcast_igmp_version', '2'] },
      { do: 'set', path: '/sys/class/net/br0/bridge/multicast_mld_version', value: '2' },
    ]);
    expect(failure({ files: {}, runs: show('br0', old) }, input).message).toContain('multicast_mld_version');
  });

  test('a querier that will speak from 0.0.0.0 is a note on the change', () => {
    const off = fixture('br0').replace('"mcast_querier":1', '"mcast_querier":0');
    const bare = off.replace(/"addr_info":\[.*?\]/, '"addr_info":[]');
    const note = (json: string, more: Input) =>
      runtime({ files: {}, runs: show('br0', json) }, { name: 'br0', multicast_querier: true, ...more }).changes.find(
        ({ property }) => property === 'multicast_querier',
      )?.note;
    expect(note(off, {})).toContain('add multicast_query_use_ifaddr: true');
    expect(note(off, { multicast_query_use_ifaddr: true })).toBeUndefined();
    expect(note(bare, { multicast_query_use_ifaddr: true })).toContain('"br0" has no IPv4 address');
    const using = off.replace('"mcast_query_use_ifaddr":0', '"mcast_query_use_ifaddr":1');
    expect(note(using, {})).toBeUndefined();
  });
});

describe('what is no bridge', () => {
  const querier = (name: string) => ({ name, multicast_querier: true });

  test('a missing device', () => {
    const answer = { code: 1, stderr: 'Device "nope" does not exist.\n' };
    expect(failure({ files: {}, runs: show('nope', '', answer) }, querier('nope')).message).toBe(
      'there is no device "nope"',
    );
    expect(failure({ files: {} }, querier('nope')).message).toBe('there is no device "nope"');
  });

  test('a port names its bridge', () => {
    const error = failure({ files: {}, runs: show('va', fixture('va')) }, querier('va'));
    expect(error.message).toBe('"va" is a port of bridge "br0", not a bridge');
    expect(error.hint).toContain('br0');
  });

  test('another kind of device', () => {
    expect(failure({ files: {}, runs: show('vb', fixture('vb')) }, querier('vb')).message).toBe(
      '"vb" is not a bridge but "veth"',
    );
    expect(failure({ files: {}, runs: show('lo', fixture('lo')) }, querier('lo')).message).toBe('"lo" is not a bridge');
    const files = { '/sys/class/net/lo/ifindex': '1\n' };
    expect(failure({ files }, querier('lo')).message).toBe('"lo" is not a bridge');
  });

  test('an Open vSwitch bridge', () => {
    const ovs = '[{"ifname":"vmbr0","linkinfo":{"info_kind":"openvswitch"},"addr_info":[]}]';
    const error = failure({ files: {}, runs: show('vmbr0', ovs) }, querier('vmbr0'));
    expect(error.message).toContain('"vmbr0" is an Open vSwitch bridge: Open vSwitch has no querier');
    expect(error.hint).toContain('switch');
  });

  test('an alternative name', () => {
    expect(failure({ files: {}, runs: show('other', fixture('br0')) }, querier('other')).message).toBe(
      '"other" is another name of "br0"',
    );
  });
});

describe('parameters', () => {
  const faults = (input: unknown) => {
    const result = BridgeParams.safeParse(input);
    return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  };

  test('the example of the reference page is valid', () => {
    const input = {
      name: 'vmbr0',
      multicast_snooping: true,
      multicast_querier: true,
      multicast_query_use_ifaddr: true,
    };
    for (const [key, value] of Object.entries(input)) expect(bridge.example).toContain(`${key}: ${value}`);
    expect(faults(input)).toEqual([]);
  });

  test.each([
    [{ name: 'vmbr0' }, /^: names no property/],
    [{ multicast_querier: true }, /^name: must be the name of a bridge/],
    [{ name: 'vmbr0', multicast_querier: 1 }, /^multicast_querier: must be true or false, 1 is a number$/],
    [{ name: 'vmbr0', multicast_querier: 'yes' }, /^multicast_querier: must be true or false, "yes" is a string$/],
    [{ name: 'vmbr0', multicast_querier: null }, /^multicast_querier: must be true or false, null is null$/],
    [{ name: 'vmbr0', multicast_igmp_version: 1 }, /^multicast_igmp_version: must be one of 2, 3/],
    [{ name: 'vmbr0', multicast_router: '1' }, /^multicast_router: must be one of 0, 1, 2/],
    [{ name: 'vmbr0', multicast_query_interval: 12500 }, /^multicast_query_interval: .*12500 in sysfs is 125 here/],
    [{ name: 'vmbr0', multicast_query_interval: '125s' }, /^multicast_query_interval: .*without unit/],
    [{ name: 'vmbr0', multicast_query_interval: 0.5 }, /^multicast_query_interval: must be seconds, from 1 to/],
    [{ name: 'vmbr0', multicast_query_interval: 1.005 }, /^multicast_query_interval: .*two decimals/],
    [{ name: 'vmbr0', multicast_last_member_count: 2.5 }, /^multicast_last_member_count: must be a whole number/],
    [{ name: 'vmbr0', multicast_last_member_count: 256 }, /^multicast_last_member_count: must be a whole number/],
    [
      { name: 'vmbr0', multicast_query_interval: 10, multicast_query_response_interval: 10 },
      /^multicast_query_response_interval: must be less than multicast_query_interval \(10\)/,
    ],
    [
      { name: 'vmbr0', multicast_igmp_version: 2, multicast_query_response_interval: 26 },
      /^multicast_query_response_interval: must be at most 25.5/,
    ],
    [
      { name: 'vmbr0', multicast_query_interval: 260, multicast_membership_interval: 260 },
      /^multicast_membership_interval: must be more/,
    ],
    [
      { name: 'vmbr0', multicast_query_interval: 260, multicast_querier_interval: 255 },
      /^multicast_querier_interval: must be more/,
    ],
    [{ name: 'vmbr0', multicast_querrier: true }, /multicast_querrier/],
  ])('%j is refused', (input, message) => {
    expect(faults(input)).toEqual([expect.stringMatching(message)]);
  });

  test.each(['', '.', '..', 'a/b', 'a b', 'a\nb', 'a:1', 'a'.repeat(16), 'ü'.repeat(8), 'a\u0000', 5, null])(
    '%j is no device name',
    (name) => {
      expect(faults({ name, multicast_querier: true })).toHaveLength(1);
    },
  );

  test.each(['vmbr0', 'a'.repeat(15), '-x', ';reboot;', '$(x)', 'br-lan.5', 'ü'])('%j may be one', (name) => {
    expect(faults({ name, multicast_querier: true })).toEqual([]);
  });

  test('two decimals are exact', () => {
    for (let cs = 10; cs <= 3000; cs++) {
      const value = cs / 100;
      expect(faults({ name: 'vmbr0', multicast_last_member_interval: value })).toEqual([]);
      const { try: steps } = runtime(running, { name: 'br0', multicast_last_member_interval: value });
      const [step] = steps;
      if (step?.do === 'run') expect(step.argv.at(-1)).toBe(String(cs));
      else expect(Math.abs(cs - 100)).toBeLessThanOrEqual(1);
    }
  });

  test('each parameter is described, with its values', () => {
    for (const [name, part] of Object.entries(BridgeParams.shape)) {
      expect(part.description, name).toMatch(name === 'name' ? /1 to 15/ : /\d|true or false/);
    }
  });
});

test('the resource reads with one process', () => {
  const one = resource({ name: 'vmbr0', multicast_querier: true });
  expect(one.id).toBe('bridge[vmbr0]');
  expect(one.reads.filter(({ read }) => read === 'run')).toHaveLength(1);
});
