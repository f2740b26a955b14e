import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LabRun, startLabRun } from '../support/lab-run.ts';

// The bridges of guests, made by hand as Proxmox VE makes them when a guest starts: real bridges and cables.

let lab: LabRun;
const ip = (...argv: string[]) => lab.on('pve1', 'ip', ...argv);

/** fwbr<guest>i0 with its cable to a bridge. */
async function firewallBridge(guest: number, to: string): Promise<void> {
  await ip('link', 'add', `fwbr${guest}i0`, 'type', 'bridge');
  await ip('link', 'add', `fwpr${guest}p0`, 'type', 'veth', 'peer', 'name', `fwln${guest}i0`);
  await ip('link', 'set', `fwln${guest}i0`, 'master', `fwbr${guest}i0`, 'up');
  await ip('link', 'set', `fwpr${guest}p0`, 'master', to, 'up');
}

async function flags(bridge: string): Promise<[number, number]> {
  const [link] = JSON.parse(await ip('-d', '-j', 'link', 'show', 'dev', bridge));
  const { mcast_snooping, mcast_querier } = link.linkinfo.info_data;
  return [mcast_snooping, mcast_querier];
}

beforeAll(async () => {
  lab = await startLabRun({ nodes: 1, switch: 'flood' });
  await ip('link', 'add', 'vmbr0v50', 'type', 'bridge');
  await ip('link', 'add', 'vmbr1', 'type', 'bridge');
  await ip('link', 'add', 'vmbr0vx', 'type', 'bridge');
  await firewallBridge(100, 'vmbr0');
  await firewallBridge(101, 'vmbr0v50');
  await firewallBridge(102, 'vmbr1');
});
afterAll(() => lab?.down());

const OFF = '- bridge: { name: vmbr0, guests: { multicast_snooping: false } }\n';

test('bridges of guests of this bridge are found and changed by name, others are left alone', async () => {
  const { code, tasks } = await lab.run('apply', OFF);
  expect([code, tasks]).toMatchObject([
    0,
    [
      {
        resource: 'bridge[guests of vmbr0]',
        status: 'changed',
        changes: ['fwbr100i0', 'fwbr101i0', 'vmbr0v50'].map((name) => ({
          layer: 'runtime',
          property: `${name}: multicast_snooping`,
          from: true,
          to: false,
        })),
      },
    ],
  ]);
  for (const name of ['fwbr100i0', 'fwbr101i0', 'vmbr0v50']) expect([name, await flags(name)]).toEqual([name, [0, 0]]);
  for (const name of ['fwbr102i0', 'vmbr0vx', 'vmbr0']) expect([name, (await flags(name))[0]]).toEqual([name, 1]);
});

test('a second apply changes nothing, check is silent until a guest starts with old flags', async () => {
  expect((await lab.run('apply', OFF)).tasks).toMatchObject([{ status: 'ok' }]);
  expect((await lab.run('check', OFF)).code).toBe(0);
  await firewallBridge(103, 'vmbr0');
  const { code, tasks } = await lab.run('check', OFF);
  expect([code, tasks.flatMap(({ changes }) => changes.map(({ property }) => property))]).toEqual([
    2,
    ['fwbr103i0: multicast_snooping'],
  ]);
});

test('"true" gives them what Proxmox VE would copy, together with the bridge', async () => {
  const task =
    '- bridge: { name: vmbr0, multicast_snooping: true, multicast_querier: true, multicast_igmp_version: 3, guests: true }\n';
  await lab.write('pve1', '/etc/network/interfaces', 'auto vmbr0\niface vmbr0 inet manual\n\tbridge_ports eth0\n');
  const { code, tasks } = await lab.run('apply', task);
  expect([code, tasks.map(({ resource, status }) => [resource, status])]).toEqual([
    0,
    [
      ['bridge[vmbr0]', 'changed'],
      ['bridge[guests of vmbr0]', 'changed'],
    ],
  ]);
  for (const name of ['vmbr0', 'fwbr100i0', 'fwbr101i0', 'fwbr103i0', 'vmbr0v50']) {
    expect([name, await flags(name)]).toEqual([name, [1, 1]]);
  }
  expect(await flags('fwbr102i0')).toEqual([1, 0]);
  expect((await lab.run('check', task)).code).toBe(0);
});
