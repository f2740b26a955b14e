import { beforeAll, expect, test } from 'vitest';
import { freshOne, type Playbook, playbook } from './support/cli.ts';
import type { Machine } from './support/machine.ts';

// A machine whose own GRUB starts its kernel, with the advice of 2012 on the command line. The tests are one story, in order.

let vm: Machine;
let play: Playbook;

const GRUB = '/etc/default/grub';

beforeAll(async () => {
  vm = await freshOne(3);
  await vm.out('sed', '-i', 's/^\\(GRUB_CMDLINE_LINUX_DEFAULT\\)=.*/\\1="quiet pci=nomsi"/', GRUB);
  await vm.out('update-grub');
  await vm.powerCycle({ boot: 'grub' });
  play = playbook(
    'kernel-cmdline',
    [vm],
    '- hosts: cluster\n  tasks: [{ kernel_cmdline: { present: [audit=0], absent: [pci=nomsi] } }]\n',
  );
});

/** Whether a file has the one argument and the other. */
async function has(file: string): Promise<[boolean, boolean]> {
  const text = await vm.out('cat', file);
  return [text.includes('audit=0'), text.includes('pci=nomsi')];
}
const everywhere = async () => [await has('/proc/cmdline'), await has(GRUB), await has('/boot/grub/grub.cfg')];

const WRONG = [false, true];
const RIGHT = [true, false];

test('check names both layers of both arguments', async () => {
  expect(await everywhere()).toEqual([WRONG, WRONG, WRONG]);
  const found = await play.drift();
  for (const argument of ['audit=0', 'pci=nomsi']) {
    for (const layer of ['runtime', 'persistent']) {
      expect(found.filter((line) => line.startsWith(`vm3 kernel_cmdline[${argument}] ${layer} `))).toHaveLength(1);
    }
  }
});

test('apply writes the file and runs update-grub; what is left is a reboot, and that is said', async () => {
  await play.report('apply', 0);
  expect(await everywhere()).toEqual([WRONG, RIGHT, RIGHT]);
  const before = await vm.out('stat', '-c', '%Y %i', GRUB, '/boot/grub/grub.cfg');
  const { code, stdout } = await play.run('check');
  expect([code, stdout]).toEqual([2, expect.stringContaining('pending reboot')]);
  expect((await play.drift()).filter((line) => line.includes(' persistent '))).toEqual([]);
  await play.report('apply', 0);
  expect(await vm.out('stat', '-c', '%Y %i', GRUB, '/boot/grub/grub.cfg')).toBe(before);
});

test('after a real reboot by GRUB the kernel has them, and check is silent', async () => {
  await vm.reboot();
  expect(await everywhere()).toEqual([RIGHT, RIGHT, RIGHT]);
  expect(await play.run('check')).toEqual({ code: 0, stdout: '', stderr: '' });
  await play.expectNoChange();
});

test('check sees the file that somebody changed, and an update-grub that was forgotten', async () => {
  await vm.out('sed', '-i', 's/audit=0/audit=1/', GRUB);
  const edited = await play.drift();
  expect(edited.filter((line) => line.includes(' runtime '))).toEqual([]);
  expect(edited.filter((line) => line.startsWith('vm3 kernel_cmdline[audit=0] persistent '))).not.toEqual([]);
  await vm.out('sed', '-i', 's/audit=1/audit=0/', GRUB);
  await vm.out('sed', '-i', 's/ audit=0//', '/boot/grub/grub.cfg');
  expect(await play.drift()).not.toEqual([]);
  await play.report('apply', 0);
  expect(await everywhere()).toEqual([RIGHT, RIGHT, RIGHT]);
  await play.expectNoChange();
});
