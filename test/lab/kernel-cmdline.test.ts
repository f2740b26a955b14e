import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mcastctl } from '../support/cli.ts';
import { GRUB_LAYER } from '../support/lab.ts';
import { startWorkshop, type Workshop } from '../support/play.ts';

// Debian's real grub-mkconfig and update-grub, with two stand-ins: grub-probe and grub-mkrelpath ask a disk, and a node of the lab has none.
// The kernel's command line can't be changed here: a file is mounted over /proc/cmdline, and written anew to play the boot.

let shop: Workshop;
const RUNNING = '/run/cmdline';
const DEFAULT = '/etc/default/grub';
const CONFIG = '/boot/grub/grub.cfg';

beforeAll(async () => {
  shop = await startWorkshop({ nodes: 1, layers: [GRUB_LAYER] });
  await shop.put('pve1', '/usr/sbin/grub-probe', PROBE);
  await shop.put('pve1', '/usr/bin/grub-mkrelpath', '#!/bin/sh\nfor path; do :; done\necho "$path"\n');
  await shop.on('pve1', 'chmod', '755', '/usr/sbin/grub-probe', '/usr/bin/grub-mkrelpath');
  await shop.on('pve1', 'sh', '-euc', PREPARE);
});
afterAll(() => shop?.down());

const PROBE = `#!/bin/sh
case "$*" in
  *target=device*) echo /dev/sda1 ;;
  *target=fs_uuid*) echo 00000000-1111-2222-3333-444444444444 ;;
  *target=fs*) echo ext2 ;;
esac
`;
const PREPARE = `
mkdir -p /boot/grub /etc/default/grub.d
rm -f /boot/vmlinuz-* /boot/initrd.img-*
touch /boot/vmlinuz-6.1.0-1-amd64 /boot/initrd.img-6.1.0-1-amd64
cp /usr/share/grub/default/grub ${DEFAULT}
sed -i 's/"quiet"/"quiet pci=noaer,nomsi"/' ${DEFAULT}
printf '%s\\n' 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX console=ttyS0"' >/etc/default/grub.d/50-cloud.cfg
update-grub 2>/dev/null
grep -m1 -o 'root=.*' ${CONFIG} >${RUNNING}
mount --bind ${RUNNING} /proc/cmdline
`;
/** The arguments of the first entry: what the next boot will have. */
const nextBoot = async () => (await shop.on('pve1', 'grep', '-m1', '-o', 'root=.*', CONFIG)).trim();

test('GRUB: kept, pending, there after the boot, gone again', { timeout: 60_000 }, async () => {
  expect(await nextBoot()).toMatch(/^root=\S+ ro\s+console=ttyS0\s+quiet pci=noaer,nomsi$/);
  const before = await shop.on('pve1', 'cat', DEFAULT);
  const task = '- kernel_cmdline: { present: [mitigations=off, audit=0], absent: [pci=nomsi] }';
  const checked = await shop.check(task);
  expect([checked.code, checked.changes]).toEqual([
    2,
    ['mitigations=off', 'audit=0']
      .flatMap((each) => [`runtime ${each} null "${each}"`, `persistent ${each} null "${each}"`])
      .concat(['runtime pci=nomsi "pci=nomsi" null', 'persistent pci=nomsi "pci=nomsi" null']),
  ]);
  const applied = await shop.apply(task);
  expect(applied.report.status).toBe('changed');
  expect(applied.tasks[0]?.impact).toMatchObject({ kind: 'reboot' });
  expect(await shop.on('pve1', 'cat', DEFAULT)).toBe(
    before.replace('"quiet pci=noaer,nomsi"', '"quiet pci=noaer mitigations=off audit=0"'),
  );
  expect(await nextBoot()).toMatch(/ console=ttyS0\s+quiet pci=noaer mitigations=off audit=0$/);

  // Pending: apply has nothing to do, check says so.
  const config = await shop.on('pve1', 'stat', '-c', '%y', CONFIG);
  const again = await shop.apply(task);
  expect([again.report.status, await shop.on('pve1', 'stat', '-c', '%y', CONFIG)]).toEqual(['ok', config]);
  const pending = await mcastctl(['check', shop.lab.inventory, '-p', join(shop.dir, 'play.yml')]);
  expect([pending.code, pending.stdout.match(/pending reboot/g)?.length]).toEqual([2, 3]);

  await shop.put('pve1', RUNNING, `${await nextBoot()}\n`);
  await shop.expectSettled(task);

  // Drift of each layer: what was made of the file, the file, the running kernel.
  await shop.on('pve1', 'sed', '-i', 's/ audit=0//', CONFIG);
  const stale = await shop.check(task);
  expect([stale.code, stale.changes]).toEqual([2, ['persistent audit=0 null "audit=0"']]);
  expect(stale.tasks[1]?.changes[0]).toMatchObject({
    file: CONFIG,
    note: expect.stringContaining('update-grub was not run'),
  });
  await shop.apply(task);
  await shop.put('pve1', '/etc/default/grub.d/90-admin.cfg', "GRUB_CMDLINE_LINUX_DEFAULT='quiet pci=nomsi'\n");
  expect((await shop.check(task)).changes).toEqual([
    'persistent mitigations=off null "mitigations=off"',
    'persistent audit=0 null "audit=0"',
    'persistent pci=nomsi "pci=nomsi" null',
  ]);
  await shop.apply(task);
  expect(await shop.on('pve1', 'cat', '/etc/default/grub.d/90-admin.cfg')).toBe(
    "GRUB_CMDLINE_LINUX_DEFAULT='quiet mitigations=off audit=0'\n",
  );
  await shop.put('pve1', RUNNING, 'root=/dev/sda1 quiet mitigations=off pci=nomsi\n');
  expect((await shop.check(task)).changes).toEqual([
    'runtime audit=0 null "audit=0"',
    'runtime pci=nomsi "pci=nomsi" null',
  ]);

  const gone = '- kernel_cmdline: { absent: [mitigations=off, audit=0, pci=nomsi] }';
  await shop.apply(gone);
  expect(await nextBoot()).toMatch(/ quiet$/);
  await shop.put('pve1', RUNNING, `${await nextBoot()}\n`);
  await shop.expectSettled(gone);
});

test('files that grub-mkconfig refuses are put back, and what was made of them', { timeout: 30_000 }, async () => {
  const [before, config] = [await shop.on('pve1', 'cat', DEFAULT), await nextBoot()];
  await shop.on('pve1', 'mv', '/usr/bin/grub-script-check', '/usr/bin/grub-script-check.real');
  await shop.put('pve1', '/usr/bin/grub-script-check', '#!/bin/sh\n[ -e /run/once ] || { touch /run/once; exit 1; }\n');
  await shop.on('pve1', 'chmod', '755', '/usr/bin/grub-script-check');
  const result = await shop.run('apply', '- kernel_cmdline: { present: [audit=0] }');
  expect([result.code, result.tasks[0]?.error]).toEqual([
    1,
    expect.stringContaining('"update-grub" failed with exit code 1'),
  ]);
  expect(result.tasks[0]?.error).not.toContain('undo failed');
  expect([await shop.on('pve1', 'cat', DEFAULT), await nextBoot()]).toEqual([before, config]);
  await shop.on('pve1', 'mv', '/usr/bin/grub-script-check.real', '/usr/bin/grub-script-check');
});

test('Proxmox: both boot loaders say the same, by a stand-in for proxmox-boot-tool', { timeout: 30_000 }, async () => {
  await shop.put(
    'pve1',
    '/usr/sbin/proxmox-boot-tool',
    '#!/bin/sh\necho "$1: $(cat /etc/kernel/cmdline)" >>/run/pbt\n',
  );
  await shop.on('pve1', 'chmod', '755', '/usr/sbin/proxmox-boot-tool');
  await shop.on('pve1', 'mkdir', '-p', '/etc/kernel');
  await shop.put('pve1', '/etc/kernel/proxmox-boot-uuids', 'AAAA-BBBB\n');
  await shop.put('pve1', '/etc/kernel/cmdline', 'root=ZFS=rpool/ROOT/pve-1 boot=zfs pci=nomsi');
  await shop.put('pve1', RUNNING, 'root=ZFS=rpool/ROOT/pve-1 boot=zfs pci=nomsi\n');
  const task = '- kernel_cmdline: { absent: [pci=nomsi], present: [audit=0] }';
  await shop.apply(task);
  expect(await shop.on('pve1', 'cat', '/etc/kernel/cmdline')).toBe('root=ZFS=rpool/ROOT/pve-1 boot=zfs audit=0');
  expect(await nextBoot()).toMatch(/ audit=0$/);
  expect(await shop.on('pve1', 'cat', '/run/pbt')).toBe('refresh: root=ZFS=rpool/ROOT/pve-1 boot=zfs audit=0\n');

  await shop.put('pve1', '/etc/kernel/cmdline', 'root=a\nquiet\n');
  const bad = await shop.run('apply', task);
  expect([bad.code, bad.tasks[0]?.error]).toEqual([
    1,
    '/etc/kernel/cmdline has 2 lines, it must have one: mend it by hand',
  ]);
});

test('a node without boot loader is left alone where its kernel runs as desired, and told where not', async () => {
  await shop.on('pve1', 'rm', DEFAULT, '/etc/kernel/proxmox-boot-uuids');
  const result = await shop.run('check', '- kernel_cmdline: { absent: [pci=nomsi] }');
  expect(result.tasks[0]?.error).toContain('no boot loader that is known');
  const other = await shop.run('check', '- kernel_cmdline: { absent: [never=there] }');
  expect([other.code, other.tasks[0]?.status]).toEqual([0, 'skipped']);
});
