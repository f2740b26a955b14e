import { describe, expect, test } from 'vitest';
import { hostsEntry } from '../../../src/resources/hosts-entry.ts';
import { afterEdits, type Node, planOn } from '../../support/observed.ts';

const only = (params: Record<string, unknown>) => {
  const [resource, ...more] = hostsEntry.resources(hostsEntry.schema.parse(params));
  if (resource === undefined || more.length > 0) throw new Error('one entry is one resource');
  return resource;
};
const PVE1 = { address: '192.0.2.11', names: ['pve1'] };

/** A node whose resolver answers from its file alone. */
function node(hosts: string, answers: Readonly<Record<string, string>>, nsswitch = 'hosts: files dns\n'): Node {
  const runs = Object.fromEntries(
    Object.entries(answers).map(([query, stdout]) => [
      `timeout 3 getent ${query}`,
      stdout === '' ? { code: 2 } : { stdout },
    ]),
  );
  return { files: { '/etc/hosts': hosts, '/etc/nsswitch.conf': nsswitch }, runs };
}

test('a name that resolves as desired, by the file, needs nothing', () => {
  const right = node('192.0.2.11 pve1\n', { 'ahostsv4 pve1': '192.0.2.11 STREAM pve1\n192.0.2.11 DGRAM \n' });
  expect(planOn(right, only(PVE1))).toEqual({ changes: [], try: [], undo: [], keep: [] });
});

test('a name that only a name server gives is no entry of the file', () => {
  const byDns = node('127.0.0.1 localhost\n', { 'ahostsv4 pve1': '192.0.2.11 STREAM pve1\n' });
  const plan = planOn(byDns, only(PVE1));
  expect(plan.changes).toEqual([
    { layer: 'persistent', property: 'IPv4', from: null, to: '192.0.2.11 pve1', file: '/etc/hosts' },
  ]);
  expect(afterEdits(byDns, plan.keep).files['/etc/hosts']).toBe('127.0.0.1 localhost\n192.0.2.11 pve1\n');
});

test('IPv4-mapped answers are no IPv6 address', () => {
  const mapped = node('', { 'hosts pve1': '192.0.2.11      pve1\n' });
  expect(planOn(mapped, only({ address: '2001:db8::11', names: ['pve1'] })).changes).toMatchObject([
    { layer: 'runtime', from: null, to: '2001:db8::11', after: 'keep' },
    { layer: 'persistent', property: 'IPv6', from: null },
  ]);
});

test.each([
  ['hosts: dns files\n', '/etc/nsswitch.conf asks "dns" before "files"'],
  ['hosts: files\n', 'a cache such as nscd gives an old answer: "nscd -i hosts" clears it'],
  ['passwd: files\n', 'a cache such as nscd'],
  ['hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns\n', 'asks "resolve" before "files"'],
])('with nsswitch.conf %j a right file that does not count is blocked: %s', (nsswitch, why) => {
  const wrong = node('192.0.2.11 pve1\n', { 'ahostsv4 pve1': '192.0.2.12 STREAM pve1\n' }, nsswitch);
  expect(planOn(wrong, only(PVE1)).blocked).toContain(why);
});

test('a resolver that can not be asked is an error', () => {
  expect(() => planOn(node('', {}), only(PVE1))).toThrow('"timeout 3 getent ahostsv4 pve1" ended with exit code 127');
});

test('a dead name server is not waited for', () => {
  const dead: Node = { files: { '/etc/hosts': '' }, runs: { 'timeout 3 getent ahostsv4 pve1': { code: 124 } } };
  expect(planOn(dead, only(PVE1)).changes).toMatchObject([{ layer: 'runtime', from: null }, { layer: 'persistent' }]);
});

test('absent is compared only with what the file gives', () => {
  const byDns = node('192.0.2.1 web\n', { 'ahostsv4 pve1': '192.0.2.11 STREAM pve1\n', 'hosts pve1': '' });
  const wanted = only({ names: ['pve1'], state: 'absent' });
  expect(planOn(byDns, wanted).changes).toEqual([]);
  const byFile = node('192.0.2.11 pve1 # x\n', { 'ahostsv4 pve1': '192.0.2.11 STREAM pve1\n', 'hosts pve1': '' });
  const plan = planOn(byFile, wanted);
  expect(plan.changes).toEqual([
    { layer: 'runtime', property: 'pve1', from: '192.0.2.11', to: null, after: 'keep' },
    { layer: 'persistent', property: 'entry', from: '192.0.2.11 pve1', to: null, file: '/etc/hosts', line: 1 },
  ]);
  expect(afterEdits(byFile, plan.keep).files['/etc/hosts']).toBe('# x\n');
  expect(wanted.wants).toEqual({ IPv4: null, IPv6: null });
});

describe('schema', () => {
  const faults = (params: unknown) => hostsEntry.schema.safeParse(params).error?.issues.map(({ message }) => message);
  test.each([
    [{ address: '192.0.2.1' }, ['"hosts_entry" lacks "names": the names of the address, the canonical one first']],
    [{ names: ['a'] }, ['"hosts_entry" lacks "address": the address that the names shall have']],
    [{ address: 'pve1', names: ['192.0.2.1'] }, ['"pve1" is no IPv4', '"192.0.2.1" is an address']],
    [{ address: '192.0.2.1', names: ['a b'] }, ['"a b" is no host name']],
    [{ address: '192.0.2.1', names: ['a#b'] }, ['"a#b" is no host name']],
    [{ address: '192.0.2.1', names: ['a\n192.0.2.2 b'] }, ['is no host name']],
    [{ address: '192.0.2.1', names: [] }, ['"names" is a list']],
    [{ address: '192.0.2.1', names: ['-f'] }, ['is no host name']],
    [{ address: '192.0.2.1', names: ['a', 'A'] }, ['a name stands twice']],
    [{ entries: [] }, ['']],
    [
      {
        entries: [
          { address: '192.0.2.1', names: ['a'] },
          { address: '192.0.2.2', names: ['A'] },
        ],
      },
      ['"A" is to be "192.0.2.1" and "192.0.2.2"'],
    ],
    [{ entries: [{ address: '192.0.2.1', names: ['a'] }], names: ['b'] }, ['give either "entries" or']],
  ])('%j is refused', (params, expected) => {
    const found = faults(params);
    expect(found).toHaveLength(expected.length);
    expected.forEach((text, index) => {
      expect(found?.[index]).toContain(text);
    });
  });
});
