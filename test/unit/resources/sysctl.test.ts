import { describe, expect, test } from 'vitest';
import { HostError } from '../../../src/core/errors.ts';
import type { FileState, Observations, Resource } from '../../../src/core/resource.ts';
import { DROP_IN_HEADER } from '../../../src/formats/sysctl-conf.ts';
import { SYSCTL_DROP_IN } from '../../../src/resources/sysctl/setting.ts';
import { sysctl } from '../../../src/resources/sysctl.ts';

type Tree = Readonly<Record<string, string | { readonly link: string; readonly text: string }>>;

/** What a node with these files answers; reading what the resource did not ask for fails as in the engine. */
function seen(resource: Resource, tree: Tree): Observations {
  const state = (path: string): FileState | null => {
    const entry = tree[path];
    if (entry === undefined) return null;
    const [text, target] = typeof entry === 'string' ? [entry, null] : [entry.text, entry.link];
    return { path, text, target, encoding: 'utf8', mode: 0o644, uid: 0, gid: 0 };
  };
  const demand = (read: string, path: string) => {
    if (!resource.reads.some((asked) => asked.read !== 'run' && asked.read === read && asked.path === path))
      throw new Error(`not read: ${path}`);
  };
  return {
    file(path) {
      demand('file', path);
      return state(path);
    },
    dir(path, suffix) {
      demand('dir', path);
      const names = Object.keys(tree).filter((name) => name.startsWith(`${path}/`) && name.endsWith(suffix));
      return names.length === 0 ? null : names.sort().flatMap((name) => state(name) ?? []);
    },
    run() {
      throw new Error('nothing is run');
    },
  };
}

function only(params: Record<string, unknown>): Resource {
  const [resource, ...more] = sysctl.resources(sysctl.schema.parse(params));
  if (!resource || more.length > 0) throw new Error('one key gives one resource');
  return resource;
}

const plan = (params: Record<string, unknown>, tree: Tree) => {
  const resource = only(params);
  return resource.plan(seen(resource, tree));
};

const RMEM = '/proc/sys/net/core/rmem_max';

test('says what it wants, whatever the spelling', () => {
  expect(only({ 'net.core.rmem_max': '1' }).wants).toEqual({ value: 1 });
  expect(only({ 'net.core.rmem_max': 0 }).wants).toEqual({ value: 0 });
  expect(only({ 'net.ipv4.tcp_rmem': '4096\t1  2' }).wants).toEqual({ value: '4096 1 2' });
});

describe('runtime', () => {
  test('a value in force and given by the next boot needs nothing', () => {
    const result = plan(
      { 'net.core.rmem_max': 26214400 },
      { [RMEM]: '26214400\n', '/usr/lib/sysctl.d/10-x.conf': 'net.core.rmem_max=26214400' },
    );
    expect(result).toEqual({ changes: [], try: [], undo: [], keep: [] });
  });

  test('another value is set and taken back to exactly what was read', () => {
    const result = plan(
      { 'net.ipv4.tcp_rmem': ' 4096  131072 6291456' },
      {
        '/proc/sys/net/ipv4/tcp_rmem': '4096\t87380\t6291456\n',
        '/etc/sysctl.d/1.conf': 'net.ipv4.tcp_rmem=4096 131072\t6291456',
      },
    );
    expect(result.changes).toEqual([
      { layer: 'runtime', property: 'value', from: '4096 87380 6291456', to: '4096 131072 6291456' },
    ]);
    expect(result.try).toEqual([{ do: 'set', path: '/proc/sys/net/ipv4/tcp_rmem', value: '4096  131072 6291456\n' }]);
    expect(result.undo).toEqual([{ do: 'set', path: '/proc/sys/net/ipv4/tcp_rmem', value: '4096\t87380\t6291456\n' }]);
  });

  test('0 is a value like any other', () => {
    const tree = { '/proc/sys/net/ipv4/conf/vmbr0/rp_filter': '2\n' };
    const result = plan({ 'net.ipv4.conf.vmbr0.rp_filter': 0 }, tree);
    expect(result.changes.map(({ layer, from, to }) => [layer, from, to])).toEqual([
      ['runtime', 2, 0],
      ['persistent', null, 0],
    ]);
  });

  test('a key the kernel does not have is an error that says what to do', () => {
    const act = () => plan({ 'net.bridge.bridge-nf-call-iptables': 0 }, {});
    expect(act).toThrow(HostError);
    expect(act).toThrow('this kernel has no setting "net.bridge.bridge-nf-call-iptables"');
  });

  test('a key that can not be read is an error that says why', () => {
    const resource = only({ 'net.ipv4.route.flush': 1 });
    const blind: Observations = {
      ...seen(resource, {}),
      file() {
        throw new HostError('Permission denied');
      },
    };
    expect(() => resource.plan(blind)).toThrow('"/proc/sys/net/ipv4/route/flush" can\'t be read: Permission denied');
  });
});

describe('persistent', () => {
  const running = { [RMEM]: '5\n' };

  test('no file sets the key: our drop-in gets it', () => {
    const result = plan({ 'net.core.rmem_max': 5 }, running);
    expect(result.changes).toEqual([
      { layer: 'persistent', property: 'value', from: null, to: 5, file: SYSCTL_DROP_IN },
    ]);
    const [step] = result.keep;
    if (step?.do !== 'edit') throw new Error('an edit is needed');
    expect([step.path, step.edit(null)]).toEqual([SYSCTL_DROP_IN, `${DROP_IN_HEADER}net.core.rmem_max = 5\n`]);
    expect(plan({ 'net.core.rmem_max': 5 }, { ...running, [SYSCTL_DROP_IN]: step.edit(null) ?? '' }).changes).toEqual(
      [],
    );
  });

  test('an earlier file says otherwise: named, and overridden', () => {
    const result = plan(
      { 'net.core.rmem_max': 5 },
      { ...running, '/usr/lib/sysctl.d/10-pve.conf': '#\nnet.core.rmem_max=4' },
    );
    expect(result.changes).toEqual([
      {
        layer: 'persistent',
        property: 'value',
        from: 4,
        to: 5,
        file: '/usr/lib/sysctl.d/10-pve.conf',
        line: 2,
        note: '/usr/lib/sysctl.d/10-pve.conf:2 gives the value',
      },
    ]);
    expect(result.blocked).toBeUndefined();
    expect(result.keep).toHaveLength(1);
  });

  test('a later file that overrides ours blocks, with its line and what to do', () => {
    const result = plan(
      { 'net.core.rmem_max': 5 },
      {
        ...running,
        [SYSCTL_DROP_IN]: 'net.core.rmem_max = 5\n',
        '/etc/sysctl.d/99-zzz.conf': '# x\n\nnet.core.rmem_max = 0\n',
      },
    );
    expect(result.changes).toMatchObject([{ from: 0, to: 5, file: '/etc/sysctl.d/99-zzz.conf', line: 3 }]);
    expect(result.keep).toEqual([]);
    expect(result.blocked).toBe(
      `/etc/sysctl.d/99-zzz.conf:3 sets "net.core.rmem_max" to "0" at boot, after "${SYSCTL_DROP_IN}": remove that line, or change it to "net.core.rmem_max = 5"`,
    );
  });

  test('a later exclusion blocks as well', () => {
    const result = plan({ 'net.core.rmem_max': 5 }, { ...running, '/run/sysctl.d/zz.conf': '-net.core.rmem_max\n' });
    expect(result.blocked).toContain('/run/sysctl.d/zz.conf:1 excludes "net.core.rmem_max" at boot');
    expect(result.changes).toMatchObject([{ from: null, file: '/run/sysctl.d/zz.conf', line: 1 }]);
  });

  test('the right value from a file of somebody else is no drift, nor is a stale line of ours that it overrides', () => {
    const tree = {
      ...running,
      [SYSCTL_DROP_IN]: 'net.core.rmem_max = 9\n',
      '/etc/sysctl.d/zz.conf': 'net/core/rmem_max=5\n',
    };
    expect(plan({ 'net.core.rmem_max': 5 }, tree).changes).toEqual([]);
  });

  test('a mask hides the file of the same name', () => {
    const tree = {
      ...running,
      '/etc/sysctl.d/zz.conf': { link: '/dev/null', text: '' },
      '/usr/lib/sysctl.d/zz.conf': 'net.core.rmem_max=1',
    };
    expect(plan({ 'net.core.rmem_max': 5 }, tree)).toMatchObject({ changes: [{ from: null, file: SYSCTL_DROP_IN }] });
  });

  test('our drop-in turned off by a link to /dev/null blocks: the device is never written over', () => {
    const result = plan({ 'net.core.rmem_max': 5 }, { ...running, [SYSCTL_DROP_IN]: { link: '/dev/null', text: '' } });
    expect(result.keep).toEqual([]);
    expect(result.blocked).toBe(`"${SYSCTL_DROP_IN}" is a link to /dev/null, which turns it off: remove the link`);
  });

  test('/etc/sysctl.conf counts only where systemd is led to it', () => {
    const conf = 'net.core.rmem_max=1\n';
    const alone = plan({ 'net.core.rmem_max': 5 }, { ...running, '/etc/sysctl.conf': conf });
    expect(alone.changes).toMatchObject([
      {
        from: null,
        note: '/etc/sysctl.conf:1 says "1": systemd does not read it at boot, "sysctl --system" does; remove that line',
      },
    ]);
    const linked = plan(
      { 'net.core.rmem_max': 5 },
      { ...running, '/etc/sysctl.conf': conf, '/etc/sysctl.d/99-sysctl.conf': { link: '../sysctl.conf', text: conf } },
    );
    expect(linked.changes).toMatchObject([
      { from: 1, line: 1, note: '/etc/sysctl.d/99-sysctl.conf:1 (a link to ../sysctl.conf) gives the value' },
    ]);
  });

  test('the edits of several keys compose', () => {
    const params = sysctl.schema.parse({ 'net.core.wmem_max': 2, 'net.core.rmem_max': 1 });
    const text = sysctl.resources(params).reduce<string | null>((before, resource) => {
      const tree = { [RMEM]: '0\n', '/proc/sys/net/core/wmem_max': '0\n' };
      const [step] = resource.plan(seen(resource, tree)).keep;
      return step?.do === 'edit' ? step.edit(before) : before;
    }, null);
    expect(text).toBe(`${DROP_IN_HEADER}net.core.rmem_max = 1\nnet.core.wmem_max = 2\n`);
  });
});

describe('schema', () => {
  test('the title is the dotted form, whatever the spelling', () => {
    expect(only({ 'net/ipv4/conf/eth0.200/rp_filter': 0 }).id).toBe('sysctl[net.ipv4.conf.eth0/200.rp_filter]');
    expect(only({ 'net.core.rmem_max': '1' }).id).toBe('sysctl[net.core.rmem_max]');
  });

  const fault = (params: unknown) =>
    sysctl.schema.safeParse(params).error?.issues.map(({ path, message }) => [path, message]);

  test.each([
    ['../../etc/passwd', 'has an empty part'],
    ['net/../../etc/passwd', 'would leave its place in /proc/sys'],
    ['net.ipv4.conf./.rp_filter', 'would leave its place in /proc/sys'],
    ['net..core', 'has an empty part'],
    ['/proc/sys/net/core/rmem_max', 'has an empty part: write net.core.rmem_max'],
    ['net.core.rmem_max.', 'has an empty part'],
    ['net.ipv4.conf.*.rp_filter', 'is a pattern: name each key'],
    ['net.ipv4.conf.{{device}}.rp_filter', 'holds a template: only values may hold templates'],
    ['-net.core.rmem_max', 'begins with "-"'],
    ['net.core.rmem max', 'contains white space'],
    ['net.core\n.x', 'contains white space'],
    ['net.core.\0x', 'contains white space or a control character'],
    ['net.core.x=1', 'is not a key'],
    ['', 'a sysctl key is empty'],
  ])('key %j is refused: %s', (key, reason) => {
    expect(fault({ [key]: 1 })).toEqual([[[key], expect.stringContaining(reason)]]);
  });

  test.each([
    [true, 'a sysctl value is a number or text, not true: write 1'],
    [false, 'a sysctl value is a number or text, not false: write 0'],
    [null, 'to leave the key alone, leave it out'],
    [1.5, 'sysctl value 1.5 is no whole number'],
    [2 ** 53, 'sysctl value 9007199254740992 is no whole number'],
    ['1\nkernel.x = 2', 'a sysctl value is one line'],
  ])('value %j is refused: %s', (value, reason) => {
    expect(fault({ 'net.core.rmem_max': value })).toEqual([[['net.core.rmem_max'], expect.stringContaining(reason)]]);
  });

  test('two spellings of one key, and no key at all, are faults', () => {
    expect(fault({ 'net.core.rmem_max': 1, 'net/core/rmem_max': 2 })).toEqual([
      [['net/core/rmem_max'], '"net.core.rmem_max" and "net/core/rmem_max" are the same key: keep one of them'],
    ]);
    expect(fault({})).toEqual([[[], 'sysctl names no key']]);
  });
});
