import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { netnsName } from '../../src/lab/layout.ts';
import { type CliResult, mcastctl, startMcastctl } from '../support/cli.ts';
import { startLab } from '../support/lab.ts';

// Ways to a node through the built command line: keys of hosts, other users by sudo, this machine itself, an sshd that drops logins.

const NODES = ['pve1', 'pve2', 'pve3'] as const;
const PASSWORD = 'corr3ct "horse" $(battery) \\staple';
const DROP_IN = '/etc/sysctl.d/99-zz-mcastctl.conf';

let lab: Awaited<ReturnType<typeof startLab>>;
let dir: string;
let book: string;

beforeAll(async () => {
  lab = await startLab({ nodes: 3, switch: 'flood' });
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-connection-'));
  book = join(dir, 'book.yml');
  // "lo" is in every network namespace, this machine's too.
  const task = 'sysctl: { net.ipv4.conf.lo.force_igmp_version: 2 }';
  writeFileSync(book, `- hosts: all\n  probe: { count: 2 }\n  tasks:\n    - ${task}\n`);
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

function sshdLog(node: string): string {
  return readFileSync(`${lab.dir}/nodes/${node}/log`, 'utf8');
}

function run(command: string, ...args: string[]): Promise<CliResult> {
  return mcastctl([command, lab.inventory, '-p', book, '--format', 'json', ...args]);
}

function reportOf({ stdout }: CliResult): Report {
  return JSON.parse(stdout);
}

function hostsOf(result: CliResult) {
  return Object.entries(reportOf(result).hosts).map(([host, { status, error }]) => ({ host, status, error }));
}

describe('a host key that nobody has seen', { timeout: 30_000 }, () => {
  const knownHosts = (file: string) => ['-e', `ansible_ssh_extra_args="-o UserKnownHostsFile=${file}"`];

  it('is refused: exit 4, no login, nothing recorded', async () => {
    const file = join(dir, 'empty');
    const since = sshdLog('pve1').length;
    const result = await run('check', ...knownHosts(file));
    expect(result.code).toBe(4);
    for (const { status, error } of hostsOf(result)) {
      expect(status).toBe('unreachable');
      expect(error).toMatch(/is not known: it shows the ED25519 key SHA256:.*--accept-new/s);
    }
    await vi.waitUntil(() => sshdLog('pve1').slice(since).includes('[preauth]'));
    expect(sshdLog('pve1').slice(since)).not.toContain('Accepted');
    expect(existsSync(file)).toBe(false);
  });

  it('is recorded with --accept-new, and known from then on', async () => {
    const file = join(dir, 'accepted');
    const first = await run('check', '--accept-new', ...knownHosts(file));
    expect(first.code).toBe(2);
    const recorded = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(recorded.map((line) => line.split(' ')[1])).toEqual(NODES.map(() => 'ssh-ed25519'));
    for (const line of recorded) expect(readFileSync(`${lab.dir}/known_hosts`, 'utf8')).toContain(line.split(' ')[2]);
    expect((await run('check', ...knownHosts(file))).code).toBe(2);
    expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toEqual(recorded);
  });

  it('--accept-new takes no other key for a host that is known', async () => {
    const file = join(dir, 'changed');
    const [one = '', two = ''] = readFileSync(`${lab.dir}/known_hosts`, 'utf8').split('\n');
    const text = `${one.split(' ')[0]} ${two.split(' ').slice(1).join(' ')}\n`;
    writeFileSync(file, text);
    const since = sshdLog('pve1').length;
    const result = await run('check', '--accept-new', '-l', 'pve1', ...knownHosts(file));
    expect(result.code).toBe(4);
    expect(hostsOf(result)[0]?.error).toMatch(/host key/i);
    expect(readFileSync(file, 'utf8')).toBe(text);
    expect(sshdLog('pve1').slice(since)).not.toContain('Accepted');
  });
});

describe('another user', { timeout: 60_000 }, () => {
  const asAdmin = ['-e', 'ansible_user=admin'];

  beforeAll(async () => {
    const rules = {
      pve1: 'admin ALL=(ALL) NOPASSWD: ALL',
      pve2: 'Defaults lecture=always\nadmin ALL=(ALL) ALL',
      pve3: '# nothing',
    };
    for (const node of NODES) {
      await onNode(node, 'useradd', '-m', '-s', '/bin/bash', 'admin');
      await lab.exec(node, ['chpasswd'], { input: `admin:${PASSWORD}\n` });
      await onNode(node, 'sh', '-c', 'mkdir /home/admin/.ssh && cp /root/.ssh/authorized_keys /home/admin/.ssh/');
      await onNode(node, 'chown', '-R', 'admin:', '/home/admin/.ssh');
      const write = 'cat > /etc/sudoers.d/admin && chmod 440 /etc/sudoers.d/admin';
      await lab.exec(node, ['sh', '-c', write], { input: `${rules[node]}\n` });
    }
  });

  it('who is not root sees what everybody may see, and is told how to change it', async () => {
    expect((await run('check', ...asAdmin)).code).toBe(2);
    const result = await run('apply', '-l', 'pve1', ...asAdmin);
    expect(result.code).toBe(1);
    expect(hostsOf(result)[0]?.error).toMatch(/^\/var\/lib\/mcastctl: Permission denied.*become root with -b/);
    expect(await onNode('pve1', 'cat', '/proc/sys/net/ipv4/conf/lo/force_igmp_version')).toBe('0\n');
  });

  it('becomes root where sudo asks nothing; where it asks or refuses, that is said', async () => {
    const result = await run('check', '-b', ...asAdmin);
    expect(result.code).toBe(1);
    expect(hostsOf(result)).toEqual([
      { host: 'pve1', status: 'drift', error: null },
      {
        host: 'pve2',
        status: 'failed',
        error: expect.stringMatching(/^can't become "root": sudo: a password is required.*-K/),
      },
      {
        host: 'pve3',
        status: 'failed',
        error: expect.stringMatching(/^can't become "root": sudo: a password is required.*-K/),
      },
    ]);
  });

  it('a wrong password is refused in seconds and shown nowhere', async () => {
    const wrong = 'wr0ng-passw0rd';
    const startedAt = Date.now();
    const result = await run(
      'check',
      '-b',
      '-l',
      'pve2',
      ...asAdmin,
      '-e',
      JSON.stringify({ ansible_become_password: wrong }),
    );
    expect(Date.now() - startedAt).toBeLessThan(10_000);
    expect(result.code).toBe(1);
    expect(hostsOf(result)[0]?.error).toMatch(/sudo does not take the password/);
    expect(result.stdout + result.stderr).not.toContain(wrong);
  });

  it('the right password does, and stands in no process list; a user without rights is told', async () => {
    const vars = join(dir, 'secret.yml');
    writeFileSync(vars, JSON.stringify({ ansible_become_password: PASSWORD }));
    // What all processes of the node show while the run lasts.
    const watch =
      'while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; done | tr "\\0" "\\n" > /root/seen';
    const watcher = lab.exec('pve2', ['timeout', '5', 'sh', '-c', watch]);
    const result = await run('apply', '-b', ...asAdmin, '-e', `@${vars}`);
    await lab.exec('pve2', ['pkill', 'timeout']);
    await watcher;
    expect(result.code).toBe(1);
    expect(hostsOf(result)).toEqual([
      { host: 'pve1', status: 'changed', error: null },
      { host: 'pve2', status: 'changed', error: null },
      {
        host: 'pve3',
        status: 'failed',
        error: expect.stringMatching(/^can't become "root": .*not in the sudoers file/),
      },
    ]);
    // Both that became root also found the device of the SSH connection, which sudo hides.
    expect(reportOf(result).probe?.paths.map(({ verdict }) => verdict)).toEqual(['ok', 'ok']);
    expect(await onNode('pve2', 'cat', DROP_IN)).toContain('net.ipv4.conf.lo.force_igmp_version = 2');
    expect(await onNode('pve2', 'stat', '-c', '%U %a', DROP_IN)).toBe('root 644\n');
    const seen = await onNode('pve2', 'cat', '/root/seen');
    expect(seen).toContain('mcastctl');
    expect(seen).not.toContain('horse');
    expect(result.stdout + result.stderr).not.toContain('horse');
    // The program of the dead-man's switch notices within a moment that it is not needed any more.
    await expect.poll(async () => (await lab.exec('pve2', ['pgrep', '-x', 'perl'])).stdout).toBe('');
  });
});

describe('this machine itself', { timeout: 30_000 }, () => {
  it('is worked on without SSH', async () => {
    const inventory = join(dir, 'local.yml');
    writeFileSync(inventory, 'all:\n  hosts:\n    here:\n      ansible_connection: local\n');
    // In namespaces of its own: the machine keeps its settings.
    const script = 'mount -t tmpfs tmpfs /etc/sysctl.d && exec "$@"';
    const prefix = ['unshare', '--mount', '--net', 'sh', '-c', script, 'sh'];
    const result = await mcastctl(['apply', inventory, '-p', book, '--format', 'json'], { prefix });
    expect(reportOf(result).hosts.here).toMatchObject({
      status: 'changed',
      tasks: [
        {
          changes: [
            { layer: 'runtime', from: 0, to: 2 },
            { layer: 'persistent', file: DROP_IN },
          ],
        },
      ],
    });
    expect(result.code).toBe(0);
    expect(existsSync(DROP_IN)).toBe(false);
  });
});

describe('an sshd that drops logins (MaxStartups)', { timeout: 30_000 }, () => {
  let holder: ChildProcess;

  beforeAll(async () => {
    await onNode('pve1', 'sed', '-i', 's/^MaxStartups.*/MaxStartups 1:100:1/', '/etc/ssh/sshd_config');
    await onNode('pve1', 'kill', '-HUP', '1');
    await vi.waitUntil(() => (sshdLog('pve1').match(/^Server listening on 0/gm)?.length ?? 0) === 2, {
      timeout: 5_000,
    });
  });
  afterAll(() => {
    holder?.kill();
  });

  /** Takes the only place for a connection that has not logged in yet. */
  async function hold(): Promise<void> {
    const script =
      'socket(my $s, 2, 1, 6); connect($s, pack("S n C4 x8", 2, 22, 198, 18, 0, 11)) or die; sysread $s, $_, 9; $| = 1; print "held"; sleep 30';
    const netns = `--net=/run/netns/${netnsName(lab.name, 'ctl')}`;
    holder = spawn('nsenter', [netns, 'perl', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => holder.stdout?.once('data', resolve));
  }

  const drops = () => sshdLog('pve1').match(/drop connection|past MaxStartups/g)?.length ?? 0;

  it('gets one retry after a pause', async () => {
    await hold();
    const before = drops();
    const check = startMcastctl(['check', lab.inventory, '-p', book, '-l', 'pve1', '--format', 'json']);
    await vi.waitUntil(() => drops() > before, { timeout: 5_000, interval: 10 });
    holder.kill();
    const result = await check.done;
    expect(hostsOf(result)).toEqual([{ host: 'pve1', status: 'ok', error: null }]);
    expect(result.code).toBe(0);
  });

  it('that goes on with it makes the host unreachable, with the likely reason', async () => {
    await hold();
    const startedAt = Date.now();
    const result = await run('check', '-l', 'pve1');
    expect(Date.now() - startedAt).toBeLessThan(5_000);
    expect(result.code).toBe(4);
    expect(hostsOf(result)[0]?.error).toMatch(/closed the connection.*MaxStartups/);
  });
});
