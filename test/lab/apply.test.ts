import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { mcastctl } from '../support/cli.ts';
import { IFUPDOWN2_LAYER, startLab } from '../support/lab.ts';

// The main job through the built command line, on real bridges behind a switch that drops as hardware does. The tests of the
// first block are one story, in order: sick, repaired, stable, drifted.

let lab: Awaited<ReturnType<typeof startLab>>;
let dir: string;

beforeAll(async () => {
  lab = await startLab({ nodes: 3, switch: 'strict', layers: [IFUPDOWN2_LAYER] });
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-apply-'));
});
afterAll(async () => {
  await lab?.down();
  if (dir) rmSync(dir, { recursive: true });
});

const INTERFACES = '/etc/network/interfaces';

async function onNode(node: string, ...argv: [string, ...string[]]): Promise<string> {
  const { code, stdout, stderr } = await lab.exec(node, argv);
  expect({ argv, code, stderr }).toEqual({ argv, code: 0, stderr: '' });
  return stdout;
}

function sshdLog(node: string): string {
  return readFileSync(join(lab.dir, 'nodes', node, 'log'), 'utf8');
}

async function querier(node: string): Promise<unknown> {
  const [link] = JSON.parse(await onNode(node, 'ip', '-d', '-j', 'link', 'show', 'dev', 'vmbr0'));
  return link.linkinfo.info_data.mcast_querier;
}

function reportOf(stdout: string): Report {
  return JSON.parse(stdout);
}

function playbook(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

describe('the main job', { timeout: 120_000 }, () => {
  it('finds the paths die behind a strict switch', async () => {
    const { code, stdout } = await mcastctl(['probe', lab.inventory, '--duration', '20s', '--format', 'json']);
    expect(code).toBe(2);
    const probe = reportOf(stdout).probe;
    expect(probe?.paths).toHaveLength(6);
    for (const path of probe?.paths ?? []) {
      expect(path.unicast.received).toBe(path.unicast.sent);
      expect(path.multicast.received).toBeGreaterThan(0);
      expect(path.multicast.received).toBeLessThan(path.multicast.sent * 0.7);
      expect(path.verdict).toBe('lossy');
    }
  });

  it('apply repairs them with the shipped playbook', async () => {
    const { code, stdout } = await mcastctl(['apply', lab.inventory, '--format', 'json']);
    const report = reportOf(stdout);
    expect([code, report.status, report.exitCode]).toEqual([0, 'changed', 0]);
    expect(Object.keys(report.hosts)).toEqual(['pve1', 'pve2', 'pve3']);
    for (const host of Object.values(report.hosts)) {
      expect(host.tasks.find((task) => task.resource === 'bridge[vmbr0]')).toMatchObject({
        status: 'changed',
        changes: expect.arrayContaining([
          expect.objectContaining({ layer: 'runtime', property: 'multicast_querier', from: false, to: true }),
          expect.objectContaining({ layer: 'persistent', property: 'multicast_querier', to: true, file: INTERFACES }),
        ]),
      });
    }
    expect(report.probe?.paths.every((path) => path.verdict === 'ok')).toBe(true);
    expect(await querier('pve2')).toBe(1);
  });

  it('the same probe is clean', async () => {
    const { code, stdout } = await mcastctl(['probe', lab.inventory, '--duration', '20s', '--format', 'json']);
    expect(code).toBe(0);
    expect(reportOf(stdout).probe?.paths.every((path) => path.verdict === 'ok')).toBe(true);
  });

  it('a second apply changes nothing', async () => {
    const before = await onNode('pve1', 'cat', INTERFACES);
    const { code, stdout } = await mcastctl(['apply', lab.inventory, '--format', 'json']);
    const report = reportOf(stdout);
    expect([code, report.status, report.probe]).toEqual([0, 'ok', null]);
    expect(await onNode('pve1', 'cat', INTERFACES)).toBe(before);
  });

  it('check is silent', async () => {
    expect(await mcastctl(['check', lab.inventory])).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('check names host, layer and property of a running value that drifted', async () => {
    await onNode('pve2', 'ip', 'link', 'set', 'vmbr0', 'type', 'bridge', 'mcast_querier', '0');
    const { code, stdout } = await mcastctl(['check', lab.inventory]);
    expect(code).toBe(2);
    expect(stdout).toMatch(/^pve2: drift\n.*bridge\[vmbr0\].*\n +runtime +multicast_querier: false (?:→|->) true/m);
    expect(stdout).not.toContain('persistent');
    expect(stdout).not.toMatch(/^pve[13]:/m);
  });

  it('check names the file of a persistent value that drifted', async () => {
    await onNode('pve2', 'ip', 'link', 'set', 'vmbr0', 'type', 'bridge', 'mcast_querier', '1');
    await onNode('pve2', 'sed', '-i', '/mcquerier/d', INTERFACES);
    const { code, stdout } = await mcastctl(['check', lab.inventory, '--format', 'json']);
    expect(code).toBe(2);
    const [task] = reportOf(stdout).hosts.pve2?.tasks ?? [];
    expect(task?.changes).toMatchObject([
      { layer: 'persistent', property: 'multicast_querier', from: null, to: true, file: INTERFACES },
    ]);
    expect(reportOf(stdout).hosts.pve1?.status).toBe('ok');
  });

  it('plan shows the diff and changes nothing, apply repairs it', async () => {
    const before = await onNode('pve2', 'cat', INTERFACES);
    const plan = await mcastctl(['plan', lab.inventory, '--diff', '--commands']);
    expect(plan.code).toBe(2);
    expect(plan.stdout).toMatch(/^ +\+\s+bridge-mcquerier 1$/m);
    expect(await onNode('pve2', 'cat', INTERFACES)).toBe(before);
    expect((await mcastctl(['apply', lab.inventory])).code).toBe(0);
    expect((await mcastctl(['check', lab.inventory])).code).toBe(0);
  });
});

describe('a change that breaks multicast', { timeout: 120_000 }, () => {
  it('is caught by the proof, put back, and nothing of it persists', async () => {
    // The only querier: the others are turned off first.
    for (const node of ['pve2', 'pve3'])
      await onNode(node, 'ip', 'link', 'set', 'vmbr0', 'type', 'bridge', 'mcast_querier', '0');
    const files = await onNode('pve1', 'cat', INTERFACES);
    const file = playbook(
      'break.yml',
      `- name: Turn the only querier off
  hosts: pve1, pve2, pve3
  probe: { duration: 14s, interval: 20ms, interface: vmbr0 }
  tasks:
    - name: No querier
      when: inventory_hostname == "pve1"
      bridge: { name: vmbr0, multicast_querier: false }
`,
    );
    const { code, stdout } = await mcastctl(['apply', lab.inventory, '-p', file, '--format', 'json']);
    expect(code).toBe(1);
    const report = reportOf(stdout);
    expect(report.hosts.pve1?.tasks[0]).toMatchObject({
      status: 'rolled-back',
      error: expect.stringContaining('multicast is worse than before'),
    });
    expect(await querier('pve1')).toBe(1);
    expect(await onNode('pve1', 'cat', INTERFACES)).toBe(files);
    for (const node of ['pve2', 'pve3'])
      await onNode(node, 'ip', 'link', 'set', 'vmbr0', 'type', 'bridge', 'mcast_querier', '1');
  });
});

describe('what goes wrong', { timeout: 60_000 }, () => {
  it('reports a host that is down with exit 4 and finishes the others', async () => {
    const text = readFileSync(lab.inventory, 'utf8');
    const inventory = join(dir, 'with-a-dead-host.yml');
    writeFileSync(inventory, text.replace(/198\.18\.0\.13/, '198.18.0.99'));
    const { code, stdout } = await mcastctl(['check', inventory, '--format', 'json', '--timeout', '4']);
    const report = reportOf(stdout);
    expect(code).toBe(4);
    expect(report.hosts.pve3?.status).toBe('unreachable');
    expect([report.hosts.pve1?.status, report.hosts.pve2?.status]).toEqual(['ok', 'ok']);
  });

  it('refuses a changed host key and sends nothing', async () => {
    const since = sshdLog('pve3').length;
    const knownHosts = join(dir, 'known_hosts');
    const wrong = readFileSync(join(dirname(lab.inventory), 'known_hosts'), 'utf8');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, 'other')]);
    const other = readFileSync(join(dir, 'other.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
    const lines = wrong
      .split('\n')
      .map((line) => (line.includes('198.18.0.13') ? `${line.split(' ')[0]} ${other}` : line));
    writeFileSync(knownHosts, lines.join('\n'));
    const { code, stdout } = await mcastctl([
      'check',
      lab.inventory,
      '--format',
      'json',
      '-e',
      `ansible_ssh_extra_args="-o UserKnownHostsFile=${knownHosts}"`,
    ]);
    const report = reportOf(stdout);
    expect(code).toBe(4);
    expect(report.hosts.pve3?.error).toMatch(/host key/i);
    expect(report.hosts.pve3?.error).toContain('SHA256:');
    expect(report.hosts.pve1?.status).toBe('ok');
    // sshd names the user in every line about a login that was tried, however it ended.
    const said = sshdLog('pve3').slice(since);
    expect(said).toMatch(/^Disconnected from .* \[preauth\]$/m);
    expect(said).not.toMatch(/user|Accepted|Failed/i);
  });

  it('lists five faults of a playbook with their positions and connects to nobody', async () => {
    const file = playbook(
      'five.yml',
      `- name: Five faults
  hosts: cluster
  serail: 1
  tasks:
    - name: One
      bridge: { name: vmbr0, multicast_qerier: true }
    - name: Two
      bridge: { name: vmbr0, multicast_snooping: "maybe" }
    - name: Three
      sysctl: { net.core.rmem_max: true }
    - name: Four
      when: 1 +
      sysctl: { net.core.rmem_max: 1 }
`,
    );
    const nodes = ['pve1', 'pve2', 'pve3'];
    const before = nodes.map(sshdLog);
    const { code, stdout, stderr } = await mcastctl(['apply', lab.inventory, '-p', file]);
    expect([code, stdout]).toEqual([3, '']);
    expect(nodes.map(sshdLog)).toEqual(before);
    const places = [...stderr.matchAll(/five\.yml:(\d+):(\d+)/g)].map((match) => match[1]);
    expect(new Set(places)).toEqual(new Set(['3', '6', '8', '10', '12']));
    expect(stderr).toContain('did you mean "multicast_querier"?');
  });
});
