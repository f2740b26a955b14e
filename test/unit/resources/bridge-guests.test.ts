import { expect, test } from 'vitest';
import type { Resource } from '../../../src/core/resource.ts';
import { BridgeParams, bridge } from '../../../src/resources/bridge.ts';
import { type Node, planOn } from '../../support/observed.ts';

const guests = (params: Record<string, unknown>): Resource => {
  const found = bridge
    .resources(BridgeParams.parse({ name: 'vmbr0', ...params }))
    .find(({ id }) => id.includes('guests'));
  if (found === undefined) throw new Error('no resource for guests');
  return found;
};
const data = (snooping: number, querier: number) => ({
  linkinfo: { info_kind: 'bridge', info_data: { mcast_snooping: snooping, mcast_querier: querier } },
});
const node = (bridges: unknown, cables: unknown): Node => ({
  files: {},
  runs: {
    'ip -d -j link show type bridge': { stdout: typeof bridges === 'string' ? bridges : JSON.stringify(bridges) },
    'ip -j link show type veth': { stdout: JSON.stringify(cables) },
  },
});

test('what guests may be', () => {
  const faults = (params: Record<string, unknown>) =>
    BridgeParams.safeParse({ name: 'vmbr0', ...params }).error?.issues.map(({ path, message }) =>
      [...path, message].join(': '),
    );
  expect(faults({ guests: true })).toEqual([
    'guests: copies multicast_snooping and multicast_querier: add one of them, or write a mapping',
    'names no property: add at least one, such as multicast_querier: true',
  ]);
  expect(faults({ multicast_querier: true, guests: 'all' })?.[0]).toContain('guests: must be true, false or a mapping');
  expect(faults({ guests: {} })?.[0]).toContain('names no property of the guests');
  expect(faults({ guests: { multicast_hash_max: 1 } })?.[0]).toContain('guests');
  expect(faults({ multicast_snooping: false, guests: true })).toBeUndefined();
  expect(bridge.resources(BridgeParams.parse({ name: 'vmbr0', multicast_querier: true, guests: false }))).toHaveLength(
    1,
  );
});

test('each guest is one command, taken back last first; a querier is warned of', () => {
  const place = node(
    [
      { ifname: 'vmbr0', ...data(1, 1) },
      { ifname: 'fwbr2i1', ...data(1, 0) },
      { ifname: 'vmbr0v7', ...data(0, 0) },
    ],
    [{ ifname: 'fwpr2p1', master: 'vmbr0' }, {}],
  );
  const plan = planOn(place, guests({ multicast_snooping: true, multicast_querier: true, guests: true }));
  expect(plan.changes.map(({ property, note }) => [property, note !== undefined])).toEqual([
    ['fwbr2i1: multicast_querier', true],
    ['vmbr0v7: multicast_snooping', false],
    ['vmbr0v7: multicast_querier', true],
  ]);
  const set = (name: string, ...words: string[]) => ({
    do: 'run',
    argv: ['ip', 'link', 'set', 'dev', name, 'type', 'bridge', ...words],
  });
  expect(plan.try).toEqual([
    set('fwbr2i1', 'mcast_querier', '1'),
    set('vmbr0v7', 'mcast_snooping', '1', 'mcast_querier', '1'),
  ]);
  expect(plan.undo).toEqual([
    set('vmbr0v7', 'mcast_snooping', '0', 'mcast_querier', '0'),
    set('fwbr2i1', 'mcast_querier', '0'),
  ]);
  expect(plan.keep).toEqual([]);
});

test('no guests is nothing to do; an iproute2 that tells nothing is an error', () => {
  const wanted = guests({ multicast_snooping: true, guests: true });
  expect(planOn(node('', []), wanted).changes).toEqual([]);
  expect(() => planOn(node([{ ifname: 'vmbr0v7', linkinfo: {} }], []), wanted)).toThrow(
    'ip tells no multicast_snooping of "vmbr0v7"',
  );
  expect(() => planOn(node('nonsense', []), wanted)).toThrow('gives no JSON');
});
