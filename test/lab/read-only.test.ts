import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { resourceTypes } from '../../src/resources/index.ts';
import { mcastctl } from '../support/cli.ts';
import { FIREWALLD_LAYER, GRUB_LAYER, IPTABLES_PERSISTENT_LAYER, type Lab, startLab } from '../support/lab.ts';

// What only looks leaves a node as it is: proved with the node's own tools, for a playbook that has every type of resource.

let lab: Lab;
let dir: string;
let playbook: string;

beforeAll(async () => {
  const layers = [FIREWALLD_LAYER, GRUB_LAYER, IPTABLES_PERSISTENT_LAYER];
  lab = await startLab({ nodes: 1, switch: 'flood', layers });
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-read-only-'));
  writeFileSync(join(dir, 'corosync-restart.conf.hbs'), '[Service]\nRestart=on-failure\n');
  playbook = join(dir, 'site.yml');
  const tasks = [...resourceTypes.values()].map(({ example }) => example.replace(/^(?=.)/gm, '    ')).join('');
  writeFileSync(playbook, `- hosts: cluster\n  tasks:\n${tasks}`);
  for (const argv of RULES) expect(await lab.exec('pve1', argv)).toMatchObject({ code: 0 });
  // Debian's init script of corosync makes its folder in /run whatever it is asked, its status too.
  await lab.exec('pve1', ['/etc/init.d/corosync', 'status']);
  await settle();
}, 60_000);
afterAll(async () => {
  await lab?.down();
  if (dir) rmSync(dir, { recursive: true });
});

/** Something in each table, so that what is lost would be missed. */
const RULES = [
  ['iptables', '-A', 'INPUT', '-p', 'igmp', '-j', 'ACCEPT'],
  ['ip6tables', '-A', 'INPUT', '-p', 'icmpv6', '-j', 'ACCEPT'],
  ['nft', 'add', 'table', 'inet', 'filter'],
  ['nft', 'add', 'chain', 'inet', 'filter', 'input', '{ type filter hook input priority 0 ; }'],
];

/** What the node's own sshd and the kernel write while somebody is logged in. */
const NOT_OURS = /^var\/log\/(?:wtmp|btmp|lastlog)$|^run\/(?:sshd\.pid|utmp)$/;

/** Each file that the node has beside its image: kind, mode, owner, time of the last change, content. */
function filesOf(node: string): Record<string, string> {
  const root = join(lab.dir, 'nodes', node, 'upper');
  const found: Record<string, string> = {};
  const walk = (below: string): void => {
    for (const name of readdirSync(join(root, below))) {
      const path = below === '' ? name : `${below}/${name}`;
      const stat = lstatSync(join(root, path));
      const content = stat.isSymbolicLink()
        ? readlinkSync(join(root, path))
        : stat.isFile()
          ? createHash('sha256')
              .update(readFileSync(join(root, path)))
              .digest('hex')
          : '';
      if (!NOT_OURS.test(path))
        found[path] = [stat.mode.toString(8), stat.uid, stat.gid, stat.mtimeMs, content].join(' ');
      if (stat.isDirectory()) walk(path);
    }
  };
  expect(existsSync(root)).toBe(true);
  walk('');
  return found;
}

const TOOLS = [
  ['iptables-save'],
  ['ip6tables-save'],
  ['iptables-legacy-save'],
  ['ip6tables-legacy-save'],
  ['nft', 'list', 'ruleset'],
  ['ip', '-d', '-j', 'link'],
  ['ip', '-j', 'addr'],
  ['ip', '-j', 'route'],
  ['bridge', '-j', 'vlan'],
  ['sysctl', '-a'],
  ['findmnt', '--noheadings', '--raw', '-o', 'TARGET,FSTYPE,OPTIONS'],
  ['find', '/run', '/tmp', '/var/lib', '-xdev', '-printf', '%p %y %m %T@\\n'],
];

async function stateOf(node: string): Promise<Record<string, unknown>> {
  const said: Record<string, unknown> = {};
  for (const argv of TOOLS) {
    const { code, stdout } = await lab.exec(node, argv);
    expect([argv, code]).toEqual([argv, argv[0] === 'sysctl' ? expect.any(Number) : 0]);
    const lines = stdout.split('\n').filter((line) => !MOVES.test(line));
    said[argv.join(' ')] = lines.map((line) => line.replace(/"\w+_timer":[\d.]+/g, ''));
  }
  return { ...said, files: filesOf(node) };
}

/** Waits until duplicate address detection and the bridge's ports have come to rest. */
async function settle(): Promise<void> {
  let last: unknown;
  for (let looks = 0; looks < 40; looks++) {
    const now = await stateOf('pve1');
    if (isDeepStrictEqual(now, last) && !JSON.stringify(now).includes('tentative')) return;
    last = now;
    await sleep(500);
  }
  throw new Error('the node does not come to rest');
}

/** Times in comments, and values that the kernel changes by itself. */
const MOVES =
  /^# (?:Generated|Completed)|^(?:kernel\.(?:random\.|ns_last_pid|pty\.nr)|fs\.(?:dentry-state|file-nr|inode-)|net\.netfilter\.nf_conntrack_count|kernel\.sched|vm\.)/;

it('check, plan and explain leave files, rules, links and sysctls of a node as they are', {
  timeout: 90_000,
}, async () => {
  const before = await stateOf('pve1');
  const plan = await mcastctl(['plan', lab.inventory, '-p', playbook, '--format', 'json']);
  expect(plan.stderr).toBe('');
  const report: Report = JSON.parse(plan.stdout);
  const tasks = report.hosts['pve1']?.tasks ?? [];
  const told = new Set(tasks.map(({ resource }) => resource.replace(/\[.*/s, '')));
  expect(told).toEqual(new Set([...resourceTypes.keys()].map((type) => (type === 'template' ? 'file' : type))));
  // Enough of them differ that something would be done if anything were.
  expect(tasks.flatMap(({ changes }) => changes).length).toBeGreaterThan(20);
  const check = await mcastctl(['check', lab.inventory, '-p', playbook, '-v']);
  expect(check.code).toBe(plan.code);
  expect(await mcastctl(['explain', 'sysctl', lab.inventory, '-p', playbook])).toMatchObject({ code: 0 });
  expect(await stateOf('pve1')).toEqual(before);
});

it.each<[string, string[]]>([
  ['file', ['touch', '/etc/hosts']],
  ['mode', ['chmod', '600', '/etc/hosts']],
  ['rule', ['iptables', '-A', 'INPUT', '-j', 'ACCEPT']],
  ['sysctl', ['sysctl', '-qw', 'net.ipv4.igmp_max_memberships=21']],
  ['link', ['ip', 'link', 'set', 'dev', 'vmbr0', 'type', 'bridge', 'mcast_startup_query_count', '9']],
])('a %s that changes would be seen', async (_, argv) => {
  const before = await stateOf('pve1');
  expect(await lab.exec('pve1', argv)).toMatchObject({ code: 0 });
  expect(await stateOf('pve1')).not.toEqual(before);
});
