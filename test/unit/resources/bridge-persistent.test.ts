import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseInterfaces } from '../../../src/formats/interfaces.ts';
import { BridgeParams, bridge } from '../../../src/resources/bridge.ts';
import { afterEdits, type Node, planOn } from '../../support/observed.ts';

const MAIN = '/etc/network/interfaces';
const IFUPDOWN2 = '/usr/share/ifupdown2';
const SYSFS = '/sys/class/net/vmbr0/bridge';
type Input = { readonly [key: string]: unknown };

const info = '"mcast_snooping":1,"mcast_querier":1,"mcast_query_use_ifaddr":1,"mcast_query_intvl":12500';
const link = `[{"ifname":"vmbr0","linkinfo":{"info_kind":"bridge","info_data":{${info}}},"addr_info":[{"family":"inet"}]}]`;
const runs = { 'ip -d -j addr show dev vmbr0': { stdout: link } };

function node(files: Readonly<Record<string, string>>, tool: 'ifupdown' | 'ifupdown2' | 'none' = 'ifupdown2'): Node {
  return { files, runs, folders: tool === 'ifupdown2' ? [IFUPDOWN2] : [] };
}

function resource(input: Input) {
  const [only] = bridge.resources(BridgeParams.parse({ name: 'vmbr0', ...input }));
  if (only === undefined) throw new Error('one task is one bridge');
  return only;
}

function plan(on: Node, input: Input) {
  const { changes, ...rest } = planOn(on, resource(input));
  return { ...rest, changes: changes.filter(({ layer }) => layer === 'persistent') };
}

/** The files after `keep`; fails unless the plan is then empty, and doing it twice is doing it once. */
function kept(on: Node, input: Input): Readonly<Record<string, string>> {
  const first = plan(on, input);
  expect(first.blocked).toBeUndefined();
  const after = afterEdits(on, first.keep);
  expect(plan(after, input).changes).toEqual([]);
  expect(plan(after, input).keep).toEqual([]);
  expect(afterEdits(after, first.keep).files).toEqual(after.files);
  return after.files;
}

const PVE = `auto lo
iface lo inet loopback

iface eno1 inet manual

auto vmbr0
iface vmbr0 inet static
\taddress 198.18.0.2/24
\tgateway 198.18.0.1
\tbridge-ports eno1
\tbridge-stp off
\tbridge-fd 0
\t# a comment
\tmtu 9000

source /etc/network/interfaces.d/*
`;

const ON = { multicast_snooping: true, multicast_querier: true, multicast_query_use_ifaddr: true };

describe('ifupdown2', () => {
  test('absent attributes are drift even where the running value is right, and go beside the other bridge options', () => {
    expect(plan(node({ [MAIN]: PVE }), ON).changes).toEqual([
      { layer: 'persistent', property: 'multicast_snooping', from: null, to: true, file: MAIN },
      { layer: 'persistent', property: 'multicast_querier', from: null, to: true, file: MAIN },
      { layer: 'persistent', property: 'multicast_query_use_ifaddr', from: null, to: true, file: MAIN },
    ]);
    const added = '\tbridge-mcsnoop 1\n\tbridge-mcquerier 1\n\tbridge-mcqifaddr 1\n';
    expect(kept(node({ [MAIN]: PVE }), ON)[MAIN]).toBe(PVE.replace('\tbridge-fd 0\n', `\tbridge-fd 0\n${added}`));
  });

  test('values are compared by meaning, and a right one keeps its spelling', () => {
    const text = PVE.replace(
      '\tbridge-fd 0\n',
      '\tbridge-fd 0\n\tbridge_mcquerier yes\n\tbridge-mcsnoop  on\n\tbridge-mcqi 125\n',
    );
    const input = { multicast_querier: true, multicast_snooping: true, multicast_query_interval: 125 };
    expect(plan(node({ [MAIN]: text }), input)).toMatchObject({ changes: [], keep: [] });
    const off = plan(node({ [MAIN]: text }), { multicast_querier: false });
    expect(off.changes).toEqual([
      { layer: 'persistent', property: 'multicast_querier', from: true, to: false, file: MAIN, line: 13 },
    ]);
    expect(kept(node({ [MAIN]: text }), { multicast_querier: false })[MAIN]).toBe(
      text.replace('bridge_mcquerier yes', 'bridge_mcquerier 0'),
    );
  });

  test('what ifupdown2 takes for false is false; what it can not read sets nothing', () => {
    const text = PVE.replace('\tbridge-fd 0\n', '\tbridge-mcquerier true # on\n\tbridge-mcqi 2m\n');
    const { changes } = plan(node({ [MAIN]: text }), { multicast_querier: true, multicast_query_interval: 120 });
    expect(changes.map(({ property, from, to, line }) => [property, from, to, line])).toEqual([
      ['multicast_querier', false, true, 12],
      ['multicast_query_interval', '2m', 120, 13],
    ]);
    expect(kept(node({ [MAIN]: text }), { multicast_querier: false })[MAIN]).toBe(text);
  });

  test('the first of several counts; setting it removes the others', () => {
    const text = `${PVE.replace('\tbridge-fd 0\n', '\tbridge-mcquerier 0\n\tbridge_mcquerier 1\n')}\niface vmbr0 inet6 auto\n\tbridge-mcquerier 1\n`;
    expect(plan(node({ [MAIN]: text }), { multicast_querier: false }).changes).toEqual([]);
    const after = kept(node({ [MAIN]: text }), { multicast_querier: true })[MAIN];
    expect(after).toBe(`${PVE.replace('\tbridge-fd 0\n', '\tbridge-mcquerier 1\n')}\niface vmbr0 inet6 auto\n`);
  });

  test.each([
    ['post-up ( echo 1 > /sys/devices/virtual/net/$IFACE/bridge/multicast_querier )'],
    ['up echo 1 > /sys/class/net/vmbr0/bridge/multicast_querier || true'],
    ['post-up ip link set dev vmbr0 type bridge mcast_querier 1'],
    ['post-up echo 1 \\\n\t\t> /sys/class/net/vmbr0/bridge/multicast_querier'],
  ])('%s fights ifupdown2 and is replaced', (line) => {
    const text = PVE.replace('\tmtu 9000\n', `\t${line}\n\tmtu 9000\n`);
    const { changes } = plan(node({ [MAIN]: text }), { multicast_querier: true });
    expect(changes).toMatchObject([{ from: null, to: true, file: MAIN, line: 14 }]);
    expect(changes[0]?.note).toMatch(/fights ifupdown2 and is replaced by "bridge-mcquerier"/);
    expect(kept(node({ [MAIN]: text }), { multicast_querier: true })[MAIN]).toBe(
      PVE.replace('\tbridge-fd 0\n', '\tbridge-fd 0\n\tbridge-mcquerier 1\n'),
    );
  });

  test('a command that overrides the right attribute is what counts', () => {
    const right = PVE.replace('\tbridge-fd 0\n', '\tbridge-fd 0\n\tbridge-mcquerier 1\n');
    const line = `\tpost-up echo 0 > ${SYSFS}/multicast_querier; echo 0 > ${SYSFS}/multicast_snooping\n`;
    const text = right.replace('\tmtu 9000\n', `${line}\tmtu 9000\n`);
    expect(plan(node({ [MAIN]: text }), { multicast_querier: true }).changes).toMatchObject([
      { from: false, to: true, line: 15 },
    ]);
    expect(kept(node({ [MAIN]: text }), { multicast_querier: true })[MAIN]).toBe(
      text.replace(`echo 0 > ${SYSFS}/multicast_querier; `, ''),
    );
  });

  test('a line that only a shell can tell stays and is named', () => {
    const text = PVE.replace('\tmtu 9000\n', '\tpost-up /root/fix.sh multicast_querier | logger\n\tmtu 9000\n');
    const { changes } = plan(node({ [MAIN]: text }), { multicast_querier: true });
    expect(changes[0]?.note).toBe(
      `"post-up /root/fix.sh multicast_querier | logger" (${MAIN}:14) may set it too and is left alone`,
    );
    expect(kept(node({ [MAIN]: text }), { multicast_querier: true })[MAIN]).toContain('/root/fix.sh');
  });

  test('fractions of a second can not be kept', () => {
    const { blocked, changes } = plan(node({ [MAIN]: PVE }), { multicast_query_interval: 1.5 });
    expect(changes).toHaveLength(1);
    expect(blocked).toBe(`ifupdown2 takes whole seconds: "bridge-mcqi" can't be 1.5`);
  });

  test('a stanza without bridge-ports gets commands: ifupdown2 would not read the attributes', () => {
    const text = 'iface vmbr0 inet manual\n\tpre-up ip link add vmbr0 type bridge\n';
    expect(kept(node({ [MAIN]: text }), { multicast_querier: true })[MAIN]).toBe(
      `${text}\tpost-up echo 1 > ${SYSFS}/multicast_querier\n`,
    );
  });

  test('a range makes other bridges too', () => {
    const text = 'iface vmbr[0-3] inet manual\n\tbridge-ports none\n\tbridge-mcsnoop no\n';
    const { blocked, changes } = plan(node({ [MAIN]: text }), { multicast_snooping: true });
    expect(changes).toMatchObject([{ from: false, to: true, file: MAIN, line: 3 }]);
    expect(blocked).toContain(`${MAIN}:1 makes "vmbr0" together with others`);
    expect(plan(node({ [MAIN]: text }), { multicast_snooping: false }).blocked).toBeUndefined();
  });

  test('CR LF and a missing last line end stay', () => {
    const text = PVE.replaceAll('\n', '\r\n').trimEnd();
    expect(kept(node({ [MAIN]: text }), { multicast_querier: true })[MAIN]).toBe(
      text.replace('\tbridge-fd 0\r\n', '\tbridge-fd 0\r\n\tbridge-mcquerier 1\r\n'),
    );
  });
});

describe('classic ifupdown', () => {
  const text = PVE.replaceAll('bridge-', 'bridge_');

  test('one post-up line a property, at the end of the stanza', () => {
    const input = { multicast_querier: true, multicast_query_interval: 3.33, multicast_hash_max: 512 };
    const withHash = {
      ...runs,
      'ip -d -j addr show dev vmbr0': { stdout: link.replace('"mcast_sn', '"mcast_hash_max":1,"mcast_sn') },
    };
    const on = { ...node({ [MAIN]: text }, 'ifupdown'), runs: withHash };
    const lines = [
      `\tpost-up echo 1 > ${SYSFS}/multicast_querier\n`,
      `\tpost-up echo 333 > ${SYSFS}/multicast_query_interval\n`,
      `\tpost-up echo 512 > ${SYSFS}/hash_max\n`,
    ];
    expect(kept(on, input)[MAIN]).toBe(text.replace('\tmtu 9000\n', `\tmtu 9000\n${lines.join('')}`));
  });

  test.each([
    [
      'post-up ( echo 1 > /sys/devices/virtual/net/$IFACE/bridge/multicast_querier )',
      `post-up echo 0 > ${SYSFS}/multicast_querier`,
    ],
    ['up ip link set vmbr0 type bridge mcast_querier 1', 'up ip link set vmbr0 type bridge mcast_querier 0'],
  ])('%s is right, and changed in place', (line, changed) => {
    const on = node({ [MAIN]: text.replace('\tmtu 9000\n', `\t${line}\n\tmtu 9000\n`) }, 'ifupdown');
    expect(plan(on, { multicast_querier: true }).changes).toEqual([]);
    expect(plan(on, { multicast_querier: false }).changes).toEqual([
      { layer: 'persistent', property: 'multicast_querier', from: true, to: false, file: MAIN, line: 14 },
    ]);
    expect(kept(on, { multicast_querier: false })[MAIN]).toBe(
      text.replace('\tmtu 9000\n', `\t${changed}\n\tmtu 9000\n`),
    );
  });

  test('the last command counts, `up` and `post-up` being one', () => {
    const both = `\tpost-up echo 1 > ${SYSFS}/multicast_querier\n\tup echo 0 > ${SYSFS}/multicast_querier\n`;
    const on = (tool: 'ifupdown' | 'ifupdown2') =>
      node({ [MAIN]: `iface vmbr0 inet manual\n\tpre-up ip link add vmbr0 type bridge\n${both}` }, tool);
    expect(plan(on('ifupdown'), { multicast_querier: false }).changes).toEqual([]);
    expect(plan(on('ifupdown2'), { multicast_querier: true }).changes).toEqual([]);
  });

  test('attributes of ifupdown2 do nothing here', () => {
    const on = node({ [MAIN]: text.replace('\tmtu', '\tbridge_mcquerier 1\n\tmtu') }, 'ifupdown');
    const { changes } = plan(on, { multicast_querier: true });
    expect(changes).toMatchObject([{ from: null, to: true }]);
    expect(changes[0]?.note).toContain('does nothing here');
  });

  test('what is inherited counts, and is overridden in the stanza itself', () => {
    const base = `iface base inet manual\n\tup echo 1 > ${SYSFS}/multicast_querier\n\n`;
    const own = 'iface vmbr0 inet manual inherits base\n\tbridge_ports none\n';
    const on = node({ [MAIN]: base + own }, 'ifupdown');
    expect(plan(on, { multicast_querier: true }).changes).toEqual([]);
    expect(plan(on, { multicast_querier: false }).changes).toMatchObject([{ from: true, line: 2 }]);
    expect(kept(on, { multicast_querier: false })[MAIN]).toBe(
      `${base}${own}\tpost-up echo 0 > ${SYSFS}/multicast_querier\n`,
    );
  });

  test('a name that a shell interprets is never written into a command', () => {
    const name = ';reboot;';
    const on: Node = {
      files: { [MAIN]: `iface ${name} inet manual\n\tbridge_ports none\n` },
      runs: { [`ip -d -j addr show dev ${name}`]: { stdout: link.replace('vmbr0', name) } },
    };
    const { blocked } = plan(on, { name, multicast_querier: true });
    expect(blocked).toContain('characters that a shell interprets');
  });
});

describe('files of ifupdown', () => {
  const stanza = 'iface vmbr0 inet manual\n\tbridge-ports none\n';
  const PART = '/etc/network/interfaces.d/cluster';

  test.each([
    'source /etc/network/interfaces.d/*',
    'source interfaces.d/*',
    'source /etc/network/interfaces.d/clus*',
    'source-directory interfaces.d',
    'source-directory /etc/network/interfaces.d/',
  ])('"%s" is followed', (line) => {
    const on = node({ [MAIN]: `${line}\n`, [PART]: stanza });
    expect(plan(on, { multicast_querier: true }).changes).toMatchObject([{ from: null, file: PART }]);
    const after = kept(on, { multicast_querier: true });
    expect(after).toEqual({ [MAIN]: `${line}\n`, [PART]: `${stanza}\tbridge-mcquerier 1\n` });
  });

  test.each(['source /etc/network/interfaces.d/*.cfg', 'source /srv/interfaces', 'source-directory /srv', '# none'])(
    '"%s" does not lead to the stanza',
    (line) => {
      const on = node({ [MAIN]: `${line}\n`, [PART]: stanza });
      const { blocked, changes } = plan(on, { multicast_querier: true });
      expect(changes).toEqual([{ layer: 'persistent', property: 'multicast_querier', from: null, to: true }]);
      expect(blocked).toContain(`"vmbr0" runs, but no file that was searched makes it at boot (${MAIN}`);
      expect(blocked?.includes('/srv')).toBe(line.includes('/srv'));
    },
  );

  test('a command in another file is removed there', () => {
    const other = `iface vmbr0 inet6 manual\n\tup echo 1 > ${SYSFS}/multicast_querier\n`;
    const on = node({ [MAIN]: `${stanza}source interfaces.d/*\n`, [PART]: other });
    expect(kept(on, { multicast_querier: true })).toEqual({
      [MAIN]: `${stanza}\tbridge-mcquerier 1\nsource interfaces.d/*\n`,
      [PART]: 'iface vmbr0 inet6 manual\n',
    });
  });

  test('the file of the SDN is not edited', () => {
    const sdn = '/etc/network/interfaces.d/sdn';
    const on = node({ [MAIN]: 'source interfaces.d/*\n', [sdn]: stanza });
    expect(plan(on, { multicast_querier: true }).blocked).toContain(`${sdn} is written by the SDN of Proxmox VE`);
  });

  test('pending changes of the GUI stop the task; an equal file does not', () => {
    const pending = (text: string) => node({ [MAIN]: PVE, [`${MAIN}.new`]: text });
    expect(() => plan(pending(`${PVE}\n`), ON)).toThrow(/interfaces\.new holds changes/);
    expect(plan(pending(PVE), ON).changes).toHaveLength(3);
  });

  test('files that include each other end', () => {
    const on = node({ [MAIN]: 'source interfaces.d/*\n', [PART]: `source ${PART}\n${stanza}` });
    expect(plan(on, { multicast_querier: true }).changes).toHaveLength(1);
  });
});

describe('systemd-networkd', () => {
  const NETDEV = '/etc/systemd/network/10-vmbr0.netdev';
  const text = '[NetDev]\nName=vmbr0\nKind=bridge\n';
  const networkd = (files: Readonly<Record<string, string>>, dropIns: Readonly<Record<string, string>> = {}): Node => ({
    files: { ...files, ...dropIns },
    runs,
  });

  test('a value is compared by meaning and set in place', () => {
    const on = networkd({ [NETDEV]: `${text}\n[Bridge]\nMulticastQuerier=on\nMulticastSnooping=0\n` });
    const input = { multicast_querier: true, multicast_snooping: true };
    expect(plan(on, input).changes).toEqual([
      { layer: 'persistent', property: 'multicast_snooping', from: false, to: true, file: NETDEV, line: 7 },
    ]);
    expect(kept(on, input)[NETDEV]).toBe(`${text}\n[Bridge]\nMulticastQuerier=on\nMulticastSnooping=yes\n`);
  });

  test('an absent section is added', () => {
    expect(kept(networkd({ [NETDEV]: text }), { multicast_querier: false })[NETDEV]).toBe(
      `${text}\n[Bridge]\nMulticastQuerier=no\n`,
    );
  });

  test('properties without a setting can not be kept', () => {
    const { blocked, changes } = plan(networkd({ [NETDEV]: text }), ON);
    expect(changes).toHaveLength(3);
    expect(blocked).toContain('has no setting for multicast_query_use_ifaddr');
  });

  test('a drop-in overrides, an empty value takes it back, /etc hides /usr/lib', () => {
    const drop = (body: string) => ({ '/etc/systemd/network/10-vmbr0.netdev.d/q.conf': `[Bridge]\n${body}` });
    const vendor = { '/usr/lib/systemd/network/10-vmbr0.netdev': `${text}[Bridge]\nMulticastQuerier=yes\n` };
    const on = networkd({ ...vendor, [NETDEV]: text }, drop('MulticastQuerier=0'));
    expect(plan(on, { multicast_querier: true }).changes).toMatchObject([
      { from: false, file: '/etc/systemd/network/10-vmbr0.netdev.d/q.conf', line: 2 },
    ]);
    expect(plan(networkd(vendor, drop('MulticastQuerier=')), { multicast_querier: true }).changes).toMatchObject([
      { from: null },
    ]);
    expect(plan(networkd(vendor), { multicast_querier: true }).changes).toEqual([]);
  });

  test('a file that is not of the administrator gets a drop-in', () => {
    const path = '/run/systemd/network/10-netplan-vmbr0.netdev';
    const dropIn = '/etc/systemd/network/10-netplan-vmbr0.netdev.d/zz-mcastctl.conf';
    const input = { multicast_querier: true };
    expect(kept(networkd({ [path]: text }), input)[dropIn]).toBe('[Bridge]\nMulticastQuerier=yes\n');
    const before = { [dropIn]: '[Bridge]\nMulticastSnooping=no\n' };
    expect(kept(networkd({ [path]: text }, before), input)[dropIn]).toBe(
      '[Bridge]\nMulticastSnooping=no\nMulticastQuerier=yes\n',
    );
  });

  test('where both programs make the bridge, both have to say the same', () => {
    const on = { ...networkd({ [NETDEV]: text, [MAIN]: PVE }), folders: [IFUPDOWN2] };
    expect(plan(on, { multicast_querier: true }).changes.map(({ file }) => file)).toEqual([MAIN, NETDEV]);
    kept(on, { multicast_querier: true });
  });
});

test('whatever else the files hold, only lines of the stanza change', () => {
  const lines = fc.constantFrom(
    ...[
      'auto vmbr0',
      'iface vmbr0 inet static',
      'iface vmbr0 inet6 auto',
      'iface vmbr1 inet manual',
      '\tbridge-ports none',
    ],
    ...[
      '\tbridge-mcquerier 0',
      '  bridge_mcquerier yes',
      '# \\',
      '\\',
      '\tmtu 9000 \\',
      '',
      'mapping eth0',
      '%for a in b:',
    ],
    ...[
      `\tup echo 0 > ${SYSFS}/multicast_querier`,
      '\tpost-up ip link set $IFACE type bridge mcast_querier 0 stp_state 1',
    ],
    ...['source interfaces.d/*', 'ä', '\tbridge-mcquerier'],
  );
  fc.assert(
    fc.property(
      fc.array(lines, { maxLength: 14 }),
      fc.constantFrom<'ifupdown' | 'ifupdown2'>('ifupdown', 'ifupdown2'),
      fc.boolean(),
      fc.constantFrom('\n', '\r\n'),
      (body, tool, value, end) => {
        const text = ['iface vmbr0 inet manual', '\tbridge-ports none', ...body].join(end);
        const after = kept(node({ [MAIN]: text }, tool), { multicast_querier: value })[MAIN] ?? '';
        const foreign = (all: string) =>
          parseInterfaces(all, tool).lines.filter(({ raw }) => !/mc(?:ast_)?querier|multicast_querier/.test(raw));
        // A backslash at the very end of the file would swallow a new line and goes.
        const trim = (all: ReturnType<typeof foreign>) =>
          all
            .map(({ raw }) => raw.replace(/[\s\\]*$/, ''))
            .join('\n')
            .trimEnd();
        expect(trim(foreign(after))).toBe(trim(foreign(text)));
      },
    ),
    { numRuns: 1000 },
  );
});
