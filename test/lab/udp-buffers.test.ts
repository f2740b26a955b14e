import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mcastctl } from '../support/cli.ts';
import { type Lab, startLab } from '../support/lab.ts';

// The limits of the lab are copies that no socket heeds (docs/lab.md): what is shown is which value is chosen on which node. That a
// socket gets it is shown on virtual machines.

let lab: Lab;
let dir: string;
let playbook: string;

beforeAll(async () => {
  lab = await startLab({ nodes: 2 });
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-buffers-'));
  playbook = join(dir, 'site.yml');
  writeFileSync(playbook, '- hosts: cluster\n  tasks:\n    - name: Buffers\n      sysctl: { udp_buffers: auto }\n');
  await transport('pve1', 'udp');
  await transport('pve2', 'udpu');
});
afterAll(async () => {
  await lab?.down();
  if (dir) rmSync(dir, { recursive: true });
});

async function onNode(node: string, ...argv: [string, ...string[]]): Promise<string> {
  const { code, stdout, stderr } = await lab.exec(node, argv);
  expect({ argv, code, stderr }).toEqual({ argv, code: 0, stderr: '' });
  return stdout;
}

async function transport(node: string, name: string): Promise<void> {
  const text = `totem {\n\tversion: 2\n\ttransport: ${name}\n}\n`;
  await onNode(node, 'sh', '-c', `mkdir -p /etc/corosync; printf '${text}' > /etc/corosync/corosync.conf`);
  await onNode(node, 'sysctl', '-qw', 'net.core.rmem_max=212992', 'net.core.wmem_max=26214400');
}

const run = (...args: string[]) => mcastctl([...args, '-p', playbook]);

describe('udp_buffers: auto', { timeout: 60_000 }, () => {
  it('is explained with inputs, formula and source, for each node', async () => {
    const { code, stdout } = await run('explain', 'sysctl', lab.inventory);
    expect(code).toBe(0);
    const [, first = '', second = ''] = stdout.split(/^pve\d$/m);
    expect(first).toMatch(/because corosync 3\.\d+\.\d+, by "corosync -v"/);
    expect(first).toContain('because transport udp, by /etc/corosync/corosync.conf:3');
    expect(first).toContain('udp: 16 × 65536 (TRANSMITS_ALLOWED × FRAME_SIZE_MAX, totem.h) = 1048576');
    expect(first).toContain('runtime     value: 212992');
    expect(second).toContain('= 2179072');
    const json = JSON.parse((await run('explain', 'sysctl', lab.inventory, '--format', 'json')).stdout);
    expect(json).toMatchObject({
      version: 1,
      hosts: { pve2: { resources: [{ changes: [{ to: 2_179_072 }, {}] }, {}] } },
    });
  });

  it('gives each node what its own corosync asks for, and leaves alone what is larger', async () => {
    expect(await run('apply', lab.inventory)).toMatchObject({ code: 0 });
    expect(await onNode('pve1', 'sysctl', '-n', 'net.core.rmem_max', 'net.core.wmem_max')).toBe('1048576\n26214400\n');
    expect(await onNode('pve2', 'sysctl', '-n', 'net.core.rmem_max')).toBe('2179072\n');
    const kept = await onNode('pve2', 'sh', '-c', 'cat /etc/sysctl.d/99-zz-mcastctl.conf');
    expect(kept).toMatch(/^net\.core\.rmem_max = 2179072$/m);
    expect(kept).toMatch(/^net\.core\.wmem_max = 2179072$/m);
    expect(kept).not.toContain('_default');
    const again = await run('apply', lab.inventory, '--format', 'json');
    expect(JSON.parse(again.stdout)).toMatchObject({ status: 'ok', exitCode: 0 });
    expect(await run('check', lab.inventory)).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('notices each layer falling below', async () => {
    await onNode('pve1', 'sysctl', '-qw', 'net.core.rmem_max=1048575');
    await onNode(
      'pve2',
      'sed',
      '-i',
      's/^net.core.rmem_max.*/net.core.rmem_max = 212992/',
      '/etc/sysctl.d/99-zz-mcastctl.conf',
    );
    const { code, stdout } = await run('check', lab.inventory);
    expect(code).toBe(2);
    expect(stdout).toMatch(
      /pve1: drift\n.*sysctl\[net\.core\.rmem_max\].*\n +runtime +value: 1048575 (?:→|->) 1048576/,
    );
    expect(stdout).toMatch(
      /pve2: drift\n.*\n +persistent +value: 212992 (?:→|->) 2179072 +\/etc\/sysctl\.d\/99-zz-mcastctl\.conf:\d+/,
    );
  });

  it('says what else there is where a type does not exist or the playbook has none of it', async () => {
    expect(await mcastctl(['explain', 'sysctrl'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('did you mean "sysctl"?'),
    });
    expect(await run('explain', 'bridge', lab.inventory)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('the playbook has no task of type "bridge"'),
    });
  });
});
