import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorkshop, type Workshop } from '../support/play.ts';

let shop: Workshop;
beforeAll(async () => {
  shop = await startWorkshop({ nodes: 2 });
});
afterAll(() => shop?.down());

const exists = async (path: string) => (await shop.lab.exec('pve1', ['test', '-e', path])).code === 0;

test('creates: run once, again when its path is gone', { timeout: 30_000 }, async () => {
  const task = `
- command:
    argv: [tee, out, "--", "$(reboot); 'x'"]
    creates: /srv/made/out
    chdir: /srv/made
    env: { LANG: C }
    stdin: "from {{inventory_hostname}}\\n"
`;
  for (const node of ['pve1', 'pve2']) await shop.on(node, 'mkdir', '-p', '/srv/made');
  const applied = await shop.apply(task);
  expect(applied.changes).toEqual(['runtime creates "no /srv/made/out" "/srv/made/out"']);
  expect(applied.report.probe?.paths).toHaveLength(2);
  expect(await shop.on('pve1', 'cat', '/srv/made/out')).toBe('from pve1\n');
  expect((await shop.on('pve1', 'ls', '/srv/made')).split('\n')).toEqual(["$(reboot); 'x'", 'out', '']);
  await shop.expectSettled(task);
  await shop.on('pve1', 'rm', '/srv/made/out');
  expect((await shop.check(task)).code).toBe(2);
});

test('removes, unless, onlyif', { timeout: 30_000 }, async () => {
  for (const node of ['pve1', 'pve2']) {
    await shop.put(node, '/srv/old', 'x\n');
    await shop.put(node, '/srv/list', 'a\n');
  }
  const play = `
- command: { argv: [rm, /srv/old], removes: /srv/old }
- command: { argv: [sed, -i, "$ a word", /srv/list], unless: [grep, -qx, word, /srv/list] }
- command: { argv: [sed, -i, "/^a$/ d", /srv/list], onlyif: [grep, -qx, a, /srv/list] }
`;
  const applied = await shop.apply(play);
  expect(applied.changes).toEqual([
    'runtime removes "/srv/old" "no /srv/old"',
    'runtime unless "to be run" "done"',
    'runtime onlyif "to be run" "done"',
  ]);
  expect([await exists('/srv/old'), await shop.on('pve1', 'cat', '/srv/list')]).toEqual([false, 'word\n']);
  await shop.expectSettled(play);
  await shop.put('pve1', '/srv/list', 'a\n');
  expect((await shop.check(play)).changes).toEqual([
    'runtime unless "to be run" "done"',
    'runtime onlyif "to be run" "done"',
  ]);
});

test('a command after which the condition does not hold is taken back and fails', async () => {
  const task = '- command: { argv: [touch, /srv/other], creates: /srv/wanted, undo: [rm, -f, /srv/other] }';
  const result = await shop.run('apply', task);
  expect([result.code, result.tasks[0]?.error]).toEqual([
    1,
    'runtime creates is "no /srv/wanted" after the change, wanted "/srv/wanted"',
  ]);
  expect(await exists('/srv/other')).toBe(false);
});

test('a command that fails says what it said', async () => {
  const result = await shop.run('apply', '- command: { argv: [cp, /srv/none, /srv/x], creates: /srv/x }');
  expect(result.tasks[0]?.error).toContain("cp: cannot stat '/srv/none'");
});

test('one that makes multicast worse is taken back by its undo', { timeout: 30_000 }, async () => {
  const isDown = (await shop.on('pve1', 'cat', '/sys/class/net/vmbr0/bridge/multicast_snooping')).trim();
  expect(isDown).toBe('1');
  const rule = '[-p, udp, -d, 224.0.0.0/4, -j, DROP]';
  const args = (verb: string) => rule.replace('[', `[iptables, ${verb}, INPUT, `);
  const task = `- command: { argv: ${args('-I')}, unless: ${args('-C')}, undo: ${args('-D')} }`;
  const result = await shop.run('apply', task);
  expect([result.code, result.tasks[0]?.status]).toEqual([1, 'rolled-back']);
  expect(await shop.on('pve1', 'iptables', '-S')).not.toContain('224.0.0.0');
});
