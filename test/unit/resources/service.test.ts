import { describe, expect, test } from 'vitest';
import { service } from '../../../src/resources/service.ts';
import { type Node, planOn } from '../../support/observed.ts';

const resource = (params: Record<string, unknown>) => {
  const [only] = service.resources(service.schema.parse({ name: 'corosync', ...params }));
  if (only === undefined) throw new Error('one task is one service');
  return only;
};

const SHOW =
  'systemctl show --property=LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,CanReload -- corosync.service';

/** A node with systemd 252 (Debian 12), its answers as systemctl prints them. */
function systemd(state: Partial<Record<'load' | 'active' | 'sub' | 'file' | 'fresh' | 'reload', string>> = {}): Node {
  const { load = 'loaded', active = 'active', sub = 'running', file = 'enabled', fresh = 'no', reload = 'no' } = state;
  const stdout = `ActiveState=${active}\nSubState=${sub}\nLoadState=${load}\nUnitFileState=${file}\nNeedDaemonReload=${fresh}\nCanReload=${reload}\n`;
  return {
    files: {},
    folders: ['/run/systemd/system'],
    runs: {
      [SHOW]: { stdout },
      'systemctl is-enabled -- corosync.service': { code: file === 'enabled' ? 0 : 1, stdout: `${file}\n` },
    },
  };
}
const programs = (steps: readonly { readonly do: string; readonly argv?: readonly string[] }[]) =>
  steps.flatMap(({ argv = [] }) => (argv[0] === 'perl' ? [] : [argv.join(' ')]));
const brief = (node: Node, params: Record<string, unknown>) => {
  const plan = planOn(node, resource(params));
  return {
    changes: plan.changes.map(({ layer, property, from, to }) => `${layer} ${property} ${from} ${to}`),
    try: programs(plan.try),
    undo: programs(plan.undo),
    keep: programs(plan.keep),
    unkeep: programs(plan.unkeep ?? []),
    blocked: plan.blocked,
  };
};
const NOTHING = { changes: [], try: [], undo: [], keep: [], unkeep: [], blocked: undefined };

describe('systemd', () => {
  test('what runs and is enabled needs nothing', () => {
    expect(brief(systemd(), { state: 'started', enabled: true })).toEqual(NOTHING);
    expect(brief(systemd({ active: 'failed', file: 'disabled' }), { state: 'stopped', enabled: false })).toEqual(
      NOTHING,
    );
  });

  test('started and enabled, and back', () => {
    expect(
      brief(systemd({ active: 'failed', sub: 'failed', file: 'disabled' }), { state: 'started', enabled: true }),
    ).toEqual({
      changes: ['runtime state stopped started', 'persistent enabled false true'],
      try: ['systemctl start -- corosync.service'],
      undo: ['systemctl stop -- corosync.service'],
      keep: ['systemctl enable -- corosync.service'],
      unkeep: ['systemctl disable -- corosync.service'],
      blocked: undefined,
    });
    const plan = planOn(systemd({ active: 'failed', sub: 'failed' }), resource({ state: 'started' }));
    expect(plan.changes[0]?.note).toBe('it is failed (failed)');
    expect(plan.impact).toBeUndefined();
  });

  test('a unit file that was changed is loaded again before a start', () => {
    expect(brief(systemd({ active: 'inactive', fresh: 'yes' }), { state: 'started' }).try).toEqual([
      'systemctl daemon-reload',
      'systemctl start -- corosync.service',
    ]);
  });

  test('enabled until the next boot only is not enabled', () => {
    expect(brief(systemd({ file: 'enabled-runtime' }), { enabled: true }).changes).toEqual([
      'persistent enabled false true',
    ]);
  });

  test('unmasked, then enabled, then started', () => {
    const masked = systemd({ load: 'masked', active: 'inactive', file: 'masked' });
    expect(brief(masked, { state: 'started', enabled: true, masked: false })).toEqual({
      changes: ['runtime state stopped started', 'persistent enabled false true', 'persistent masked true false'],
      try: [],
      undo: [],
      keep: ['unmask', 'enable', 'start'].map((verb) => `systemctl ${verb} -- corosync.service`),
      unkeep: ['stop', 'disable', 'mask'].map((verb) => `systemctl ${verb} -- corosync.service`),
      blocked: undefined,
    });
    expect(brief(masked, { state: 'started' }).blocked).toBe('it is masked: add "masked: false"');
    expect(brief(masked, { enabled: true }).blocked).toBe('it is masked: add "masked: false"');
    expect(brief(masked, { masked: true, state: 'stopped' })).toEqual(NOTHING);
  });

  test.each([
    ['static', '"corosync.service" is static, it has no [Install] section, other units start it: leave "enabled" out'],
    ['generated', '"corosync.service" is generated, a generator of systemd made it at boot: leave "enabled" out'],
  ])('a unit that is %s can not be enabled', (file, text) => {
    expect(brief(systemd({ file }), { enabled: true }).blocked).toBe(text);
    expect(brief(systemd({ file }), { enabled: false })).toEqual(NOTHING);
  });

  test('a unit that is not there blocks, or is as stopped as can be', () => {
    const none = systemd({ load: 'not-found', active: 'inactive', sub: 'dead', file: '' });
    const blocked =
      'there is no unit "corosync.service" on the node: install its package before this task, or correct the name';
    expect(brief(none, { state: 'started' }).blocked).toBe(blocked);
    expect(brief(none, { enabled: true }).blocked).toBe(blocked);
    expect(brief(none, { state: 'stopped', enabled: false })).toEqual(NOTHING);
  });

  test('actions of handlers', () => {
    expect(resource({ state: 'restarted' }).isAction).toBe(true);
    expect(resource({ state: 'started' }).isAction).toBeUndefined();
    expect(brief(systemd(), { state: 'restarted' }).try).toEqual(['systemctl restart -- corosync.service']);
    expect(brief(systemd({ reload: 'yes' }), { state: 'reloaded' }).try).toEqual([
      'systemctl reload -- corosync.service',
    ]);
    expect(brief(systemd(), { state: 'reloaded' }).blocked).toContain('write "restarted"');
    expect(brief(systemd({ active: 'inactive' }), { state: 'restarted' }).try).toEqual([
      'systemctl start -- corosync.service',
    ]);
    expect(planOn(systemd(), resource({ state: 'restarted' }))).toMatchObject({
      changes: [{ isAction: true }],
      impact: { kind: 'restart-node', text: expect.stringContaining('with "serial: 1" the others keep their quorum') },
    });
  });

  test('a systemctl that does not answer as it does is an error', () => {
    const broken: Node = { ...systemd(), runs: { [SHOW]: { code: 1, stderr: 'Failed to connect to bus\n' } } };
    expect(() => planOn(broken, resource({ state: 'started' }))).toThrow('Failed to connect to bus');
  });
});

describe('without systemd', () => {
  const rhel6: Node = {
    files: { '/etc/init.d/corosync': '#!/bin/sh\n', '/etc/rc3.d/K20corosync': '', '/etc/rc3.d/S20mycorosync': '' },
    runs: { '/etc/init.d/corosync status': { code: 3 }, 'test -x /sbin/chkconfig': {} },
  };
  test('chkconfig where there is no update-rc.d', () => {
    expect(brief(rhel6, { enabled: true })).toMatchObject({
      keep: ['chkconfig corosync on'],
      unkeep: ['chkconfig corosync off'],
    });
  });
  test('a status that nobody knows is an error', () => {
    const unknown: Node = { ...rhel6, runs: { '/etc/init.d/corosync status': { code: 4 } } };
    expect(() => planOn(unknown, resource({ state: 'started' }))).toThrow('exit code 4');
  });
  test('masked is for systemd', () => expect(brief(rhel6, { masked: true }).blocked).toContain('only systemd'));
  test('a process has no boot', () => {
    const plain: Node = { files: {}, runs: { 'pidof toy': { code: 1 } } };
    const params = { name: 'toy', process: 'toy', start: ['toy'], stop: ['toy', '-x'], enabled: true };
    expect(brief(plain, params).blocked).toBe(
      'a plain process has nothing that starts it at boot: leave "enabled" out',
    );
  });
});

describe('schema', () => {
  const faults = (params: unknown) =>
    service.schema
      .safeParse(params)
      .error?.issues.map(({ message }) => message)
      .join('\n');
  test.each([
    [{ name: 'x' }, '"service" says nothing of the service'],
    [{ name: '-x', state: 'started' }, '"-x" is no name of a service'],
    [{ name: 'a;b', state: 'started' }, '"a;b" is no name of a service'],
    [{ name: 'x', masked: true, state: 'started' }, "what is masked can't be started"],
    [{ name: 'x', masked: true, enabled: true }, "what is masked can't be enabled"],
    [{ name: 'x', state: 'started', start: ['x'] }, '"start" goes with "stop"'],
    [{ name: 'x', state: 'started', start: ['x'], stop: ['y'] }, '"start" goes with "process"'],
    [{ name: 'x', state: 'started', start: 'x -d', stop: ['y'], process: 'x' }, 'there is no shell'],
  ])('%j is refused: %s', (params, text) => expect(faults(params)).toContain(text));
});
