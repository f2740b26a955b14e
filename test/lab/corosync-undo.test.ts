import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mcastctl, startMcastctl } from '../support/cli.ts';
import { confOf, corosyncIn, type LabCluster } from '../support/corosync.ts';
import { type Lab, startLab } from '../support/lab.ts';

// Debian's corosync on three nodes: a change that can not work, or that is interrupted, is taken back.

const NODES = ['pve1', 'pve2', 'pve3'] as const;
const TEXT = confOf(3, { totem: ['transport: knet', 'ip_version: ipv4', 'token: 1000', 'token_coefficient: 0'] });
let lab: Lab;
let cluster: LabCluster;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-corosync-'));
  lab = await startLab({ nodes: 3, switch: 'flood' });
  cluster = corosyncIn(lab);
  await Promise.all(NODES.map((node) => cluster.put(node, TEXT)));
  await cluster.start(...NODES);
  await cluster.formed(...NODES);
});
afterAll(async () => {
  await lab?.down();
  rmSync(dir, { recursive: true, force: true });
});

function run(command: 'apply' | 'check' | 'plan', task: string) {
  const playbook = join(dir, 'play.yml');
  const probe = 'probe: { group: 239.192.99.1, count: 5, interval: 5ms }';
  writeFileSync(playbook, `- hosts: all\n  ${probe}\n  tasks:\n    - name: t\n      corosync: ${task}\n`);
  return mcastctl([command, lab.inventory, '-p', playbook]);
}
const everywhere = <T>(look: (node: string) => Promise<T>): Promise<T[]> => Promise.all(NODES.map(look));

test('a transport with which the nodes do not find each other is taken back: old bytes, old sockets, quorum', async () => {
  // What a firewall does that lets knet through and drops the group.
  await cluster.must('pve3', 'iptables', '-A', 'INPUT', '-d', '239.192.77.1', '-j', 'DROP');
  const result = await run('apply', '{ transport: udp, interfaces: [{ linknumber: 0, mcastaddr: 239.192.77.1 }] }');
  await cluster.must('pve3', 'iptables', '-D', 'INPUT', '-d', '239.192.77.1', '-j', 'DROP');
  expect(result.code).toBe(1);
  expect(result.stdout).toMatch(/"start corosync on pve1, pve2, pve3" within 19 s: pve\d /);
  expect(result.stdout).not.toContain('undo failed');
  expect(await everywhere(cluster.file)).toEqual([TEXT, TEXT, TEXT]);
  expect(await everywhere(cluster.sockets)).toEqual([['198.18.0.11:5405'], ['198.18.0.12:5405'], ['198.18.0.13:5405']]);
  for (const { quorate, nodes } of await everywhere(cluster.quorum))
    expect([quorate, nodes]).toEqual([true, [1, 2, 3]]);
  expect(await everywhere((node) => cluster.cmap(node, 'totem.config_version'))).toEqual(['1', '1', '1']);
}, 90_000);

test('Ctrl-C between restarts node by node: what was restarted is restarted with the old file, and quorum is kept', async () => {
  const playbook = join(dir, 'play.yml');
  const task = '{ quorum: { wait_for_all: true } }';
  writeFileSync(playbook, `- hosts: all\n  tasks:\n    - name: t\n      corosync: ${task}\n`);
  const pid = await cluster.pid('pve3');
  const going = startMcastctl(['apply', lab.inventory, '-p', playbook]);
  await going.said(/start corosync on pve1/);
  going.child.kill('SIGINT');
  const result = await going.done;
  expect(result).toMatchObject({ code: 130 });
  expect(result.stdout).toContain('interrupted');
  expect(result.stdout).not.toContain('undo failed');
  expect(await everywhere(cluster.file)).toEqual([TEXT, TEXT, TEXT]);
  expect(await cluster.pid('pve3')).toBe(pid);
  expect(await cluster.must('pve1', 'corosync-quorumtool', '-s')).toMatch(/^Flags: +Quorate *$/m);
  for (const { quorate, nodes } of await everywhere(cluster.quorum))
    expect([quorate, nodes]).toEqual([true, [1, 2, 3]]);
}, 90_000);
