import { describe, expect, test } from 'vitest';
import type { Resource } from '../../../src/core/resource.ts';
import { ipoib } from '../../../src/resources/ipoib.ts';
import { afterEdits, type Node, planOn } from '../../support/observed.ts';

// No InfiniBand here: nodes made of data, after Documentation/infiniband/ipoib.rst of the kernel.

const MAIN = '/etc/network/interfaces';
const SHOW = 'ip -j link show dev ib0';
const STANZA = 'auto ib0\niface ib0 inet static\n\taddress 198.18.0.1/24\n';

const only = (params: Record<string, unknown>): Resource => {
  const [first] = ipoib.resources(ipoib.schema.parse({ device: 'ib0', ...params }));
  if (first === undefined) throw new Error('a task is one resource');
  return first;
};
const node = (mode: string, mtu: number, text = STANZA, files: Record<string, string> = {}): Node => ({
  files: { '/sys/class/net/ib0/type': '32\n', '/sys/class/net/ib0/mode': `${mode}\n`, [MAIN]: text, ...files },
  folders: ['/usr/share/ifupdown2'],
  runs: { [SHOW]: { stdout: JSON.stringify([{ ifname: 'ib0', mtu }]) } },
});

test('parameters and the rules between them', () => {
  const faults = (params: Record<string, unknown>) =>
    ipoib.schema
      .safeParse({ device: 'ib0', ...params })
      .error?.issues.map(({ path, message }) => [...path, message].join(': '));
  expect(faults({ device: '-b', mode: 'fast', mtu: 65521, netmtu: 1 })).toEqual([
    'device: must not begin with "-"',
    'mode: must be datagram or connected',
    'mtu: must be a whole number from 576 to 65520',
    'netmtu: must be a whole number from 576',
  ]);
  expect(faults({})).toEqual(['names nothing to set: add mode or mtu']);
  expect(faults({ mode: 'datagram', mtu: 4093 })?.[0]).toContain('mtu: must be at most 4092 in datagram mode');
  expect(faults({ mode: 'connected', mtu: 65520, netmtu: 2045 })?.[0]).toContain(
    'netmtu: must be at most 2044 in connected mode',
  );
  expect(faults({ mode: 'datagram', mtu: 2044, netmtu: 2045 })).toEqual(['netmtu: must be at most the MTU, 2044']);
  expect(faults({ mode: 'connected', mtu: 65520, netmtu: 2044 })).toBeUndefined();
  expect(faults({ mtu: 4092, netmtu: 4092 })).toBeUndefined();
});

describe('running', () => {
  test('the MTU follows the mode, both ways, as the driver changes it with the mode', () => {
    const plan = planOn(node('connected', 65520), only({ mode: 'datagram', mtu: 2044 }));
    expect(plan.changes.filter(({ layer }) => layer === 'runtime')).toEqual([
      { layer: 'runtime', property: 'mode', from: 'connected', to: 'datagram' },
      { layer: 'runtime', property: 'mtu', from: 65520, to: 2044 },
    ]);
    const mode = (value: string) => ({ do: 'set', path: '/sys/class/net/ib0/mode', value: `${value}\n` });
    const mtu = (value: number) => ({ do: 'run', argv: ['ip', 'link', 'set', 'dev', 'ib0', 'mtu', String(value)] });
    expect(plan.try).toEqual([mode('datagram'), mtu(2044)]);
    expect(plan.undo).toEqual([mode('connected'), mtu(65520)]);
    expect(plan.impact?.kind).toBe('link-down');
    expect(planOn(node('connected', 9000), only({ mode: 'datagram' })).undo).toEqual([mode('connected'), mtu(9000)]);
  });

  test('connected mode is told to leave multicast where it was', () => {
    const [change] = planOn(node('datagram', 2044), only({ mode: 'connected', mtu: 65520 })).changes;
    expect(change?.note).toContain('multicast stays at 2044 bytes');
  });

  test('what can not be is an error', () => {
    expect(() => planOn({ files: {} }, only({ mtu: 2044 }))).toThrow('there is no device "ib0"');
    const ethernet = { files: { '/sys/class/net/ib0/type': '1\n' } };
    expect(() => planOn(ethernet, only({ mtu: 2044 }))).toThrow('"ib0" is no IPoIB interface with a mode');
    expect(() => planOn(node('datagram', 2044), only({ mtu: 65520 }))).toThrow(
      'is in datagram mode, which takes an MTU of at most 4092, not 65520',
    );
    const mute = { ...node('datagram', 2044), runs: { [SHOW]: { code: 1, stderr: 'no' } } };
    expect(() => planOn(mute, only({ mtu: 2044 }))).toThrow('ip tells no MTU of "ib0": no');
  });
});

describe('kept', () => {
  const kept = (text: string, params: Record<string, unknown>, folders = ['/usr/share/ifupdown2']): string => {
    const place = { ...node('datagram', 2044, text), folders };
    const plan = planOn(place, only(params));
    expect(plan.blocked).toBeUndefined();
    const after = afterEdits(place, plan.keep);
    expect(planOn(after, only(params)).changes.filter(({ layer }) => layer === 'persistent')).toEqual([]);
    return after.files[MAIN] ?? '';
  };
  const wanted = { mode: 'datagram', mtu: 2044 };

  test.each([
    ['ifupdown2', ['/usr/share/ifupdown2']],
    ['classic ifupdown', []],
  ])('%s gets both lines', (_, folders) => {
    expect(kept(STANZA, wanted, folders)).toBe(
      `${STANZA}\tpre-up echo datagram > /sys/class/net/ib0/mode\n\tmtu 2044\n`,
    );
  });

  test.each([
    [
      "as Proxmox's wiki has it",
      '\tpre-up modprobe ib_ipoib\n\tpre-up echo connected > /sys/class/net/ib0/mode\n\tmtu 65520\n',
      '\tpre-up modprobe ib_ipoib\n\tpre-up echo datagram > /sys/class/net/ib0/mode\n\tmtu 2044\n',
    ],
    [
      'by $IFACE and in one line with others',
      '\tpost-up modprobe x; echo connected > /sys/class/net/$IFACE/mode\n\tpost-up /sbin/ifconfig ib0 mtu 65520\n',
      '\tpost-up modprobe x; echo datagram > /sys/class/net/ib0/mode\n\tpost-up /sbin/ifconfig ib0 mtu 2044\n',
    ],
    [
      'a later command beats the option',
      '\tmtu 2044\n\tpre-up echo datagram > /sys/class/net/ib0/mode\n\tup ip link set dev ib0 mtu 65520\n',
      '\tmtu 2044\n\tpre-up echo datagram > /sys/class/net/ib0/mode\n\tup ip link set dev ib0 mtu 2044\n',
    ],
  ])('lines that are there are changed: %s', (_, before, after) => {
    expect(kept(`${STANZA}${before}`, wanted)).toBe(`${STANZA}${after}`);
  });

  test('CR LF stay; another interface is left alone; no stanza blocks', () => {
    const text = `${STANZA}\tmtu 9000\niface ib1 inet manual\n\tmtu 9000\n`.replaceAll('\n', '\r\n');
    expect(kept(text, { mtu: 2044 })).toBe(text.replace('mtu 9000', 'mtu 2044'));
    expect(planOn(node('datagram', 2044, 'auto lo\n'), only(wanted)).blocked).toContain('no "iface ib0" stanza');
  });
});

describe('corosync', () => {
  const conf = (transport: string, netmtu?: number) =>
    `totem {\n  version: 2\n  transport: ${transport}\n${netmtu === undefined ? '' : `  netmtu: ${netmtu}\n`}}\n`;
  const file = '/etc/corosync/corosync.conf';
  const note = (text: string, params: Record<string, unknown>, mtu = 65520, mode = 'connected') =>
    planOn(node(mode, mtu, STANZA, { [file]: text }), only(params)).note;

  test('a netmtu that does not fit is told, whether given or the default', () => {
    expect(note(conf('udp', 9000), { mtu: 65520 })).toContain(
      `netmtu is 9000 (${file}), but "ib0" takes multicast packets of 2044 bytes at most`,
    );
    expect(note(conf('udp'), { mode: 'datagram', mtu: 1200 })).toContain('netmtu is 1500 (its default');
    expect(note(conf('udp', 2044), { mtu: 65520 })).toBeUndefined();
    expect(note(conf('udp', 1500), { mtu: 65520, netmtu: 2000 })).toContain('not 2000: set it with "corosync"');
  });

  test('knet, no corosync and a broken file are no matter of this', () => {
    expect(note(conf('knet', 65536), { mtu: 65520 })).toBeUndefined();
    expect(note('totem {\n', { mtu: 65520 })).toBeUndefined();
    expect(planOn(node('datagram', 2044), only({ mtu: 2044 })).note).toBeUndefined();
  });
});
