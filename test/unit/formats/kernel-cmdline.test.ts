import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addGrubArgument,
  evaluateGrubDefault,
  grubEntries,
  NO_GRUB_VALUES,
  parseGrubDefault,
  removeGrubArgument,
} from '../../../src/formats/grub-default.ts';
import { addArgument, hasArgument, parseCmdline, removeArgument } from '../../../src/formats/kernel-cmdline.ts';

test('arguments of a kernel command line', () => {
  expect(parseCmdline('BOOT_IMAGE=/vmlinuz  root=/dev/sda1\tdyndbg="file a +p" quiet -- single\n')).toEqual([
    'BOOT_IMAGE=/vmlinuz',
    'root=/dev/sda1',
    'dyndbg="file a +p"',
    'quiet',
  ]);
});

test.each([
  ['quiet', 'quiet', true],
  ['quietly', 'quiet', false],
  ['a pci=noaer,nomsi', 'pci=nomsi', true],
  ['pci=nomsix', 'pci=nomsi', false],
  ['console=ttyS0,115200', 'console=ttyS0', false],
  ['ro -- quiet', 'quiet', false],
  ['x="a quiet b"', 'quiet', false],
  ['', 'quiet', false],
])('%j has %j: %s', (text, argument, expected) => expect(hasArgument(text, argument)).toBe(expected));

test.each([
  ['', 'a', 'a'],
  ['\n', 'a', 'a'],
  ['root=x\n', 'a', 'root=x a\n'],
  ['root=x  \r\n', 'a', 'root=x a  \r\n'],
  ['ro -- s', 'a', 'ro a -- s'],
  ['-- s', 'a', 'a -- s'],
  ['b a', 'a', 'b a'],
])('%j with %j is %j', (text, argument, expected) => expect(addArgument(text, argument)).toBe(expected));

test.each([
  ['a', 'a', ''],
  ['a b', 'a', 'b'],
  ['b  a\n', 'a', 'b\n'],
  ['b a  c', 'a', 'b  c'],
  ['a b a c a', 'a', 'b c'],
  ['x pci=noaer,nomsi,x y', 'pci=nomsi', 'x pci=noaer,x y'],
  ['x pci=nomsi y', 'pci=nomsi', 'x y'],
  ['r -- a', 'a', 'r -- a'],
])('%j without %j is %j', (text, argument, expected) => expect(removeArgument(text, argument)).toBe(expected));

test('adding and removing touch one argument', () => {
  const word = fc.constantFrom('a', 'b=1', 'pci=x,y', ' ', '\t', '"q r"', '--', '\n');
  fc.assert(
    fc.property(
      fc.array(word, { maxLength: 12 }).map((words) => words.join('')),
      (text) => {
        const before = parseCmdline(text);
        const added = addArgument(text, 'new=1');
        expect(parseCmdline(added)).toEqual([...before, 'new=1']);
        expect(parseCmdline(removeArgument(added, 'new=1'))).toEqual(before);
      },
    ),
  );
});

const DEBIAN = `# If you change this file, run 'update-grub' afterwards\nGRUB_DISTRIBUTOR=\`lsb_release -i -s 2> /dev/null || echo Debian\`
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX=""
#GRUB_CMDLINE_LINUX="no"
`;
const values = (text: string, before = NO_GRUB_VALUES) => evaluateGrubDefault(text, 'grub', before);

describe('/etc/default/grub', () => {
  test.each([
    ['GRUB_CMDLINE_LINUX_DEFAULT="quiet splash" # x', 'quiet splash'],
    ["GRUB_CMDLINE_LINUX_DEFAULT='quiet $x'", 'quiet $x'],
    ['  export GRUB_CMDLINE_LINUX_DEFAULT=quiet;', 'quiet'],
    ['GRUB_CMDLINE_LINUX_DEFAULT=', ''],
    ['GRUB_CMDLINE_LINUX_DEFAULT="a"\'b\'c', 'abc'],
    ['GRUB_CMDLINE_LINUX_DEFAULT="a\\"b\\$c\\d"', 'a"b$c\\d'],
    ['GRUB_CMDLINE_LINUX_DEFAULT=a\nGRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT b"', 'a b'],
    ['GRUB_CMDLINE_LINUX_DEFAULT=a\nGRUB_CMDLINE_LINUX_DEFAULT+=" b"\r\n', 'a b'],
    [`GRUB_CMDLINE_LINUX=x\nGRUB_CMDLINE_LINUX_DEFAULT="\${GRUB_CMDLINE_LINUX} y"`, 'x y'],
    ['XGRUB_CMDLINE_LINUX_DEFAULT=a', ''],
  ])('%j gives %j', (text, expected) => expect(values(text).GRUB_CMDLINE_LINUX_DEFAULT).toBe(expected));

  test.each([
    ['x\nGRUB_CMDLINE_LINUX="$(cat /x)"', 'grub:2:21: a value that the shell computes is not understood'],
    ['GRUB_CMDLINE_LINUX=`x`', 'a value that the shell computes is not understood'],
    ['GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX_OLD"', 'a value that the shell computes is not understood'],
    ['GRUB_CMDLINE_LINUX="a\nb"', 'grub:1:22: a value that goes on in the next line is not understood'],
    ['GRUB_CMDLINE_LINUX=a\\\nb', 'a value that goes on in the next line is not understood'],
    ['GRUB_CMDLINE_LINUX=a command', 'what follows the value is not understood'],
    ['GRUB_CMDLINE_LINUX=a|b', 'what follows the value is not understood'],
  ])('%j is refused: %s', (text, message) => expect(() => values(text)).toThrow(message));

  test.each([
    [DEBIAN, DEBIAN.replace('"quiet"', '"quiet a=1"')],
    ['GRUB_CMDLINE_LINUX_DEFAULT=""', 'GRUB_CMDLINE_LINUX_DEFAULT="a=1"'],
    ['GRUB_CMDLINE_LINUX_DEFAULT=\r\n', 'GRUB_CMDLINE_LINUX_DEFAULT="a=1"\r\n'],
    ['GRUB_CMDLINE_LINUX_DEFAULT=quiet # x', 'GRUB_CMDLINE_LINUX_DEFAULT="quiet a=1" # x'],
    ["GRUB_CMDLINE_LINUX_DEFAULT='b'", "GRUB_CMDLINE_LINUX_DEFAULT='b a=1'"],
    ['GRUB_CMDLINE_LINUX_DEFAULT="x"\'y\'', 'GRUB_CMDLINE_LINUX_DEFAULT="x"\'y\'" a=1"'],
    ['GRUB_CMDLINE_LINUX_DEFAULT="d=\\"b c\\""', 'GRUB_CMDLINE_LINUX_DEFAULT="d=\\"b c\\""" a=1"'],
    ['GRUB_TIMEOUT=5', 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT="a=1"\n'],
    ['', 'GRUB_CMDLINE_LINUX_DEFAULT="a=1"\n'],
  ])('an argument more in %j', (text, expected) => {
    const added = addGrubArgument(text, 'grub', 'GRUB_CMDLINE_LINUX_DEFAULT', 'a=1');
    expect(added).toBe(expected);
    expect(hasArgument(values(added).GRUB_CMDLINE_LINUX_DEFAULT, 'a=1')).toBe(true);
  });

  test.each([
    [
      'GRUB_CMDLINE_LINUX="a=1"\nGRUB_CMDLINE_LINUX_DEFAULT=\'x a=1\'\n# a=1',
      'GRUB_CMDLINE_LINUX=""\nGRUB_CMDLINE_LINUX_DEFAULT=\'x\'\n# a=1',
    ],
    ['GRUB_CMDLINE_LINUX=a=1', 'GRUB_CMDLINE_LINUX='],
    ['GRUB_CMDLINE_LINUX="x "\'a=1 y\'z', 'GRUB_CMDLINE_LINUX="x "\'y\'z'],
    [DEBIAN, DEBIAN],
  ])('an argument less in %j', (text, expected) => expect(removeGrubArgument(text, 'grub', 'a=1')).toBe(expected));

  test('of 10,000 mutated files the answer is a model or an error with its line, at once', () => {
    const piece = fc.constantFrom(
      'GRUB_CMDLINE_LINUX',
      '_DEFAULT',
      '=',
      '+=',
      '"',
      "'",
      '$',
      '${',
      '}',
      '\\',
      '`',
      ' ',
      '\n',
      '\r\n',
      'a=1',
      '#',
      ';',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 25 }).map((pieces) => pieces.join('')),
        (text) => {
          try {
            for (const { start, end } of parseGrubDefault(text, 'grub')) expect(end).toBeGreaterThanOrEqual(start);
            const added = addGrubArgument(text, 'grub', 'GRUB_CMDLINE_LINUX', 'new=1');
            expect(added.length).toBeGreaterThan(text.length);
            removeGrubArgument(added, 'grub', 'new=1');
          } catch (error) {
            expect(String(error)).toMatch(/grub:\d+:\d+: /);
          }
        },
      ),
      { numRuns: 10_000 },
    );
  });
});

test('entries of a grub.cfg', () => {
  const text = `menuentry 'Debian' {\n\tlinux\t/vmlinuz-6.1 root=UUID=x ro quiet\n}\n  linux /vmlinuz-6.1 root=UUID=x ro single\nlinux16 /memtest\nlinuxefi /v root=a b\r\n`;
  expect(grubEntries(text)).toEqual([
    { args: 'root=UUID=x ro quiet', line: 2, isRecovery: false },
    { args: 'root=UUID=x ro single', line: 4, isRecovery: true },
    { args: 'root=a b', line: 6, isRecovery: false },
  ]);
});
