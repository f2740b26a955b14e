import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Resource } from '../../../src/core/resource.ts';
import { isRoundedFrom } from '../../../src/resources/ring/rings.ts';
import { ring } from '../../../src/resources/ring.ts';
import { afterEdits, type Node, planOn } from '../../support/observed.ts';

// What ethtool prints is that of vmxnet3 in a Debian 12 virtual machine, or made after it; test/lab/ring.test.ts asks the real one
// where it has no rings to show.

const MAIN = '/etc/network/interfaces';
const UDEVADM = 'udevadm info -q property -p /sys/class/net/ens4';
const GREP = 'grep -c -F ring-rx /usr/share/ifupdown2/addons/ethtool.py';
const HOOK = '/etc/network/if-up.d/ethtool';

const only = (params: Record<string, unknown>): Resource => {
  const [first] = ring.resources(ring.schema.parse({ device: 'ens4', ...params }));
  if (first === undefined) throw new Error('a task is one resource');
  return first;
};

type Size = number | 'n/a';
const block = (rx: Size, mini: Size, jumbo: Size, tx: Size) =>
  `RX:\t\t${rx}\nRX Mini:\t${mini}\nRX Jumbo:\t${jumbo}\nTX:\t\t${tx}\n`;
const shown = (most: string, now: string, device = 'ens4') =>
  `Ring parameters for ${device}:\nPre-set maximums:\n${most}Current hardware settings:\n${now}RX Buf Len:\t\tn/a\n`;
const VMXNET3 = readFileSync(new URL('../../fixtures/ethtool/vmxnet3.ethtool-6.1.txt', import.meta.url), 'utf8');

/** A node with ens4 and these files and programs. */
const node = (files: Record<string, string> = {}, runs: Node['runs'] = {}, folders: string[] = []): Node => ({
  files: { '/sys/class/net/ens4/ifindex': '3\n', ...files },
  runs: { 'ethtool -g ens4': { stdout: VMXNET3 }, ...runs },
  folders,
});
const IFUPDOWN2 = ['/usr/share/ifupdown2'];

const persistent = (place: Node, params: Record<string, unknown>) => {
  const plan = planOn(place, only(params));
  return { ...plan, changes: plan.changes.filter(({ layer }) => layer === 'persistent') };
};

test('parameters are checked, all faults at once', () => {
  const faults = (params: Record<string, unknown>) => {
    const { success, error } = ring.schema.safeParse(params);
    return success ? [] : error.issues.map(({ path, message }) => [...path, message].join(': '));
  };
  expect(faults({ device: '-K', rx: 0, tx: 'most', when_unsupported: 'ignore' })).toEqual([
    'device: must not begin with "-": ethtool would take it for an option',
    'rx: must be a whole number from 1, or max',
    'tx: must be a whole number from 1, or max',
    'when_unsupported: must be skip or fail',
  ]);
  expect(faults({ device: 'ens4' })).toEqual(['names no ring: add at least one, such as rx: max']);
  expect(only({ rx: 'max', tx: 512 }).wants).toEqual({ rx: 'max', tx: 512 });
});

test.each([
  [512, 500, true], // vmxnet3 and pcnet32
  [504, 500, true], // e1000
  [500, 500, true],
  [900, 500, false],
  [499, 500, false],
  [1024, 512, false],
  [1024, 1000, true],
  [2, 1, false],
  [4, 3, true],
])('%i is what a driver makes of %i: %s', (size, wanted, is) => {
  expect(isRoundedFrom(size, wanted)).toBe(is);
});

describe('running', () => {
  test('all rings are set in one command and taken back so', () => {
    const plan = planOn(node(), only({ rx: 'max', rx_jumbo: 1024, tx: 512 }));
    expect(plan.changes.filter(({ layer }) => layer === 'runtime')).toEqual([
      { layer: 'runtime', property: 'rx', from: 1024, to: 4096, note: 'the maximum of the device' },
      { layer: 'runtime', property: 'rx_jumbo', from: 512, to: 1024 },
    ]);
    expect(plan.try).toEqual([{ do: 'run', argv: ['ethtool', '-G', 'ens4', 'rx', '4096', 'rx-jumbo', '1024'] }]);
    expect(plan.undo).toEqual([{ do: 'run', argv: ['ethtool', '-G', 'ens4', 'rx', '1024', 'rx-jumbo', '512'] }]);
    expect(plan.impact?.kind).toBe('link-down');
  });

  test('without a change of the running sizes the link is not in danger', () => {
    expect(planOn(node(), only({ rx: 1024 })).impact).toBeUndefined();
  });

  test.each([
    ['netlink error: Operation not supported\n', 81],
    ['Cannot get device ring settings: Operation not supported\n', 76],
  ])('%j is a device without rings: skipped, or failed where told', (stderr, code) => {
    const bare = node({}, { 'ethtool -g ens4': { code, stderr } });
    expect(planOn(bare, only({ rx: 'max' }))).toMatchObject({ changes: [], try: [], keep: [] });
    expect(planOn(bare, only({ rx: 'max' })).skipped).toMatch(
      /^the driver of "ens4" has no rings to read: .*: left alone$/,
    );
    expect(() => planOn(bare, only({ rx: 'max', when_unsupported: 'fail' }))).toThrow('has no rings to read');
  });

  test('a ring that the device lacks is left out with a note, whether "n/a" or 0', () => {
    const most = block(256, 'n/a', 0, 256);
    const virtio = node({}, { 'ethtool -g ens4': { stdout: shown(most, most) } });
    const plan = planOn(virtio, only({ rx: 'max', rx_mini: 64, rx_jumbo: 'max' }));
    expect(plan.changes.map(({ property }) => property)).toEqual(['rx']);
    expect(plan.note).toBe('"ens4" has no ring "rx_mini", "rx_jumbo": left out');
    expect(planOn(virtio, only({ rx_jumbo: 'max' })).skipped).toBe('"ens4" has no ring "rx_jumbo": left alone');
    expect(() => planOn(virtio, only({ rx: 'max', rx_mini: 64, when_unsupported: 'fail' }))).toThrow('"rx_mini"');
  });

  test('too much is an error that names every maximum', () => {
    expect(() => planOn(node(), only({ rx: 8192, tx: 4097 }))).toThrow(
      'the rings of "ens4" can\'t be so large: rx is at most 4096, not 8192; tx is at most 4096, not 4097',
    );
  });

  test('a missing device, a missing ethtool and output not understood are errors', () => {
    expect(() => planOn({ files: {} }, only({ rx: 1 }))).toThrow('there is no device "ens4"');
    expect(() => planOn(node({}, { 'ethtool -g ens4': { code: 127 } }), only({ rx: 1 }))).toThrow(
      '"ethtool" is not installed',
    );
    expect(() => planOn(node({}, { 'ethtool -g ens4': { stdout: 'hello\n' } }), only({ rx: 1 }))).toThrow(
      'the rings of "ens4" can\'t be read',
    );
  });

  test('of a bond or bridge the ports are named, without those of guests', () => {
    const bond = node({ '/sys/class/net/ens4/bonding/slaves': 'ens5 ens6\n' });
    expect(() => planOn(bond, only({ rx: 1 }))).toThrow('"ens4" is a bond and has no rings: its ports have');
    const bridge = node({
      '/sys/class/net/ens4/bridge/bridge_id': '8000.0\n',
      '/sys/class/net/ens4/brif/ens5/port_no': '0x1\n',
      '/sys/class/net/ens4/brif/tap100i0/port_no': '0x2\n',
    });
    try {
      planOn(bridge, only({ rx: 1 }));
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ hint: 'write device: ens5' });
    }
  });
});

describe('kept by ifupdown', () => {
  const BASE = 'auto ens4\niface ens4 inet manual\n\tmtu 9000\n';
  const kept = (place: Node, params: Record<string, unknown>): string => {
    const plan = persistent(place, params);
    expect(plan.blocked).toBeUndefined();
    const after = afterEdits(place, plan.keep);
    expect(persistent(after, params).changes).toEqual([]);
    return after.files[MAIN] ?? '';
  };

  test.each<[string, string[], Record<string, string>, Node['runs'], string]>([
    [
      "Debian 12's ifupdown2",
      IFUPDOWN2,
      {},
      { [GREP]: { code: 1, stdout: '0\n' } },
      '\tpost-up ethtool -G ens4 rx 4096 tx 64 || true\n',
    ],
    ['a newer ifupdown2', IFUPDOWN2, {}, { [GREP]: { stdout: '5\n' } }, '\tring-rx max\n\tring-tx 64\n'],
    [
      "classic ifupdown with Debian's hook",
      [],
      { [HOOK]: '#!/bin/sh\n' },
      {},
      '\thardware-dma-ring-rx 4096\n\thardware-dma-ring-tx 64\n',
    ],
    ['classic ifupdown without', [], {}, {}, '\tpost-up ethtool -G ens4 rx 4096 tx 64 || true\n'],
  ])('%s gets what it understands', (_, folders, files, runs, lines) => {
    expect(kept(node({ [MAIN]: BASE, ...files }, runs, folders), { rx: 'max', tx: 64 })).toBe(`${BASE}${lines}`);
  });

  test.each([
    ['a command', '\tpost-up ethtool -G $IFACE rx 512 tx 512\n', '\tpost-up ethtool -G ens4 rx 4096 tx 512\n'],
    [
      'by its path and long name',
      '\tup /sbin/ethtool --set-ring ens4 rx 512 || true\n',
      '\tup /sbin/ethtool --set-ring ens4 rx 4096 || true\n',
    ],
    [
      'among others',
      '\tpost-up sleep 1; ethtool -G ens4 tx 512; ethtool -K ens4 gro off\n',
      '\tpost-up sleep 1; ethtool -G ens4 tx 512 rx 4096; ethtool -K ens4 gro off\n',
    ],
    [
      'twice: the last counts',
      '\tup ethtool -G ens4 rx 1\n\tpre-up ethtool -G ens4 rx 2\n',
      '\tup ethtool -G ens4 rx 4096\n\tpre-up ethtool -G ens4 rx 2\n',
    ],
    [
      'of another device',
      '\tup ethtool -G ens5 rx 1\n',
      '\tup ethtool -G ens5 rx 1\n\tpost-up ethtool -G ens4 rx 4096 || true\n',
    ],
  ])('a line that sets it is found: %s', (_, line, expected) => {
    expect(kept(node({ [MAIN]: `${BASE}${line}` }, {}, IFUPDOWN2), { rx: 'max' })).toBe(`${BASE}${expected}`);
  });

  test('CR LF and a missing last line end stay', () => {
    const text = `${BASE}\tpost-up ethtool -G ens4 rx 512`.replaceAll('\n', '\r\n');
    expect(kept(node({ [MAIN]: text }, {}, IFUPDOWN2), { rx: 'max' })).toBe(text.replace('rx 512', 'rx 4096'));
  });

  test('the right size by whatever line needs nothing, "max" too', () => {
    for (const line of ['ring-rx max', 'ring-rx 4096', 'post-up ethtool -G ens4 rx 4096']) {
      const place = node({ [MAIN]: `${BASE}\t${line}\n` }, { [GREP]: { stdout: '5\n' } }, IFUPDOWN2);
      expect([line, persistent(place, { rx: 'max' }).changes]).toEqual([line, []]);
    }
  });

  test('options that this ifupdown does not know are no setting, and said so', () => {
    const place = node({ [MAIN]: `${BASE}\thardware-dma-ring-rx 4096\n` }, {}, IFUPDOWN2);
    expect(persistent(place, { rx: 'max' }).changes).toEqual([
      {
        layer: 'persistent',
        property: 'rx',
        from: null,
        to: 4096,
        file: MAIN,
        note: '"hardware-dma-ring-rx 4096" does nothing with the ifupdown of this node',
      },
    ]);
  });

  test('a command that only a shell understands is left alone and noted', () => {
    const place = node({ [MAIN]: `${BASE}\tpost-up for n in ens4; do ethtool -G $n rx 64; done\n` }, {}, IFUPDOWN2);
    expect(persistent(place, { rx: 'max' }).changes[0]?.note).toContain('may set it too and is left alone');
  });

  test("what can not be edited blocks: a range, the SDN's file, a name for a shell, pending changes", () => {
    const range = node({ [MAIN]: 'auto ens[3-5]\niface ens[3-5] inet manual\n' }, {}, IFUPDOWN2);
    expect(persistent(range, { rx: 'max' }).blocked).toContain('makes "ens4" together with others');
    const sdn = { [MAIN]: 'source interfaces.d/*\n', '/etc/network/interfaces.d/sdn': BASE };
    expect(persistent(node(sdn, {}, IFUPDOWN2), { rx: 'max' }).blocked).toContain('is written by the SDN');
    const pending = node({ [MAIN]: BASE, '/etc/network/interfaces.new': `${BASE}\n` }, {}, IFUPDOWN2);
    expect(() => persistent(pending, { rx: 'max' })).toThrow('made in the Proxmox GUI');
    const odd = {
      files: { '/sys/class/net/a$b/ifindex': '3\n', [MAIN]: 'iface a$b inet manual\n' },
      runs: { 'ethtool -g a$b': { stdout: shown(block(9, 0, 0, 9), block(1, 0, 0, 1), 'a$b') } },
      folders: IFUPDOWN2,
    };
    expect(persistent(odd, { device: 'a$b', rx: 'max' }).blocked).toContain('has characters that a shell interprets');
  });
});

describe('kept by udev', () => {
  const OWN = '/usr/local/lib/systemd/network/50-pmx-ens4.link';
  const PINNED = '[Match]\nMACAddress=52:54:00:00:02:01\nType=ether\n\n[Link]\nName=ens4\n';
  const DEFAULT = '/usr/lib/systemd/network/99-default.link';
  const POLICIES =
    '[Match]\nOriginalName=*\n\n[Link]\nNamePolicy=keep kernel database onboard slot path\nMACAddressPolicy=persistent\n';
  const used = (file: string, path = 'pci-0000:00:04.0') => ({
    [UDEVADM]: { stdout: `ID_NET_DRIVER=vmxnet3\nID_PATH=${path}\nID_NET_LINK_FILE=${file}\nIFINDEX=3\n` },
  });
  const keptOn = (place: Node, params: Record<string, unknown>): Node => {
    const plan = persistent(place, params);
    expect(plan.blocked).toBeUndefined();
    const next = afterEdits(place, plan.keep);
    expect(persistent(next, params).changes).toEqual([]);
    return next;
  };

  test("a file of the device gets a drop-in, or is edited where it is the administrator's", () => {
    const pinned = node({ [OWN]: PINNED }, used(OWN));
    const dropIn = '/etc/systemd/network/50-pmx-ens4.link.d/zz-mcastctl.conf';
    expect(keptOn(pinned, { rx: 'max', tx: 64 }).files[dropIn]).toBe('[Link]\nRxBufferSize=max\nTxBufferSize=64\n');
    const admin = '/etc/systemd/network/10-ens4.link';
    const place = node({ [admin]: `${PINNED}RxBufferSize=512\n` }, used(admin));
    expect(keptOn(place, { rx: 2048 }).files[admin]).toBe(`${PINNED}RxBufferSize=2048\n`);
  });

  test('a file for many devices is not touched: the device gets one with the same policies', () => {
    const place = node({ [DEFAULT]: POLICIES }, used(DEFAULT));
    const next = keptOn(place, { rx: 'max' });
    expect(next.files[DEFAULT]).toBe(POLICIES);
    expect(next.files['/etc/systemd/network/10-mcastctl-ens4.link']).toBe(
      [
        '# Made by mcastctl for the rings of ens4; otherwise as 99-default.link.',
        '[Match]',
        'Path=pci-0000:00:04.0',
        '',
        '[Link]',
        'NamePolicy=keep kernel database onboard slot path',
        'MACAddressPolicy=persistent',
        'RxBufferSize=max',
        '',
      ].join('\n'),
    );
    expect(persistent(node({ [DEFAULT]: POLICIES }, used(DEFAULT, '')), { rx: 'max' }).blocked).toContain(
      'no path to tell it by',
    );
  });

  test('a file that somebody removed since the device appeared is made again', () => {
    const own = '/etc/systemd/network/10-mcastctl-ens4.link';
    const usb = '[Match]\nPath=*-usb-*\n\n[Link]\nNamePolicy=mac\n';
    const place = node({ '/usr/lib/systemd/network/73-usb.link': usb, [DEFAULT]: POLICIES }, used(own));
    expect(persistent(place, { rx: 'max' }).changes).toMatchObject([{ from: null, to: 4096, file: own }]);
    expect(keptOn(place, { rx: 'max' }).files[own]).toContain('otherwise as 99-default.link');
  });

  test('more than the maximum counts as the maximum, as udev takes it', () => {
    const place = node({ [OWN]: `${PINNED}RxBufferSize=65536\n` }, used(OWN));
    expect(persistent(place, { rx: 'max' }).changes).toEqual([]);
    expect(persistent(place, { rx: 512 }).changes).toMatchObject([{ from: 4096, to: 512, file: OWN, line: 7 }]);
  });

  test('the initramfs is made anew where there is one, both ways', () => {
    const place = node({ [OWN]: PINNED, '/etc/initramfs-tools/initramfs.conf': 'MODULES=most\n' }, used(OWN));
    const update = { do: 'run', argv: ['update-initramfs', '-u', '-k', 'all'], seconds: 600 };
    const plan = persistent(place, { rx: 'max' });
    expect([plan.keep.at(-1), plan.unkeep]).toEqual([update, [update]]);
  });

  test('ifupdown comes later: its line counts and is edited; where it does not bring the device up, udev keeps it', () => {
    const line = '\tpost-up ethtool -G ens4 rx 64\n';
    const both = node(
      { [OWN]: `${PINNED}RxBufferSize=4096\n`, [MAIN]: `auto ens4\niface ens4 inet manual\n${line}` },
      used(OWN),
    );
    expect(persistent(both, { rx: 'max' }).changes).toMatchObject([{ from: 64, to: 4096, file: MAIN, line: 3 }]);
    // Classic ifupdown does not run the stanza of a bridge's port without "auto".
    const port = node({ [OWN]: PINNED, [MAIN]: 'iface ens4 inet manual\n' }, used(OWN));
    expect(persistent(port, { rx: 'max' }).changes).toMatchObject([
      { file: expect.stringContaining('50-pmx-ens4.link.d') },
    ]);
  });

  test('neither of them: blocked with what to do', () => {
    expect(persistent(node(), { rx: 'max' }).blocked).toContain('no file gives "ens4" its rings at boot');
  });
});
