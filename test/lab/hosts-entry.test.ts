import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorkshop, type Workshop } from '../support/play.ts';

let shop: Workshop;
beforeAll(async () => {
  shop = await startWorkshop({ nodes: 2 });
});
afterAll(() => shop?.down());

/** What Debian's installer leaves, and an old entry of the other node. */
const HOSTS = `127.0.0.1\tlocalhost
127.0.1.1\tpve1.example.com\tpve1\t# by the installer
198.18.0.99  pve2 printer

# The following lines are desirable for IPv6 capable hosts
::1     localhost ip6-localhost ip6-loopback
`;

const NODES = `
- name: Names of all nodes
  hosts_entry:
    entries:
      - { address: 198.18.0.11, names: [pve1.example.com, pve1] }
      - { address: 198.18.0.12, names: [pve2.example.com, pve2] }
      - { address: "fd77::12", names: [pve2.example.com, pve2] }
`;

test('the names of all nodes: set, kept, found again after drift, removed', { timeout: 40_000 }, async () => {
  for (const node of ['pve1', 'pve2']) await shop.put(node, '/etc/hosts', HOSTS);
  expect(await shop.on('pve1', 'getent', 'ahostsv4', 'pve1')).toMatch(/^127\.0\.1\.1 /);
  await shop.on('pve1', 'chmod', '640', '/etc/hosts');

  const checked = await shop.check(NODES);
  expect(checked.code).toBe(2);
  expect(checked.changes).toEqual([
    'runtime pve1.example.com "127.0.1.1" "198.18.0.11"',
    'runtime pve1 "127.0.1.1" "198.18.0.11"',
    'persistent IPv4 "127.0.1.1 pve1.example.com pve1" "198.18.0.11 pve1.example.com pve1"',
    'runtime pve2.example.com null "198.18.0.12"',
    'runtime pve2 "198.18.0.99" "198.18.0.12"',
    'persistent IPv4 "198.18.0.99 pve2 printer" "198.18.0.12 pve2.example.com pve2"',
    'runtime pve2.example.com null "fd77::12"',
    'runtime pve2 null "fd77::12"',
    'persistent IPv6 null "fd77::12 pve2.example.com pve2"',
  ]);
  expect(checked.stdout).toContain('corosync would bind to it, and no other node reach it');
  expect(await shop.on('pve1', 'cat', '/etc/hosts')).toBe(HOSTS);

  const applied = await shop.apply(NODES);
  expect(applied.report.status).toBe('changed');
  // The names decide where corosync sends: proved after the file was written.
  expect(applied.report.probe?.paths).toHaveLength(2);
  const wanted = `127.0.0.1\tlocalhost
# by the installer
198.18.0.99  printer
198.18.0.11 pve1.example.com pve1
198.18.0.12 pve2.example.com pve2

# The following lines are desirable for IPv6 capable hosts
::1     localhost ip6-localhost ip6-loopback
fd77::12 pve2.example.com pve2
`;
  expect(await shop.on('pve1', 'cat', '/etc/hosts')).toBe(wanted);
  expect(await shop.on('pve1', 'stat', '-c', '%a', '/etc/hosts')).toBe('640\n');
  expect(await shop.on('pve1', 'getent', 'ahostsv4', 'pve1')).toMatch(/^198\.18\.0\.11 .*pve1\.example\.com$/m);
  expect(await shop.on('pve1', 'hostname', '-f')).toBe('pve1.example.com\n');
  expect(await shop.on('pve2', 'getent', 'hosts', 'pve2')).toMatch(/^fd77::12 /);
  await shop.expectSettled(NODES);

  await shop.put('pve1', '/etc/hosts', wanted.replace('198.18.0.12 pve2.example.com pve2\n', ''));
  const drifted = await shop.check(NODES);
  expect([drifted.code, drifted.changes]).toEqual([
    2,
    [
      'runtime pve2.example.com null "198.18.0.12"',
      'runtime pve2 null "198.18.0.12"',
      'persistent IPv4 null "198.18.0.12 pve2.example.com pve2"',
    ],
  ]);
  await shop.apply(NODES);

  const gone = '- hosts_entry: { names: [pve2.example.com, pve2], state: absent }';
  await shop.apply(gone);
  expect(await shop.on('pve1', 'cat', '/etc/hosts')).not.toContain('pve2');
  expect((await shop.lab.exec('pve1', ['getent', 'hosts', 'pve2'])).code).toBe(2);
  await shop.expectSettled(gone);
});

test('what the file can not change is told before anything is written', async () => {
  const task = '- hosts_entry: { address: 198.18.0.11, names: [pve1.example.com, pve1] }';
  await shop.apply(task);
  await shop.put('pve1', '/etc/nsswitch.conf', 'hosts: dns\n');
  const result = await shop.run('apply', task);
  expect(result.code).toBe(1);
  expect(result.tasks[0]?.error).toContain('/etc/nsswitch.conf does not name "files" for hosts');
  await shop.put('pve1', '/etc/nsswitch.conf', 'hosts: files dns\n');
});

test('all hosts of a group, from the inventory', async () => {
  const play = `
- name: Names of the group
  hosts_entry: { address: "{{lookup (lookup hostvars item) 'ansible_host'}}", names: ["{{item}}.lab", "{{item}}"] }
  loop: "{{groups.cluster}}"
`;
  await shop.apply(play);
  expect(await shop.on('pve2', 'getent', 'ahostsv4', 'pve1.lab')).toMatch(/^198\.18\.0\.11 /);
  await shop.expectSettled(play);
});
