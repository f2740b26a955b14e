import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bootFiles,
  bootSetting,
  bootTable,
  DROP_IN_HEADER,
  globMatches,
  normaliseSysctlValue,
  parseSysctlConf,
  setInDropIn,
  sysctlKey,
  sysctlPath,
} from '../../../src/formats/sysctl-conf.ts';

const file = (path: string, ...lines: readonly string[]) => ({ path, text: lines.join('\n') });

describe('keys', () => {
  test.each([
    ['net.core.rmem_max', 'net/core/rmem_max', 'net.core.rmem_max'],
    ['net/core/rmem_max', 'net/core/rmem_max', 'net.core.rmem_max'],
    ['net/ipv4/conf/eth0.200/rp_filter', 'net/ipv4/conf/eth0.200/rp_filter', 'net.ipv4.conf.eth0/200.rp_filter'],
    ['net.ipv4.conf.eth0/200.rp_filter', 'net/ipv4/conf/eth0.200/rp_filter', 'net.ipv4.conf.eth0/200.rp_filter'],
    ['shmmax', 'shmmax', 'shmmax'],
  ])('"%s" is the file %s and the key %s', (spelling, path, key) => {
    expect(sysctlPath(spelling)).toBe(path);
    expect(sysctlKey(path)).toBe(key);
  });

  test('the dotted form means the path it was made from, whatever its characters', () => {
    const part = fc.stringMatching(/^[a-z0-9_.-]{1,8}$/).filter((text) => !/^\.+$/.test(text));
    const paths = fc.tuple(fc.stringMatching(/^[a-z]{1,5}$/), fc.array(part, { minLength: 1, maxLength: 4 }));
    fc.assert(
      fc.property(paths, ([head, tail]) => {
        const path = [head, ...tail].join('/');
        expect(sysctlPath(sysctlKey(path))).toBe(path);
      }),
    );
  });
});

test('lines are read as systemd-sysctl reads them', () => {
  const text = [
    '# net.a.b = 1',
    ' ; net.a.b = 2',
    '',
    'net.a.b=3',
    '\tnet.a.c\t=\t4096 87380\t33554432  \r',
    '-net.a.d = 5',
    '- net.a.e = 6',
    '-net.a.f',
    'not an assignment',
    'kernel.core_pattern = |/usr/lib/x %p=%u # not a comment',
    'kernel.modprobe =',
    'net.a.g = 7',
  ].join('\n');
  expect(parseSysctlConf(text)).toEqual([
    { path: 'net/a/b', value: '3', line: 4 },
    { path: 'net/a/c', value: '4096 87380\t33554432', line: 5 },
    { path: 'net/a/d', value: '5', line: 6 },
    { path: 'net/a/e', value: '6', line: 7 },
    { path: 'net/a/f', value: null, line: 8 },
    { path: 'kernel/core_pattern', value: '|/usr/lib/x %p=%u # not a comment', line: 10 },
    { path: 'kernel/modprobe', value: '', line: 11 },
    { path: 'net/a/g', value: '7', line: 12 },
  ]);
});

test('values compare with white space made equal', () => {
  expect(normaliseSysctlValue('4096\t131072\t6291456\n')).toBe('4096 131072 6291456');
});

describe('globs', () => {
  test.each([
    ['net/ipv4/conf/*/rp_filter', 'net/ipv4/conf/vmbr0/rp_filter', true],
    ['net/ipv4/conf/*/rp_filter', 'net/ipv4/conf/eth0.200/rp_filter', true],
    ['net/*/rp_filter', 'net/ipv4/conf/lo/rp_filter', false],
    ['net/ipv4/conf/eth?/rp_filter', 'net/ipv4/conf/eth0/rp_filter', true],
    ['net/ipv4/conf/eth?/rp_filter', 'net/ipv4/conf/eth/rp_filter', false],
    ['net/ipv4/conf/eth[0-3]/rp_filter', 'net/ipv4/conf/eth2/rp_filter', true],
    ['net/ipv4/conf/eth[!0-3]/rp_filter', 'net/ipv4/conf/eth2/rp_filter', false],
    ['net/ipv4/conf/eth[!0-3]/rp_filter', 'net/ipv4/conf/eth7/rp_filter', true],
    ['net/ipv4/conf/{lo,vmbr*}/rp_filter', 'net/ipv4/conf/vmbr0/rp_filter', true],
    ['net/ipv4/conf/{lo,vm{x,b}r*}/rp_filter', 'net/ipv4/conf/vmbr0/rp_filter', true],
    ['net/ipv4/conf/{lo,vmbr*}/rp_filter', 'net/ipv4/conf/eth0/rp_filter', false],
    ['net/ipv4/conf/eth0.*/rp_filter', 'net/ipv4/conf/eth0x1/rp_filter', false],
    ['net/ipv4/conf/eth[0/rp_*', 'net/ipv4/conf/eth[0/rp_filter', true],
    ['net/ipv4/conf/eth(0|1)*', 'net/ipv4/conf/eth0', false],
  ])('%s and %s: %s', (pattern, path, expected) => {
    expect(globMatches(pattern, path)).toBe(expected);
  });

  test('no pattern makes it throw', () => {
    const patterns = fc.string({ unit: fc.constantFrom(...'ab/*?[]!^-{},\\().'), maxLength: 20 });
    fc.assert(fc.property(patterns, (pattern) => typeof globMatches(pattern, 'a/b') === 'boolean'));
  });
});

describe('the boot', () => {
  test('files are read by name, a folder before hides a folder after', () => {
    const ours = bootFiles([
      [file('/etc/sysctl.d/99-a.conf'), file('/etc/sysctl.d/10-b.conf')],
      [],
      [file('/usr/local/lib/sysctl.d/99-a.conf')],
      [file('/usr/lib/sysctl.d/50-c.conf'), file('/usr/lib/sysctl.d/Z.conf'), file('/usr/lib/sysctl.d/é.conf')],
    ]);
    expect(ours.map(({ path }) => path)).toEqual([
      '/etc/sysctl.d/10-b.conf',
      '/usr/lib/sysctl.d/50-c.conf',
      '/etc/sysctl.d/99-a.conf',
      '/usr/lib/sysctl.d/Z.conf',
      '/usr/lib/sysctl.d/é.conf',
    ]);
  });

  const path = 'net/ipv4/conf/vmbr0/rp_filter';
  const key = 'net.ipv4.conf.vmbr0.rp_filter';
  test.each([
    ['nothing says anything', [], null],
    ['the last assignment wins', [file('/a', `${key}=0`, '', `${key} = 2`), file('/b', `${path}=1`)], ['1', '/b', 1]],
    ['a value of 0 counts', [file('/a', `${key}=0`)], ['0', '/a', 1]],
    ['the same value again: the first line gives it', [file('/a', `${key}=1`), file('/b', `${key}=1`)], ['1', '/a', 1]],
    ['a marked assignment counts', [file('/a', `-${key} = 2`)], ['2', '/a', 1]],
    ['a glob sets it', [file('/a', 'net.ipv4.conf.*.rp_filter = 2')], ['2', '/a', 1]],
    [
      'the last glob wins',
      [file('/a', 'net.ipv4.conf.*.rp_filter = 2', 'net.ipv4.*.vmbr?.rp_filter = 0')],
      ['0', '/a', 2],
    ],
    [
      'a glob never beats a key, even after it',
      [file('/a', `${key}=0`), file('/b', 'net.ipv4.conf.*.rp_filter = 2')],
      ['0', '/a', 1],
    ],
    ['an exclusion stops globs', [file('/a', 'net.ipv4.conf.*.rp_filter = 2', `-${key}`)], [null, '/a', 2]],
    ['an exclusion voids an earlier assignment', [file('/a', `${key}=1`), file('/b', `-${key}`)], [null, '/b', 1]],
    ['an assignment takes an exclusion back', [file('/a', `-${key}`), file('/b', `${key}=1`)], ['1', '/b', 1]],
    [
      'doubled slashes reach the same file',
      [file('/a', `${key}=1`, 'net/ipv4//conf/vmbr0/rp_filter=2')],
      ['2', '/a', 2],
    ],
    ['other keys do not count', [file('/a', 'net.ipv4.conf.vmbr1.rp_filter=1')], null],
  ] as const)('%s', (_, files, expected) => {
    expect(bootSetting(bootTable(files), path)).toEqual(
      expected && { value: expected[0], file: expected[1], line: expected[2] },
    );
  });
});

describe('our drop-in', () => {
  test('a new file has the header and the key', () => {
    expect(setInDropIn(null, 'net/core/rmem_max', '5')).toBe(`${DROP_IN_HEADER}net.core.rmem_max = 5\n`);
  });

  test('keys stand sorted, whatever the order in which they come', () => {
    const keys = ['vm/swappiness', 'net/core/wmem_max', 'net/core/rmem_max', 'net/ipv4/igmp_qrv'];
    const text = keys.reduce<string | null>((before, key) => setInDropIn(before, key, '1'), null);
    expect(text).toBe(
      `${DROP_IN_HEADER}net.core.rmem_max = 1\nnet.core.wmem_max = 1\nnet.ipv4.igmp_qrv = 1\nvm.swappiness = 1\n`,
    );
  });

  test('a line is replaced in place, doubles and exclusions of the key go, the rest stays byte by byte', () => {
    const before =
      '# mine\r\nnet.core.rmem_max=1\n\n ; x\nnet/core/rmem_max = 2\n-net.core.rmem_max\nvm.swappiness =  9';
    expect(setInDropIn(before, 'net/core/rmem_max', '7')).toBe(
      '# mine\r\n\n ; x\nnet.core.rmem_max = 7\nvm.swappiness =  9',
    );
    expect(setInDropIn(before, 'vm/zzz', '7')).toBe(`${before}\nvm.zzz = 7`);
    expect(setInDropIn('b.c = 1\r\n', 'b/d', '7')).toBe('b.c = 1\r\nb.d = 7\r\n');
    expect(setInDropIn('b.c = 1\r\n', 'b/b', '7')).toBe('b.b = 7\r\nb.c = 1\r\n');
    expect(setInDropIn('b.c = 1\rb.d = 2\rb.e = 3', 'b/d', '7')).toBe('b.c = 1\rb.d = 7\rb.e = 3');
    expect(setInDropIn('b.c = 1\0b.d = 2', 'b/c', '7')).toBe('b.c = 7\0b.d = 2');
    expect(setInDropIn('', 'b/c', '7')).toBe('b.c = 7\n');
    expect(setInDropIn(before, 'a/b', '7')).toBe(`a.b = 7\r\n${before}`);
  });

  test('setting twice is setting once, the value is then what the boot gives, foreign lines keep their order', () => {
    const line = fc.constantFrom(
      '# c',
      '',
      'a.b = 1',
      'net.core.rmem_max = 3',
      '-net.core.rmem_max',
      'z.z=4',
      'junk',
      ';',
      'net.*.rmem_max=8',
    );
    const texts = fc.tuple(fc.array(line), fc.constantFrom('', '\n')).map(([lines, end]) => lines.join('\n') + end);
    fc.assert(
      fc.property(texts, (before) => {
        const once = setInDropIn(before, 'net/core/rmem_max', '5');
        expect(setInDropIn(once, 'net/core/rmem_max', '5')).toBe(once);
        expect(bootSetting(bootTable([{ path: '/x', text: once }]), 'net/core/rmem_max')?.value).toBe('5');
        const foreign = (text: string) =>
          text.split('\n').filter((row) => row !== '' && !/^-?net\.core\.rmem_max/.test(row));
        expect(foreign(once)).toEqual(foreign(before));
      }),
    );
  });
});
