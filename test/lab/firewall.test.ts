import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { mcastctl, startMcastctl } from '../support/cli.ts';
import { IPTABLES_PERSISTENT_LAYER, type Lab, startLab } from '../support/lab.ts';

// One playbook on nodes with different firewalls: pve1 iptables, pve2 nftables, pve3 none. One story, in order.

let lab: Lab;
let dir: string;
beforeAll(async () => {
  lab = await startLab({ nodes: 3, layers: [IPTABLES_PERSISTENT_LAYER] });
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-firewall-'));
});
afterAll(async () => {
  await lab?.down();
  if (dir) rmSync(dir, { recursive: true });
});

const RULES = `*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
`;
const CONF = `flush ruleset
table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept; ct state established,related accept
    tcp dport 22 accept
  }
}
`;

async function onNode(node: string, ...argv: [string, ...string[]]): Promise<string> {
  const { code, stdout, stderr } = await lab.exec(node, argv);
  expect({ argv, code, stderr }).toEqual({ argv, code: 0, stderr: '' });
  return stdout;
}
const put = async (node: string, path: string, text: string): Promise<void> =>
  void (await lab.exec(node, ['tee', path], { input: text }));
function playbook(name: string, task: string): string {
  const path = join(dir, `${name}.yml`);
  writeFileSync(
    path,
    `- name: Firewall\n  hosts: cluster\n  probe: { count: 5, interval: 10ms }\n  tasks:\n    - firewall: ${task}\n`,
  );
  return path;
}
async function run(command: string, file: string, ...more: string[]): Promise<{ code: number | null; report: Report }> {
  const { code, stdout, stderr } = await mcastctl([command, lab.inventory, '-p', file, '--format', 'json', ...more]);
  if (stdout === '') throw new Error(stderr);
  return { code, report: JSON.parse(stdout) };
}
const taskOf = (report: Report, host: string) => report.hosts[host]?.tasks[0];

test('the same task is done by the firewall that each node has', { timeout: 60_000 }, async () => {
  await onNode('pve1', 'mkdir', '-p', '/etc/iptables');
  await put('pve1', '/etc/iptables/rules.v4', RULES);
  await onNode('pve1', 'iptables-restore', '/etc/iptables/rules.v4');
  await put('pve2', '/etc/nftables.conf', CONF);
  await onNode('pve2', 'nft', '-f', '/etc/nftables.conf');
  const file = playbook('wish', '{ accept: [multicast, corosync, igmp] }');
  const before = await run('plan', file);
  const notes = (host: string) => taskOf(before.report, host)?.changes.map(({ note }) => note ?? '') ?? [];
  expect(notes('pve1').every((note) => note.includes('by iptables, since "iptables -S INPUT" shows rules'))).toBe(true);
  expect(notes('pve2').every((note) => note.includes('by nftables, since "nft list ruleset" shows rules in'))).toBe(
    true,
  );

  const { code, report } = await run('apply', file);
  expect(Object.values(report.hosts).flatMap(({ tasks }) => tasks.map(({ error }) => error ?? null))).toEqual([
    null,
    null,
    null,
  ]);
  expect([code, ...['pve1', 'pve2', 'pve3'].map((host) => report.hosts[host]?.status)]).toEqual([
    0,
    'changed',
    'changed',
    'ok',
  ]);
  expect(taskOf(report, 'pve1')?.resource).toBe('firewall[input]');
  for (const path of report.probe?.paths ?? []) expect(path.multicast).toMatchObject({ sent: 5, received: 5 });
  expect(await onNode('pve1', 'iptables', '-S', 'INPUT')).toContain('-p igmp -m comment --comment mcastctl -j ACCEPT');
  expect(await onNode('pve1', 'iptables-restore', '--test', '/etc/iptables/rules.v4')).toBe('');
  expect(await onNode('pve2', 'nft', 'list', 'chain', 'inet', 'filter', 'input')).toContain(
    'udp dport 5404-5412 accept',
  );
  expect(await onNode('pve2', 'nft', '-c', '-f', '/etc/nftables.conf')).toBe('');

  expect((await run('apply', file)).report.status).toBe('ok');
  expect(await mcastctl(['check', lab.inventory, '-p', file])).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('where two are active, both have to let the packets through, and it is told', { timeout: 60_000 }, async () => {
  const file = join(dir, 'wish.yml');
  await put('pve1', '/etc/nftables.conf', CONF);
  await onNode('pve1', 'sed', '-i', '1d', '/etc/nftables.conf');
  await onNode('pve1', 'nft', '-f', '/etc/nftables.conf');
  await onNode('pve1', 'sed', '-i', '/mcastctl/d', '/etc/iptables/rules.v4');
  const drift = await run('check', file, '-l', 'pve1');
  const told = taskOf(drift.report, 'pve1')?.changes.map(({ layer, note }) => `${layer}: ${note}`) ?? [];
  expect(told.some((each) => /^runtime: .*by nftables, since .*; packets pass iptables/.test(each))).toBe(true);
  expect(told.some((each) => /^persistent: .*by iptables, since .*; packets pass nftables/.test(each))).toBe(true);
  expect((await run('apply', file)).code).toBe(0);
  expect((await run('check', file)).code).toBe(0);
  expect(await onNode('pve1', 'nft', 'list', 'chain', 'inet', 'filter', 'input')).toContain('igmp');
});

const rules = async (): Promise<string[]> => [
  await onNode('pve1', 'iptables', '-S'),
  await onNode('pve1', 'nft', '-s', 'list', 'table', 'inet', 'filter'),
  await onNode('pve2', 'nft', '-s', 'list', 'ruleset'),
];

test('taken away between nodes it makes multicast worse: every rule is put back where it was', {
  timeout: 60_000,
}, async () => {
  const before = await rules();
  const { code, report } = await run(
    'apply',
    playbook('worse', '{ accept: [multicast], state: absent, family: ipv4 }'),
  );
  expect([code, taskOf(report, 'pve1')?.status]).toEqual([1, 'rolled-back']);
  expect(taskOf(report, 'pve1')?.error).toContain('multicast is worse than before');
  expect(await rules()).toEqual(before);
});

test('a node whose controller is gone takes its rules back by itself', { timeout: 60_000 }, async () => {
  const before = await rules();
  const file = playbook('more', '{ accept: [corosync], ports: 7000-7010, source: 198.18.0.0/16 }');
  writeFileSync(file, readFileSync(file, 'utf8').replace('count: 5, interval: 10ms', 'duration: 4s'));
  const running = startMcastctl(['apply', lab.inventory, '-p', file, '--confirm-timeout', '5']);
  const done = running.done.catch(() => null);
  await until(async () => (await rules()).slice(0, 2).every((text) => text.includes('198.18.0.0/16')));
  running.child.kill('SIGKILL');
  await done;
  await until(async () => JSON.stringify(await rules()) === JSON.stringify(before));
});

/** Waits until something is so, for 30 seconds at most. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`it did not come to be: ${(await rules()).join('')}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

test('absent takes it away on each of them', { timeout: 60_000 }, async () => {
  const gone = playbook('gone', '{ accept: [multicast, corosync, igmp], state: absent }');
  for (const node of ['pve1', 'pve2']) expect((await run('apply', gone, '-l', node)).code).toBe(0);
  expect(await onNode('pve1', 'cat', '/etc/iptables/rules.v4')).toBe(RULES);
  expect(await onNode('pve2', 'cat', '/etc/nftables.conf')).toBe(CONF);
  expect(await onNode('pve2', 'nft', 'list', 'ruleset')).not.toContain('mcastctl');
  expect((await run('check', gone)).code).toBe(0);
});
