import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bootFiles, bootSetting, bootTable, SYSCTL_DIRS, sysctlPath } from '../../src/formats/sysctl-conf.ts';

// The real systemd-sysctl reads random folders in a mount and network namespace of its own, with /proc/sys read-only: its debug log
// tells every value that it would write, in order.

const FOLDERS = SYSCTL_DIRS.slice(0, 4);
const PATHS = ['lo', 'all', 'default'].flatMap((device) =>
  ['rp_filter', 'mc_forwarding', 'log_martians'].map((name) => `net/ipv4/conf/${device}/${name}`),
);
const KEYS = [
  ...PATHS,
  ...PATHS.map((path) => path.replaceAll('/', '.')),
  'net.ipv4.conf.*.rp_filter',
  'net/ipv4/conf/l?/*_f*',
  'net.ipv4.conf.[!a]*.log_martians',
  'net.*.conf.lo.rp_filter',
  'net.ipv4.conf.[a-d]*.mc_forwarding',
  'net.ipv4.conf.{lo,all}.*',
  'net/ipv4//conf/lo/rp_filter',
  '/net/ipv4/conf/lo/rp_filter',
];
const NAMES = ['10-a.conf', '50-b.conf', '99-sysctl.conf', '99-zz-mcastctl.conf', 'Z.conf', 'z.conf', 'no-conf'];

const line = fc
  .tuple(
    fc.constantFrom(...KEYS),
    fc.constantFrom('', '', '-'),
    fc.constantFrom(...'012', null),
    fc.constantFrom('=', ' = ', '\t='),
  )
  .map(([key, mark, value, equals]) => (value === null ? `${mark}${key}` : `${mark}${key}${equals}${value}`));
const content = fc.oneof(
  { weight: 6, arbitrary: fc.array(line, { maxLength: 6 }) },
  { weight: 1, arbitrary: fc.constant('mask') },
);
const folder = fc.dictionary(fc.constantFrom(...NAMES), content, { maxKeys: 4, noNullPrototype: true });
const trees = fc.sample(fc.tuple(folder, folder, folder, folder), { numRuns: 60, seed: 2026 });

const SCRIPT = `set -e
mount -t tmpfs none /run
mkdir /run/sysctl.d
mount -t tmpfs none /usr/local/lib
mkdir /usr/local/lib/sysctl.d
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
export SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_COLOR=0
for tree in "$1"/*; do
  echo "tree $tree"
  for n in 0 1 2 3; do
    shift_to=$(echo "${FOLDERS.join(' ')}" | cut -d' ' -f$((n + 1)))
    mount --bind "$tree/$n" "$shift_to"
  done
  /lib/systemd/systemd-sysctl 2>&1 || true
  umount ${FOLDERS.join(' ')}
done
`;

let base = '';
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'mcastctl-sysctl-'));
  for (const [index, tree] of trees.entries()) {
    for (const [n, files] of tree.entries()) {
      const path = join(base, String(index).padStart(3, '0'), String(n));
      mkdirSync(path, { recursive: true });
      for (const [name, lines] of Object.entries(files)) {
        if (typeof lines === 'string') symlinkSync('/dev/null', join(path, name));
        else writeFileSync(join(path, name), lines.join('\n'));
      }
    }
  }
});
afterAll(() => rmSync(base, { recursive: true }));

test('what we say the next boot gives is what systemd-sysctl sets, for random folders', () => {
  const output = execFileSync('unshare', ['--mount', '--net', 'sh', '-c', SCRIPT, 'sh', base], { encoding: 'utf8' });
  const logs = output.split(/^tree .*$/m).slice(1);
  expect(logs).toHaveLength(trees.length);
  let settings = 0;
  for (const [index, log] of logs.entries()) {
    const set = new Map<string, string>();
    for (const [, path = '', value = ''] of log.matchAll(/^Setting '\/proc\/sys\/([^']*)' to '([^']*)'$/gm)) {
      set.set(sysctlPath(path).split('/').filter(Boolean).join('/'), value);
    }
    const tree = trees[index] ?? [];
    const folders = FOLDERS.map((folderPath, n) =>
      Object.entries(tree[n] ?? {})
        .filter(([name]) => name.endsWith('.conf'))
        .map(([name, lines]) => ({
          path: `${folderPath}/${name}`,
          text: typeof lines === 'string' ? '' : lines.join('\n'),
        })),
    );
    for (const path of PATHS) {
      const ours = bootSetting(bootTable(bootFiles(folders)), path)?.value ?? null;
      expect([index, path, ours, tree]).toEqual([index, path, set.get(path) ?? null, tree]);
      if (ours !== null) settings++;
    }
  }
  expect(settings).toBeGreaterThan(100);
});
