import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mcastctl } from '../support/cli.ts';
import { confOf, corosyncIn, type LabCluster } from '../support/corosync.ts';
import { type Lab, startLab } from '../support/lab.ts';
import { shareFolder } from '../support/pmxcfs-stand-in.ts';

// Debian's corosync on three nodes, with the file that Proxmox shares: by a stand-in, as pmxcfs can't run here.

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

test('a file in /etc/pve is written on one node, and loaded once all have their copy', async () => {
  const folder = shareFolder(lab, NODES, TEXT);
  try {
    folder.lagMs['pve3'] = 1800;
    expect((await run('plan', '{ token: 1500 }')).stdout).toContain(
      'persistent  totem.token: "1000" → "1500"  /etc/pve/corosync.conf:',
    );
    const result = await run('apply', '{ token: 1500 }');
    expect(result).toMatchObject({ code: 0 });
    const text = TEXT.replace('config_version: 1', 'config_version: 2').replace('token: 1000', 'token: 1500');
    expect(await everywhere(cluster.file)).toEqual([text, text, text]);
    expect(await everywhere((node) => cluster.must(node, 'cat', '/etc/pve/corosync.conf'))).toEqual([text, text, text]);
    expect(await everywhere((node) => cluster.cmap(node, 'runtime.config.totem.token'))).toEqual([
      '1500',
      '1500',
      '1500',
    ]);
    expect(await cluster.must('pve1', 'ls', '/etc/pve')).toBe('corosync.conf\n');
    expect(await run('check', '{ token: 1500 }')).toMatchObject({ code: 0 });
    // A node whose copy is another one.
    await cluster.put('pve2', `${text}# by hand\n`);
    expect((await run('check', '{ token: 1500 }')).stdout).toMatch(
      /^pve2: drift\n.*\n +persistent {2}local copy: "another text"/m,
    );
    await cluster.put('pve2', text);
    await cluster.must('pve1', 'touch', '/etc/pve/corosync.conf.new');
    const drafted = await run('apply', '{ token: 1600 }');
    expect(drafted.code).toBe(1);
    expect(drafted.stdout).toContain('there is a draft /etc/pve/corosync.conf.new: someone is changing the cluster');
    expect(await cluster.must('pve1', 'cat', '/etc/pve/corosync.conf')).toBe(text);
  } finally {
    await folder.stop();
  }
}, 90_000);
