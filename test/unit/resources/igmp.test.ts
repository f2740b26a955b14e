import { expect, test } from 'vitest';
import type { Resource } from '../../../src/core/resource.ts';
import { NO_FACTS } from '../../../src/core/task.ts';
import { taskReports } from '../../../src/engine/outcome.ts';
import { planTask } from '../../../src/engine/plan-task.ts';
import { igmp } from '../../../src/resources/igmp.ts';
import { SYSCTL_DROP_IN } from '../../../src/resources/sysctl/setting.ts';
import { afterEdits, type Node, observe, planOn } from '../../support/observed.ts';

const resources = (params: Record<string, unknown>) => igmp.resources(igmp.schema.parse(params));
const only = (params: Record<string, unknown>): Resource => {
  const [first, ...more] = resources(params);
  if (first === undefined || more.length > 0) throw new Error('one resource is expected');
  return first;
};
const faults = (params: Record<string, unknown>): string[] => {
  const { success, error } = igmp.schema.safeParse(params);
  return success ? [] : error.issues.map(({ path, message }) => [...path, message].join(': '));
};

const force = (device: string) => `/proc/sys/net/ipv4/conf/${device}/force_igmp_version`;
const table = (rows: Readonly<Record<string, number>>) =>
  ['Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter']
    .concat(
      Object.entries(rows).map(
        ([device, version], index) =>
          `${index + 1}\t${device.padEnd(10)}:     1      V${version}\n\t\t\t\t010000E0     1 0:00000000\t\t0`,
      ),
    )
    .join('\n')
    .concat('\n');

/** A node whose files give `own` to vmbr0 now and at boot. */
const node = (own: number, all: number, speaks: number, more: Record<string, string> = {}): Node => ({
  files: {
    [force('vmbr0')]: `${own}\n`,
    [force('all')]: `${all}\n`,
    '/proc/net/igmp': table({ lo: 3, vmbr0: speaks }),
    [SYSCTL_DROP_IN]: `net.ipv4.conf.vmbr0.force_igmp_version = ${own}\n`,
    ...more,
  },
});

test('every parameter is checked, all faults at once', () => {
  expect(faults({ interface: 'vmbr0', version: 4, mld_version: 3, max_memberships: 0, qrv: 8 })).toEqual([
    'version: must be auto or one of 1, 2, 3',
    'mld_version: must be auto or one of 1, 2',
    'max_memberships: must be a whole number from 1 to 2147483647',
    'qrv: must be a whole number from 1 to 7',
  ]);
  expect(faults({})).toEqual(['names no setting: add at least one, such as max_memberships: 64']);
  expect(faults({ interface: 'vmbr0' })).toEqual([
    'interface: names a device, but nothing for it: add version or mld_version',
  ]);
  expect(faults({ version: 2, mld_version: 1 })).toEqual([
    'version: needs to know where: add interface, a device or "all"',
    'mld_version: needs to know where: add interface, a device or "all"',
  ]);
  expect(faults({ interface: 'a/b', version: 2 })[0]).toContain('interface: must be a device name');
  expect(faults({ interface: 'eth*', version: 2 })[0]).toContain('is no name that a sysctl.d file can hold');
  expect(faults({ interface: 'eth0.50', version: 'auto', mld_version: 2 })).toEqual([]);
});

test('versions of a device and settings of the host are two resources', () => {
  const [device, host] = resources({ interface: 'eth0.50', version: 'auto', mld_version: 2, max_memberships: 64 });
  expect([device?.id, device?.wants]).toEqual(['igmp[eth0.50]', { version: 'auto', mld_version: 2 }]);
  expect([host?.id, host?.wants]).toEqual(['igmp[host]', { max_memberships: 64 }]);
});

test('a wrong version is set now and for the next boot, and taken back', () => {
  const before = node(0, 0, 3, { [SYSCTL_DROP_IN]: '' });
  const wanted = only({ interface: 'vmbr0', version: 2 });
  const plan = planOn(before, wanted);
  expect(plan).toMatchObject({
    changes: [
      { layer: 'runtime', property: 'version', from: 'auto', to: 2 },
      { layer: 'persistent', property: 'version', from: null, to: 2, file: SYSCTL_DROP_IN },
    ],
    try: [{ do: 'set', path: force('vmbr0'), value: '2\n' }],
    undo: [{ do: 'set', path: force('vmbr0'), value: '0\n' }],
  });
  const after = afterEdits(before, plan.keep);
  expect(after.files[SYSCTL_DROP_IN]).toBe('net.ipv4.conf.vmbr0.force_igmp_version = 2\n');
  const right = { files: { ...after.files, [force('vmbr0')]: '2\n', '/proc/net/igmp': table({ vmbr0: 2 }) } };
  expect(planOn(right, wanted)).toEqual({ changes: [], try: [], undo: [], keep: [] });
});

test('IPv6 has its own setting; auto is 0 there as well', () => {
  const path = '/proc/sys/net/ipv6/conf/all/force_mld_version';
  const plan = planOn({ files: { [path]: '2\n' } }, only({ interface: 'all', mld_version: 'auto' }));
  expect(plan.changes.map(({ layer, property, from, to }) => [layer, property, from, to])).toEqual([
    ['runtime', 'mld_version', 2, 'auto'],
    ['persistent', 'mld_version', null, 'auto'],
  ]);
});

test('an older querier that was heard is a note, not a difference, and shown in a report', () => {
  const wanted = only({ interface: 'vmbr0', version: 3 });
  const plan = planOn(node(3, 0, 2), wanted);
  expect(plan).toMatchObject({ changes: [], note: expect.stringContaining('"vmbr0" still speaks IGMPv2') });
  const task = {
    host: 'a',
    name: 'n',
    type: 'igmp',
    source: { file: 'p.yml', line: 1, column: 1 },
    items: [{ resources: [wanted], when: () => true }],
    ignoreErrors: false,
    notify: [],
  };
  const [report] = taskReports(planTask(task, observe(node(3, 0, 2), wanted.reads), NO_FACTS), 'drift');
  expect(report).toMatchObject({ status: 'ok', note: plan.note });
});

test.each([
  [1, 3, true],
  [2, 3, true],
  [2, 'auto', true],
  [1, 2, true],
  [3, 2, false],
  [2, 2, false],
  [2, 1, false],
  [3, 'auto', false],
])('all = %i and version %s: overruled is %s', (all, version, isOverruled) => {
  const own = version === 'auto' ? 0 : Number(version);
  const plan = planOn(node(own, all, 3), only({ interface: 'vmbr0', version }));
  expect(plan.blocked === undefined).toBe(!isOverruled);
  expect(plan.changes).toEqual(
    isOverruled ? [{ layer: 'runtime', property: 'version in force', from: all, to: version }] : [],
  );
});

test('what overrules a device at the next boot is found too, with its line', () => {
  const file = '/etc/sysctl.d/50-old.conf';
  const plan = planOn(
    node(3, 0, 3, { [file]: '# seed\nnet.ipv4.conf.all.force_igmp_version=2\n' }),
    only({ interface: 'vmbr0', version: 3 }),
  );
  expect(plan.changes).toEqual([{ layer: 'persistent', property: 'version in force', from: 2, to: 3, file, line: 2 }]);
  expect(plan.blocked).toContain(`${file}:2 says "net.ipv4.conf.all.force_igmp_version = 2" for the next boot`);
});

test('with all, devices that speak something else are named with the reason', () => {
  const files = {
    [force('all')]: '2\n',
    [force('default')]: '0\n',
    [force('lo')]: '0\n',
    [force('vmbr0')]: '1\n',
    [force('vmbr1')]: '0\n',
    '/proc/net/igmp': table({ lo: 2, vmbr0: 1, vmbr1: 1 }),
    [SYSCTL_DROP_IN]: 'net.ipv4.conf.all.force_igmp_version = 2\n',
  };
  const plan = planOn({ files }, only({ interface: 'all', version: 2 }));
  expect(plan.changes).toEqual([]);
  expect(plan.note).toContain(
    '"vmbr0" speaks IGMPv1, as its own "net.ipv4.conf.vmbr0.force_igmp_version = 1" says; "vmbr1" still',
  );
});

test('a device that is not there is an error; "default" has no version in force', () => {
  expect(() => planOn({ files: {} }, only({ interface: 'vmbr9', version: 2 }))).toThrow(
    'this kernel has no setting "net.ipv4.conf.vmbr9.force_igmp_version"',
  );
  const files = { [force('default')]: '2\n', [SYSCTL_DROP_IN]: 'net.ipv4.conf.default.force_igmp_version = 2\n' };
  expect(planOn({ files }, only({ interface: 'default', version: 2 })).changes).toEqual([]);
});
