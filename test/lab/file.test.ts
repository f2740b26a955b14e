import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorkshop, type Workshop } from '../support/play.ts';

let shop: Workshop;
beforeAll(async () => {
  shop = await startWorkshop({ nodes: 1 });
});
afterAll(() => shop?.down());

const FILE = '/etc/mcast.conf';
const stat = (path: string) => shop.on('pve1', 'stat', '-c', '%F %a %U:%G', path);
const text = (path: string) => shop.on('pve1', 'cat', path);
const ls = (path: string) => shop.on('pve1', 'ls', '-A', path);

test('a file: text, owner and mode, set, found again after drift, removed', { timeout: 30_000 }, async () => {
  await shop.put('pve1', FILE, 'old\nsame\n');
  const task = `
- file: { path: ${FILE}, content: "new\\nsame\\n", owner: daemon, group: adm, mode: "0640" }
`;
  const applied = await shop.apply(task);
  expect(applied.changes.map((change) => change.replace(/"\d+ bytes[^"]*"/g, 'TEXT'))).toEqual([
    'persistent content TEXT TEXT',
    'persistent mode "0644" "0640"',
    'persistent owner 0 1',
    'persistent group 0 4',
  ]);
  expect([await text(FILE), await stat(FILE)]).toEqual(['new\nsame\n', 'regular file 640 daemon:adm\n']);
  await shop.expectSettled(task);

  await shop.on('pve1', 'chmod', '0666', FILE);
  const mode = await shop.check(task);
  expect([mode.code, mode.changes]).toEqual([2, ['persistent mode "0666" "0640"']]);
  await shop.apply(task);
  expect(await stat(FILE)).toBe('regular file 640 daemon:adm\n');

  await shop.put('pve1', FILE, 'new\nother\n');
  expect((await shop.check(task)).tasks[0]?.changes).toMatchObject([{ property: 'content', file: FILE, line: 2 }]);

  const gone = `- file: { path: ${FILE}, state: absent }`;
  await shop.apply(gone);
  expect((await shop.lab.exec('pve1', ['test', '-e', FILE])).code).toBe(1);
  await shop.expectSettled(gone);
});

test('a secret is right from its first instant and is shown nowhere', async () => {
  writeFileSync(join(shop.dir, 'key'), 'hunter2\n');
  const task = `
- file: { path: ${FILE}, src: key, secret: true }
`;
  const plan = await shop.run('check', task, '--verbose');
  const applied = await shop.apply(task);
  expect([await text(FILE), await stat(FILE)]).toEqual(['hunter2\n', 'regular file 600 root:root\n']);
  for (const { stdout, stderr } of [plan, applied]) expect(stdout + stderr).not.toContain('hunter2');
  expect(applied.changes).toEqual(['persistent content null "the secret text of the task"']);
  await shop.expectSettled(task);
});

test('a text that its program refuses never takes the place of the old one', async () => {
  const task = (value: string) => `
- file: { path: /etc/ssh/sshd_config.d/x.conf, content: "MaxAuthTries ${value}\\n", validate: [/usr/sbin/sshd, -t, -h, /etc/ssh/ssh_host_ed25519_key, -f, "%s"] }
`;
  await shop.on('pve1', 'mkdir', '-p', '/etc/ssh/sshd_config.d');
  await shop.apply(task('3'));
  const bad = await shop.run('apply', task('many'));
  expect(bad.code).toBe(1);
  expect(bad.tasks[0]?.error).toContain('the new text was refused by "/usr/sbin/sshd"');
  expect(await text('/etc/ssh/sshd_config.d/x.conf')).toBe('MaxAuthTries 3\n');
  expect(await ls('/etc/ssh/sshd_config.d')).not.toContain('tmp');
});

test('directories and links', async () => {
  const play = `
- file: { path: /srv/a/b/c, state: directory, owner: daemon, mode: "02750" }
- file: { path: /srv/a/link, state: link, target: b/c }
`;
  await shop.apply(play);
  expect(await stat('/srv/a/b/c')).toBe('directory 2750 daemon:root\n');
  expect(await stat('/srv/a/b')).toBe('directory 755 root:root\n');
  expect(await shop.on('pve1', 'readlink', '/srv/a/link')).toBe('b/c\n');
  await shop.expectSettled(play);

  await shop.on('pve1', 'chown', 'root', '/srv/a/b/c');
  await shop.on('pve1', 'ln', '-sfn', '/etc', '/srv/a/link');
  const drifted = await shop.check(play);
  expect(drifted.changes).toEqual(['persistent owner 0 1', 'persistent target "/etc" "b/c"']);
  await shop.apply(play);
  await shop.expectSettled(play);

  await shop.put('pve1', '/srv/a/b/c/full', 'x');
  const full = await shop.run('apply', '- file: { path: /srv/a/b/c, state: absent }');
  expect([full.code, full.tasks[0]?.error]).toEqual([1, expect.stringContaining('not empty')]);
  await shop.on('pve1', 'rm', '/srv/a/b/c/full');
  const gone = `
- file: { path: /srv/a/link, state: absent }
- file: { path: /srv/a/b/c, state: absent }
`;
  await shop.apply(gone);
  expect(await ls('/srv/a')).toBe('b\n');
  expect(await ls('/etc')).toContain('hosts');
  await shop.expectSettled(gone);
});

test('what is made is taken back where something later in the task fails', async () => {
  const play = `
- file: { path: "{{item}}", state: directory }
  loop: [/srv/new/deep, /etc/hosts/not-there]
`;
  const result = await shop.run('apply', play);
  expect(result.code).toBe(1);
  expect(result.tasks.map(({ error }) => error).join()).not.toContain('undo failed');
  expect(await ls('/srv')).not.toContain('new');
});

test('a template with the variables of the host', async () => {
  mkdirSync(join(shop.dir, 'templates'), { recursive: true });
  writeFileSync(join(shop.dir, 'templates/motd.hbs'), 'I am {{inventory_hostname}} <{{role}}>\n');
  const play = `
vars: { role: "node of {{cluster_bridge}}" }
tasks:
  - template: { src: motd.hbs, path: /etc/motd, mode: "0644" }
  - template: { src: corosync-restart.conf.hbs, path: /etc/systemd/system/corosync.service.d/50-mcastctl.conf }
    vars: { corosync_restart_seconds: 7 }
`;
  await shop.apply(play);
  expect(await text('/etc/motd')).toBe('I am pve1 <node of vmbr0>\n');
  expect(await text('/etc/systemd/system/corosync.service.d/50-mcastctl.conf')).toMatch(/^RestartSec=7$/m);
  await shop.expectSettled(play);
  await shop.put('pve1', '/etc/motd', 'I am another\n');
  expect((await shop.check(play)).code).toBe(2);
});

test('what the node makes impossible is told', async () => {
  const error = async (task: string) => (await shop.run('apply', task)).tasks[0]?.error;
  expect(await error('- file: { path: /etc/ssh, content: x }')).toContain('"/etc/ssh" is a directory, not a file');
  expect(await error('- file: { path: /etc/none, mode: "0600" }')).toContain('there is no file "/etc/none"');
  expect(await error('- file: { path: /etc/x, content: x, owner: nobody-here }')).toContain(
    'there is no user "nobody-here" on the node',
  );
  await shop.on('pve1', 'ln', '-s', '/dev/null', '/etc/off.conf');
  expect(await error('- file: { path: /etc/off.conf, content: x }')).toContain('is a link to /dev/null');
});
