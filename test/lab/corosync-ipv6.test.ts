import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mcastctl } from '../support/cli.ts';
import { confOf, corosyncIn, type LabCluster } from '../support/corosync.ts';
import { type Lab, startLab } from '../support/lab.ts';

// Debian's corosync on three nodes, from IPv4 to IPv6 multicast, then to udpu.

const NODES = ['pve1', 'pve2', 'pve3'] as const;
let lab: Lab;
let cluster: LabCluster;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-corosync-'));
  lab = await startLab({ nodes: 3, switch: 'flood' });
  cluster = corosyncIn(lab);
  const text = confOf(3, { totem: ['transport: udp', 'ip_version: ipv4', 'token: 1000', 'token_coefficient: 0'] });
  await Promise.all(
    NODES.map(async (node, index) => {
      await cluster.must(node, 'ip', 'address', 'add', `fd00:77::${index + 1}/64`, 'dev', 'vmbr0', 'nodad');
      await cluster.put(node, text);
    }),
  );
  await cluster.start(...NODES);
  await cluster.formed(...NODES);
});
afterAll(async () => {
  await lab?.down();
  rmSync(dir, { recursive: true, force: true });
});

async function apply(task: string): Promise<void> {
  const playbook = join(dir, 'play.yml');
  const probe = 'probe: { group: 239.192.99.1, count: 5, interval: 5ms }';
  writeFileSync(playbook, `- hosts: all\n  ${probe}\n  tasks:\n    - name: t\n      corosync: ${task}\n`);
  expect(await mcastctl(['apply', lab.inventory, '-p', playbook])).toMatchObject({ code: 0 });
  expect(await mcastctl(['check', lab.inventory, '-p', playbook])).toMatchObject({ code: 0, stdout: '' });
  expect(await cluster.quorum('pve3')).toEqual({ quorate: true, nodes: [1, 2, 3] });
}

test('the group and the addresses of IPv6, with a netmtu of their own', async () => {
  const nodes = NODES.map((name, index) => `{ name: ${name}, ring0_addr: "fd00:77::${index + 1}" }`).join(', ');
  const link = '{ linknumber: 0, mcastaddr: "ff15::77", mcastport: 5411 }';
  await apply(`{ ip_version: ipv6, netmtu: 1400, interfaces: [${link}], nodelist: { nodes: [${nodes}] } }`);
  expect(await cluster.sockets('pve2')).toEqual(['[fd00:77::2]:5410', '[fd00:77::2]:5411', '[ff15::77]:5411']);
  expect(await cluster.must('pve2', 'corosync-cfgtool', '-n')).toContain('mtu: 1310');
}, 90_000);

test('udpu has a socket for each node and no group', async () => {
  await apply('{ transport: udpu, interfaces: [{ linknumber: 0, mcastaddr: null }] }');
  const sockets = await cluster.sockets('pve2');
  expect(sockets).toHaveLength(4);
  expect(sockets).toContain('[fd00:77::2]:5411');
  expect(sockets.every((socket) => socket.startsWith('[fd00:77::2]:'))).toBe(true);
}, 90_000);
