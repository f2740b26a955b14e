import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { mcastctl } from '../support/cli.ts';
import { type LabRun, startLabRun } from '../support/lab-run.ts';

// cman does not exist on today's systems: its file, on real nodes that are changed together, and a stand-in for its checker.

const OWN = '/etc/cluster/cluster.conf';
const CONF = `<?xml version="1.0"?>
<cluster name="lab" config_version="4">
  <cman/>
  <clusternodes>
    <clusternode name="pve1" nodeid="1"/>
    <clusternode name="pve2" nodeid="2"/>
  </clusternodes>
</cluster>
`;
const DONE = CONF.replace('"4"', '"5"')
  .replace('<cman/>', '<cman transport="udpu"/>')
  .replace('nodes>\n</', 'nodes>\n  <totem netmtu="1400"/>\n</');
const NODES = ['pve1', 'pve2'];

let lab: LabRun;
beforeAll(async () => {
  lab = await startLabRun({ nodes: 2, switch: 'flood' });
});
afterAll(() => lab?.down());

const writeAll = (path: string, text: string, mode?: string) =>
  Promise.all(NODES.map((node) => lab.write(node, path, text, mode)));
const texts = () => Promise.all(NODES.map((node) => lab.on(node, 'cat', OWN)));

async function run(command: string, params: string, ...more: string[]) {
  const playbook = join(lab.dir, 'cman.yml');
  writeFileSync(playbook, `- hosts: all\n  probe: { count: 5, interval: 10ms }\n  tasks:\n    - cman: ${params}\n`);
  const { code, stdout } = await mcastctl([command, lab.inventory, '-p', playbook, '--format', 'json', ...more]);
  const { hosts } = JSON.parse(stdout) as Report;
  const errors = Object.values(hosts).flatMap(({ tasks }) => tasks.flatMap(({ error }) => error ?? []));
  return { code, task: hosts['pve1']?.tasks[0], errors: errors.join('\n') };
}

describe('cman', { timeout: 60_000 }, () => {
  const wish = '{ transport: udpu, netmtu: 1400 }';

  it('changes the file of all nodes, its version once, and then nothing', async () => {
    await writeAll(OWN, CONF, '640');
    expect(await run('apply', wish)).toMatchObject({ code: 0, task: { status: 'changed' } });
    expect(await texts()).toEqual([DONE, DONE]);
    expect(await lab.on('pve2', 'stat', '-c', '%a', OWN)).toBe('640\n');
    expect(await run('apply', wish)).toMatchObject({ code: 0, task: { status: 'ok' } });
    expect((await run('check', wish)).code).toBe(0);
  });

  it('ends what a cut run has left on some nodes, and refuses files that differ', async () => {
    await lab.write('pve2', OWN, CONF);
    expect((await run('check', wish)).code).toBe(2);
    expect((await run('apply', wish)).code).toBe(0);
    expect(await texts()).toEqual([DONE, DONE]);
    await lab.write('pve2', OWN, CONF.replace('"4"', '"9"'));
    const { code, errors } = await run('apply', wish);
    expect(code).toBe(1);
    expect(errors).toContain('cluster.conf of pve1 (config_version 5) and of pve2 (9) differ');
  });

  it('leaves no node behind', async () => {
    await writeAll(OWN, CONF);
    const { code, errors } = await run('apply', wish, '--limit', 'pve1');
    expect(code).toBe(1);
    expect(errors).toContain('pve2 is not in this run: run it without "serial" and --limit');
    expect(await texts()).toEqual([CONF, CONF]);
  });

  it('writes nothing that the checker of one node refuses, and puts the others back', async () => {
    const checker = '#!/bin/sh\n! grep -q udpu "$2" || { echo "$1: udpu is not for us" >&2; exit 1; }\n';
    await lab.write('pve2', '/usr/sbin/ccs_config_validate', checker, '755');
    const { code, errors } = await run('apply', wish);
    expect(code).toBe(1);
    expect(errors).toContain('the new text was refused by "ccs_config_validate": -f: udpu is not for us');
    expect(errors).not.toContain('undo failed');
    expect(await texts()).toEqual([CONF, CONF]);
  });
});
