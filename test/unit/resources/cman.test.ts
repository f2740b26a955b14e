import { describe, expect, test } from 'vitest';
import type { Resource } from '../../../src/core/resource.ts';
import { parseClusterConf, printClusterConf, withoutElement } from '../../../src/formats/cluster-conf.ts';
import { cman } from '../../../src/resources/cman.ts';
import { afterEdits, type Node, observe, planOn } from '../../support/observed.ts';

const SHARED = '/etc/pve/cluster.conf';
const OWN = '/etc/cluster/cluster.conf';
const CONF = `<?xml version="1.0"?>
<cluster name="clustername" config_version="4">
  <!-- by hand -->
  <cman keyfile="/var/lib/pve-cluster/corosync.authkey">
    <multicast addr="239.192.11.21"/>
  </cman>

  <clusternodes>
    <clusternode name="node1" votes="1" nodeid="1"/>
    <clusternode name="node2.example" votes="1" nodeid="2"/>
    <clusternode name="node3" votes="1" nodeid="3"/>
  </clusternodes>
  <rm/>
</cluster>
`;

// In the form that cman_tool 3 of RHEL 6 prints: made by hand, as there is no cman here to record from.
const STATUS = `Version: 6.2.0
Config Version: 4
Cluster Name: clustername
Cluster Id: 39868
Cluster Member: Yes
Membership state: Cluster-Member
Nodes: 3
Expected votes: 3
Total votes: 3
Node votes: 1
Quorum: 2  
Flags: 
Node name: node1
Multicast addresses: 239.192.11.21 
Node addresses: 10.0.0.1 
`;

const node = (text: string, path = OWN, name = 'node1', more: Readonly<Record<string, string>> = {}): Node => ({
  files: { [path]: text, ...more },
  runs: { 'uname -n': { stdout: `${name}\n` } },
});
const running = (status: string, text = CONF): Node => ({
  ...node(text),
  runs: { 'cman_tool status': { stdout: status }, 'uname -n': { stdout: 'node1\n' } },
});

function resource(input: object): Resource {
  const [only] = cman.resources(cman.schema.parse(input));
  if (only === undefined) throw new Error('one task is one resource');
  return only;
}
const plan = (of: Node, input: object) => planOn(of, resource(input));
const edited = (text: string, input: object) => afterEdits(node(text), plan(node(text), input).keep).files[OWN];
const version = (text: string, to: number) => text.replace('config_version="4"', `config_version="${to}"`);

describe('the file', () => {
  test('changes where it must, and its version by one', () => {
    expect(edited(CONF, { transport: 'udpu', netmtu: 1450, token: 20000 })).toBe(
      version(CONF, 5)
        .replace('authkey">', 'authkey" transport="udpu">')
        .replace('  <rm/>\n', '  <rm/>\n  <totem netmtu="1450" token="20000"/>\n'),
    );
    expect(edited(CONF, { multicast: '239.192.11.22', port: 5407 })).toBe(
      version(CONF, 5).replace('11.21', '11.22').replace('authkey">', 'authkey" port="5407">'),
    );
    expect(edited(CONF, { keyfile: 'absent', multicast: 'absent' })).toBe(
      version(CONF, 5)
        .replace(/ keyfile="[^"]*"/, '')
        .replace('\n    <multicast addr="239.192.11.21"/>', ''),
    );
  });

  test('is left alone where it is right', () => {
    const right = { transport: 'udp', multicast: '239.192.11.21', two_node: false, netmtu: 'absent', join: 'absent' };
    expect(plan(node(CONF), right)).toEqual({ changes: [], try: [], undo: [], keep: [] });
  });

  test('tells what differs, where, and what it costs', () => {
    const { changes, impact } = plan(node(CONF), { multicast: '239.192.11.22', netmtu: 1400, expected_votes: 3 });
    expect(changes).toEqual([
      { layer: 'persistent', property: 'multicast', from: '239.192.11.21', to: '239.192.11.22', file: OWN, line: 5 },
      { layer: 'persistent', property: 'expected_votes', from: null, to: 3, file: OWN, line: 4 },
      { layer: 'persistent', property: 'netmtu', from: null, to: 1400, file: OWN },
      { layer: 'persistent', property: 'config_version', from: 4, to: 5, file: OWN, line: 2 },
    ]);
    expect(impact).toEqual({
      kind: 'restart-cluster',
      text: 'multicast counts after a restart of cman on all nodes at once, which is left to you',
    });
    expect(plan(node(CONF), { token: 9000 }).impact?.kind).toBe('restart-node');
    expect(plan(node(CONF), { expected_votes: 3 }).impact?.kind).toBe('reload');
  });

  test('two nodes', () => {
    const two = CONF.replace(/ +<clusternode name="node3".*\n/, '');
    expect(edited(two, { two_node: true })).toContain('authkey" two_node="1" expected_votes="1">');
    expect(plan(node(CONF), { two_node: true }).blocked).toBe(
      'two_node is for a cluster of two nodes, but /etc/cluster/cluster.conf has 3',
    );
  });

  test('notes on udpu', () => {
    const many = CONF.replace(/<clusternode .*\/>/, (line) => `${line}${line}${line}`);
    expect(plan(node(many), { transport: 'udpu' }).changes[0]?.note).toBe(
      'udpu is not recommended for more than 4 nodes, and the cluster has 5; its multicast address 239.192.11.21 is not used with udpu',
    );
    expect(plan(node(CONF), { transport: 'udpu', multicast: 'absent' }).changes[0]?.note).toBeUndefined();
  });

  test('of Proxmox comes first, and waits for a draft', () => {
    const both = node(CONF, SHARED, 'node1', { [OWN]: CONF });
    expect(plan(both, { netmtu: 1400 }).changes[0]?.file).toBe(SHARED);
    const draft = node(CONF, SHARED, 'node1', { '/etc/pve/cluster.conf.new': CONF });
    expect(plan(draft, { netmtu: 1400 }).blocked).toContain('"/etc/pve/cluster.conf.new" holds changes');
    const lost = node(CONF, SHARED, 'node1', { '/etc/pve/.members': '{ "cluster": { "quorate": 0 } }' });
    expect(plan(lost, { netmtu: 1400 }).blocked).toContain('not in the quorum of its cluster');
  });

  test('is shown to the checker of cman where there is one', () => {
    const { keep } = plan(node(CONF, OWN, 'node1', { '/usr/sbin/ccs_config_validate': '#!/bin/sh\n' }), {
      netmtu: 1400,
    });
    expect(keep).toEqual([expect.objectContaining({ validate: ['ccs_config_validate', '-f', '%s'] })]);
  });

  test.each([
    ['no file', { files: {} }, 'this node has no cman'],
    ['no version', node(CONF.replace(' config_version="4"', '')), 'config_version is missing'],
    ['a version that is none', node(CONF.replace('"4"', '"four"')), 'config_version is "four"'],
    ['no XML', node('totem {\n}\n'), '/etc/cluster/cluster.conf:1:1: no well-formed XML'],
  ] as const)('%s is an error', (_, of, message) => {
    expect(() => plan(of, { netmtu: 1400 })).toThrow(message);
  });

  test('the sample of the Proxmox wiki is not well-formed, and the error has its line', () => {
    // "Multicast notes": cman is not closed, clusternodes is not opened.
    const seed = `<?xml version="1.0"?>
<cluster name="clustername" config_version="2">
  <totem netmtu="2043" />
  <cman keyfile="/var/lib/pve-cluster/corosync.authkey">
  <clusternode name="node1" votes="1" nodeid="1"/>
  <clusternode name="node2" votes="1" nodeid="2"/>
  <clusternode name="node3" votes="1" nodeid="3"/></clusternodes>
`;
    expect(() => plan(node(seed), { netmtu: 2043 })).toThrow(
      '/etc/cluster/cluster.conf:7:51: no well-formed XML: Missing end tag for element cman',
    );
  });
});

describe('the running cman', () => {
  test('is not compared where it does not run', () => {
    expect(plan(node(CONF), { multicast: '239.192.11.21' }).changes).toEqual([]);
  });

  test('is pending until it has read the file', () => {
    expect(plan(running(STATUS), { multicast: '239.192.11.21' }).changes).toEqual([]);
    const { changes, keep } = plan(running(STATUS, version(CONF, 6)), { multicast: '239.192.11.21' });
    expect(changes).toEqual([
      expect.objectContaining({ layer: 'runtime', property: 'config_version', from: 4, to: 6, after: 'reboot' }),
    ]);
    expect(changes[0]?.note).toContain('cman_tool version -r');
    expect(keep).toEqual([]);
  });

  test('tells of its group and its votes', () => {
    const { changes } = plan(running(STATUS), { multicast: '239.192.11.22', expected_votes: 5 });
    expect(
      changes.flatMap(({ layer, property, from, to }) => (layer === 'runtime' ? [[property, from, to]] : [])),
    ).toEqual([
      ['config_version', 4, 5],
      ['expected_votes', 3, 5],
      ['multicast', '239.192.11.21', '239.192.11.22'],
    ]);
  });
});

describe('all nodes together', () => {
  const wanted = resource({ netmtu: 1400 });
  const of = (nodes: Readonly<Record<string, Node>>) => {
    const seen = Object.entries(nodes).map(([host, each]) => [host, observe(each, wanted.reads)] as const);
    if (wanted.together === undefined) throw new Error('cman changes nodes together');
    return wanted.together.plan(new Map(seen));
  };
  const three = (b = CONF, path = OWN) => ({
    a: node(CONF, path, 'node1'),
    b: node(b, path, 'NODE2'),
    c: node(CONF, path, 'node3.example'),
  });

  test('get the same file in one stage, and the old one back', () => {
    const { stages, blocked, undo, impact } = of(three());
    expect([blocked, stages.length, impact?.kind]).toEqual([undefined, 1, 'restart-node']);
    const texts = [...(stages[0]?.steps.values() ?? [])].flat().map((step) => step.do === 'edit' && step.edit(CONF));
    expect(new Set(texts)).toEqual(new Set([edited(CONF, { netmtu: 1400 })]));
    const back = [...(undo(1, new Map()).stages[0]?.steps.values() ?? [])].flat();
    const ours = edited(CONF, { netmtu: 1400 }) ?? '';
    expect(back.map((step) => step.do === 'edit' && step.edit(ours))).toEqual([CONF, CONF, CONF]);
    expect(back.map((step) => step.do === 'edit' && step.edit('theirs'))).toEqual(['theirs', 'theirs', 'theirs']);
  });

  test('may be where a run was cut: some have the new file', () => {
    const done = edited(CONF, { netmtu: 1400 }) ?? '';
    const { stages, blocked } = of(three(done));
    expect(blocked).toBeUndefined();
    const step = stages[0]?.steps.get('b')?.[0];
    expect(step?.do === 'edit' && step.edit(done)).toBe(done);
  });

  test('are left alone where their files differ or one is missing', () => {
    expect(of(three(version(CONF, 9))).blocked).toBe(
      'cluster.conf of a (config_version 4) and of b (9) differ: copy the right one to all nodes first',
    );
    expect(of({ a: node(CONF) }).blocked).toContain('and node2.example, node3 are not in this run');
    expect(of({ a: node(CONF, SHARED) }).blocked).toBeUndefined();
  });
});

describe('faults', () => {
  const faults = (params: object) => cman.schema.safeParse(params).error?.issues.map(({ message }) => message);
  test.each([
    [{}, ['cman names nothing to set']],
    [{ transport: 'udpu', multicast: '239.1.1.1' }, ['is not used with transport: udpu: remove it, or write absent']],
    [{ transport: 'knet' }, ['must be udp or udpu, or absent']],
    [{ two_node: true, expected_votes: 2 }, ['must be 1 with two_node: true: cman refuses anything else']],
    [{ token: 1000, consensus: 1100 }, ['must be at least 1.2 times token, which is 1200']],
    [{ multicast: 'ff15::1', transport: 'udp' }, undefined],
  ])('%j', (params, expected) => {
    expect(faults(params)).toEqual(expected);
  });

  test('values out of range, all at once', () => {
    expect(
      faults({ netmtu: 100, token: 1, port: 80, keyfile: 'key', multicast: '10.0.0.1', expected_votes: 0 }),
    ).toHaveLength(6);
  });
});

test('an element goes with its line, or from within one', () => {
  const without = (text: string, path: string) => printClusterConf(withoutElement(parseClusterConf(text), path));
  expect(without('<a>\r\n\t<b/>\r\n\t<c/>\r\n</a>', 'a/b')).toBe('<a>\r\n\t<c/>\r\n</a>');
  expect(without('<a><b><c/></b><d/></a>', 'a/b')).toBe('<a><d/></a>');
  expect(without('<a/>', 'a')).toBe('<a/>');
});
