import { afterAll, beforeAll, expect, test } from 'vitest';
import { AgentSession } from '../../src/agent/session.ts';
import type { Link } from '../../src/core/connection.ts';
import type { Step } from '../../src/core/resource.ts';
import { BridgeParams, bridge } from '../../src/resources/bridge.ts';
import { localLink } from '../support/local-link.ts';

const INTERFACES = 'auto vmbr0\niface vmbr0 inet static\n\taddress 198.18.0.1/24\n\tbridge_ports eth0\n';

/** Namespaces with a bridge, its port, and classic ifupdown's file; they end with the agent. */
const MAKE = `
  mount -t sysfs s /sys
  mount -t tmpfs t /mnt
  mkdir /mnt/upper /mnt/work
  mount -t overlay o -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
  mkdir -p /etc/network
  printf '${INTERFACES.replaceAll('\n', '\\n').replaceAll('\t', '\\t')}' > /etc/network/interfaces
  ip link add vmbr0 type bridge
  ip link add eth0 type veth peer name peer0
  ip link set eth0 master vmbr0
  ip addr add 198.18.0.1/24 dev vmbr0
  exec "$@"
`;

let session: AgentSession;

beforeAll(async () => {
  const here = localLink();
  const link: Link = {
    ...here,
    start: (argv) => here.start(['unshare', '-nm', 'sh', '-eu', '-c', MAKE, 'sh', ...argv]),
  };
  session = await AgentSession.open(link);
});
afterAll(() => session.close());

function resource(input: { readonly [key: string]: unknown }) {
  const [only] = bridge.resources(BridgeParams.parse(input));
  if (only === undefined) throw new Error('one task is one bridge');
  return only;
}

async function plan(input: { readonly [key: string]: unknown }) {
  const wanted = resource(input);
  return wanted.plan(await session.read(wanted.reads));
}

async function perform(steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    if (step.do === 'run') expect(await session.run(step.argv)).toMatchObject({ code: 0, stderr: '' });
    else if (step.do === 'set') await session.set(step.path, step.value);
    else {
      const before = (await session.read([{ read: 'file', path: step.path }])).file(step.path);
      await session.write(step.path, before, step.edit(before?.text ?? null), step.mode ?? 0o644);
    }
  }
}

const WANTED = {
  name: 'vmbr0',
  multicast_snooping: false,
  multicast_querier: true,
  multicast_query_use_ifaddr: true,
  multicast_igmp_version: 3,
  multicast_mld_version: 2,
  multicast_router: 0,
  multicast_query_interval: 3.33,
  multicast_query_response_interval: 0.99,
  multicast_querier_interval: 9.01,
  multicast_membership_interval: 8.07,
  multicast_last_member_interval: 0.55,
  multicast_startup_query_interval: 1.01,
  multicast_last_member_count: 0,
  multicast_startup_query_count: 5,
  multicast_hash_max: 1024,
  multicast_stats_enabled: true,
};

test('a real bridge is read, changed, kept and put back', async () => {
  const first = await plan(WANTED);
  const count = Object.keys(WANTED).length - 1;
  expect(first.changes.filter(({ layer }) => layer === 'runtime')).toHaveLength(count);
  expect(first.changes.filter(({ layer, from }) => layer === 'persistent' && from === null)).toHaveLength(count);
  expect(first.try).toHaveLength(1);

  await perform(first.try);
  expect((await plan(WANTED)).changes.map(({ layer }) => layer)).toEqual(Array(count).fill('persistent'));
  await perform(first.keep);
  expect(await plan(WANTED)).toMatchObject({ changes: [], try: [], undo: [], keep: [] });

  await perform(first.undo);
  const back = await plan(WANTED);
  expect(back.changes).toEqual(first.changes.filter(({ layer }) => layer === 'runtime'));
});

test('the lines that were kept do at boot what they say', async () => {
  const text = (await session.read([{ read: 'file', path: '/etc/network/interfaces' }])).file(
    '/etc/network/interfaces',
  );
  const lines = (text?.text ?? '').split('\n').filter((line) => line.startsWith('\tpost-up '));
  expect(lines).toHaveLength(Object.keys(WANTED).length - 1);
  for (const line of lines) {
    const result = await session.run(['sh', '-c', line.replace('\tpost-up ', '')]);
    expect([line, result.code, result.stderr]).toEqual([line, 0, '']);
  }
  expect((await plan(WANTED)).changes).toEqual([]);
});

test('what is no bridge is named', async () => {
  const querier = (name: string) => plan({ name, multicast_querier: true });
  await expect(querier('eth0')).rejects.toThrow('"eth0" is a port of bridge "vmbr0", not a bridge');
  await expect(querier('peer0')).rejects.toThrow('"peer0" is not a bridge but "veth"');
  await expect(querier('nope')).rejects.toThrow('there is no device "nope"');
  await expect(querier('-h')).rejects.toThrow('there is no device "-h"');
  await expect(querier(';reboot;')).rejects.toThrow('there is no device ";reboot;"');
});
