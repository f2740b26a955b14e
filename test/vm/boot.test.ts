import { beforeAll, expect, test } from 'vitest';
import { differences, fresh, type Playbook, playbook } from './support/cli.ts';
import type { Machine } from './support/machine.ts';

// The main job on two whole machines: ifupdown2 that really reloads, kernel-wide buffers, and a boot that really happens.
// The tests are one story, in order.

const INTERFACES = '/etc/network/interfaces';
const SYSCTL = '/etc/sysctl.d/99-zz-mcastctl.conf';

let machines: Machine[];
let play: Playbook;

beforeAll(async () => {
  machines = await fresh(1, 2);
  play = playbook(
    'boot',
    machines,
    `- hosts: cluster
  probe: { group: 239.192.77.1, interface: vmbr0, count: 20, interval: 10ms, max_loss: 20 }
  tasks:
    - bridge: { name: vmbr0, multicast_querier: true, multicast_query_use_ifaddr: true, multicast_query_interval: 60, multicast_stats_enabled: true }
    - sysctl: { net.core.rmem_max: 8388608, net.core.wmem_max: 8388608, net.core.netdev_max_backlog: 5000, net.ipv4.conf.vmbr0.rp_filter: 1 }
    - igmp: { interface: vmbr0, version: 2, mld_version: 1, max_memberships: 64 }
`,
  );
});

const each = <T>(act: (machine: Machine) => Promise<T>): Promise<T[]> => Promise.all(machines.map(act));

const KEYS = [
  'net.core.rmem_max',
  'net.core.wmem_max',
  'net.core.netdev_max_backlog',
  'net.ipv4.conf.vmbr0.rp_filter',
  'net.ipv4.conf.vmbr0.force_igmp_version',
  'net.ipv6.conf.vmbr0.force_mld_version',
  'net.ipv4.igmp_max_memberships',
] as const;

/** What the machine's own tools say: of the bridge, of the kernel's settings, and of the IGMP that vmbr0 speaks. */
async function runtime(machine: Machine) {
  const [link] = JSON.parse(await machine.out('ip', '-d', '-j', 'link', 'show', 'dev', 'vmbr0'));
  const { mcast_querier, mcast_query_use_ifaddr, mcast_query_intvl, mcast_stats_enabled } = link.linkinfo.info_data;
  const numbers = (await machine.out('sysctl', '-n', ...KEYS)).split('\n').map(Number);
  const igmp = /\tvmbr0 .*(?<version>V\d)$/m.exec(await machine.out('cat', '/proc/net/igmp'))?.groups?.version;
  return [mcast_querier, mcast_query_use_ifaddr, mcast_query_intvl, mcast_stats_enabled, ...numbers, igmp];
}

const WRONG = [0, 0, 12500, 0, 212992, 212992, 1000, 0, 0, 0, 20, 'V3'];
const RIGHT = [1, 1, 6000, 1, 8388608, 8388608, 5000, 1, 2, 1, 64, 'V2'];
const COUNT = 4 + KEYS.length;

test('check names all that is wrong, in both layers', async () => {
  expect(await each(runtime)).toEqual([WRONG, WRONG]);
  const found = await play.drift();
  expect(found).toHaveLength(2 * 2 * COUNT);
  expect(found).toContain('vm2 sysctl[net.core.rmem_max] runtime value: 212992 -> 8388608');
  expect(found).toContain('vm1 bridge[vmbr0] persistent multicast_querier: null -> true');
});

test('apply proves the change with real packets and keeps it', async () => {
  const report = await play.report('apply', 0);
  expect(report.status).toBe('changed');
  expect(report.probe?.paths.map(({ verdict }) => verdict)).toEqual(['ok', 'ok']);
  expect(differences(report)).toHaveLength(2 * 2 * COUNT);
  expect(await each(runtime)).toEqual([RIGHT, RIGHT]);
  for (const machine of machines) {
    expect(await machine.out('cat', SYSCTL)).toContain('net.core.rmem_max = 8388608');
    expect(await machine.out('cat', INTERFACES)).toMatch(/iface vmbr0 inet static\n(?:\t.*\n)*?\tbridge-mcquerier 1\n/);
  }
});

test('a second apply changes nothing, check is silent', async () => {
  const before = await each((machine) => machine.out('cat', INTERFACES, SYSCTL));
  await play.expectNoChange();
  expect(await each((machine) => machine.out('cat', INTERFACES, SYSCTL))).toEqual(before);
});

test('ifupdown2 itself finds nothing to change, and a reload keeps all', async () => {
  for (const machine of machines) {
    const { code, stdout } = await machine.exec('ifquery', '--check', 'vmbr0');
    expect([code, stdout.match(/\[fail\]/g)]).toEqual([0, null]);
    await machine.out('ifreload', '-a');
  }
  expect(await each(runtime)).toEqual([RIGHT, RIGHT]);
  expect(await play.run('check')).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('all is still there after a real reboot, and check is silent', async () => {
  await each((machine) => machine.reboot());
  expect(await each(runtime)).toEqual([RIGHT, RIGHT]);
  expect(await play.run('check')).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('check sees each layer that somebody changed by hand', async () => {
  const [one, two] = machines;
  await one?.out('ip', 'link', 'set', 'vmbr0', 'type', 'bridge', 'mcast_querier', '0');
  await one?.out('sed', '-i', '/rmem_max/d', SYSCTL);
  await two?.out('sysctl', '-qw', 'net.core.wmem_max=212992');
  await two?.out('sed', '-i', '/force_igmp_version/d', SYSCTL);
  await two?.out('sed', '-i', 's/bridge-mcqi .*/bridge-mcqi 125/', INTERFACES);
  expect(await play.drift()).toEqual([
    'vm1 bridge[vmbr0] runtime multicast_querier: false -> true',
    'vm1 sysctl[net.core.rmem_max] persistent value: null -> 8388608',
    'vm2 bridge[vmbr0] persistent multicast_query_interval: 125 -> 60',
    'vm2 sysctl[net.core.wmem_max] runtime value: 212992 -> 8388608',
    'vm2 igmp[vmbr0] persistent version: null -> 2',
  ]);
});

test('apply mends it', async () => {
  expect(differences(await play.report('apply', 0))).toHaveLength(5);
  await play.expectNoChange();
  expect(await each(runtime)).toEqual([RIGHT, RIGHT]);
});
