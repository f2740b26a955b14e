import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { type CliResult, mcastctl } from '../support/cli.ts';
import { type Lab, startLab } from '../support/lab.ts';

// Runs are taken back on real nodes. One story, in order.

let lab: Lab;
let dir: string;
let playbook: string;
const INTERFACES = '/etc/network/interfaces';
const OURS = '/etc/sysctl.d/99-zz-mcastctl.conf';

beforeAll(async () => {
  lab = await startLab({ nodes: 2, switch: 'flood' });
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-rollback-'));
  playbook = write(
    'site.yml',
    `- hosts: cluster
  probe: { count: 2 }
  tasks:
    - name: Counts
      bridge: { name: vmbr0, multicast_startup_query_count: 7 }
    - name: Groups
      sysctl: { net.ipv4.igmp_max_memberships: 77 }
    - name: Words
      file: { path: /etc/words.conf, content: "one\\n", mode: "0640" }
`,
  );
});
afterAll(async () => {
  await lab?.down();
  if (dir) rmSync(dir, { recursive: true });
});

function write(name: string, text: string): string {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
}

async function onNode(node: string, ...argv: [string, ...string[]]): Promise<string> {
  const { code, stdout, stderr } = await lab.exec(node, argv);
  expect({ argv, code, stderr }).toEqual({ argv, code: 0, stderr: '' });
  return stdout;
}

/** All that the playbook touches, by the node's own tools. */
async function stateOf(node: string): Promise<unknown> {
  const [link] = JSON.parse(await onNode(node, 'ip', '-d', '-j', 'link', 'show', 'dev', 'vmbr0'));
  return {
    count: link.linkinfo.info_data.mcast_startup_query_cnt,
    groups: await onNode(node, 'sysctl', '-n', 'net.ipv4.igmp_max_memberships'),
    interfaces: await onNode(node, 'cat', INTERFACES),
    files: (await lab.exec(node, ['ls', '-l', '--time-style=+', OURS, '/etc/words.conf'])).stdout,
  };
}

const run = (...args: string[]): Promise<CliResult> => mcastctl(args, { env: { XDG_STATE_HOME: join(dir, 'state') } });
const history = async () => JSON.parse((await run('history', '--format', 'json')).stdout).runs;

describe('a run that is taken back', { timeout: 60_000 }, () => {
  let before: unknown;

  it('is kept in the journal of its user, for that user alone', async () => {
    before = await stateOf('pve1');
    expect((await run('history')).stdout).toContain('has changed anything yet');
    expect(await run('apply', lab.inventory, '-p', playbook)).toMatchObject({ code: 0 });
    const [only, ...more] = await history();
    expect(more).toEqual([]);
    expect(only).toMatchObject({
      command: 'apply',
      status: 'changed',
      hosts: { pve1: { changed: 3 }, pve2: { changed: 3 } },
    });
    const folder = join(dir, 'state/mcastctl/runs');
    const [name = ''] = readdirSync(folder);
    expect([statSync(folder).mode & 0o777, statSync(join(folder, name)).mode & 0o777]).toEqual([0o700, 0o600]);
    const told = (await run('history', only.run)).stdout;
    expect(told).toMatch(/sysctl\[net\.ipv4\.igmp_max_memberships\] +runtime +value: 20 (?:→|->) 77/);
    expect(await run('apply', lab.inventory, '-p', playbook)).toMatchObject({ code: 0 });
    expect(await history()).toHaveLength(1);
  });

  it('is refused where somebody changed it since, with the three values, and the rest is left alone too', async () => {
    await onNode('pve1', 'sysctl', '-qw', 'net.ipv4.igmp_max_memberships=99');
    const { code, stdout } = await run('rollback', lab.inventory, '--limit', 'pve1');
    expect(code).toBe(1);
    expect(stdout).toContain(
      'sysctl[net.ipv4.igmp_max_memberships] runtime value is 99 now, the run had made it 77, before it was 20',
    );
    await onNode('pve1', 'sh', '-c', 'echo two >> /etc/words.conf');
    const both = await run('rollback', lab.inventory, '--limit', 'pve1');
    expect(both.stdout).toContain('is 99 now');
    expect(both.stdout).toContain('/etc/words.conf has 8 bytes now, after the run 4 bytes, before it absent');
    expect(await onNode('pve1', 'cat', '/etc/words.conf')).toBe('one\ntwo\n');
  });

  it('is put back with --force, running values and files', async () => {
    const { code, stdout } = await run('rollback', lab.inventory, '--limit', 'pve1', '--force', '--format', 'json');
    expect([code, (JSON.parse(stdout) as Report).status]).toEqual([0, 'changed']);
    expect(await stateOf('pve1')).toEqual(before);
    expect(await onNode('pve2', 'sysctl', '-n', 'net.ipv4.igmp_max_memberships')).toBe('77\n');
  });

  it('is put back whole, and marked as taken back', async () => {
    const [newest] = (await history()).filter((each: { command: string }) => each.command === 'apply');
    expect(newest.rolledBackBy).toBe(null);
    expect(await run('rollback', lab.inventory)).toMatchObject({ code: 0 });
    expect(await stateOf('pve2')).toMatchObject({ count: 2, groups: '20\n', files: '' });
    expect(await onNode('pve2', 'cat', INTERFACES)).not.toContain('mcsqc');
    const runs = await history();
    const [back] = runs;
    expect(back.command).toBe('rollback');
    expect(runs.find((each: { run: string }) => each.run === newest.run).rolledBackBy).toBe(back.run);
    expect(await run('rollback', lab.inventory)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('can be rolled back'),
    });
  });

  it('with --undo run a run that fails takes back all that it did before', async () => {
    const failing = write(
      'failing.yml',
      `${readFileSync(playbook, 'utf8')}    - name: Not there
      sysctl: { net.ipv4.no_such_key: 1 }
`,
    );
    const { code, stderr } = await run('apply', lab.inventory, '-p', failing, '--undo', 'run');
    expect(code).toBe(1);
    expect(stderr).toContain('all that it did before is taken back');
    expect(await stateOf('pve1')).toEqual(before);
    expect(await run('apply', lab.inventory, '-p', failing, '--keep-going')).toMatchObject({ code: 1 });
    expect(await onNode('pve1', 'sysctl', '-n', 'net.ipv4.igmp_max_memberships')).toBe('77\n');
  });

  it('says what there is where the run or the host is wrong', async () => {
    expect(await run('rollback', lab.inventory, '--run', '19990101')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('there is no run "19990101"'),
    });
    expect(await run('history', '19990101')).toMatchObject({ code: 3 });
  });
});
