import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { mcastctl } from '../support/cli.ts';
import { IPTABLES_PERSISTENT_LAYER, type Lab, startLab } from '../support/lab.ts';

// Changes that cut the connection over which they are made: the node takes them back, and the run comes back to say so.

let lab: Lab;
let dir: string;
const RULES =
  '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n';

beforeAll(async () => {
  lab = await startLab({ nodes: 1, switch: 'flood', layers: [IPTABLES_PERSISTENT_LAYER] });
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-cut-off-'));
  await onNode('mkdir', '-p', '/etc/iptables');
  await lab.exec('pve1', ['tee', '/etc/iptables/rules.v4'], { input: RULES });
  await onNode('iptables-restore', '/etc/iptables/rules.v4');
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

async function apply(task: string): Promise<Report> {
  const playbook = join(dir, 'site.yml');
  writeFileSync(playbook, `- hosts: cluster\n  tasks:\n    - name: Cuts\n      ${task}\n`);
  const args = ['apply', lab.inventory, '-p', playbook, '--confirm-timeout', '5', '--command-timeout', '3'];
  const { code, stdout } = await mcastctl([...args, '--format', 'json']);
  expect(code).toBe(1);
  return JSON.parse(stdout);
}

describe('a change that cuts its own connection', { timeout: 60_000 }, () => {
  it.each([
    [
      'a rule against port 22',
      'iptables: { family: ipv4, chain: INPUT, rule: "-p tcp -m tcp --dport 22 -j DROP", position: first }',
    ],
    [
      'an address that goes',
      'command: { argv: [ip, addr, flush, dev, vmbr0], creates: /run/never, undo: [ip, addr, add, 198.18.0.11/15, dev, vmbr0] }',
    ],
    [
      'a bridge that goes down',
      'command: { argv: [ip, link, set, vmbr0, down], creates: /run/never, undo: [ip, link, set, vmbr0, up] }',
    ],
  ])('%s: is taken back by the node, and told', async (_, task) => {
    const { hosts } = await apply(task);
    expect(hosts['pve1']?.tasks[0]).toMatchObject({
      status: 'rolled-back',
      error: expect.stringMatching(/the node has taken (?:the task|task "Cuts" of run .*) back by itself/),
    });
    expect(await onNode('iptables', '-S', 'INPUT')).toBe('-P INPUT ACCEPT\n-A INPUT -i lo -j ACCEPT\n');
    expect(await onNode('cat', '/etc/iptables/rules.v4')).toBe(RULES);
    expect(await onNode('ip', '-br', 'addr', 'show', 'dev', 'vmbr0')).toMatch(/UP +198\.18\.0\.11\/15/);
    // Besides what the next run is told: nothing that waits, nothing half done.
    expect(
      (await lab.exec('pve1', ['find', '/var/lib/mcastctl/armed', '/var/lib/mcastctl/undoing', '-type', 'f'])).stdout,
    ).toBe('');
  });
});
