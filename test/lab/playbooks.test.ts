import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { type CliResult, mcastctl } from '../support/cli.ts';
import { confOf, corosyncIn, type LabCluster } from '../support/corosync.ts';
import { IFUPDOWN2_LAYER, IPTABLES_PERSISTENT_LAYER, type Lab, startLab } from '../support/lab.ts';

// Every playbook that ships is applied to three nodes with a real corosync, a firewall that drops and names that lead astray, then
// applied again and checked. One story, in order: what one playbook leaves is where the next begins.

const NODES = ['pve1', 'pve2', 'pve3'] as const;
const FOLDER = fileURLToPath(new URL('../../playbooks/', import.meta.url));
const RULES = [
  '*filter',
  ':INPUT ACCEPT [0:0]',
  ':FORWARD ACCEPT [0:0]',
  ':OUTPUT ACCEPT [0:0]',
  '-A INPUT -i lo -j ACCEPT',
  '-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  '-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT',
  '-A INPUT -p icmp -j ACCEPT',
  '-A INPUT -j DROP',
  'COMMIT',
  '',
].join('\n');

/** There is no InfiniBand here: ib0 is a veth with a stand-in for its folder of sysfs. */
const STAND_IN = `
ip link add ib0 type veth peer name ib0p
ip link set ib0 mtu 65520
mount -t tmpfs tmpfs /sys/devices/virtual/net/ib0
echo 32 > /sys/class/net/ib0/type
echo connected > /sys/class/net/ib0/mode
printf 'auto ib0\\niface ib0 inet manual\\n\\tmtu 65520\\n' >> /etc/network/interfaces
`;

let lab: Lab;
let cluster: LabCluster;
const ran = new Set<string>();

beforeAll(async () => {
  lab = await startLab({ nodes: 3, switch: 'strict', layers: [IFUPDOWN2_LAYER, IPTABLES_PERSISTENT_LAYER] });
  cluster = corosyncIn(lab);
  for (const node of NODES) {
    await cluster.put(node, confOf(3, { totem: ['transport: knet', 'netmtu: 1400', 'token: 5000'] }));
    await cluster.must(node, 'mkdir', '-p', '/etc/iptables');
    await lab.exec(node, ['tee', '/etc/iptables/rules.v4'], { input: RULES });
    // As Debian's installer writes it: corosync would look up its own name and bind to the loopback.
    await cluster.must(node, 'sh', '-c', `printf '127.0.1.1 ${node}\\n' >> /etc/hosts`);
  }
  await cluster.start(...NODES);
  await cluster.formed(...NODES);
  // What was allowed in before goes on (conntrack); what comes new is dropped.
  for (const node of NODES) await cluster.must(node, 'iptables-restore', '/etc/iptables/rules.v4');
});
afterAll(async () => {
  await cluster?.stop(...NODES).catch(() => {});
  await lab?.down();
});

/** Applies a playbook, then again, then checks: changed, nothing to do, silent. */
async function apply(name: string, ...more: string[]): Promise<Report> {
  ran.add(name);
  const args = [lab.inventory, '-p', `${FOLDER}${name}`, ...more];
  const first = await mcastctl(['apply', ...args, '--format', 'json']);
  expect({ code: first.code, errors: errorsOf(first) }).toEqual({ code: 0, errors: [] });
  const again: Report = JSON.parse((await mcastctl(['apply', ...args, '--format', 'json'])).stdout);
  expect([again.status, again.exitCode]).toEqual(['ok', 0]);
  expect(await mcastctl(['check', ...args])).toEqual({ code: 0, stdout: '', stderr: '' });
  return JSON.parse(first.stdout);
}

/** What a report says of failures, for those who read this test's. */
function errorsOf({ stdout, stderr }: CliResult): string[] {
  if (stdout === '') return [stderr];
  const { hosts }: Report = JSON.parse(stdout);
  return Object.values(hosts).flatMap(({ error, tasks }) =>
    [error, ...tasks.map((task) => task.error && `${task.resource}: ${task.error}`)].flatMap((each) => each ?? []),
  );
}

const rules = (node: string, tool = 'iptables') => cluster.must(node, tool, '-S', 'INPUT');

describe('the playbooks that ship', { timeout: 120_000 }, () => {
  it('cluster.yml: what any cluster needs', async () => {
    expect((await apply('cluster.yml')).status).toBe('changed');
    expect(await cluster.must('pve2', 'cat', '/etc/network/interfaces')).toMatch(/bridge-mcquerier (?:1|yes)/);
  });

  it('example.yml: all that there is, to copy from', async () => {
    ran.add('example.yml');
    const inventory = fileURLToPath(new URL('../../inventories/example.yml', import.meta.url));
    expect(await mcastctl(['validate', inventory, '-p', `${FOLDER}example.yml`])).toMatchObject({ code: 0 });
  });

  it('cluster-knet.yml: names, ports, buffers, and no leftover of udp', async () => {
    await apply('cluster-knet.yml');
    for (const node of NODES) {
      expect(await cluster.file(node)).not.toContain('netmtu');
      expect(await cluster.must(node, 'getent', 'ahosts', node)).not.toContain('127.0.1.1');
      expect(await rules(node)).toMatch(/--dports? 5405:5412.*ACCEPT[\s\S]*-A INPUT -j DROP/);
    }
    await cluster.formed(...NODES);
  });

  it('cluster-udp.yml: totem over multicast, and all that keeps it alive', async () => {
    await apply('cluster-udp.yml');
    await cluster.formed(...NODES);
    for (const node of NODES) {
      expect(await cluster.sockets(node)).toContain('239.192.77.2:5405');
      expect(await rules(node)).toMatch(/MULTICAST|224\.0\.0\.0\/4/);
      expect(await cluster.must(node, 'cat', '/etc/iptables/rules.v4')).toMatch(/5404[\s\S]*-A INPUT -j DROP/);
      expect(await cluster.must(node, 'sysctl', '-n', 'net.core.rmem_max')).toBe('8388608\n');
    }
    // No node sends multicast of its own when idle: what is heard is the probe, over a switch that forgets after 8 s.
    expect(await mcastctl(['probe', lab.inventory, '--duration', '12s', '--interval', '50ms'])).toMatchObject({
      code: 0,
    });
  });

  it('migrate-udp-to-knet.yml: leaves multicast, on all nodes at once', async () => {
    await apply('migrate-udp-to-knet.yml');
    await cluster.formed(...NODES);
    for (const node of NODES) {
      expect((await cluster.sockets(node)).join(' ')).not.toContain('239.192');
      expect(await cluster.file(node)).toMatch(/transport: knet/);
    }
    const querier = await mcastctl(['apply', lab.inventory, '-p', `${FOLDER}migrate-udp-to-knet.yml`, '-t', 'querier']);
    expect(querier.code).toBe(0);
  });

  it('udpu.yml: plain UDP', async () => {
    await apply('udpu.yml');
    await cluster.formed(...NODES);
    expect(await cluster.cmap('pve1', 'totem.transport')).toBe('udpu');
    expect((await cluster.sockets('pve1')).join(' ')).not.toContain('239.192');
  });

  it('vmware-guest.yml: buffers of the old case, and no leftover of pci=nomsi', async () => {
    await apply('vmware-guest.yml');
    expect(await cluster.must('pve3', 'sysctl', '-n', 'net.core.rmem_max')).toBe('26214400\n');
    expect(await cluster.must('pve3', 'sysctl', '-n', 'net.core.rmem_default')).not.toBe('26214400\n');
  });

  it('ipoib.yml: datagram mode and a netmtu within it, on a stand-in for InfiniBand', async () => {
    for (const node of NODES) {
      await cluster.must(node, 'sh', '-eu', '-c', STAND_IN);
      // corosync's netmtu must fit the interface that it uses, which is vmbr0 here.
      await cluster.must(node, 'ip', 'link', 'set', 'vmbr0', 'mtu', '1500');
    }
    await apply('ipoib.yml', '-e', '{"totem_netmtu": 1500}');
    await cluster.formed(...NODES);
    expect(await cluster.must('pve1', 'cat', '/sys/class/net/ib0/mode')).toBe('datagram\n');
    expect(await cluster.must('pve1', 'ip', 'link', 'show', 'dev', 'ib0')).toContain('mtu 2044');
  });

  it('are all run here', () => {
    expect([...ran].toSorted()).toEqual(
      readdirSync(FOLDER)
        .filter((name) => name.endsWith('.yml'))
        .toSorted(),
    );
  });
});
