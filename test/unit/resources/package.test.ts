import { describe, expect, test } from 'vitest';
import { compareVersions } from '../../../src/resources/package/rpm.ts';
import { packages } from '../../../src/resources/package.ts';
import { type Node, observe, planOn } from '../../support/observed.ts';

const resources = (params: Record<string, unknown>) => packages.resources(packages.schema.parse(params));
const QUERY = `dpkg-query -W -f=\${binary:Package}\\t\${db:Status-Status}\\t\${Version}\\n`;
const RPM = (names: string) => `rpm -q --queryformat %{NAME}\\t%{VERSION}-%{RELEASE}\\n -- ${names}`;
const argvs = (steps: readonly { do: string; argv?: readonly string[] }[] = []) =>
  steps.map(({ argv = [] }) => argv.filter((word) => !word.includes('\n')).join(' '));

/** What dpkg-query printed on Debian 12. */
const debian: Node = {
  files: { '/etc/debian_version': '12.11\n' },
  runs: {
    [QUERY]: {
      stdout:
        'corosync\tinstalled\t3.1.7-1\nlibc6:amd64\tinstalled\t2.36-9\nold\tconfig-files\t1\nhalf\thalf-configured\t1\n',
    },
    'apt-cache policy corosync': {
      stdout: 'corosync:\n  Installed: 3.1.7-1\n  Candidate: 3.1.7-1+deb12u1\n  Version table:\n',
    },
  },
};

describe('apt', () => {
  test('what is installed, of whatever architecture, needs nothing', () => {
    for (const resource of resources({ name: ['corosync', 'libc6'] }))
      expect(planOn(debian, resource)).toEqual({ changes: [], try: [], undo: [], keep: [] });
    const [gone] = resources({ name: 'old', state: 'absent' });
    expect(gone && planOn(debian, gone).changes).toEqual([]);
  });

  test('all that is missing is one installation, without questions', () => {
    const plans = resources({ name: ['old', 'corosync', 'half'], update_cache: true }).map((each) =>
      planOn(debian, each),
    );
    expect(plans.map(({ changes }) => changes.length)).toEqual([1, 0, 1]);
    expect(argvs(plans[0]?.keep)).toEqual([
      'env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=60 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o APT::Cmd::Pattern-Only=true update',
      'env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=60 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o APT::Cmd::Pattern-Only=true install old half',
    ]);
    expect(plans[2]?.keep).toEqual(plans[0]?.keep);
    expect(plans[2]?.unkeep).toEqual(plans[0]?.unkeep);
  });

  test('another version', () => {
    const [latest] = resources({ name: 'corosync', state: 'latest' });
    const plan = latest && planOn(debian, latest);
    expect(plan?.changes).toEqual([
      { layer: 'persistent', property: 'version', from: '3.1.7-1', to: '3.1.7-1+deb12u1' },
    ]);
    expect(argvs(plan?.keep)[0]).toMatch(/ --allow-downgrades install corosync=3\.1\.7-1\+deb12u1$/);
    expect(plan?.impact?.kind).toBe('restart-node');
    const [none] = resources({ name: 'none', state: 'latest' });
    const lists = { ...debian, runs: { ...debian.runs, 'apt-cache policy none': { stdout: '' } } };
    expect(() => none && planOn(lists, none)).toThrow('the lists of the node have no package "none"');
  });
});

/** RHEL 9, after rpm(8); there is none here to record it on. */
const rhel = (answer: string, dnf = true): Node => ({
  files: {},
  runs: { [RPM('corosync')]: { code: 1, stdout: answer }, 'test -x /usr/bin/dnf': { code: dnf ? 0 : 1 } },
});

describe('rpm', () => {
  const [plain, pinned] = [
    resources({ name: 'corosync' })[0],
    resources({ name: 'corosync', version: '3.1.5-1.el9' })[0],
  ];
  const [gone] = resources({ name: 'corosync', state: 'absent' });
  if (!plain || !pinned || !gone) throw new Error('no resource');

  test('installed by dnf, or by yum, and taken back', () => {
    const plan = planOn(rhel('package corosync is not installed\n'), plain);
    expect(argvs(plan.keep)).toEqual(['dnf -q -y --setopt=install_weak_deps=False install corosync']);
    expect(argvs(plan.unkeep)).toEqual(['dnf -q -y --setopt=install_weak_deps=False remove corosync']);
    expect(argvs(planOn(rhel('', false), plain).keep)).toEqual(['yum -q -y install corosync']);
    expect(planOn(rhel('corosync\t3.1.7-1.el9\n'), plain).changes).toEqual([]);
  });

  test('an older version is a downgrade, and back', () => {
    const plan = planOn(rhel('corosync\t3.1.7-1.el9\n'), pinned);
    expect(argvs(plan.keep)).toEqual(['dnf -q -y --setopt=install_weak_deps=False downgrade corosync-3.1.5-1.el9']);
    expect(argvs(plan.unkeep)).toEqual(['dnf -q -y --setopt=install_weak_deps=False install corosync-3.1.7-1.el9']);
    const newer = planOn(rhel('corosync\t3.1.4-2.el9\n'), pinned);
    expect(argvs(newer.keep)).toEqual(['dnf -q -y --setopt=install_weak_deps=False install corosync-3.1.5-1.el9']);
    expect(argvs(newer.unkeep)).toEqual(['dnf -q -y --setopt=install_weak_deps=False downgrade corosync-3.1.4-2.el9']);
  });

  test('removed only where nobody needs it', () => {
    const plan = planOn(rhel('corosync\t3.1.7-1.el9\n'), gone);
    expect(argvs(plan.keep)).toEqual(['rpm -e -- corosync']);
    expect(argvs(plan.unkeep)).toEqual(['dnf -q -y --setopt=install_weak_deps=False install corosync-3.1.7-1.el9']);
  });

  test.each([
    ['1.0', '1.0', 0],
    ['1.0', '1.1', -1],
    ['1.10', '1.9', 1],
    ['1.0~rc1', '1.0', -1],
    ['1.0^git1', '1.0', 1],
    ['1.0^git1', '1.0.1', -1],
    ['1.0a', '1.0', 1],
    ['1.0.1', '1.0a', 1],
    ['001', '1', 0],
  ])('%s and %s compare as %i', (left, right, order) => expect(Math.sign(compareVersions(left, right))).toBe(order));
});

test('a node without either is an error', () => {
  const [wanted] = resources({ name: 'x' });
  if (!wanted) throw new Error('no resource');
  expect(() => wanted.plan(observe({ files: {} }, wanted.reads))).toThrow('the node has neither dpkg nor rpm');
});

describe('schema', () => {
  const faults = (params: unknown) =>
    packages.schema
      .safeParse(params)
      .error?.issues.map(({ message }) => JSON.stringify(message))
      .join('\n');
  test.each([
    [{ name: 'a=1' }, 'is no name of a package'],
    [{ name: '-y' }, 'is no name of a package'],
    [{ name: 'a-' }, 'is no name of a package'],
    [{ name: [] }, 'is a package, or a list of them'],
    [{ name: ['a', 'a'] }, 'a package stands twice'],
    [{ name: 'a', version: 1.0 }, 'is text, in quotes'],
    [{ name: 'a', version: '-1' }, 'is no version of a package'],
    [{ name: ['a', 'b'], version: '1' }, 'that of one package'],
    [{ name: 'a', version: '1', state: 'latest' }, 'goes with state'],
  ])('%j is refused: %s', (params, text) => expect(faults(params)).toContain(text));
});
