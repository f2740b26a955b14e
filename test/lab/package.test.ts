import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorkshop, type Workshop } from '../support/play.ts';

// Real apt and dpkg in a node; the packages are made there, and the node's only source is a folder.

let shop: Workshop;
beforeAll(async () => {
  shop = await startWorkshop({ nodes: 1 });
  await shop.on('pve1', 'sh', '-euc', MAKE);
}, 90_000);
afterAll(() => shop?.down());

/** name, version, depends, script that is run after unpacking. */
const MAKE = `
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/test
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/* /srv/repo /var/lib/apt/lists/*
mkdir -p /srv/repo
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list
cd /srv
make() {
  mkdir -p "build/DEBIAN" "build/usr/share/$1"
  printf 'Package: %s\\nVersion: %s\\nArchitecture: all\\nMaintainer: x <x@example.com>\\nDescription: x\\n' "$1" "$2" >build/DEBIAN/control
  [ -z "$3" ] || printf 'Depends: %s\\n' "$3" >>build/DEBIAN/control
  [ -z "$4" ] || { printf '#!/bin/sh\\n%s\\n' "$4" >build/DEBIAN/postinst; chmod 755 build/DEBIAN/postinst; }
  echo "$2" >"build/usr/share/$1/version"
  dpkg-deb -Znone -b build "repo/$1_$2.deb" >/dev/null
  cat build/DEBIAN/control >>repo/Packages
  printf 'Filename: ./%s_%s.deb\\nSize: %s\\nSHA256: %s\\n\\n' "$1" "$2" "$(stat -c %s "repo/$1_$2.deb")" "$(sha256sum "repo/$1_$2.deb" | cut -d' ' -f1)" >>repo/Packages
  rm -rf build
}
make mcast-toy 1.0 mcast-dep ''
make mcast-toy 1.1 mcast-dep ''
make mcast-dep 2 '' ''
make mcast-bad 1 mcast-dep 'echo it breaks >&2; exit 1'
`;
const version = async (name: string) => {
  const argv = ['dpkg-query', '-W', `-f=\${db:Status-Status} \${Version}`, name];
  return (await shop.lab.exec('pve1', argv)).stdout;
};

test('installed in one go, found missing after drift, removed', { timeout: 90_000 }, async () => {
  const task = '- package: { name: [mcast-toy, mcast-dep, dpkg], update_cache: true }';
  const applied = await shop.apply(task);
  expect(applied.changes).toEqual(['persistent version null "installed"', 'persistent version null "installed"']);
  expect([await version('mcast-toy'), await version('mcast-dep')]).toEqual(['installed 1.1', 'installed 2']);

  // Nothing is asked of a source where nothing is missing.
  await shop.on('pve1', 'mv', '/srv/repo', '/srv/gone');
  await shop.expectSettled(task);
  await shop.on('pve1', 'mv', '/srv/gone', '/srv/repo');

  await shop.on('pve1', 'dpkg', '--remove', 'mcast-toy');
  const drifted = await shop.check(task);
  expect([drifted.code, drifted.changes]).toEqual([2, ['persistent version null "installed"']]);
  await shop.apply(task);

  const needed = await shop.run('apply', '- package: { name: mcast-dep, state: absent }');
  expect([needed.code, needed.tasks[0]?.error]).toEqual([1, expect.stringContaining('mcast-toy depends on mcast-dep')]);
  expect(await version('mcast-dep')).toBe('installed 2');

  const gone = '- package: { name: [mcast-dep, mcast-toy], state: absent }';
  await shop.apply(gone);
  expect(await version('mcast-toy')).not.toContain('installed 1');
  await shop.expectSettled(gone);
});

test('a version, an older one, the latest', { timeout: 90_000 }, async () => {
  const task = (rest: string) => `- package: { name: mcast-toy, ${rest} }`;
  await shop.apply(task('version: "1.1"'));
  expect(await version('mcast-toy')).toBe('installed 1.1');
  const older = await shop.apply(task('version: "1.0"'));
  expect(older.changes).toEqual(['persistent version "1.1" "1.0"']);
  expect(await shop.on('pve1', 'cat', '/usr/share/mcast-toy/version')).toBe('1.0\n');
  await shop.expectSettled(task('state: present'));
  expect((await shop.check(task('state: latest'))).changes).toEqual(['persistent version "1.0" "1.1"']);
  await shop.apply(task('state: latest'));
  await shop.expectSettled(task('state: latest'));
  await shop.apply('- package: { name: [mcast-dep, mcast-toy], state: absent }');
});

test('what came along is taken back where the installation fails', { timeout: 60_000 }, async () => {
  const before = await shop.on('pve1', 'dpkg-query', '-W');
  const result = await shop.run('apply', '- package: { name: mcast-bad }');
  expect([result.code, result.tasks[0]?.error]).toEqual([1, expect.stringContaining('apt-get')]);
  expect(result.tasks[0]?.error).not.toContain('undo failed');
  expect(await shop.on('pve1', 'dpkg-query', '-W')).toBe(before);
});

test('an unknown name is no pattern', async () => {
  const result = await shop.run('apply', '- package: { name: mcast.toy }');
  expect([result.code, result.tasks[0]?.error]).toEqual([
    1,
    expect.stringContaining('Unable to locate package mcast.toy'),
  ]);
});
