import { beforeAll, expect, test } from 'vitest';
import { fresh, type Playbook, playbook } from './support/cli.ts';
import type { Machine } from './support/machine.ts';

// NICs that have rings, and each way in which a size comes back at boot: a post-up line of ifupdown2 and a .link file of udev on vm1,
// Debian's hook of ethtool under classic ifupdown on vm2. The tests are one story, in order.

const INTERFACES = '/etc/network/interfaces';

let one: Machine;
let two: Machine;
let ifupdown2: Playbook;
let classic: Playbook;

beforeAll(async () => {
  [one, two] = (await fresh(1, 2)) as [Machine, Machine];
  // Making an initrd takes an emulated processor minutes, and QEMU starts another one. The call of update-initramfs stays.
  await one.out(
    'sed',
    '-i',
    's/^update_initramfs=.*/update_initramfs=no/',
    '/etc/initramfs-tools/update-initramfs.conf',
  );
  await two.out('sed', '-i', 's/^iface ens4/auto ens4\\n&/', INTERFACES);
  await two.out('dpkg', '--purge', 'ifupdown2');
  await two.out('env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', '-y', 'install', 'ifupdown');
  const text = (tasks: readonly string[]): string => `- hosts: cluster\n  tasks: [${tasks.join(', ')}]\n`;
  // vmxnet3 has the first; no stanza names the second, an e1000, which makes 504 of 500.
  const tasks = ['{ ring: { device: ens4, rx: max, tx: 1024 } }', '{ ring: { device: ens7, rx: 500, tx: 512 } }'];
  ifupdown2 = playbook('ring', [one], text(tasks));
  classic = playbook('ring-classic', [two], text(['{ ring: { device: ens4, rx: 2048, tx: 1024 } }']));
});

/** Sizes in force, as ethtool prints them: rx and tx. */
async function rings(machine: Machine, device: string): Promise<number[]> {
  const [, current = ''] = (await machine.out('ethtool', '-g', device)).split('Current hardware settings:');
  return [...current.matchAll(/^[RT]X:\s+(\d+)$/gm)].map(([, size]) => Number(size));
}
const all = async () => [await rings(one, 'ens4'), await rings(one, 'ens7'), await rings(two, 'ens4')];

const WRONG = [
  [1024, 512],
  [256, 256],
  [1024, 512],
];
const RIGHT = [
  [4096, 1024],
  [504, 512],
  [2048, 1024],
];

test('check names both layers of each NIC', async () => {
  expect(await all()).toEqual(WRONG);
  expect([...(await ifupdown2.drift()), ...(await classic.drift())]).toEqual([
    'vm1 ring[ens4] runtime rx: 1024 -> 4096',
    'vm1 ring[ens4] runtime tx: 512 -> 1024',
    'vm1 ring[ens4] persistent rx: null -> 4096',
    'vm1 ring[ens4] persistent tx: null -> 1024',
    'vm1 ring[ens7] runtime rx: 256 -> 500',
    'vm1 ring[ens7] runtime tx: 256 -> 512',
    'vm1 ring[ens7] persistent rx: null -> 500',
    'vm1 ring[ens7] persistent tx: null -> 512',
    'vm2 ring[ens4] runtime rx: 1024 -> 2048',
    'vm2 ring[ens4] runtime tx: 512 -> 1024',
    'vm2 ring[ens4] persistent rx: null -> 2048',
    'vm2 ring[ens4] persistent tx: null -> 1024',
  ]);
});

test('apply sizes the rings and keeps it the way that each machine boots', async () => {
  await ifupdown2.report('apply', 0);
  await classic.report('apply', 0);
  expect(await all()).toEqual(RIGHT);
  expect(await one.out('cat', INTERFACES)).toMatch(/\tpost-up ethtool -G ens4 rx 4096 tx 1024/);
  expect(await one.out('sh', '-c', 'cat /etc/systemd/network/*ens7*')).toMatch(/\nRxBufferSize=500\n/);
  expect(await two.out('cat', INTERFACES)).toMatch(/\thardware-dma-ring-rx 2048\n/);
  await ifupdown2.expectNoChange();
  await classic.expectNoChange();
});

test('a real reboot brings the sizes back, and the names of the NICs', async () => {
  await Promise.all([one.reboot(), two.reboot()]);
  expect(await all()).toEqual(RIGHT);
  expect(await one.out('systemctl', '--failed', '--no-legend')).toBe('');
  for (const play of [ifupdown2, classic]) {
    expect(await play.run('check')).toEqual({ code: 0, stdout: '', stderr: '' });
  }
});

test('check sees each layer that somebody changed by hand', async () => {
  await one.out('ethtool', '-G', 'ens4', 'rx', '256');
  await one.out('sh', '-c', 'rm /etc/systemd/network/*ens7*');
  await two.out('sed', '-i', 's/dma-ring-rx 2048/dma-ring-rx 512/', INTERFACES);
  expect([...(await ifupdown2.drift()), ...(await classic.drift())]).toEqual([
    'vm1 ring[ens4] runtime rx: 256 -> 4096',
    'vm1 ring[ens7] persistent rx: null -> 500',
    'vm1 ring[ens7] persistent tx: null -> 512',
    'vm2 ring[ens4] persistent rx: 512 -> 2048',
  ]);
  await ifupdown2.report('apply', 0);
  await classic.report('apply', 0);
  await ifupdown2.expectNoChange();
  await classic.expectNoChange();
  expect(await all()).toEqual(RIGHT);
});

test('a driver that sizes no rings fails, and keeps nothing; more than the NIC has is refused', async () => {
  const before = await one.out('cat', INTERFACES);
  const other = playbook('ring-8139', [one], '- hosts: cluster\n  tasks: [{ ring: { device: ens8, rx: 32 } }]\n');
  const { code, stdout } = await other.run('apply');
  expect([code, stdout]).toEqual([1, expect.stringContaining('Operation not supported')]);
  expect(await rings(one, 'ens8')).toEqual([64, 64]);
  const more = playbook('ring-more', [one], '- hosts: cluster\n  tasks: [{ ring: { device: ens4, rx: 8192 } }]\n');
  const refused = await more.run('check');
  expect([refused.code, refused.stdout]).toEqual([1, expect.stringContaining('4096')]);
  expect(await one.out('cat', INTERFACES)).toBe(before);
  expect((await one.exec('sh', '-c', 'ls /etc/systemd/network/*ens8*')).code).not.toBe(0);
});
