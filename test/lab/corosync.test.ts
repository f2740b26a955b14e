import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliResult, mcastctl } from '../support/cli.ts';
import { confOf, corosyncIn, type LabCluster } from '../support/corosync.ts';
import { type Lab, startLab } from '../support/lab.ts';

// Debian's corosync on three nodes. What is looked at afterwards are the file, the sockets and corosync's own tools.

const NODES = ['pve1', 'pve2', 'pve3'] as const;
let lab: Lab;
let cluster: LabCluster;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-corosync-'));
  lab = await startLab({ nodes: 3, switch: 'flood' });
  cluster = corosyncIn(lab);
  await Promise.all(
    NODES.map((node) => cluster.put(node, confOf(3, { totem: ['transport: udp', 'ip_version: ipv4'] }))),
  );
  await cluster.start(...NODES);
  await cluster.formed(...NODES);
});
afterAll(async () => {
  await lab?.down();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs a command with one corosync task, written in YAML's flow style. */
function run(command: 'apply' | 'check' | 'plan', task: string, ...more: string[]): Promise<CliResult> {
  const playbook = join(dir, 'play.yml');
  const probe = 'probe: { group: 239.192.99.1, count: 5, interval: 5ms }';
  writeFileSync(playbook, `- hosts: all\n  ${probe}\n  tasks:\n    - name: t\n      corosync: ${task}\n`);
  return mcastctl([command, lab.inventory, '-p', playbook, ...more]);
}

const everywhere = <T>(look: (node: string) => Promise<T>): Promise<T[]> => Promise.all(NODES.map(look));
const versions = async (): Promise<string[]> =>
  (
    await everywhere(async (node) => [
      (await cluster.cmap(node, 'totem.config_version')) ?? '',
      /config_version: (\d+)/.exec(await cluster.file(node))?.[1] ?? '',
    ])
  ).flat();

/** Applies, and sees that it was one change of all nodes, that the cluster is whole and that nothing is left to do. */
async function changed(task: string, version: number): Promise<CliResult> {
  const result = await run('apply', task);
  expect(result).toMatchObject({ code: 0 });
  expect(result.stdout).toContain('3 changed');
  expect(await versions()).toEqual(Array(6).fill(String(version)));
  for (const { quorate, nodes } of await everywhere(cluster.quorum))
    expect([quorate, nodes]).toEqual([true, [1, 2, 3]]);
  expect(await run('check', task)).toMatchObject({ code: 0, stdout: '' });
  return result;
}

test('token is put in force by a reload: no corosync is restarted, all else in the file stays', async () => {
  const before = await cluster.file('pve2');
  const pids = await everywhere(cluster.pid);
  expect((await run('plan', '{ token: 5000 }')).stdout).toContain('needs a reload of corosync, nothing is restarted');
  await changed('{ token: 5000 }', 2);
  expect((await run('apply', '{ token: 5000 }')).stdout).toContain('3 ok');
  expect(await everywhere((node) => cluster.cmap(node, 'runtime.config.totem.token'))).toEqual([
    '5650',
    '5650',
    '5650',
  ]);
  expect(await everywhere(cluster.pid)).toEqual(pids);
  const after = before
    .replace('config_version: 1', 'config_version: 2')
    .replace('ip_version: ipv4', 'ip_version: ipv4\n\ttoken: 5000');
  expect(await cluster.file('pve2')).toBe(after);
  await changed('{ token: null }', 3);
  expect(await cluster.file('pve2')).toBe(before.replace('config_version: 1', 'config_version: 3'));
  expect(await cluster.cmap('pve3', 'runtime.config.totem.token')).toBe('3650');
}, 90_000);

test('netmtu needs a restart of all: the plan says so, and they run with it afterwards', async () => {
  const plan = await run('plan', '{ netmtu: 1400 }');
  expect(plan.code).toBe(2);
  expect(plan.stdout).toContain('needs a restart of the whole cluster');
  expect(plan.stdout).toContain('runtime     totem.netmtu: "1500" → "1400"');
  await changed('{ netmtu: 1400 }', 4);
  expect(await cluster.must('pve1', 'corosync-cfgtool', '-n')).toContain('mtu: 1310');
}, 90_000);

test('each layer that is changed by hand is seen, also where a reload says "Done" and cmap forgets the key', async () => {
  const file = await cluster.file('pve1');
  const edited = file.replace('netmtu: 1400', 'netmtu: 1300').replace('config_version: 4', 'config_version: 5');
  await Promise.all(NODES.map((node) => cluster.put(node, edited)));
  const changed = await run('check', '{ netmtu: 1400 }');
  expect(changed.stdout).toContain(`persistent  totem.netmtu: "1300" → "1400"  /etc/corosync/corosync.conf:`);
  expect(changed.stdout).not.toContain('runtime     totem.netmtu');
  // The file says 1300 and the reload is done, but 1400 is what runs.
  expect(await cluster.must('pve1', 'corosync-cfgtool', '-R')).toContain('Done');
  const pending = await run('check', '{ netmtu: 1300 }');
  expect(pending).toMatchObject({ code: 2 });
  expect(pending.stdout).toContain('runtime     totem.netmtu: "1400" → "1300"');
  expect(pending.stdout).not.toContain('persistent  totem.netmtu');
  // Removed from the file and loaded: cmap has no netmtu any more, and still 1400 is what runs.
  await Promise.all(
    NODES.map((node) =>
      cluster.put(node, edited.replace('\tnetmtu: 1300\n', '').replace('config_version: 5', 'config_version: 6')),
    ),
  );
  await cluster.must('pve1', 'corosync-cfgtool', '-R');
  expect(await cluster.cmap('pve1', 'totem.netmtu')).toBeNull();
  expect((await run('check', '{ netmtu: null }')).stdout).toContain('runtime     totem.netmtu: "1400" → absent');
  expect(await run('apply', '{ netmtu: null }')).toMatchObject({ code: 0 });
  expect(await cluster.must('pve1', 'corosync-cfgtool', '-n')).toContain('mtu: 1410');
  // Behind the others: it would leave at its next start.
  await cluster.put('pve3', (await cluster.file('pve3')).replace('config_version: 7', 'config_version: 6'));
  expect((await run('check', '{ netmtu: null }')).stdout).toMatch(
    /^pve3: drift\n.*\n +persistent {2}totem\.config_version: 6 → 8/m,
  );
  expect(await run('apply', '{ netmtu: null }')).toMatchObject({ code: 0 });
  expect(await versions()).toEqual(Array(6).fill('8'));
}, 90_000);

test('transport udp → knet with encryption → udp, as the sockets prove', async () => {
  await Promise.all(
    NODES.map((node) => cluster.must(node, 'sh', '-c', 'head -c 256 /dev/zero >/etc/corosync/authkey')),
  );
  await changed('{ transport: knet, secauth: true, netmtu: null }', 9);
  expect(await everywhere(cluster.sockets)).toEqual([['198.18.0.11:5405'], ['198.18.0.12:5405'], ['198.18.0.13:5405']]);
  const back = '{ transport: udp, interfaces: [{ linknumber: 0, mcastaddr: 239.192.77.1, mcastport: 5407 }] }';
  const plan = await run('plan', back);
  expect(plan.stdout).toContain('persistent  totem.secauth: "on" → "off"');
  await changed(back, 10);
  for (const [index, sockets] of (await everywhere(cluster.sockets)).entries()) {
    const own = `198.18.0.1${index + 1}`;
    expect(sockets).toEqual([`${own}:5406`, `${own}:5407`, '239.192.77.1:5407']);
  }
}, 90_000);
