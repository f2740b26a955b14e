import { describe, expect, test } from 'vitest';
import { kernelCmdline } from '../../../src/resources/kernel-cmdline.ts';
import { afterEdits, type Node, planOn } from '../../support/observed.ts';

const only = (params: Record<string, unknown>) => {
  const [resource] = kernelCmdline.resources(kernelCmdline.schema.parse(params));
  if (resource === undefined) throw new Error('no resource');
  return resource;
};
const argvs = (steps: readonly { do: string; argv?: readonly string[] }[] = []) =>
  steps.flatMap(({ argv }) => (argv === undefined ? [] : [argv.join(' ')]));
const UPDATE = 'test -x /usr/sbin/update-grub';
const MKCONFIG = 'test -x /usr/sbin/grub-mkconfig';

/** A node with GRUB. */
const grub = (running: string, lines: Readonly<Record<string, string>>, program = UPDATE): Node => ({
  files: { '/proc/cmdline': `root=/dev/sda1 ${running}\n`, ...lines },
  runs: { [UPDATE]: { code: 1 }, [MKCONFIG]: { code: 1 }, [program]: {}, 'test -x /usr/sbin/grubby': { code: 1 } },
});
const DEFAULT = '/etc/default/grub';

test('an argument that runs and is given needs nothing; one that only runs is kept', () => {
  const right = grub('a=1', { [DEFAULT]: 'GRUB_CMDLINE_LINUX="a=1"\n' });
  expect(planOn(right, only({ present: ['a=1'] }))).toEqual({ changes: [], try: [], undo: [], keep: [], unkeep: [] });
  const wrong = planOn(grub('a=1', { [DEFAULT]: '' }), only({ present: ['a=1'] }));
  expect(wrong.changes).toEqual([
    { layer: 'persistent', property: 'a=1', from: null, to: 'a=1', file: DEFAULT, line: 1 },
  ]);
  expect(wrong.impact).toBeUndefined();
});

test('a given argument that does not run is pending alone', () => {
  const pending = planOn(grub('', { [DEFAULT]: 'GRUB_CMDLINE_LINUX="a=1"\n' }), only({ present: ['a=1'] }));
  expect(pending.changes).toEqual([{ layer: 'runtime', property: 'a=1', from: null, to: 'a=1', after: 'reboot' }]);
  expect([pending.keep, pending.impact?.kind]).toEqual([[], 'reboot']);
});

test('a later file that overrides gets the argument, all files lose it', () => {
  const files = {
    [DEFAULT]: 'GRUB_CMDLINE_LINUX_DEFAULT="quiet b"\n',
    '/etc/default/grub.d/10.cfg': 'GRUB_CMDLINE_LINUX="b"\n',
    '/etc/default/grub.d/90.cfg': 'GRUB_CMDLINE_LINUX_DEFAULT="x b"\n',
  };
  const node = grub('b', files);
  const added = planOn(node, only({ present: ['a=1'] }));
  expect(added.changes[1]).toMatchObject({ file: '/etc/default/grub.d/90.cfg', line: 1 });
  expect(afterEdits(node, added.keep).files).toMatchObject({
    ...files,
    '/etc/default/grub.d/90.cfg': 'GRUB_CMDLINE_LINUX_DEFAULT="x b a=1"\n',
  });
  expect([argvs(added.keep), argvs(added.unkeep)]).toEqual([['update-grub'], ['update-grub']]);
  const removed = planOn(node, only({ absent: ['b'] }));
  expect(afterEdits(node, removed.keep).files).toMatchObject({
    [DEFAULT]: 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n',
    '/etc/default/grub.d/10.cfg': 'GRUB_CMDLINE_LINUX=""\n',
    '/etc/default/grub.d/90.cfg': 'GRUB_CMDLINE_LINUX_DEFAULT="x"\n',
  });
});

test('without update-grub it is grub-mkconfig', () => {
  const plan = planOn(grub('', { [DEFAULT]: '' }, MKCONFIG), only({ present: ['a'] }));
  expect(argvs(plan.keep)).toEqual(['grub-mkconfig -o /boot/grub/grub.cfg']);
});

test('a value that the shell computes is an error with its place, never a guess', () => {
  const node = grub('', { [DEFAULT]: 'x\nGRUB_CMDLINE_LINUX="$(get)"\n' });
  expect(() => planOn(node, only({ present: ['a'] }))).toThrow(
    '/etc/default/grub:2:21: a value that the shell computes',
  );
});

describe('proxmox-boot-tool', () => {
  const node = (cmdline: string): Node => ({
    files: {
      '/proc/cmdline': 'root=x\n',
      '/etc/kernel/proxmox-boot-uuids': 'AAAA-BBBB\n',
      '/etc/kernel/cmdline': cmdline,
    },
    runs: { 'test -x /usr/sbin/grubby': { code: 1 }, [UPDATE]: { code: 1 }, [MKCONFIG]: { code: 1 } },
  });
  test('one line, root= survives', () => {
    const plan = planOn(node('root=ZFS=a boot=zfs\n'), only({ present: ['a=1'] }));
    expect(afterEdits(node('root=ZFS=a boot=zfs\n'), plan.keep).files['/etc/kernel/cmdline']).toBe(
      'root=ZFS=a boot=zfs a=1\n',
    );
    expect(argvs(plan.keep)).toEqual(['proxmox-boot-tool refresh', 'proxmox-boot-tool refresh']);
  });
  test.each([
    ['root=a\nquiet\n', 'has 2 lines, it must have one'],
    ['\n', 'has 0 lines, it must have one'],
    ['# root=a\n', 'begins with "#"'],
    ['quiet\n', 'has no "root="'],
  ])('%j is not touched: %s', (cmdline, text) => {
    const plan = planOn(node(cmdline), only({ present: ['a=1'] }));
    expect([plan.keep, plan.blocked]).toEqual([[], expect.stringContaining(text)]);
  });
});

/** `grubby --info=ALL` as its manual page and RHEL 9's documentation print it; there is no RHEL here to record it on. */
const INFO = `index=0
kernel="/boot/vmlinuz-5.14.0-427.el9.x86_64"
args="ro crashkernel=1G-4G:192M rd.lvm.lv=rhel/root quiet $tuned_params pci=nomsi"
root="/dev/mapper/rhel-root"
initrd="/boot/initramfs-5.14.0-427.el9.x86_64.img"
title="Red Hat Enterprise Linux (5.14.0-427.el9.x86_64) 9.4 (Plow)"
id="ffffffffffffffffffffffffffffffff-5.14.0-427.el9.x86_64"
index=1
kernel="/boot/vmlinuz-0-rescue"
args="ro quiet"
root="/dev/mapper/rhel-root"
`;

test('grubby: all kernels, and each back to what it had', () => {
  const node: Node = {
    files: { '/proc/cmdline': 'root=x pci=nomsi\n' },
    runs: { 'test -x /usr/sbin/grubby': {}, 'grubby --info=ALL': { stdout: INFO } },
  };
  const plan = planOn(node, only({ absent: ['pci=nomsi'] }));
  expect(plan.changes.map(({ layer, note }) => [layer, note])).toEqual([
    ['runtime', undefined],
    ['persistent', 'of 1 of 2 kernels, the first /boot/vmlinuz-5.14.0-427.el9.x86_64'],
  ]);
  expect(argvs(plan.keep)).toEqual(['grubby --update-kernel=ALL --remove-args=pci=nomsi']);
  expect(argvs(plan.unkeep)).toEqual([
    'grubby --update-kernel=ALL --args=pci=nomsi',
    'grubby --update-kernel=/boot/vmlinuz-0-rescue --remove-args=pci=nomsi',
  ]);
  const broken: Node = { ...node, runs: { ...node.runs, 'grubby --info=ALL': { code: 1, stderr: 'no config' } } };
  expect(() => planOn(broken, only({ absent: ['a'] }))).toThrow('tells of no kernel: exit code 1: no config');
});

test('pci=nomsi can be asked for, and is said to be of 2012', () => {
  const node = grub('', { [DEFAULT]: 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n' });
  expect(planOn(node, only({ present: ['pci=nomsi'] })).note).toContain('a measure of 2012');
  expect(planOn(node, only({ absent: ['pci=nomsi'] })).note).toBeUndefined();
});

test('without a boot loader that is known only what is not as desired is an error', () => {
  const node = { ...grub('quiet', {}), files: { '/proc/cmdline': 'root=x quiet\n' } };
  expect(planOn(node, only({ present: ['quiet'] })).skipped).toContain('no boot loader that is known');
  expect(() => planOn(node, only({ absent: ['quiet'] }))).toThrow('no boot loader that is known');
});

describe('schema', () => {
  const faults = (params: unknown) =>
    kernelCmdline.schema
      .safeParse(params)
      .error?.issues.map(({ message }) => message)
      .join('\n');
  test.each([
    [{}, '"kernel_cmdline" names no argument'],
    [{ present: 'quiet' }, 'kernel arguments are a list'],
    [{ present: ['a b'] }, '"a b" is no kernel argument'],
    [{ present: ['a="b"'] }, 'is no kernel argument'],
    [{ present: ['a=$(b)'] }, 'is no kernel argument'],
    [{ present: ['--'] }, 'is no kernel argument'],
    [{ present: ['a\nb'] }, 'is no kernel argument'],
    [{ present: ['a'], absent: ['a'] }, '"a" is to be present and absent'],
    [{ absent: ['a', 'a'] }, '"a" stands twice'],
    [{ absent: ['root=/dev/sda1'] }, 'without "root=/dev/sda1" the node may not boot'],
  ])('%j is refused: %s', (params, text) => expect(faults(params)).toContain(text));
});
