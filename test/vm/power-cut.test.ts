import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { startMcastctl } from '../support/cli.ts';
import { fresh, type Playbook, playbook } from './support/cli.ts';
import { runFile } from './support/layout.ts';
import type { Machine } from './support/machine.ts';

// What was kept is on the disk, and what was only tried is not: the plug is pulled, and what had not reached the disk is lost.
// The tests are one story, in order.

let machines: Machine[];

beforeAll(async () => {
  machines = await fresh(1, 2);
});

const both = <T>(act: (machine: Machine) => Promise<T>): Promise<T[]> => Promise.all(machines.map(act));
const backlog = async (machine: Machine) => Number(await machine.out('sysctl', '-n', 'net.core.netdev_max_backlog'));
const querier = async (machine: Machine) =>
  Number(await machine.out('cat', '/sys/class/net/vmbr0/bridge/multicast_querier'));

const play = (name: string, duration: string, length: number, isQuerier: boolean): Playbook =>
  playbook(
    name,
    machines,
    `- hosts: cluster
  probe: { group: 239.192.77.1, interface: vmbr0, duration: ${duration}, max_loss: 50 }
  tasks:
    - bridge: { name: vmbr0, multicast_querier: ${isQuerier} }
    - sysctl: { net.core.netdev_max_backlog: ${length} }
`,
  );

test('what apply has kept is there after the plug was pulled at once', async () => {
  const kept = play('power-cut-kept', '1s', 3000, true);
  await kept.report('apply', 0);
  await both((machine) => machine.pullPlug());
  await both((machine) => machine.switchOn());
  expect([await both(backlog), await both(querier)]).toEqual([
    [3000, 3000],
    [1, 1],
  ]);
  expect(await kept.run('check')).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('a machine that loses its power while a value is proved comes back with the old one, and so does the other', async () => {
  const [one, two] = machines as [Machine, Machine];
  play('power-cut-tried', '20s', 4000, false);
  const apply = startMcastctl([
    ...['apply', runFile('inventory.yml'), '-p', runFile('power-cut-tried.yml')],
    ...['-l', 'vm1,vm2', '--format', 'json'],
  ]);
  let isOver = false;
  void apply.done.then(() => {
    isOver = true;
  });
  while (!isOver && (await querier(two)) === 1) await sleep(500);
  expect(isOver).toBe(false);
  await two.pullPlug();
  const { code, stdout } = await apply.done;
  const report = JSON.parse(stdout);
  expect([code, report.hosts.vm1.status, report.hosts.vm2.status]).toEqual([1, 'failed', 'unreachable']);
  await two.switchOn();
  expect([await both(backlog), await both(querier)]).toEqual([
    [3000, 3000],
    [1, 1],
  ]);
  const before = play('power-cut-before', '1s', 3000, true);
  expect(await before.run('check')).toEqual({ code: 0, stdout: '', stderr: '' });
  await expect(one.out('systemctl', 'is-system-running')).resolves.toBe('running');
});
