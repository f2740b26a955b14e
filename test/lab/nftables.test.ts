import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { mcastctl } from '../support/cli.ts';
import { type Lab, startLab } from '../support/lab.ts';

// Through the built command line, on nodes whose firewall is nftables. The tests are one story, in order.

const CONF = '/etc/nftables.conf';
const RULES = `#!/usr/sbin/nft -f

flush ruleset

define MANAGEMENT = 198.18.0.0/16

table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		iif "lo" accept
		ct state established,related accept
		ct state invalid drop	# never ours
		ip saddr $MANAGEMENT tcp dport 22 accept
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		meta l4proto { tcp, udp } th dport 1-1023 jump refused
		ip saddr 0.0.0.0/0 counter jump refused
	}

	chain refused {
		counter reject with icmpx type admin-prohibited
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
	}
}
`;

let lab: Lab;
let dir: string;
beforeAll(async () => {
  lab = await startLab({ nodes: 2 });
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-nftables-'));
  await put(CONF, RULES);
  await onNode('nft', '-f', CONF);
});
afterAll(async () => {
  await lab?.down();
  if (dir) rmSync(dir, { recursive: true });
});

async function onNode(...argv: [string, ...string[]]): Promise<string> {
  const { code, stdout, stderr } = await lab.exec('pve1', argv);
  expect({ argv, code, stderr }).toEqual({ argv, code: 0, stderr: '' });
  return stdout;
}
const put = async (path: string, text: string): Promise<void> => {
  const { code } = await lab.exec('pve1', ['tee', path], { input: text });
  expect(code).toBe(0);
};
const chain = async (): Promise<string[]> =>
  (await onNode('nft', '-s', 'list', 'chain', 'inet', 'filter', 'input')).split('\n').map((line) => line.trim());

function playbook(name: string, ...tasks: string[]): string {
  const path = join(dir, `${name}.yml`);
  const probe =
    name === 'wish' ? '  probe: { count: 10, interval: 20ms }\n' : '  probe: { count: 2, interval: 10ms }\n';
  const body = tasks.map((task) => `    - ${task}\n`).join('');
  writeFileSync(path, `- name: Firewall\n  hosts: pve1, pve2\n${probe}  tasks:\n${body}`);
  return path;
}
async function run(command: string, file: string): Promise<{ code: number | null; report: Report }> {
  const { code, stdout, stderr } = await mcastctl([command, lab.inventory, '-p', file, '--format', 'json']);
  if (stdout === '') throw new Error(stderr);
  return { code, report: JSON.parse(stdout) };
}
const changes = (report: Report) => report.hosts.pve1?.tasks.flatMap((task) => task.changes) ?? [];

const ACCEPTED = [
  'ip daddr 224.0.0.0/4 accept comment "mcastctl"',
  'udp dport 5404-5412 accept comment "mcastctl"',
  'meta l4proto igmp accept comment "mcastctl"',
  'ip6 daddr ff00::/8 accept comment "mcastctl"',
];
const MLD =
  'icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept comment "mcastctl"';

test('apply lets the packets in, before what drops them, now and at the next boot', { timeout: 60_000 }, async () => {
  const wish = playbook('wish', 'nftables: { accept: [multicast, corosync, igmp] }');
  const { code, report } = await run('apply', wish);
  expect(report.hosts.pve1?.tasks.map(({ error }) => error ?? null)).toEqual([null]);
  expect([code, report.hosts.pve1?.status, report.hosts.pve2?.status]).toEqual([0, 'changed', 'ok']);
  expect(changes(report)).toContainEqual(
    expect.objectContaining({
      layer: 'persistent',
      property: 'ipv4 corosync',
      from: 'drop',
      to: 'accept',
      file: CONF,
      line: 16,
    }),
  );
  expect(report.probe?.paths.find(({ from }) => from === 'pve2')?.multicast).toMatchObject({ sent: 10, received: 10 });

  const lines = await chain();
  for (const rule of ACCEPTED) expect(lines.indexOf(rule)).toBeGreaterThan(lines.indexOf('ct state invalid drop'));
  const refusal = lines.findIndex((line) => /(?:0\.0\.0\.0\/0|counter) .*jump refused/.test(line));
  for (const rule of ACCEPTED.slice(0, 3)) expect(lines.indexOf(rule)).toBeLessThan(refusal);
  expect(lines).toContain(MLD);

  // What the node's own nft makes of the file is what runs; nothing else of it was touched.
  const running = await onNode('nft', '-s', 'list', 'ruleset');
  const file = await onNode('cat', CONF);
  await onNode('nft', '-f', CONF);
  expect(await onNode('nft', '-s', 'list', 'ruleset')).toBe(running);
  expect(file.replace(/^.*comment "mcastctl"\n/gm, '')).toBe(RULES);
});

test('a second apply changes nothing, check is silent', { timeout: 30_000 }, async () => {
  const wish = join(dir, 'wish.yml');
  const before = await onNode('cat', CONF);
  expect((await run('apply', wish)).report.status).toBe('ok');
  expect(await onNode('cat', CONF)).toBe(before);
  expect(await mcastctl(['check', lab.inventory, '-p', wish])).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('drift of each layer is found', { timeout: 30_000 }, async () => {
  const wish = join(dir, 'wish.yml');
  const listed = await onNode('nft', '-a', 'list', 'chain', 'inet', 'filter', 'input');
  const handle = /dport 5404-5412 .*# handle (\d+)/.exec(listed)?.[1] ?? '';
  await onNode('nft', 'delete', 'rule', 'inet', 'filter', 'input', 'handle', handle);
  const runtime = await run('check', wish);
  expect(runtime.code).toBe(2);
  expect(changes(runtime.report)).toMatchObject([
    {
      layer: 'runtime',
      property: 'ipv4 corosync',
      from: 'drop',
      to: 'accept',
      note: expect.stringContaining('refused'),
    },
    {
      layer: 'runtime',
      property: 'ipv6 corosync',
      from: 'drop',
      note: 'dropped in inet filter input by the policy of inet filter input',
    },
  ]);
  await onNode('nft', '-f', CONF);
  await onNode('sed', '-i', '/dport 5404-5412/d', CONF);
  const persistent = await run('check', wish);
  expect(changes(persistent.report)).toMatchObject([
    { layer: 'persistent', property: 'ipv4 corosync', file: CONF, line: 18 },
    { layer: 'persistent', property: 'ipv6 corosync', file: CONF },
  ]);
  // A drop in another chain of the same hook counts as well: an accept in one does not overrule it.
  await onNode('nft', 'add', 'table', 'inet', 'late');
  await onNode('nft', 'add', 'chain', 'inet', 'late', 'in', '{ type filter hook input priority 10; }');
  await onNode('nft', 'add', 'rule', 'inet', 'late', 'in', 'udp dport 5405 drop');
  const late = await run('check', wish);
  expect(changes(late.report)).toContainEqual(
    expect.objectContaining({
      layer: 'runtime',
      property: 'ipv4 corosync',
      note: 'dropped in inet late in by "udp dport 5405 drop"',
    }),
  );
  const blocked = await run('apply', wish);
  expect(blocked.report.hosts.pve1?.tasks[0]?.error).toContain('does not make the chain "inet late in" at boot');
  await onNode('nft', 'delete', 'table', 'inet', 'late');
  expect((await run('apply', wish)).code).toBe(0);
});

test('a change that a later task spoils is taken back, by handle', { timeout: 30_000 }, async () => {
  await put(CONF, RULES);
  await onNode('nft', '-f', CONF);
  const before = await onNode('nft', '-s', 'list', 'ruleset');
  // The file can be read here, but nft refuses it: the proved rules have to go again.
  await put(
    CONF,
    RULES.replace('table inet filter {', 'table inet filter {\n\tcounter twice { }\n\tcounter twice { nonsense }'),
  );
  const { code, report } = await run('apply', join(dir, 'wish.yml'));
  expect([code, report.hosts.pve1?.tasks[0]?.status]).toEqual([1, 'failed']);
  expect(report.hosts.pve1?.tasks[0]?.error).not.toContain('undo failed');
  expect(await onNode('nft', '-s', 'list', 'ruleset')).toBe(before);
  await put(CONF, RULES);
});

test('one raw rule: added, found in a useless place, removed', { timeout: 60_000 }, async () => {
  const rule =
    'table: inet filter, chain: input, rule: "ip saddr 198.18.0.0/16 udp dport { 4321, 4322 } counter accept"';
  const raw = playbook('raw', `nftables: { ${rule} }`);
  const skip = ['-l', 'pve1'];
  const apply = await mcastctl(['apply', lab.inventory, '-p', raw, ...skip]);
  expect([apply.code, apply.stderr]).toEqual([0, expect.anything()]);
  const [line = ''] = (await chain()).filter((each) => each.includes('comment "mcastctl '));
  expect(line).toMatch(
    /^ip saddr 198\.18\.0\.0\/16 udp dport \{ 4321, 4322 \} counter.* accept comment "mcastctl [0-9a-f]{8}"$/,
  );
  expect(await mcastctl(['check', lab.inventory, '-p', raw, ...skip])).toMatchObject({ code: 0, stdout: '' });
  await onNode('nft', 'insert', 'rule', 'inet', 'filter', 'input', 'udp dport 4000-5000 drop');
  const drift = await mcastctl(['check', lab.inventory, '-p', raw, ...skip]);
  expect([drift.code, drift.stdout]).toEqual([2, expect.stringMatching(/position.*unreachable/)]);
  expect((await mcastctl(['apply', lab.inventory, '-p', raw, ...skip])).code).toBe(0);
  const lines = await chain();
  expect(lines.filter((each) => each.includes('comment "mcastctl '))).toHaveLength(1);
  expect(lines.findIndex((each) => each.includes('mcastctl'))).toBeLessThan(lines.indexOf('udp dport 4000-5000 drop'));
  const gone = playbook('gone', `nftables: { ${rule}, state: absent }`);
  expect((await mcastctl(['apply', lab.inventory, '-p', gone, ...skip])).code).toBe(0);
  expect((await chain()).join('\n')).not.toContain('mcastctl');
  expect(await onNode('cat', CONF)).toBe(RULES);
});

test('absent takes away what the wish brought, in an included file too', { timeout: 60_000 }, async () => {
  const body = RULES.slice(RULES.indexOf('table inet'));
  await onNode('mkdir', '-p', '/etc/nftables.d');
  await put('/etc/nftables.d/filter.nft', body.replace(' $MANAGEMENT', ' 198.18.0.0/16'));
  await put(CONF, 'flush ruleset\ninclude "/etc/nftables.d/*.nft"\n');
  await onNode('nft', '-f', CONF);
  const before = await onNode('nft', '-s', 'list', 'ruleset');
  const file = await onNode('cat', '/etc/nftables.d/filter.nft');
  expect((await run('apply', join(dir, 'wish.yml'))).code).toBe(0);
  expect(await onNode('cat', CONF)).toBe('flush ruleset\ninclude "/etc/nftables.d/*.nft"\n');
  expect(await onNode('grep', '-c', 'mcastctl', '/etc/nftables.d/filter.nft')).toBe('5\n');
  const gone = playbook('absent', 'nftables: { accept: [multicast, corosync, igmp], state: absent }');
  // On one node alone: between two, the proof would find multicast worse than before, and take it back.
  expect((await mcastctl(['apply', lab.inventory, '-p', gone, '-l', 'pve1'])).code).toBe(0);
  expect(await onNode('nft', '-s', 'list', 'ruleset')).toBe(before);
  expect(await onNode('cat', '/etc/nftables.d/filter.nft')).toBe(file);
  expect((await run('check', gone)).code).toBe(0);
});
