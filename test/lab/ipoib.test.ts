import { afterAll, beforeAll, expect, test } from 'vitest';
import { IFUPDOWN2_LAYER } from '../support/lab.ts';
import { type LabRun, startLabRun } from '../support/lab-run.ts';

// There is no InfiniBand here: "ib0" is a veth with a stand-in for its folder of sysfs. The MTU is real, and so is ifupdown2.

let lab: LabRun;
const INTERFACES = '/etc/network/interfaces';
const STANZA = 'auto ib0\niface ib0 inet manual\n\tpre-up echo connected > /sys/class/net/ib0/mode\n\tmtu 65520\n';
const TASK = '- ipoib: { device: ib0, mode: datagram, mtu: 2044, netmtu: 1500 }\n';
const now = async (): Promise<[string, number]> => {
  const [link] = JSON.parse(await lab.on('pve1', 'ip', '-j', 'link', 'show', 'dev', 'ib0'));
  return [(await lab.on('pve1', 'cat', '/sys/class/net/ib0/mode')).trim(), link.mtu];
};

beforeAll(async () => {
  lab = await startLabRun({ nodes: 1, switch: 'flood', layers: [IFUPDOWN2_LAYER] });
  await lab.on('pve1', 'ip', 'link', 'add', 'ib0', 'type', 'veth', 'peer', 'name', 'ib0p');
  await lab.on('pve1', 'ip', 'link', 'set', 'ib0', 'mtu', '65520');
  await lab.on('pve1', 'mount', '-t', 'tmpfs', 'tmpfs', '/sys/devices/virtual/net/ib0');
  await lab.write('pve1', '/sys/class/net/ib0/type', '32\n');
  await lab.write('pve1', '/sys/class/net/ib0/mode', 'connected\n');
  await lab.write('pve1', INTERFACES, STANZA);
});
afterAll(() => lab?.down());

test('mode and MTU are set, and the lines that gave others are changed', async () => {
  const { code, tasks } = await lab.run('apply', TASK);
  expect([code, tasks.map(({ status }) => status)]).toEqual([0, ['changed']]);
  expect(await now()).toEqual(['datagram', 2044]);
  expect(await lab.on('pve1', 'cat', INTERFACES)).toBe(
    STANZA.replace('echo connected', 'echo datagram').replace('mtu 65520', 'mtu 2044'),
  );
  expect((await lab.run('apply', TASK)).tasks).toMatchObject([{ status: 'ok' }]);
  expect((await lab.run('check', TASK)).code).toBe(0);
});

test('each layer that drifts is seen, and ifupdown2 gives it back', async () => {
  await lab.on('pve1', 'ip', 'link', 'set', 'ib0', 'mtu', '4000');
  await lab.on('pve1', 'sh', '-c', 'echo connected > /sys/class/net/ib0/mode');
  expect((await lab.run('check', TASK)).tasks).toMatchObject([
    {
      changes: [
        { layer: 'runtime', property: 'mode', from: 'connected', to: 'datagram' },
        { layer: 'runtime', property: 'mtu', from: 4000, to: 2044 },
      ],
    },
  ]);
  await lab.on('pve1', 'ln', '-s', '/usr/share/ifupdown2/__main__.py', '/run/ifup');
  await lab.on('pve1', '/run/ifup', 'ib0');
  // ifupdown2 writes the MTU to sysfs, which is the stand-in.
  expect(await lab.on('pve1', 'cat', '/sys/class/net/ib0/mode', '/sys/class/net/ib0/mtu')).toBe('datagram\n2044');
  await lab.on('pve1', 'ip', 'link', 'set', 'ib0', 'mtu', '2044');
  await lab.on('pve1', 'sed', '-i', 's/mtu 2044/mtu 4092/', INTERFACES);
  expect((await lab.run('check', TASK)).tasks).toMatchObject([
    { changes: [{ layer: 'persistent', property: 'mtu', from: 4092, to: 2044, file: INTERFACES, line: 4 }] },
  ]);
});
