import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report, TaskReport } from '../../src/core/report.ts';
import { mcastctl } from '../support/cli.ts';
import { type LabRun, startLabRun } from '../support/lab-run.ts';

// Proxmox can't be here. Real are: the kernel's rules and packets, and a FUSE file system at /etc/pve that refuses chmod and chown as
// pmxcfs does. The daemon between file and rules is a stand-in.

const START = `
  [ -e /dev/fuse ] || mknod /dev/fuse c 10 229
  mkdir -p /run/cluster /etc/pve
  bindfs --force-user=root --force-group=www-data -p u=rwX,g=rX,o= --chmod-deny --chown-deny /run/cluster /etc/pve
  mkdir -p /etc/pve/firewall /etc/pve/nodes/pve1
  ln -s nodes/pve1 /etc/pve/local
  printf '[OPTIONS]\\n\\nenable: 1\\n' > /etc/pve/firewall/cluster.fw
  setsid pve-firewall daemon >/dev/null 2>&1 &
  until iptables -C INPUT -j PVEFW-INPUT 2>/dev/null && ip6tables -C INPUT -j PVEFW-INPUT 2>/dev/null; do sleep 0.1; done
`;
const CLUSTER = '/etc/pve/firewall/cluster.fw';
const HEAD = '[OPTIONS]\n\nenable: 1\n';
const RULES = [
  'IN ACCEPT -dest 224.0.0.0/4 # mcastctl',
  'IN ACCEPT -p udp -dport 5404:5412 # mcastctl',
  'IN ACCEPT -dest ff00::/8 # mcastctl',
];
const TEXT = `${HEAD}\n[RULES]\n\n${RULES.join('\n')}\n`;
const ALL = '- pve_firewall: { accept: [multicast, corosync, igmp] }\n';

let lab: LabRun;
beforeAll(async () => {
  lab = await startLabRun({ nodes: 2, switch: 'flood' });
  const daemon = readFileSync(new URL('../support/pve-firewall.pl', import.meta.url), 'utf8');
  await lab.write('pve1', '/usr/sbin/pve-firewall', daemon, '755');
  await lab.on('pve1', 'timeout', '20', 'sh', '-eu', '-c', START);
}, 60_000);
afterAll(() => lab?.down());

async function arriving(): Promise<number | undefined> {
  const args = ['--port', '5405', '--count', '10', '--interval', '20ms', '--format', 'json'];
  const { stdout } = await mcastctl(['probe', lab.inventory, ...args]);
  return (JSON.parse(stdout) as Report).probe?.paths.find(({ to }) => to === 'pve1')?.multicast.received;
}
const said = (tasks: readonly TaskReport[]) =>
  tasks.flatMap((task) => task.changes.map(({ layer, property, from }) => [layer, property, from]));

describe('the Proxmox firewall', { timeout: 60_000 }, () => {
  it('lets it in by its file, and the task waits until the kernel does', async () => {
    expect(await arriving()).toBe(0);
    const { code, tasks } = await lab.run('apply', ALL);
    expect([code, tasks[0]?.status, tasks[0]?.error]).toEqual([0, 'changed', null]);
    const wanted = ['ipv4 multicast', 'ipv4 corosync', 'ipv6 multicast', 'ipv6 corosync', 'ipv6 igmp'];
    expect(said(tasks)).toEqual(
      ['runtime', 'persistent'].flatMap((layer) => wanted.map((each) => [layer, each, null])),
    );
    expect(await lab.on('pve1', 'cat', CLUSTER)).toBe(TEXT);
    expect(await lab.on('pve1', 'stat', '-c', '%U:%G %a', CLUSTER)).toBe('root:www-data 640\n');
    expect(await lab.on('pve1', 'iptables', '-S', 'PVEFW-HOST-IN')).toContain('-d 224.0.0.0/4 -j RETURN');
    expect(await lab.on('pve1', 'ip6tables', '-S', 'PVEFW-HOST-IN')).toContain('--dport 5404:5412 -j RETURN');
    expect(await lab.on('pve1', 'find', '/etc/pve', '-name', '*mcastctl*')).toBe('');
    expect(await arriving()).toBe(10);
  });

  it('a second apply changes nothing, and "firewall" finds it too', async () => {
    expect(await lab.run('apply', ALL)).toMatchObject({ code: 0, tasks: [{ status: 'ok' }] });
    expect((await lab.run('check', ALL.replace('pve_firewall', 'firewall'))).code).toBe(0);
  });

  it('check sees a rule that someone disabled, and one that stands in front of ours', async () => {
    const off = TEXT.replace(RULES[0] ?? '', `|${RULES[0]}`).replace(RULES[2] ?? '', `IN DROP\n${RULES[2]}`);
    await lab.write('pve1', '/tmp/cluster.fw', off);
    await lab.on('pve1', 'sh', '-c', `cat /tmp/cluster.fw > ${CLUSTER}`);
    const { code, tasks } = await lab.run('check', ALL);
    expect(code).toBe(2);
    expect(said(tasks).filter(([layer]) => layer === 'persistent')).toEqual([
      ['persistent', 'ipv4 multicast', 'disabled'],
      ['persistent', 'ipv6 multicast', 'unreachable'],
      ['persistent', 'ipv6 igmp', null],
    ]);
    expect((await lab.run('apply', ALL)).code).toBe(0);
    expect(await lab.on('pve1', 'cat', CLUSTER)).toBe(TEXT.replace(RULES[2] ?? '', `${RULES[2]}\nIN DROP`));
    expect(await arriving()).toBe(10);
  });

  it('check sees a running rule that is gone, which the daemon has not noticed', async () => {
    await lab.on('pve1', 'iptables', '-D', 'PVEFW-HOST-IN', '-d', '224.0.0.0/4', '-j', 'RETURN');
    const { code, tasks } = await lab.run('check', ALL);
    expect([code, said(tasks)]).toEqual([2, [['runtime', 'ipv4 multicast', null]]]);
    await lab.on('pve1', 'rm', '/run/pve-firewall.applied');
    expect((await lab.run('apply', ALL)).code).toBe(0);
  });

  it('absent takes our rules away and leaves the rest', async () => {
    const { code, tasks } = await lab.run('apply', ALL.replace(' }', ', state: absent }'));
    expect([code, tasks[0]?.error]).toEqual([0, null]);
    expect(await lab.on('pve1', 'cat', CLUSTER)).toBe(`${HEAD}\n[RULES]\n\nIN DROP\n`);
    expect(await lab.on('pve1', 'iptables', '-S', 'PVEFW-HOST-IN')).not.toContain('224.0.0.0/4');
  });
});
