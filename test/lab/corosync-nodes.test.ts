import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mcastctl } from '../support/cli.ts';
import { CONF, confOf, corosyncIn, type LabCluster } from '../support/corosync.ts';
import { type Lab, startLab } from '../support/lab.ts';

// Debian's corosync on three nodes and a fourth that joins: what is refused, and who comes and goes.

const NODES = ['pve1', 'pve2', 'pve3'] as const;
let lab: Lab;
let cluster: LabCluster;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-corosync-'));
  lab = await startLab({ nodes: 4, switch: 'flood' });
  cluster = corosyncIn(lab);
  await Promise.all(
    NODES.map((node) =>
      cluster.put(
        node,
        confOf(3, { totem: ['transport: knet', 'ip_version: ipv4', 'token: 1000', 'token_coefficient: 100'] }),
      ),
    ),
  );
  await cluster.start(...NODES);
  await cluster.formed(...NODES);
});
afterAll(async () => {
  await lab?.down();
  rmSync(dir, { recursive: true, force: true });
});

function run(command: 'apply' | 'check' | 'plan', task: string, options: { hosts?: string; more?: string[] } = {}) {
  const playbook = join(dir, 'play.yml');
  const probe = 'probe: { group: 239.192.99.1, count: 5, interval: 5ms }';
  const hosts = options.hosts ?? 'pve1,pve2,pve3';
  writeFileSync(playbook, `- hosts: ${hosts}\n  ${probe}\n  tasks:\n    - name: t\n      corosync: ${task}\n`);
  return mcastctl([command, lab.inventory, '-p', playbook, ...(options.more ?? [])]);
}

const files = () => Promise.all(NODES.map((node) => cluster.must(node, 'stat', '-c', '%Y %i', CONF)));
const versions = (nodes: readonly string[] = NODES) =>
  Promise.all(
    nodes.map(async (node) =>
      [
        /config_version: (\d+)/.exec(await cluster.file(node))?.[1],
        await cluster.cmap(node, 'totem.config_version'),
      ].join('/'),
    ),
  );

test('a run without one of the nodes, and a value that corosync refuses, change nothing anywhere', async () => {
  const before = await files();
  const limited = await run('apply', '{ token: 4000 }', { more: ['--limit', 'pve1,pve2'] });
  expect(limited.code).toBe(1);
  expect(limited.stdout).toContain('"pve3" of the cluster is no host of this task: run without --limit');
  // There is no key: corosync itself says so, on each node.
  const refused = await run('apply', '{ secauth: true }');
  expect(refused.code).toBe(1);
  expect(refused.stdout).toMatch(/"corosync -t[^"]*": pve1: .*failed.*authkey.*pve3: /s);
  const consensus = await run('apply', '{ consensus: 1200 }');
  expect(consensus.stdout).toContain('consensus is 1200, and 1.2 times the token time of 3 nodes (1100) is 1320');
  const mtu = await run('apply', '{ transport: udp, netmtu: 9000 }');
  expect(mtu.code).toBe(1);
  expect(mtu.stdout).toContain('netmtu is 9000, and the MTU of "vmbr0" is 1500');
  expect(await files()).toEqual(before);
  expect(await versions()).toEqual(['1/1', '1/1', '1/1']);
}, 90_000);

test('a node joins and leaves', async () => {
  const [version = 0] = (await versions()).map((text) => Number(text.split('/')[0]));
  const pids = await Promise.all(NODES.map(cluster.pid));
  const four = '{ nodelist: { nodes: [{ name: pve4, nodeid: 4, ring0_addr: 198.18.0.14 }] } }';
  await cluster.must('pve4', 'mkdir', '-p', '/var/log/corosync');
  expect(await run('apply', four, { hosts: 'all' })).toMatchObject({ code: 0 });
  expect((await cluster.quorum('pve4')).nodes).toEqual([1, 2, 3, 4]);
  expect(await versions([...NODES, 'pve4'])).toEqual(Array(4).fill(`${version + 1}/${version + 1}`));
  expect(await cluster.file('pve4')).toBe(await cluster.file('pve1'));
  expect(await Promise.all(NODES.map(cluster.pid))).toEqual(pids);
  expect(await run('check', four, { hosts: 'all' })).toMatchObject({ code: 0 });
  const three = '{ nodelist: { absent: [pve4] } }';
  expect(await run('apply', three, { hosts: 'all' })).toMatchObject({ code: 0 });
  expect(await cluster.pid('pve4')).toBeNull();
  expect((await lab.exec('pve4', ['ls', CONF])).code).not.toBe(0);
  for (const node of NODES) expect(await cluster.quorum(node)).toEqual({ quorate: true, nodes: [1, 2, 3] });
  expect(await cluster.must('pve1', 'corosync-quorumtool', '-s')).toMatch(/Expected votes: +3/);
  expect(await versions()).toEqual(Array(3).fill(`${version + 2}/${version + 2}`));
  expect(await run('check', three, { hosts: 'all' })).toMatchObject({ code: 0 });
}, 90_000);

test('a second link comes and goes by a reload', async () => {
  await Promise.all(
    NODES.map((node, index) => cluster.must(node, 'ip', 'address', 'add', `10.9.0.${index + 1}/24`, 'dev', 'vmbr0')),
  );
  const pids = await Promise.all(NODES.map(cluster.pid));
  const nodes = (address: (number: number) => string) =>
    NODES.map((name, index) => `{ name: ${name}, ring1_addr: ${address(index + 1)} }`).join(', ');
  const two = `{ interfaces: [{ linknumber: 1, knet_link_priority: 5 }], nodelist: { nodes: [${nodes((number) => `10.9.0.${number}`)}] } }`;
  expect(await run('apply', two)).toMatchObject({ code: 0 });
  expect(await cluster.sockets('pve2')).toEqual(['10.9.0.2:5406', '198.18.0.12:5405']);
  expect(await run('check', two)).toMatchObject({ code: 0 });
  const one = `{ interfaces: [{ linknumber: 1, absent: true }], nodelist: { nodes: [${nodes(() => 'null')}] } }`;
  expect(await run('apply', one)).toMatchObject({ code: 0 });
  expect(await cluster.sockets('pve2')).toEqual(['198.18.0.12:5405']);
  expect(await Promise.all(NODES.map(cluster.pid))).toEqual(pids);
  expect(await run('check', one)).toMatchObject({ code: 0 });
}, 90_000);
