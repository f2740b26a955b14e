import { spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { CLI, type CliResult, mcastctl } from '../support/cli.ts';
import { startLab } from '../support/lab.ts';

// What a run prints and where, how it ends, what it costs, and what it says of nodes that are not as they must be.

let lab: Awaited<ReturnType<typeof startLab>>;
let dir: string;
/** The lab's inventory with one host more that nobody answers for. */
let withDead: string;
const books = { right: '', wrong: '', failing: '' };

beforeAll(async () => {
  lab = await startLab({ nodes: 2, switch: 'flood' });
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-report-'));
  withDead = join(dir, 'dead.yml');
  writeFileSync(withDead, readFileSync(lab.inventory, 'utf8').replace(/198\.18\.0\.12/, '198.18.0.99'));
  books.right = playbook('right.yml', 'sysctl: { net.ipv4.conf.vmbr0.rp_filter: 0 }');
  books.wrong = playbook('wrong.yml', 'sysctl: { net.ipv4.conf.vmbr0.rp_filter: 1 }');
  books.failing = playbook('failing.yml', 'bridge: { name: vmbr7, multicast_querier: true }');
  for (const node of ['pve1', 'pve2']) {
    await onNode(node, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv4/conf/vmbr0/rp_filter');
    await onNode(node, 'sh', '-c', 'echo net.ipv4.conf.vmbr0.rp_filter = 0 > /etc/sysctl.d/10-test.conf');
    await onNode(node, 'sed', '-i', '1i LogLevel VERBOSE', '/etc/ssh/sshd_config');
    // Process 1 is sshd: it reads its configuration again.
    await onNode(node, 'kill', '-HUP', '1');
    await vi.waitUntil(() => listens(node) === 2, { timeout: 5_000 });
  }
});
afterAll(async () => {
  await lab?.down();
  if (dir) rmSync(dir, { recursive: true });
});

function playbook(name: string, task: string): string {
  const path = join(dir, name);
  writeFileSync(path, `- hosts: cluster\n  probe: { count: 2 }\n  tasks:\n    - name: Only\n      ${task}\n`);
  return path;
}

async function onNode(node: string, ...argv: [string, ...string[]]): Promise<string> {
  const { code, stdout, stderr } = await lab.exec(node, argv);
  expect({ argv, code, stderr }).toEqual({ argv, code: 0, stderr: '' });
  return stdout;
}

function sshdLog(node: string): string {
  return readFileSync(`${lab.dir}/nodes/${node}/log`, 'utf8');
}

function listens(node: string): number {
  return sshdLog(node).match(/^Server listening on 0\.0\.0\.0/gm)?.length ?? 0;
}

/** Logins and programs started since a moment, as the node's sshd tells them. */
function sshWork(node: string, since: number) {
  const log = sshdLog(node).slice(since);
  return {
    connections: log.match(/^Connection from /gm)?.length ?? 0,
    logins: log.match(/^Accepted publickey /gm)?.length ?? 0,
    programs: log.match(/^Starting session: /gm)?.length ?? 0,
  };
}

function reportOf({ stdout }: CliResult): Report & { readonly errors?: readonly { message: string }[] } {
  return JSON.parse(stdout);
}

/** Runs a command line of Bash, with the path of the built command line in $1 and of the inventory in $2. */
function inBash(line: string): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-o', 'pipefail', '-c', line, 'bash', CLI, lab.inventory], { cwd: dir });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

describe('--format json', { timeout: 30_000 }, () => {
  it.each([
    ['ok', 'check', () => [lab.inventory, '-p', books.right], 0, 'ok'],
    ['drift', 'check', () => [lab.inventory, '-p', books.wrong], 2, 'drift'],
    ['drift', 'plan', () => [lab.inventory, '-p', books.wrong, '--diff', '--commands'], 2, 'drift'],
    ['a failure', 'check', () => [lab.inventory, '-p', books.failing], 1, 'failed'],
    ['a failure', 'apply', () => [lab.inventory, '-p', books.failing], 1, 'failed'],
    ['an unreachable host', 'check', () => [withDead, '-p', books.right, '--timeout', '4'], 4, 'unreachable'],
    ['an unreachable host', 'apply', () => [withDead, '-p', books.right, '--timeout', '4'], 4, 'unreachable'],
    ['an unreachable host', 'probe', () => [withDead, '--count', '2', '--timeout', '4'], 4, 'unreachable'],
    ['health', 'probe', () => [lab.inventory, '--count', '2'], 0, 'ok'],
    ['a playbook that is missing', 'check', () => [lab.inventory, '-p', '/missing.yml'], 3, 'failed'],
    ['an inventory that is missing', 'apply', () => ['/missing.yml'], 3, 'failed'],
    ['an unknown host', 'check', () => [lab.inventory, '-l', 'pve9'], 3, 'failed'],
    ['an unknown option', 'check', () => [lab.inventory, '--tagz', 'x'], 3, 'failed'],
    ['a probe that is none', 'probe', () => [lab.inventory, '--group', '10.1.1.1'], 3, 'failed'],
  ])('%s (%s): one document on standard output', async (_, command, args, code, status) => {
    const result = await mcastctl([command, ...args(), '--format', 'json']);
    const report = reportOf(result);
    expect(result.stdout).toBe(`${JSON.stringify(report, null, 2)}\n`);
    expect(result.code).toBe(code);
    expect(report).toMatchObject({
      version: 1,
      command,
      status,
      exitCode: code,
      startedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      durationMs: expect.any(Number),
      hosts: expect.any(Object),
    });
    expect(report).toHaveProperty('probe');
    expect(result.stderr).not.toContain('{');
    if (code === 3) {
      expect(report.hosts).toEqual({});
      expect(report.errors?.[0]?.message).not.toBe('');
      expect(result.stderr).toContain('error:');
    } else expect(Object.keys(report.hosts)).toEqual(['pve1', 'pve2']);
  });
});

describe('-o FILE', { timeout: 30_000 }, () => {
  it('replaces the file in one go, keeps its mode, prints nothing', async () => {
    const file = join(dir, 'report.json');
    writeFileSync(file, 'old');
    chmodSync(file, 0o640);
    const before = statSync(file);
    const result = await mcastctl(['check', lab.inventory, '-p', books.wrong, '--format', 'json', '-o', file]);
    expect(result).toEqual({ code: 2, stdout: '', stderr: '' });
    expect(JSON.parse(readFileSync(file, 'utf8')).status).toBe('drift');
    const after = statSync(file);
    expect([after.ino === before.ino, after.mode & 0o7777]).toEqual([false, 0o640]);
    expect(readdirSync(dir).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  it('follows a link, and writes to a device without replacing it', async () => {
    const target = join(dir, 'target.txt');
    const link = join(dir, 'link.txt');
    writeFileSync(target, '');
    symlinkSync(target, link);
    expect((await mcastctl(['check', lab.inventory, '-p', books.wrong, '-o', link])).code).toBe(2);
    expect(readFileSync(target, 'utf8')).toContain('drift');
    // A device of its own: /dev/null of this machine is not to be risked.
    await onNode('pve1', 'mknod', '/root/null', 'c', '1', '3');
    const device = `${lab.dir}/nodes/pve1/home/null`;
    expect(statSync(device).isCharacterDevice()).toBe(true);
    expect((await mcastctl(['check', lab.inventory, '-p', books.wrong, '-o', device])).code).toBe(2);
    expect(statSync(device).isCharacterDevice()).toBe(true);
  });

  it('that can not be written: exit 3 before a host is contacted', async () => {
    const since = sshdLog('pve1').length;
    mkdirSync(join(dir, 'folder'));
    for (const file of ['/nonexistent/report', join(dir, 'folder')]) {
      const { code, stdout, stderr } = await mcastctl(['check', lab.inventory, '-p', books.right, '-o', file]);
      expect([code, stdout]).toEqual([3, '']);
      expect(stderr).toContain(`can't write "${file}"`);
    }
    expect(sshWork('pve1', since).connections).toBe(0);
  });

  it('has the faults of the input too, not the report of yesterday', async () => {
    const file = join(dir, 'report.json');
    const result = await mcastctl(['check', lab.inventory, '-p', '/missing.yml', '--format', 'json', '-o', file]);
    expect([result.code, result.stdout]).toEqual([3, '']);
    expect(JSON.parse(readFileSync(file, 'utf8')).exitCode).toBe(3);
  });
});

describe('usage', { timeout: 30_000 }, () => {
  it.each([
    [['chek'], "unknown command 'chek'", 'Did you mean check?'],
    [['check', 'x.yml', '--limt', 'a'], "unknown option '--limt'", 'Did you mean --limit?'],
    [['lab', 'dwon'], "unknown command 'dwon'", 'Did you mean down?'],
    [['check'], "missing required argument 'inventory'", ''],
    [['check', 'x.yml', '--format', 'jsn'], 'Allowed choices are text, json', ''],
    [['check', 'x.yml', '--forks', '0'], 'at least 1', ''],
  ])('%j: exit 3', async (args, said, hint) => {
    const { code, stdout, stderr } = await mcastctl(args);
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toContain(said);
    expect(stderr).toContain(hint);
  });

  it('--limit with a host that is in no inventory names the nearest', async () => {
    const { code, stderr } = await mcastctl(['check', lab.inventory, '-l', 'pve11']);
    expect(code).toBe(3);
    expect(stderr).toContain('"pve11" is neither a host nor a group');
    expect(stderr).toContain('did you mean "pve1"?');
  });

  it('--tags chooses tasks; one that no task has is a fault', async () => {
    const querier = await mcastctl(['check', lab.inventory, '--tags', 'querier', '--format', 'json']);
    expect(reportOf(querier).hosts.pve1?.tasks.map((task) => task.resource)).toEqual(['bridge[vmbr0]']);
    const others = await mcastctl(['check', lab.inventory, '--skip-tags', 'querier,igmp', '--format', 'json']);
    expect(reportOf(others).hosts.pve1?.tasks.map((task) => task.resource)).toEqual([
      'sysctl[net.core.rmem_max]',
      'sysctl[net.core.wmem_max]',
    ]);
    const { code, stderr } = await mcastctl(['check', lab.inventory, '--tags', 'querrier']);
    expect(code).toBe(3);
    expect(stderr).toContain('did you mean "querier"?');
  });

  it('a reader that has seen enough is no error', async () => {
    const listing = await inBash('node "$1" inventory "$2" --list | head -1');
    expect(listing).toEqual({ code: 0, stdout: '{\n', stderr: '' });
    const check = await inBash(`node "$1" check "$2" -p wrong.yml -v 2>&1 | true; echo "\${PIPESTATUS[0]}"`);
    expect(check).toEqual({ code: 0, stdout: '2\n', stderr: '' });
  });
});

describe('what a check costs', { timeout: 30_000 }, () => {
  it.each([1, 30])('one login and one program a host with %i tasks', async (count) => {
    const tasks = Array.from({ length: count }, (_, index) =>
      index % 2 === 0
        ? `    - bridge: { name: vmbr0, multicast_startup_query_count: 7 }`
        : `    - sysctl: { net.ipv4.conf.vmbr0.rp_filter: 2 }`,
    );
    const file = join(dir, `many-${count}.yml`);
    // With a fact: what a host is asked for it travels along.
    writeFileSync(file, `- hosts: cluster\n  tasks:\n${tasks.join('\n')}\n      when: facts.hostname != ""\n`);
    const since = [sshdLog('pve1').length, sshdLog('pve2').length] as const;
    const result = await mcastctl(['check', lab.inventory, '-p', file, '--format', 'json']);
    expect(reportOf(result).hosts.pve1?.tasks).toHaveLength(count);
    for (const [index, node] of (['pve1', 'pve2'] as const).entries()) {
      expect(sshWork(node, since[index] ?? 0)).toEqual({ connections: 1, logins: 1, programs: 1 });
    }
  });
});

describe('a node that is not as it must be', { timeout: 30_000 }, () => {
  /** Applies a task to both nodes while one of them is made wrong by a script, which `undo` makes right again. */
  async function applied(name: string, task: string, undo: string) {
    const before = await onNode('pve1', 'sh', '-c', 'cat /etc/network/interfaces; ls /etc/sysctl.d');
    const result = await mcastctl(['apply', lab.inventory, '-p', playbook(name, task), '--format', 'json']);
    expect(await onNode('pve1', 'sh', '-c', 'cat /etc/network/interfaces; ls /etc/sysctl.d')).toBe(before);
    await onNode('pve1', 'sh', '-c', undo);
    const { hosts } = reportOf(result);
    expect(result.code).toBe(1);
    expect(hosts.pve1).toMatchObject({ status: 'failed', tasks: [{ status: 'failed', error: expect.any(String) }] });
    return { error: hosts.pve1?.tasks[0]?.error ?? '', task: hosts.pve1?.tasks[0], other: hosts.pve2?.status };
  }

  it('a later sysctl.d file overrides ours: file and line are named, nothing is tried', async () => {
    await onNode(
      'pve1',
      'sh',
      '-c',
      "printf '# mine\\nnet.ipv4.conf.vmbr0.rp_filter = 2\\n' > /etc/sysctl.d/99-zzz.conf",
    );
    const file = playbook('later.yml', 'sysctl: { net.ipv4.conf.vmbr0.rp_filter: 1 }');
    const check = reportOf(await mcastctl(['check', lab.inventory, '-p', file, '--format', 'json']));
    expect(check.hosts.pve1?.tasks[0]?.changes).toContainEqual(
      expect.objectContaining({ layer: 'persistent', from: 2, to: 1, file: '/etc/sysctl.d/99-zzz.conf', line: 2 }),
    );
    const { error, other } = await applied(
      'later.yml',
      'sysctl: { net.ipv4.conf.vmbr0.rp_filter: 1 }',
      'rm /etc/sysctl.d/99-zzz.conf',
    );
    expect(error).toContain('/etc/sysctl.d/99-zzz.conf:2');
    expect(other).toBe('changed');
    expect((await onNode('pve1', 'cat', '/proc/sys/net/ipv4/conf/vmbr0/rp_filter')).trim()).toBe('0');
  });

  it('changes of the Proxmox GUI are pending: the task stops and says so', async () => {
    await onNode(
      'pve1',
      'sh',
      '-c',
      'sed s/bridge-fd.0/bridge-fd\\ 5/ /etc/network/interfaces > /etc/network/interfaces.new',
    );
    const task = 'bridge: { name: vmbr0, multicast_startup_query_count: 9 }';
    const { error, other } = await applied('pending.yml', task, 'rm /etc/network/interfaces.new');
    expect(error).toContain('/etc/network/interfaces.new');
    expect(other).toBe('changed');
    const [link] = JSON.parse(await onNode('pve1', 'ip', '-d', '-j', 'link', 'show', 'dev', 'vmbr0'));
    expect(link.linkinfo.info_data.mcast_startup_query_cnt).toBe(2);
  });

  it('there is no such bridge there: the other host is done', async () => {
    await onNode('pve2', 'ip', 'link', 'add', 'name', 'vmbr9', 'type', 'bridge');
    await onNode(
      'pve2',
      'sh',
      '-c',
      "printf '\\niface vmbr9 inet manual\\n\\tbridge-ports none\\n' >> /etc/network/interfaces",
    );
    const { error, other } = await applied('missing.yml', 'bridge: { name: vmbr9, multicast_querier: true }', 'true');
    expect(error).toMatch(/^there is no device "vmbr9"/);
    expect(other).toBe('changed');
  });

  it('a port is named instead of its bridge: the bridge is named', async () => {
    const { error } = await applied('port.yml', 'bridge: { name: eth0, multicast_querier: true }', 'true');
    expect(error).toBe('"eth0" is a port of bridge "vmbr0", not a bridge (write name: vmbr0)');
  });

  it('there is no such sysctl', async () => {
    const { error } = await applied('nosysctl.yml', 'sysctl: { net.ipv4.conf.vmbr7.rp_filter: 1 }', 'true');
    expect(error).toContain('this kernel has no setting "net.ipv4.conf.vmbr7.rp_filter"');
  });
});
