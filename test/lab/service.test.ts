import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorkshop, type Workshop } from '../support/play.ts';

// A node of the lab has no systemd as process 1: real corosync by its init script, and a process that nobody manages.

let shop: Workshop;
beforeAll(async () => {
  shop = await startWorkshop({ nodes: 1 });
  await shop.put('pve1', '/etc/corosync/corosync.conf', COROSYNC);
  await shop.put('pve1', '/usr/local/lib/toy.pl', DAEMON);
});
afterAll(() => shop?.down());

const COROSYNC = `totem { version: 2  cluster_name: one  transport: udp }
nodelist { node { ring0_addr: 198.18.0.11  nodeid: 1  name: pve1 } }
quorum { provider: corosync_votequorum }
logging { to_syslog: no  to_logfile: yes  logfile: /var/log/corosync.log }
`
  .replaceAll(/ \{ | {2}/g, (found) => (found === '  ' ? '\n' : ' {\n'))
  .replaceAll(' }', '\n}');

const pidof = async (name: string) => (await shop.lab.exec('pve1', ['pidof', name])).stdout.trim();
const links = async (name: string) =>
  (await shop.lab.exec('pve1', ['sh', '-c', `ls /etc/rc?.d | grep -c "^S..${name}$"`])).stdout.trim();

test('corosync: started and enabled, found again after drift of each layer, stopped', { timeout: 60_000 }, async () => {
  await shop.on('pve1', 'update-rc.d', '-f', 'corosync', 'remove');
  const task = '- service: { name: corosync, state: started, enabled: true }';
  const applied = await shop.apply(task);
  expect(applied.changes).toEqual(['runtime state "stopped" "started"', 'persistent enabled false true']);
  expect(await pidof('corosync')).toMatch(/^\d+$/);
  expect(await shop.on('pve1', 'corosync-cfgtool', '-s')).toContain('198.18.0.11');
  expect(await links('corosync')).toBe('4');
  await shop.expectSettled(task);

  await shop.on('pve1', 'update-rc.d', 'corosync', 'disable');
  expect((await shop.check(task)).changes).toEqual(['persistent enabled false true']);
  await shop.apply(task);
  expect(await links('corosync')).toBe('4');
  await shop.on('pve1', 'sh', '-c', 'kill -KILL $(pidof corosync)');
  expect((await shop.check(task)).changes).toEqual(['runtime state "stopped" "started"']);
  await shop.apply(task);

  const off = '- service: { name: corosync, state: stopped, enabled: false }';
  const stopped = await shop.apply(off);
  expect(stopped.tasks[0]?.impact).toMatchObject({ kind: 'restart-node' });
  expect([await pidof('corosync'), await links('corosync')]).toEqual(['', '0']);
  await shop.expectSettled(off);
});

const DAEMON = `use POSIX; my $pid = fork; exit 0 if $pid; POSIX::setsid(); $0 = 'mcast-toy'; open my $c, '>', '/proc/self/comm'; syswrite $c, 'mcast-toy'; close $c;
exit 3 if -e '/etc/toy.broken'; sleep 1 while 1;`;
const TOY = `name: toy, process: mcast-toy, start: [perl, /usr/local/lib/toy.pl], stop: [pkill, -x, mcast-toy], seconds: 3`;

test('a plain process: started, restarted by a handler, stopped', { timeout: 60_000 }, async () => {
  const task = `- service: { ${TOY}, state: started }`;
  expect((await shop.apply(task)).changes).toEqual(['runtime state "stopped" "started"']);
  const first = await pidof('mcast-toy');
  expect(first).toMatch(/^\d+$/);
  await shop.expectSettled(task);

  const play = `
tasks:
  - file: { path: /etc/toy.conf, content: "a\\n" }
    notify: Again
handlers:
  - name: Again
    service: { ${TOY}, state: restarted }
`;
  const notified = await shop.apply(play);
  expect(notified.changes.at(-1)).toBe('runtime restarted false true');
  const second = await pidof('mcast-toy');
  expect(second).toMatch(/^\d+$/);
  expect(second).not.toBe(first);
  await shop.expectSettled(play);
  expect(await pidof('mcast-toy')).toBe(second);

  await shop.apply(`- service: { ${TOY}, state: stopped }`);
  expect(await pidof('mcast-toy')).toBe('');
});

test('a daemon that dies at once was never up', { timeout: 40_000 }, async () => {
  await shop.put('pve1', '/etc/toy.broken', '');
  const result = await shop.run('apply', `- service: { ${TOY}, state: started }`);
  expect([result.code, result.tasks[0]?.error]).toEqual([
    1,
    expect.stringMatching(/^"perl -e … 3 4 1 pidof mcast-toy" failed with exit code 1: it is not up after 3 s$/),
  ]);
  await shop.on('pve1', 'rm', '/etc/toy.broken');
});

test('what is not there is told, and needs no stop', async () => {
  const result = await shop.run('check', '- service: { name: chronyd, state: started, enabled: true }');
  expect(result.code).toBe(2);
  expect(result.tasks[0]?.error).toContain('there is neither systemd nor "/etc/init.d/chronyd" on the node');
  expect((await shop.check('- service: { name: chronyd, state: stopped }')).code).toBe(0);
});
