import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { fresh, type Playbook, playbook } from './support/cli.ts';
import { corosyncConf } from './support/corosync.ts';
import type { Machine } from './support/machine.ts';

// Corosync as a service of systemd, on three machines. The tests are one story, in order.

let machines: Machine[];
const each = <T>(act: (machine: Machine, index: number) => Promise<T>): Promise<T[]> => Promise.all(machines.map(act));

const play = (name: string, task: string): Playbook =>
  playbook(
    name,
    machines,
    `- hosts: cluster
  probe: { group: 239.192.99.1, interface: vmbr0, count: 10, max_loss: 50 }
  tasks: [{ corosync: ${task} }]
`,
  );

async function formed(): Promise<void> {
  for (const end = Date.now() + 120_000; Date.now() < end; await sleep(500)) {
    const all = await each(async (machine) => (await machine.exec('corosync-quorumtool', '-s')).stdout);
    if (all.every((text) => /^Quorate: +Yes/m.test(text) && /^Nodes: +3/m.test(text))) return;
  }
  const logs = await each((machine) => machine.out('journalctl', '-b', '-u', 'corosync', '-n', '15', '--no-pager'));
  throw new Error(`the three machines do not form a cluster:\n${logs.join('\n')}`);
}
const groups = () =>
  each(
    async (machine) =>
      /(\S+):5405 .*corosync/.exec((await machine.out('ss', '-Huanp')).replace(/198\.19\S+/g, ''))?.[1],
  );
const starts = () =>
  each((machine) => machine.out('systemctl', 'show', '-p', 'ExecMainStartTimestampMonotonic', 'corosync'));

beforeAll(async () => {
  machines = await fresh(1, 2, 3);
  await each((machine) => machine.write('/etc/corosync/corosync.conf', corosyncConf([1, 2, 3], 'knet')));
  await each((machine) => machine.out('systemctl', 'enable', '--now', 'corosync'));
  await formed();
});

test('all services are stopped, then started, for another transport', async () => {
  const udp = play(
    'corosync-udp',
    '{ transport: udp, netmtu: 1400, interfaces: [{ linknumber: 0, mcastaddr: 239.192.77.1 }] }',
  );
  const before = await starts();
  expect(await udp.drift()).toContain('vm1 corosync[cluster] runtime totem.transport: "knet" -> "udp"');
  await udp.report('apply', 0);
  await formed();
  expect(await groups()).toEqual(['239.192.77.1', '239.192.77.1', '239.192.77.1']);
  expect(await each((machine) => machine.out('systemctl', 'is-active', 'corosync'))).toEqual([
    'active',
    'active',
    'active',
  ]);
  for (const [index, time] of (await starts()).entries()) expect(time).not.toBe(before[index]);
  await udp.expectNoChange();
});

test('a reload restarts no service, and what is read at the start only is done node by node', async () => {
  const before = await starts();
  await play('corosync-token', '{ token: 6000 }').report('apply', 0);
  expect(await starts()).toEqual(before);
  expect(await machines[2]?.out('corosync-cmapctl', '-g', 'runtime.config.totem.token')).toContain('= 6650');
  const all = play('corosync-wfa', '{ quorum: { wait_for_all: true } }');
  await all.report('apply', 0);
  expect(await each(async (machine) => /WaitForAll/.test(await machine.out('corosync-quorumtool', '-s')))).toEqual([
    true,
    true,
    true,
  ]);
  await all.expectNoChange();
});

test('a stopped service is an error that says how to start it', async () => {
  await machines[1]?.out('systemctl', 'stop', 'corosync');
  const { code, stdout } = await play('corosync-stopped', '{ token: 7000 }').run('apply');
  expect(code).toBe(1);
  expect(stdout).toContain('corosync does not run on this node (start it ("systemctl start corosync")');
  expect(await machines[0]?.out('grep', 'token', '/etc/corosync/corosync.conf')).toContain('token: 6000');
});

test('what it set is there after a boot', async () => {
  await each((machine) => machine.out('systemctl', 'start', 'corosync'));
  await formed();
  await machines[2]?.reboot();
  await formed();
  expect(await groups()).toEqual(['239.192.77.1', '239.192.77.1', '239.192.77.1']);
  await play(
    'corosync-boot',
    '{ transport: udp, netmtu: 1400, token: 6000, quorum: { wait_for_all: true }, interfaces: [{ linknumber: 0, mcastaddr: 239.192.77.1 }] }',
  ).expectNoChange();
});
