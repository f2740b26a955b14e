import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { type CliResult, mcastctl, startMcastctl } from '../support/cli.ts';
import { startLab } from '../support/lab.ts';

// Runs that are cut short, and nodes that die or hang while they are worked on.

const NODES = ['pve1', 'pve2', 'pve3'] as const;
const INTERFACES = '/etc/network/interfaces';
/** 239.192.77.1 as /proc/net/igmp writes it. */
const GROUP = '014DC0EF';

let lab: Awaited<ReturnType<typeof startLab>>;
let dir: string;
let inventory: string;
/** Two tasks on pve1 whose proof takes long, none on the others. */
let slow: string;
/** As many packets as fit into an instant. */
let quick: string;

beforeAll(async () => {
  lab = await startLab({ nodes: 3, switch: 'flood' });
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-run-'));
  inventory = lab.inventory;
  slow = playbook('slow.yml', '{ duration: 3s, interval: 50ms }', 'inventory_hostname == "pve1"');
  quick = playbook('quick.yml', '{ count: 2 }', 'true');
});
afterAll(async () => {
  await lab?.down();
  if (dir) rmSync(dir, { recursive: true });
});
afterEach(async () => {
  for (const node of NODES) await lab.exec(node, ['ip', 'link', 'set', 'vmbr0', 'type', 'bridge', ...START_COUNT, '2']);
});

const START_COUNT = ['mcast_startup_query_count'] as const;

function playbook(name: string, probe: string, when: string): string {
  const path = join(dir, name);
  writeFileSync(
    path,
    `- hosts: cluster
  probe: ${probe}
  tasks:
    - name: First
      when: ${when}
      bridge: { name: vmbr0, multicast_startup_query_count: 7 }
    - name: Second
      when: ${when}
      sysctl: { net.ipv4.conf.default.force_igmp_version: 0 }
`,
  );
  return path;
}

async function onNode(node: string, ...argv: [string, ...string[]]): Promise<string> {
  const { code, stdout, stderr } = await lab.exec(node, argv);
  expect({ argv, code, stderr }).toEqual({ argv, code: 0, stderr: '' });
  return stdout;
}

async function startupCount(node: string): Promise<unknown> {
  const [link] = JSON.parse(await onNode(node, 'ip', '-d', '-j', 'link', 'show', 'dev', 'vmbr0'));
  return link.linkinfo.info_data.mcast_startup_query_cnt;
}

/** The agents of a node, as its process numbers. */
async function agents(node: string): Promise<string[]> {
  const { stdout } = await lab.exec(node, ['pgrep', '-f', '^perl -e ']);
  return stdout.split('\n').filter(Boolean);
}

/** The sshd processes of a node's sessions. */
async function sessions(node: string): Promise<string[]> {
  const { stdout } = await lab.exec(node, ['pgrep', '-f', '^sshd(-session)?: (root|.*priv)']);
  return stdout.split('\n').filter(Boolean);
}

/** What a run has on a node while it lasts: its agent, and the membership of its group. */
async function traces(node: string): Promise<string[]> {
  const joined = (await onNode(node, 'cat', '/proc/net/igmp')).includes(GROUP) ? ['joined'] : [];
  return [...(await agents(node)).map((pid) => `agent ${pid}`), ...joined];
}

/** No node may keep anything of a run for longer than a moment. */
async function expectNoTraces(): Promise<void> {
  for (const node of NODES) {
    await expect.poll(() => traces(node), { message: node, timeout: 3_000, interval: 50 }).toEqual([]);
  }
}

/** What a node keeps of runs: nothing, once it was told what became of them. */
async function state(node: string): Promise<string> {
  return (await lab.exec(node, ['find', '/var/lib/mcastctl', '-type', 'f'])).stdout;
}

/** The node itself puts the running value back, and tells the next run, after which nothing is left. */
async function expectTakenBackByNode(): Promise<void> {
  await expect.poll(() => startupCount('pve1'), { timeout: 8_000, interval: 100 }).toBe(2);
  await expect.poll(() => state('pve1'), { timeout: 2_000 }).toContain('/undone/');
  const nothing = playbook('nothing.yml', '{ count: 2 }', 'false');
  const next = await mcastctl(['apply', inventory, '-p', nothing]);
  expect(next.code).toBe(0);
  expect(next.stderr).toMatch(
    /^pve1: the node has taken back task "First" of run \S+ by .*, as it heard nothing in time$/m,
  );
  expect(await state('pve1')).toBe('');
}

function reportOf({ stdout }: CliResult): Report {
  return JSON.parse(stdout);
}

/** Starts an apply and gives it back when it is in the middle of the proof of its first change. */
async function applyInProof() {
  const run = startMcastctl([
    'apply',
    inventory,
    '-p',
    slow,
    '--format',
    'json',
    '--command-timeout',
    '2',
    '--confirm-timeout',
    '5',
  ]);
  await run.said(/^pve1: First: trying$/m);
  await expect.poll(() => startupCount('pve1'), { timeout: 2_000, interval: 50 }).toBe(7);
  await sleep(300);
  for (const node of NODES) expect(await traces(node)).toEqual([expect.stringMatching(/^agent /), 'joined']);
  return run;
}

describe('a run that is cut in the middle of a proof', { timeout: 30_000 }, () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s: puts the running value back and persists nothing',
    async (signal) => {
      const before = await onNode('pve1', 'cat', INTERFACES);
      const run = await applyInProof();
      const cutAt = Date.now();
      run.child.kill(signal);
      const result = await run.done;
      expect(Date.now() - cutAt).toBeLessThan(2_000);
      expect(result.code).toBe(130);
      expect(result.stderr).toContain('interrupted');
      const report = reportOf(result);
      expect([report.exitCode, report.status]).toEqual([130, 'failed']);
      expect(report.hosts.pve1).toMatchObject({
        status: 'failed',
        tasks: [{ name: 'First', status: 'rolled-back', error: 'interrupted: what was tried is taken back' }],
      });
      expect(await startupCount('pve1')).toBe(2);
      expect(await onNode('pve1', 'cat', INTERFACES)).toBe(before);
      await expectNoTraces();
    },
  );

  it('a second Ctrl-C ends it at once, even where the undo hangs, and says what that means', async () => {
    const run = await applyInProof();
    const [agent = ''] = await agents('pve1');
    await onNode('pve1', 'kill', '-STOP', agent);
    run.child.kill('SIGINT');
    await run.said(/^interrupted/m);
    await sleep(200);
    const cutAt = Date.now();
    run.child.kill('SIGINT');
    const { code, stderr } = await run.done;
    expect(code).toBe(130);
    expect(Date.now() - cutAt).toBeLessThan(500);
    expect(stderr).toContain('the nodes take the task in hand back by themselves');
    await lab.exec('pve1', ['kill', '-CONT', agent]);
    await expectNoTraces();
  });

  it('SIGKILL: agents end and leave the group, nothing is persisted, the node takes the value back', async () => {
    const before = await onNode('pve1', 'cat', INTERFACES);
    const run = await applyInProof();
    run.child.kill('SIGKILL');
    await run.done;
    await expectNoTraces();
    expect(await onNode('pve1', 'cat', INTERFACES)).toBe(before);
    await expectTakenBackByNode();
  });

  it('a reader that goes away does not cut it', async () => {
    const run = startMcastctl(['apply', inventory, '-p', quick]);
    run.child.stdout?.destroy();
    run.child.stderr?.destroy();
    expect((await run.done).code).toBe(0);
    expect((await mcastctl(['check', inventory, '-p', quick])).code).toBe(0);
    for (const node of NODES) await onNode(node, 'sed', '-i', '/mcsqc\\|startup_query_count/d', INTERFACES);
  });
});

describe('a node that goes away', { timeout: 30_000 }, () => {
  it('in the middle of a proof: the change is taken back elsewhere, and the node is named', async () => {
    const run = await applyInProof();
    await onNode('pve3', 'kill', '-KILL', ...((await sessions('pve3')) as [string]));
    const result = await run.done;
    const report = reportOf(result);
    expect(result.code).toBe(1);
    expect(report.hosts.pve1?.tasks[0]).toMatchObject({
      status: 'rolled-back',
      error: expect.stringMatching(/multicast is worse than before.*pve3/),
    });
    expect(report.hosts.pve3).toMatchObject({ status: 'unreachable', error: expect.stringContaining('"pve3"') });
    expect(await startupCount('pve1')).toBe(2);
    await expectNoTraces();
  });

  it('while it is being changed: the run waits until it has taken that back', async () => {
    const run = await applyInProof();
    await onNode('pve1', 'kill', '-KILL', ...((await sessions('pve1')) as [string]));
    const result = await run.done;
    expect(result.code).toBe(1);
    expect(reportOf(result).hosts.pve1).toMatchObject({
      status: 'unreachable',
      tasks: [{ status: 'rolled-back', error: expect.stringContaining('the node has taken back task "First"') }],
    });
    expect([await startupCount('pve1'), await state('pve1')]).toEqual([2, '']);
    await expectNoTraces();
  });
});

describe('a node that hangs', { timeout: 30_000 }, () => {
  /** Runs a check while the processes of `pve2` are stopped, from an instant on. */
  async function checked(...args: string[]): Promise<{ result: CliResult; ms: number }> {
    const startedAt = Date.now();
    const result = await mcastctl(['check', inventory, '-p', quick, '--format', 'json', ...args]);
    return { result, ms: Date.now() - startedAt };
  }

  function expectOthersDone(result: CliResult, error: RegExp): void {
    const { hosts } = reportOf(result);
    expect(result.code).toBe(4);
    expect(hosts.pve2).toMatchObject({ status: 'unreachable', error: expect.stringMatching(error), tasks: [] });
    for (const node of ['pve1', 'pve3']) expect(hosts[node]).toMatchObject({ status: 'drift', error: null });
  }

  it('at the login: is given up after --timeout', async () => {
    // Process 1 of a node is its sshd; only from outside it can be stopped.
    const pid = Number(readFileSync(`${lab.dir}/nodes/pve2/pid`, 'utf8'));
    process.kill(pid, 'SIGSTOP');
    try {
      const { result, ms } = await checked('--timeout', '2');
      expectOthersDone(result, /within 2 s/);
      expect(ms).toBeLessThan(4_500);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  it('at the login: Ctrl-C does not wait for it', async () => {
    const pid = Number(readFileSync(`${lab.dir}/nodes/pve2/pid`, 'utf8'));
    process.kill(pid, 'SIGSTOP');
    try {
      const run = startMcastctl(['check', inventory, '-p', quick, '--format', 'json']);
      await sleep(1_000);
      const cutAt = Date.now();
      run.child.kill('SIGINT');
      const result = await run.done;
      expect(Date.now() - cutAt).toBeLessThan(1_500);
      expect(result.code).toBe(130);
      expect(reportOf(result).hosts.pve2).toMatchObject({ status: 'failed', error: 'interrupted' });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await expectNoTraces();
  });

  it('in the middle of the reading: is given up after --command-timeout and a grace', async () => {
    // The agent's own "ip" stops it, once it has begun to read.
    const script = '#!/bin/sh\nkill -STOP $PPID\nsleep 20\n';
    await lab.exec('pve2', ['sh', '-c', 'cat > /usr/local/sbin/ip; chmod 755 /usr/local/sbin/ip'], { input: script });
    try {
      const { result, ms } = await checked('--command-timeout', '1');
      expectOthersDone(result, /no answer/);
      expect(ms).toBeLessThan(9_000);
    } finally {
      await onNode('pve2', 'rm', '/usr/local/sbin/ip');
      await lab.exec('pve2', ['pkill', '-CONT', '-x', 'perl']);
    }
    await expectNoTraces();
  });

  it('in a command: the agent stops that, and says which', async () => {
    await lab.exec('pve2', ['sh', '-c', 'cat > /usr/local/sbin/ip; chmod 755 /usr/local/sbin/ip'], {
      input: '#!/bin/sh\nsleep 20\n',
    });
    try {
      const { result, ms } = await checked('--command-timeout', '1');
      expect(result.code).toBe(1);
      expect(reportOf(result).hosts.pve2?.tasks[0]?.error).toMatch(/^"ip .*" did not end within 1 s/);
      expect(ms).toBeLessThan(5_000);
      expect((await lab.exec('pve2', ['pgrep', '-x', 'sleep'])).stdout).toBe('');
    } finally {
      await onNode('pve2', 'rm', '/usr/local/sbin/ip');
    }
    await expectNoTraces();
  });

  it('in the middle of a proof: the change is taken back elsewhere', async () => {
    const run = await applyInProof();
    const [agent = ''] = await agents('pve3');
    await onNode('pve3', 'kill', '-STOP', agent);
    const result = await run.done;
    await lab.exec('pve3', ['kill', '-CONT', agent]);
    expect(result.code).toBe(1);
    expect(reportOf(result).hosts.pve1?.tasks[0]).toMatchObject({ status: 'rolled-back' });
    expect(await startupCount('pve1')).toBe(2);
    await expectNoTraces();
  });
});
