import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import type { SavedPlan } from '../../src/core/saved-plan.ts';
import { type CliResult, mcastctl } from '../support/cli.ts';
import { IPTABLES_PERSISTENT_LAYER, type Lab, startLab } from '../support/lab.ts';

// A plan that was saved is done exactly, or refused: on real nodes. One story, in order.

let lab: Lab;
let dir: string;
let inventory: string;
const NODES = ['pve1', 'pve2'];
const INTERFACES = '/etc/network/interfaces';

beforeAll(async () => {
  lab = await startLab({ nodes: 2, switch: 'flood', layers: [IPTABLES_PERSISTENT_LAYER] });
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-plan-'));
  mkdirSync(join(dir, 'group_vars'));
  inventory = write('inventory.yml', readFileSync(lab.inventory, 'utf8'));
  write('group_vars/all.yml', 'words: one\n');
  for (const node of NODES) {
    await on(node, 'iptables', '-A', 'INPUT', '-p', 'igmp', '-j', 'DROP');
    // Counts what comes by SSH, and lets it be.
    await on(node, 'iptables', '-A', 'INPUT', '-p', 'tcp');
  }
});
afterAll(async () => {
  await lab?.down();
  if (dir) rmSync(dir, { recursive: true });
});

function write(name: string, text: string): string {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
}

/** A playbook in which `count` and `groups` tell one desired state from another. */
function playbook(count: number, groups: number, more = ''): string {
  return write(
    'site.yml',
    `- hosts: cluster
  probe: { count: 2 }
  tasks:
    - name: Counts
      bridge: { name: vmbr0, multicast_startup_query_count: ${count} }
    - name: Rules
      iptables: { accept: [igmp] }
    - name: Groups
      sysctl: { net.ipv4.igmp_max_memberships: ${groups} }
      notify: [Told]
    - name: Words
      file: { path: /etc/words.conf, content: "{{words}}\\n" }
    - name: Text
      template: { src: text.hbs, path: /etc/text.conf }
    - name: Hidden
      file: { path: /etc/hidden.conf, content: "hidden {{words}}\\n" }
      no_log: true
${more}  handlers:
    - name: Told
      file: { path: /etc/told.conf, content: "told\\n" }
`,
  );
}

async function on(node: string, ...argv: [string, ...string[]]): Promise<string> {
  const { code, stdout, stderr } = await lab.exec(node, argv);
  expect({ argv, code, stderr }).toMatchObject({ argv, code: 0 });
  return stdout;
}

/** All that the playbook touches, by the node's own tools. */
async function stateOf(node: string): Promise<unknown> {
  const [link] = JSON.parse(await on(node, 'ip', '-d', '-j', 'link', 'show', 'dev', 'vmbr0'));
  const files = [
    '/etc/words.conf',
    '/etc/text.conf',
    '/etc/told.conf',
    '/etc/hidden.conf',
    '/etc/iptables/rules.v4',
    INTERFACES,
  ];
  return {
    count: link.linkinfo.info_data.mcast_startup_query_cnt,
    groups: (await on(node, 'sysctl', '-n', 'net.ipv4.igmp_max_memberships')).trim(),
    rules: await on(node, 'iptables', '-S', 'INPUT'),
    files: (await lab.exec(node, ['sha256sum', ...files])).stdout,
  };
}

const run = (...args: string[]): Promise<CliResult> =>
  mcastctl(args, { cwd: dir, env: { XDG_STATE_HOME: join(dir, 'state') } });
const plan = (...more: string[]) => run('plan', 'inventory.yml', '--out', 'plan.json', ...more);
const saved = (): SavedPlan => JSON.parse(readFileSync(join(dir, 'plan.json'), 'utf8'));
async function apply(...more: string[]): Promise<{ code: number | null; report: Report }> {
  const { code, stdout, stderr } = await run('apply', 'plan.json', '--format', 'json', ...more);
  if (code === 3) throw new Error(stderr);
  return { code, report: JSON.parse(stdout) };
}

describe('a plan that binds', { timeout: 60_000 }, () => {
  beforeAll(() => {
    write('text.hbs', 'text of {{inventory_hostname}}\n');
    playbook(7, 77);
  });

  it('is saved for its user alone, with what was reviewed, and changes nothing', async () => {
    const before = await stateOf('pve1');
    const { code, stderr, stdout } = await plan();
    expect([code, stderr]).toEqual([2, expect.stringContaining('the plan is kept in plan.json')]);
    expect(stdout).toContain('multicast_startup_query_count');
    expect(statSync(join(dir, 'plan.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir).filter((name) => name.includes('tmp'))).toEqual([]);
    const { format, version, inventory: source, hosts } = saved();
    expect([format, version, source.path]).toEqual(['mcastctl plan', 1, inventory]);
    const tasks = hosts['pve1']?.tasks ?? [];
    expect(tasks.map(({ name }) => name)).toEqual(['Counts', 'Rules', 'Groups', 'Words', 'Text', 'Hidden']);
    expect(tasks[2]?.resources[0]?.changes[0]).toMatchObject({ layer: 'runtime', from: 20, to: 77 });
    expect(tasks[2]?.steps[0]?.text).toBe('/proc/sys/net/ipv4/igmp_max_memberships = 77');
    expect(tasks[5]?.resources).toMatchObject([
      { resource: 'file[(hidden by no_log)]', changes: [{ from: '(hidden by no_log)', to: '(hidden by no_log)' }] },
    ]);
    expect(tasks[3]?.files).toMatchObject([{ path: '/etc/words.conf', before: null }]);
    expect(await stateOf('pve1')).toEqual(before);
  });

  it('is done, whatever moved by itself in between: counters, timers', async () => {
    const counted = async () => /\[\S+\] -A INPUT -p tcp/.exec(await on('pve1', 'iptables-save', '-c'))?.[0];
    const before = await counted();
    expect((await run('probe', 'inventory.yml', '--count', '2')).code).toBe(0);
    const after = await counted();
    expect([before, after]).not.toContain(undefined);
    expect(after).not.toBe(before);
    const { code, report } = await apply();
    expect([code, report.status]).toEqual([0, 'changed']);
    for (const node of NODES) {
      expect(await stateOf(node)).toMatchObject({
        count: 7,
        groups: '77',
        rules: expect.stringMatching(/igmp .*-j ACCEPT\n-A INPUT -p igmp -j DROP/),
      });
      expect(await on(node, 'cat', '/etc/words.conf', '/etc/text.conf', '/etc/told.conf')).toBe(
        `one\ntext of ${node}\ntold\n`,
      );
    }
    expect(await run('check', 'inventory.yml')).toMatchObject({ code: 0, stdout: '' });
  });

  it('is refused once it is done: nothing is as it was then', async () => {
    const { code, report } = await apply();
    expect([code, report.hosts['pve1']?.tasks]).toEqual([1, []]);
    expect(report.hosts['pve1']?.error).toContain(
      'sysctl[net.ipv4.igmp_max_memberships] runtime value: planned from 20 to 77, is 77 now',
    );
  });

  it('refuses a node that has moved since, names the difference, and does the other one', async () => {
    playbook(8, 88);
    await plan();
    await on('pve1', 'sysctl', '-qw', 'net.ipv4.igmp_max_memberships=99');
    const before = await stateOf('pve1');
    const { code, report } = await apply();
    expect(code).toBe(1);
    expect(report.hosts['pve1']).toEqual({
      status: 'failed',
      error:
        'not as it was when the plan was made: sysctl[net.ipv4.igmp_max_memberships] runtime value: planned from 77 to 88, is 99 now (nothing was done there: make a new plan)',
      tasks: [],
    });
    expect(report.hosts['pve2']?.status).toBe('changed');
    expect(await stateOf('pve1')).toEqual(before);
    expect(await stateOf('pve2')).toMatchObject({ count: 8, groups: '88' });
  });

  it('refuses where a file was edited, a value moved that was right, or a change was made by somebody else', async () => {
    await plan();
    await on('pve1', 'sh', '-c', `echo '# mine' >> ${INTERFACES}`);
    await on('pve2', 'ip', 'link', 'set', 'dev', 'vmbr0', 'type', 'bridge', 'mcast_startup_query_count', '5');
    const before = [await stateOf('pve1'), await stateOf('pve2')];
    const { code, report } = await apply();
    expect(code).toBe(1);
    expect(report.hosts['pve1']?.error).toContain(`${INTERFACES} has changed`);
    expect(report.hosts['pve2']?.error).toContain(
      'bridge[vmbr0] runtime multicast_startup_query_count: no change was planned, is 5 now',
    );
    expect([await stateOf('pve1'), await stateOf('pve2')]).toEqual(before);
  });

  it('touches no host and no task that it has nothing for', async () => {
    await plan('-l', 'pve1', '-t', 'all');
    expect(Object.keys(saved().hosts)).toEqual(['pve1']);
    const before = await stateOf('pve2');
    const { code, report } = await apply();
    expect([code, Object.keys(report.hosts)]).toEqual([0, ['pve1']]);
    expect(report.hosts['pve1']?.tasks.filter(({ status }) => status === 'changed').map(({ name }) => name)).toEqual([
      'Counts',
      'Groups',
    ]);
    expect(await stateOf('pve2')).toEqual(before);
  });

  it('keeps no value of -e, and wants the same names again', async () => {
    await plan('-e', 'words=s3cret-words');
    expect(readFileSync(join(dir, 'plan.json'), 'utf8')).not.toContain('s3cret-words');
    expect(await run('apply', 'plan.json')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('made with -e for words, whose values it does not keep'),
    });
    const other = await run('apply', 'plan.json', '-e', 'words=another');
    expect([other.code, other.stderr]).toEqual([
      3,
      expect.stringContaining('task "Words" of pve1 wants something else'),
    ]);
    expect((await apply('-e', 'words=s3cret-words')).code).toBe(0);
    expect(await on('pve2', 'cat', '/etc/words.conf')).toBe('s3cret-words\n');
  });
});

describe('a plan of another playbook, inventory or program', { timeout: 60_000 }, () => {
  let before: unknown;
  beforeAll(async () => {
    playbook(9, 99);
    await plan();
    before = await stateOf('pve1');
  });
  afterAll(async () => expect(await stateOf('pve1')).toEqual(before));
  const refused = async (pattern: string, ...more: string[]): Promise<void> => {
    const result = await run('apply', 'plan.json', ...more);
    expect([result.code, result.stderr]).toEqual([3, expect.stringContaining(pattern)]);
  };
  const edited = async (name: string, text: string, pattern: string): Promise<void> => {
    const whole = readFileSync(join(dir, name), 'utf8');
    write(name, text);
    await refused(pattern);
    write(name, whole);
  };

  it('is refused before a host is contacted: what has changed is named', async () => {
    const text = readFileSync(join(dir, 'site.yml'), 'utf8');
    await edited('site.yml', `${text}# more\n`, `the playbook "${join(dir, 'site.yml')}" has changed since the plan`);
    const hosts = readFileSync(inventory, 'utf8');
    await edited('inventory.yml', `${hosts}# more\n`, `the inventory "${inventory}" has changed since the plan`);
    await edited('text.hbs', 'other\n', 'task "Text" of pve1 wants something else than then');
    await edited('group_vars/all.yml', 'words: two\n', 'task "Words" of pve1 wants something else than then');
  });

  it('takes no option that would make it another one', async () => {
    await refused("-l can't be given with a plan", '-l', 'pve1');
    await refused("--skip-tags can't be given with a plan", '--skip-tags', 'x');
    await refused("-p can't be given with a plan", '-p', 'site.yml');
    await refused('was made without -e', '-e', 'words=x');
  });

  it.each([
    [{ version: 0 }, 'is of version 0, and this mcastctl does those of version 1'],
    [{ version: 2 }, 'is of version 2, and this mcastctl does those of version 1'],
    [{ version: undefined }, 'is of version none'],
    [{ hosts: { pve1: {} } }, 'is damaged: hosts.pve1'],
  ])('%j: %s', async (more, pattern) => {
    const text = JSON.stringify({ ...saved(), ...more });
    await edited('plan.json', text, pattern);
  });

  it('is damaged where it was cut', async () => {
    await edited('plan.json', readFileSync(join(dir, 'plan.json'), 'utf8').slice(0, 2_000), 'is damaged: ');
  });

  it('can not be saved where nobody may write: exit 3 before a host is contacted', async () => {
    expect(await run('plan', 'inventory.yml', '--out', 'no/such/plan.json')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('choose another --out'),
    });
    expect(await run('plan', 'inventory.yml', '--out', '/dev/null')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('it is no regular file'),
    });
  });
});
