import { writeFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { differences, freshOne, type Playbook, playbook } from './support/cli.ts';
import { corosyncConf, ONLINE_DROP_IN } from './support/corosync.ts';
import { clusterAddress, runFile } from './support/layout.ts';
import type { Machine } from './support/machine.ts';

// Services as systemd runs them, with the files that they read and packages that apt brings, and what is left of it after a boot. The tests are one story, in order.

let vm: Machine;
let play: Playbook;

const CONF = '/etc/corosync/corosync.conf';

beforeAll(async () => {
  vm = await freshOne(3);
  writeFileSync(runFile('services-corosync.conf'), corosyncConf([3], 'udpu'));
  play = playbook(
    'services',
    [vm],
    `- hosts: cluster
  tasks:
    - hosts_entry:
        entries:
          - { address: ${clusterAddress(1)}, names: [vm1.example.com, vm1] }
          - { address: ${clusterAddress(2)}, names: [vm2.example.com, vm2] }
    - file: { path: ${ONLINE_DROP_IN.path}, content: ${JSON.stringify(ONLINE_DROP_IN.text)} }
    - file: { path: ${CONF}, src: ${runFile('services-corosync.conf')}, mode: "0640" }
      notify: corosync starts anew
    - package: { name: tree }
    - service: { name: corosync, state: started, enabled: true }
    - service: { name: nftables, masked: true }
  handlers:
    - name: corosync starts anew
      service: { name: corosync, state: restarted }
`,
  );
});

const systemctl = async (verb: string, unit: string): Promise<string> =>
  (await vm.exec('systemctl', verb, unit)).stdout.trim();
const mainPid = (): Promise<string> => vm.out('systemctl', 'show', '-p', 'MainPID', '--value', 'corosync');
const state = async () => ({
  active: await systemctl('is-active', 'corosync'),
  enabled: await systemctl('is-enabled', 'corosync'),
  masked: await systemctl('is-enabled', 'nftables'),
  address: (await vm.exec('getent', 'hosts', 'vm2.example.com')).stdout.split(' ')[0],
  mode: await vm.out('stat', '-c', '%a', CONF),
  tree: (await vm.exec('dpkg', '-s', 'tree')).stdout.includes('Status: install ok installed'),
  quorate: /^Quorate: +Yes$/m.test((await vm.exec('corosync-quorumtool', '-s')).stdout),
});

const WRONG = {
  active: 'inactive',
  enabled: 'disabled',
  masked: 'disabled',
  address: '',
  mode: '644',
  tree: false,
  quorate: false,
};
const RIGHT = {
  active: 'active',
  enabled: 'enabled',
  masked: 'masked',
  address: clusterAddress(2),
  mode: '640',
  tree: true,
  quorate: true,
};

test('check names what is wrong, in both layers', async () => {
  expect(await state()).toEqual(WRONG);
  const found = await play.drift();
  expect(found).toContain('vm3 service[corosync] runtime state: "stopped" -> "started"');
  expect(found).toContain('vm3 service[corosync] persistent enabled: false -> true');
});

test('apply starts and enables, and the daemon that starts is the one that was described', async () => {
  await play.report('apply', 0);
  expect(await state()).toEqual(RIGHT);
  const before = await mainPid();
  await play.expectNoChange();
  expect(await mainPid()).toBe(before);
});

test('a change of the file restarts it once', async () => {
  const before = await mainPid();
  await vm.out('chmod', '600', CONF);
  await play.report('apply', 0);
  expect(await mainPid()).not.toBe(before);
  expect(await state()).toEqual(RIGHT);
});

test('a real reboot brings all of it back', async () => {
  await vm.reboot();
  expect(await state()).toEqual(RIGHT);
  expect(await play.run('check')).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('check sees each layer that somebody changed by hand', async () => {
  await vm.out('systemctl', 'disable', 'corosync');
  await vm.out('sed', '-i', '/vm2.example.com/d', '/etc/hosts');
  const disabled = await play.drift();
  expect(disabled).toContain('vm3 service[corosync] persistent enabled: false -> true');
  expect(disabled.filter((line) => line.includes('service[') && line.includes(' runtime '))).toEqual([]);
  for (const layer of ['runtime', 'persistent']) {
    expect(disabled.filter((line) => line.startsWith(`vm3 hosts_entry[vm2.example.com] ${layer} `))).not.toEqual([]);
  }
  await vm.out('systemctl', 'stop', 'corosync');
  await vm.out('systemctl', 'unmask', 'nftables');
  await vm.out('dpkg', '--remove', 'tree');
  const stopped = await play.drift();
  expect(stopped).toContain('vm3 service[corosync] runtime state: "stopped" -> "started"');
  expect(differences(await play.report('apply', 0)).length).toBe(stopped.length);
  expect(await state()).toEqual(RIGHT);
  await play.expectNoChange();
});

test('a service that dies at once is no success, and what was tried is taken back', async () => {
  await vm.out('systemctl', 'disable', '--now', 'corosync');
  await vm.write(CONF, 'totem {\n  version: 2\n  transport: nonsense\n}\n');
  const broken = playbook(
    'services-broken',
    [vm],
    '- hosts: cluster\n  tasks: [{ service: { name: corosync, state: started, enabled: true } }]\n',
  );
  const { code, stdout } = await broken.run('apply');
  expect([code, stdout]).toEqual([1, expect.stringContaining('corosync')]);
  expect([await systemctl('is-active', 'corosync'), await systemctl('is-enabled', 'corosync')]).not.toContain(
    'enabled',
  );
});
