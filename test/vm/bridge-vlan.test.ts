import { beforeAll, expect, test } from 'vitest';
import { fresh, type Playbook, playbook } from './support/cli.ts';
import type { Machine } from './support/machine.ts';

// A VLAN-aware bridge, which needs a kernel that filters VLANs. vm1 has the querier, vm2 sees on the wire what it asks.
// The tests are one story, in order.

let one: Machine;
let two: Machine;
let play: Playbook;

const INTERFACES = '/etc/network/interfaces';

beforeAll(async () => {
  [one, two] = (await fresh(1, 2)) as [Machine, Machine];
  await Promise.all(
    [one, two].map(async (machine, position) => {
      const aware = '\\tbridge-vlan-aware yes\\n\\tbridge-vids 2-4094\\n';
      const device = `\\nauto vmbr0.50\\niface vmbr0.50 inet static\\n\\taddress 198.19.50.${position + 1}/24\\n`;
      await machine.out('sed', '-i', `$a\\${aware}${device}`, INTERFACES);
      await machine.out('ifreload', '-a');
    }),
  );
  play = playbook(
    'bridge-vlan',
    [one],
    `- hosts: cluster
  tasks:
    - bridge_vlan: { bridge: vmbr0, vlan: 50, multicast_snooping: true, multicast_querier: true, multicast_query_interval: 60 }
`,
  );
});

/** Whether the bridge snoops by VLAN, and querier and interval of a VLAN, as the machine's own tools say. */
async function runtime(vlan: number): Promise<unknown[]> {
  const [link] = JSON.parse(await one.out('ip', '-d', '-j', 'link', 'show', 'dev', 'vmbr0'));
  const shown = JSON.parse(
    await one.out('bridge', '-j', 'vlan', 'global', 'show', 'dev', 'vmbr0', 'vid', String(vlan)),
  );
  const { mcast_querier, mcast_query_interval } = shown[0].vlans[0];
  return [link.linkinfo.info_data.mcast_vlan_snooping, mcast_querier, mcast_query_interval];
}

/** The first query in VLAN 50 that vm2 hears while something happens. */
async function queryDuring(act: () => Promise<unknown>): Promise<string> {
  const filter = 'vlan 50 and ip proto 2 and ip dst 224.0.0.1';
  const heard = two.exec('timeout', '600', 'tcpdump', '-n', '-e', '-i', 'ens4', '-c', '1', filter);
  await act();
  return (await heard).stdout;
}

test('check names both layers', async () => {
  expect((await runtime(50))[0]).toBe(0);
  const found = await play.drift();
  for (const layer of ['runtime', 'persistent']) {
    expect(found.filter((line) => line.includes(` ${layer} multicast_querier: `))).toHaveLength(1);
    expect(found.filter((line) => line.includes(` ${layer} multicast_query_interval: `))).toHaveLength(1);
  }
});

test('apply: queries go out with the tag of that VLAN', async () => {
  const query = await queryDuring(() => play.report('apply', 0));
  expect(query).toMatch(/vlan 50, .*> 224\.0\.0\.1: igmp query/);
  expect(await runtime(50)).toEqual([1, 1, 6000]);
  expect((await runtime(51)).slice(1)).toEqual([0, 12500]);
  await play.expectNoChange();
});

test('ifupdown2 keeps it at a reload, and a real reboot brings it back', async () => {
  await one.out('ifreload', '-a');
  expect(await runtime(50)).toEqual([1, 1, 6000]);
  const query = await queryDuring(() => one.reboot());
  expect(query).toMatch(/vlan 50, .*igmp query/);
  expect(await runtime(50)).toEqual([1, 1, 6000]);
  expect(await play.run('check')).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('check sees each layer that somebody changed by hand', async () => {
  await one.out('bridge', 'vlan', 'global', 'set', 'dev', 'vmbr0', 'vid', '50', 'mcast_querier', '0');
  expect(await play.drift()).toEqual(['vm1 bridge_vlan[vmbr0 50] runtime multicast_querier: false -> true']);
  await play.report('apply', 0);
  await one.out('ip', 'link', 'set', 'vmbr0', 'type', 'bridge', 'mcast_vlan_snooping', '0');
  expect((await play.drift()).filter((line) => line.includes(' runtime '))).not.toEqual([]);
  await play.report('apply', 0);
  // One line has all three.
  await one.out('sed', '-i', '/mcast_query_interval/d', INTERFACES);
  expect(await play.drift()).toEqual([
    'vm1 bridge_vlan[vmbr0 50] persistent multicast_snooping: null -> true',
    'vm1 bridge_vlan[vmbr0 50] persistent multicast_querier: null -> true',
    'vm1 bridge_vlan[vmbr0 50] persistent multicast_query_interval: null -> 60',
  ]);
  await play.report('apply', 0);
  expect(await runtime(50)).toEqual([1, 1, 6000]);
  await play.expectNoChange();
});
