import { beforeAll, expect, test } from 'vitest';
import { mcastctl } from '../support/cli.ts';
import { fresh, type Playbook, playbook } from './support/cli.ts';
import { runFile } from './support/layout.ts';
import type { Machine } from './support/machine.ts';

// Two firewalls that systemd loads at boot, as Debian's packages do it: nftables.service on vm1, netfilter-persistent on vm2. One wish for both.
// The tests are one story, in order.

let one: Machine;
let two: Machine;
let play: Playbook;

const NFT = `#!/usr/sbin/nft -f
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		iif lo accept
		ct state established,related accept
		tcp dport 22 accept
		meta l4proto ipv6-icmp accept
		counter drop
	}
}
`;

const rules = (unreachable: string): string => `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with ${unreachable}
# As the recipes of the web have it: below what refuses everything.
-A INPUT -m addrtype --dst-type MULTICAST -j ACCEPT
COMMIT
`;

const FILES = ['/etc/iptables/rules.v4', '/etc/iptables/rules.v6'] as const;

beforeAll(async () => {
  [one, two] = (await fresh(1, 2)) as [Machine, Machine];
  await one.write('/etc/nftables.conf', NFT);
  await one.out('systemctl', 'enable', '--now', 'nftables.service');
  await two.write(FILES[0], rules('icmp-port-unreachable'));
  await two.write(FILES[1], rules('icmp6-port-unreachable'));
  await two.out('systemctl', 'enable', '--now', 'netfilter-persistent.service');
  play = playbook(
    'firewall',
    [one, two],
    '- hosts: cluster\n  tasks: [{ firewall: { accept: [multicast, corosync, igmp] } }]\n',
  );
});

/** Whether multicast and unicast to corosync's port get through between the two. */
const probe = async (): Promise<number | null> => {
  const where = [
    '--group',
    '239.192.77.1',
    '--port',
    '5405',
    '--interface',
    'vmbr0',
    '--count',
    '10',
    '--max-loss',
    '20',
  ];
  return (await mcastctl(['probe', runFile('inventory.yml'), '-l', 'vm1,vm2', ...where])).code;
};

const ruleset = (): Promise<string> => one.out('nft', 'list', 'ruleset');
const saved = (program: string): Promise<string> => two.out(program);
/** The position of our rules before the one that refuses the rest. */
const isReachable = (text: string): boolean =>
  /mcastctl[\s\S]*(?:counter packets \d+ bytes \d+ drop|-j REJECT)/.test(text);

test('what the firewalls drop is seen by probe, and by check in both layers', async () => {
  expect(await probe()).toBe(2);
  const found = await play.drift();
  for (const host of ['vm1', 'vm2']) {
    for (const layer of ['runtime', 'persistent']) {
      expect(found.filter((line) => line.startsWith(`${host} firewall[`) && line.includes(` ${layer} `))).not.toEqual(
        [],
      );
    }
  }
});

test('apply puts the rules where they take effect', async () => {
  const report = await play.report('apply', 0);
  expect(report.status).toBe('changed');
  expect(isReachable(await ruleset())).toBe(true);
  expect(isReachable(await one.out('cat', '/etc/nftables.conf'))).toBe(false);
  for (const program of ['iptables-save', 'ip6tables-save']) expect(isReachable(await saved(program))).toBe(true);
  for (const file of FILES) expect(isReachable(await two.out('cat', file))).toBe(true);
  expect(await probe()).toBe(0);
  await play.expectNoChange();
});

test('a real reboot loads them again', async () => {
  await Promise.all([one.reboot(), two.reboot()]);
  expect(isReachable(await ruleset())).toBe(true);
  for (const program of ['iptables-save', 'ip6tables-save']) expect(isReachable(await saved(program))).toBe(true);
  expect(await probe()).toBe(0);
  expect(await play.run('check')).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('check sees each layer that somebody changed by hand', async () => {
  await one.write('/root/before.nft', NFT);
  await one.out('nft', '-f', '/root/before.nft');
  await two.out('sed', '-i', '/mcastctl/d', FILES[0]);
  expect(await probe()).toBe(2);
  const found = await play.drift();
  expect(found.length).toBeGreaterThan(0);
  expect(found.filter((line) => !/^vm1 .* runtime |^vm2 .* persistent /.test(line))).toEqual([]);
  await play.report('apply', 0);
  expect(await probe()).toBe(0);
  await play.expectNoChange();
});

test('a firewall that is not loaded at boot is told, and nothing is tried', async () => {
  await one.write('/etc/nftables.conf', NFT);
  await one.out('systemctl', 'disable', 'nftables.service');
  await one.out('nft', '-f', '/root/before.nft');
  const { code, stdout } = await play.run('apply');
  expect([code, stdout]).toEqual([1, expect.stringContaining('nftables.service')]);
  expect(await ruleset()).not.toContain('mcastctl');
});
