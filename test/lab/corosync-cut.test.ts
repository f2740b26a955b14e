import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { mcastctl, startMcastctl } from '../support/cli.ts';
import { confOf, corosyncIn, type LabCluster } from '../support/corosync.ts';
import { type Lab, startLab } from '../support/lab.ts';

// A controller that is killed in the middle of a change of a real cluster: the nodes take it back by themselves, all of them.

const NODES = ['pve1', 'pve2', 'pve3'] as const;
let lab: Lab;
let cluster: LabCluster;
let dir: string;
const before = confOf(3, { totem: ['transport: udp', 'ip_version: ipv4', 'netmtu: 1500', 'token: 3000'] });

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-cut-'));
  lab = await startLab({ nodes: 3, switch: 'flood' });
  cluster = corosyncIn(lab);
  await Promise.all(NODES.map((node) => cluster.put(node, before)));
  await cluster.start(...NODES);
});
beforeEach(() => cluster.formed(...NODES));
afterAll(async () => {
  await lab?.down();
  rmSync(dir, { recursive: true, force: true });
});

function playbook(task: string): string {
  const path = join(dir, 'play.yml');
  const probe = 'probe: { group: 239.192.99.1, count: 5, interval: 5ms }';
  writeFileSync(path, `- hosts: all\n  ${probe}\n  tasks:\n    - name: t\n      corosync: ${task}\n`);
  return path;
}

/** Kills an apply when it says something. */
async function killedAt(task: string, said: RegExp): Promise<void> {
  const run = startMcastctl(['apply', lab.inventory, '-p', playbook(task), '--confirm-timeout', '5']);
  await run.said(said);
  run.child.kill('SIGKILL');
  await run.done;
}

/** All nodes have the old file and run with it; nothing of the run is left once the next one came by. */
async function expectAllOld(task: string): Promise<void> {
  for (const node of NODES) {
    await expect.poll(() => cluster.file(node), { timeout: 15_000, interval: 250 }).toBe(before);
    await expect
      .poll(
        async () =>
          (await lab.exec(node, ['find', '/var/lib/mcastctl', '-path', '*ing/*', '-o', '-path', '*/armed/*'])).stdout,
        { timeout: 30_000 },
      )
      .toBe('');
  }
  await cluster.formed(...NODES);
  for (const node of NODES) {
    expect((await cluster.sockets(node)).join(' ')).toMatch(/239\.192\.\d+\.\d+:5405/);
    expect(await cluster.cmap(node, 'totem.config_version')).toBe('1');
    expect(await cluster.cmap(node, 'runtime.config.totem.token')).toBe('3650');
  }
  expect((await mcastctl(['check', lab.inventory, '-p', playbook(task)])).code).toBe(2);
}

describe('a controller that is killed', { timeout: 120_000 }, () => {
  const transport = '{ transport: knet, netmtu: null }';
  it.each([
    ['after the files were written', transport, /write \S+: trying/],
    ['when all have stopped', transport, /stop corosync on .*: trying/],
    ['when all were started again', transport, /start corosync on .*: trying/],
    ['after a reload', '{ token: 7000 }', /reload corosync: trying/],
  ])('%s', async (_, task, said) => {
    await killedAt(task, said);
    await expectAllOld(task);
  });

  it('leaves a cluster that takes the change the next time', async () => {
    const next = await mcastctl(['apply', lab.inventory, '-p', playbook(transport)]);
    expect(next.code).toBe(0);
    expect(next.stderr).toContain('has taken back task "t"');
    await cluster.formed(...NODES);
    for (const node of NODES) {
      expect((await cluster.sockets(node)).join(' ')).not.toContain('239.192');
      expect((await lab.exec(node, ['find', '/var/lib/mcastctl', '-type', 'f'])).stdout).toBe('');
    }
  });
});
