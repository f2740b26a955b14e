import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startMcastctl } from '../support/cli.ts';
import { confOf, corosyncIn, type LabCluster } from '../support/corosync.ts';
import { type Lab, startLab } from '../support/lab.ts';

// Debian's corosync on three nodes: restarts node by node, and one that dies on the way.

const NODES = ['pve1', 'pve2', 'pve3'] as const;
let lab: Lab;
let cluster: LabCluster;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-corosync-'));
  lab = await startLab({ nodes: 3, switch: 'flood' });
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

function start(command: 'apply' | 'check' | 'plan', task: string, options: { hosts?: string; more?: string[] } = {}) {
  const playbook = join(dir, 'play.yml');
  const probe = 'probe: { group: 239.192.99.1, count: 5, interval: 5ms }';
  const hosts = options.hosts ?? 'pve1,pve2,pve3';
  writeFileSync(playbook, `- hosts: ${hosts}\n  ${probe}\n  tasks:\n    - name: t\n      corosync: ${task}\n`);
  return startMcastctl([command, lab.inventory, '-p', playbook, ...(options.more ?? [])]);
}
const run = (...args: Parameters<typeof start>) => start(...args).done;

const versions = (nodes: readonly string[] = NODES) =>
  Promise.all(
    nodes.map(async (node) =>
      [
        /config_version: (\d+)/.exec(await cluster.file(node))?.[1],
        await cluster.cmap(node, 'totem.config_version'),
      ].join('/'),
    ),
  );

test('node by node where that is enough: quorum is never lost', async () => {
  const seen = new Set<string>();
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const all = await Promise.all(NODES.map(cluster.quorum));
      await sleep(150);
      seen.add(String(all.filter(({ quorate }) => quorate).length));
    }
  })();
  const pids = await Promise.all(NODES.map(cluster.pid));
  const result = await run('apply', '{ quorum: { wait_for_all: true } }');
  isOver = true;
  await watching;
  expect(result).toMatchObject({ code: 0 });
  expect(result.stdout).toContain('needs a restart of corosync node by node, quorum is kept');
  expect([...seen].every((count) => Number(count) >= 2)).toBe(true);
  const now = await Promise.all(NODES.map(cluster.pid));
  for (const [index, pid] of pids.entries()) expect(now[index]).not.toBe(pid);
  expect(await cluster.must('pve2', 'corosync-quorumtool', '-s')).toMatch(/^Flags:.*WaitForAll/m);
  expect(await versions()).toEqual(['2/2', '2/2', '2/2']);
  expect(await run('check', '{ quorum: { wait_for_all: true } }')).toMatchObject({ code: 0 });
}, 90_000);

test('a corosync that dies in the middle stops the run: quorum is kept, nobody is left behind, and it is said what to do', async () => {
  const going = start('apply', '{ link_mode: active }');
  await going.said(/start corosync on pve1/);
  // Back already, and still watched whether it stays.
  while ((await cluster.quorum('pve1')).nodes.length < 3);
  await cluster.must('pve3', 'sh', '-c', 'kill -9 $(pgrep -x corosync)');
  const pid = await cluster.pid('pve2');
  const result = await going.done;
  expect(result.code).toBe(1);
  expect(result.stdout).toContain('corosync has ended on pve3: see its log there; the others (pve1, pve2) keep quorum');
  expect(result.stdout).toContain('start it there ("corosync") and run this again');
  for (const node of ['pve1', 'pve2']) expect(await cluster.quorum(node)).toEqual({ quorate: true, nodes: [1, 2] });
  expect(await cluster.pid('pve2')).toBe(pid);
  expect(await versions(['pve1', 'pve2'])).toEqual(['3/3', '3/3']);
  expect(await cluster.file('pve3')).toContain('config_version: 3');
  const stopped = await run('apply', '{ link_mode: active }');
  expect(stopped.stdout).toContain('corosync does not run on this node (start it ("corosync")');
  // What was advised works.
  await cluster.start('pve3');
  await cluster.formed(...NODES);
  expect(await run('apply', '{ link_mode: active }')).toMatchObject({ code: 0 });
  expect(await run('check', '{ link_mode: active }')).toMatchObject({ code: 0 });
}, 90_000);
