import { describe, expect, test } from 'vitest';
import type { Resource } from '../../../src/core/resource.ts';
import { pveFirewall, pveFirewallBackend } from '../../../src/resources/pve-firewall.ts';
import { afterEdits, type Node, observe, planOn } from '../../support/observed.ts';

const CLUSTER = '/etc/pve/firewall/cluster.fw';
const HOST = '/etc/pve/local/host.fw';
const ON = '[OPTIONS]\nenable: 1\n';
const RULES = `[RULES]

IN ACCEPT -dest 224.0.0.0/4 # mcastctl
IN ACCEPT -p udp -dport 5404:5412 # mcastctl
IN ACCEPT -dest ff00::/8 # mcastctl
`;

// Made by hand in the shape of PVE::Firewall (enable_host_firewall, ruleset_addrule): there is no Proxmox here to record from.
const BUILT_IN = [
  '-N PVEFW-HOST-IN',
  '-A PVEFW-HOST-IN -i lo -j ACCEPT',
  '-A PVEFW-HOST-IN -m conntrack --ctstate INVALID -j DROP',
  '-A PVEFW-HOST-IN -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  '-A PVEFW-HOST-IN -m conntrack --ctstate INVALID,NEW -j PVEFW-smurfs',
  '-A PVEFW-HOST-IN -p igmp -j RETURN',
];
const TAIL = [
  '-A PVEFW-HOST-IN -p tcp -m set --match-set PVEFW-0-management-v4 src -m tcp --dport 8006 -j RETURN',
  '-A PVEFW-HOST-IN -s 10.1.0.2/32 -d 10.1.0.1/32 -p udp -m udp --dport 5404:5405 -j RETURN',
  '-A PVEFW-HOST-IN -j PVEFW-Drop',
  '-A PVEFW-HOST-IN -j DROP',
  '-A PVEFW-HOST-IN -m comment --comment "PVESIG:Jvh2JFUtSvlm6LZvGRmJ5zCDbZo"',
];
const chain = (...rules: string[]) => ({
  stdout: [...BUILT_IN, ...rules.map((rule) => `-A PVEFW-HOST-IN ${rule}`), ...TAIL, ''].join('\n'),
});
const STATUS = 'pve-firewall status';

function node(cluster: string | null, host: string | null = null, more: Partial<Node> = {}): Node {
  return {
    files: { ...(cluster !== null && { [CLUSTER]: cluster }), ...(host !== null && { [HOST]: host }) },
    runs: {
      [STATUS]: { stdout: 'Status: enabled/running\n' },
      'iptables -S PVEFW-HOST-IN': chain('-d 224.0.0.0/4 -j RETURN', '-p udp -m udp --dport 5404:5412 -j RETURN'),
      'ip6tables -S PVEFW-HOST-IN': chain('-d ff00::/8 -j RETURN', '-p udp -m udp --dport 5404:5412 -j RETURN'),
    },
    ...more,
  };
}
const BARE = {
  [STATUS]: { stdout: 'Status: enabled/running\n' },
  'iptables -S PVEFW-HOST-IN': chain(),
  'ip6tables -S PVEFW-HOST-IN': chain(),
};

function resource(input: object = {}): Resource {
  const params = pveFirewall.schema.parse({ accept: ['multicast', 'corosync', 'igmp'], ...input });
  const [only] = pveFirewall.resources(params);
  if (only === undefined) throw new Error('one task is one resource');
  return only;
}
const plan = (of: Node, input: object = {}) => planOn(of, resource(input));
const edited = (of: Node, input: object = {}) => afterEdits(of, plan(of, input).keep).files;
const properties = (of: Node, input: object = {}) =>
  plan(of, input).changes.map(({ layer, property, from }) => [layer, property, from]);

describe('the file', () => {
  test('gets the rules once, and no more', () => {
    const before = node(ON);
    expect(edited(before)[CLUSTER]).toBe(`${ON}\n${RULES}`);
    expect(plan(node(`${ON}\n${RULES}`))).toEqual({ changes: [], try: [], undo: [], keep: [] });
    expect(edited(node(null))[CLUSTER]).toBe(RULES);
  });

  test('of the node itself, where it is told to', () => {
    expect(edited(node(ON, null), { scope: 'host' })).toEqual({ [CLUSTER]: ON, [HOST]: RULES });
    expect(resource({ scope: 'host' }).id).toBe('pve_firewall[host]');
  });

  test('sources, an interface, other ports, one family', () => {
    const rules = (input: object) =>
      (edited(node(ON), input)[CLUSTER] ?? '').split('\n').flatMap((line) => (/^IN/.test(line) ? [line] : []));
    expect(rules({ source: ['10.1.0.0/24', 'fd00::/64'], interface: 'vmbr1', ports: [5405, '5410-5411'] })).toEqual([
      'IN ACCEPT -i vmbr1 -source 10.1.0.0/24 -dest 224.0.0.0/4 # mcastctl',
      'IN ACCEPT -i vmbr1 -source 10.1.0.0/24 -p udp -dport 5405,5410:5411 # mcastctl',
      'IN ACCEPT -i vmbr1 -source fd00::/64 -dest ff00::/8 # mcastctl',
      'IN ACCEPT -i vmbr1 -source fd00::/64 -p udp -dport 5405,5410:5411 # mcastctl',
      'IN ACCEPT -i vmbr1 -dest ff00::/8 -p ipv6-icmp # mcastctl',
    ]);
    expect(rules({ accept: ['corosync'], family: 'ipv6' })).toEqual([
      'IN ACCEPT -source ::/0 -p udp -dport 5404:5412 # mcastctl',
    ]);
    expect(rules({ accept: ['igmp'] })).toEqual(['IN ACCEPT -dest ff00::/8 -p ipv6-icmp # mcastctl']);
  });

  test('what another rule lets in needs none of ours', () => {
    const wide = `${ON}[ALIASES]\nring 10.1.0.0/24\n[RULES]\nGROUP nodes\n[group nodes]\nIN ACCEPT -source dc/ring -p udp\n`;
    expect(plan(node(wide), { accept: ['corosync'], source: '10.1.0.7' }).changes).toEqual([]);
    expect(plan(node(`${ON}policy_in: ACCEPT\n`)).changes).toEqual([]);
    expect(plan(node(ON, '[RULES]\nIN ACCEPT\n')).changes).toEqual([]);
    expect(plan(node(`${ON}[RULES]\nIN SSH(ACCEPT)\nIN ACCEPT -source +dc/nodes\n`)).changes).not.toEqual([]);
  });

  test('a rule stands before the one that would drop it', () => {
    const drop = `${ON}\n[RULES]\n\nIN SSH(ACCEPT)\nIN DROP -dest 224.0.0.0/3 # theirs\nIN ACCEPT -p tcp\n`;
    expect(edited(node(drop), { accept: ['multicast'], family: 'ipv4' })[CLUSTER]).toBe(
      drop.replace('IN DROP', 'IN ACCEPT -dest 224.0.0.0/4 # mcastctl\nIN DROP'),
    );
    const below = `${drop}IN ACCEPT -dest 224.0.0.0/4 # mcastctl\n`;
    expect(properties(node(below), { accept: ['multicast'], family: 'ipv4' })).toEqual([
      ['persistent', 'ipv4 multicast', 'unreachable'],
    ]);
    expect(edited(node(below), { accept: ['multicast'], family: 'ipv4' })[CLUSTER]).toBe(
      drop.replace('IN DROP', 'IN ACCEPT -dest 224.0.0.0/4 # mcastctl\nIN DROP'),
    );
  });

  test('a group that drops it is overtaken too', () => {
    const text = `${ON}[RULES]\nGROUP quiet\n\n[group quiet]\nIN DROP -p udp\n`;
    expect(edited(node(text), { accept: ['corosync'] })[CLUSTER]).toContain('# mcastctl\nGROUP quiet');
  });

  test('a rule of host.fw that drops it blocks the rule in cluster.fw', () => {
    const host = '[RULES]\nIN REJECT -p udp\n';
    expect(plan(node(ON, host), { accept: ['corosync'] }).blocked).toBe(
      '/etc/pve/local/host.fw:2 (IN REJECT -p udp) refuses it before any rule of /etc/pve/firewall/cluster.fw is asked: remove it, or use "scope: host"',
    );
    expect(edited(node(ON, host), { accept: ['corosync'], scope: 'host' })[HOST]).toContain('# mcastctl\nIN REJECT');
  });

  test('a disabled rule of ours is enabled where it stands; one of others is left alone', () => {
    const line = 'IN ACCEPT -p udp -dport 5404:5412 # mcastctl\n';
    const off = `${ON}[RULES]\n|${line}OUT ACCEPT\n`;
    const only = { accept: ['corosync'] };
    expect(properties(node(off), only)).toEqual([
      ['persistent', 'ipv4 corosync', 'disabled'],
      ['persistent', 'ipv6 corosync', 'disabled'],
    ]);
    expect(plan(node(off), only).changes[0]).toMatchObject({ line: 4, note: expect.stringContaining('disabled') });
    expect(edited(node(off), only)[CLUSTER]).toBe(`${ON}[RULES]\n${line}OUT ACCEPT\n`);
    const theirs = `${ON}[RULES]\n|${line.replace('mcastctl', 'theirs')}`;
    expect(edited(node(theirs), only)[CLUSTER]).toBe(`${theirs}${line}`);
  });

  test('absent takes our rules away, enabled or not, and no others', () => {
    const theirs = 'IN ACCEPT -p udp -dport 5404:5412\n';
    const text = `${ON}\n${RULES}|IN ACCEPT -dest ff00::/8 # mcastctl\n${theirs}`;
    expect(properties(node(text), { state: 'absent' })).toEqual([
      ['persistent', 'ipv4 multicast', 'accept'],
      ['persistent', 'ipv4 corosync', 'accept 5404-5412'],
      ['persistent', 'ipv6 multicast', 'accept'],
      ['persistent', 'ipv6 corosync', 'accept 5404-5412'],
    ]);
    expect(edited(node(text), { state: 'absent' })[CLUSTER]).toBe(`${ON}\n[RULES]\n\n${theirs}`);
    expect(plan(node(ON), { state: 'absent' }).changes).toEqual([]);
  });
});

describe('the running rules', () => {
  const wait = expect.objectContaining({ do: 'run', argv: expect.arrayContaining(['pve-firewall', 'status']) });

  test('become right by the file: both layers differ, and the edit is followed by a wait', () => {
    const { changes, keep, unkeep } = plan(node(ON, null, { runs: BARE }), { accept: ['corosync'], family: 'ipv4' });
    expect(changes.map(({ layer, after: when }) => [layer, when])).toEqual([
      ['runtime', 'keep'],
      ['persistent', undefined],
    ]);
    expect(keep).toEqual([expect.objectContaining({ do: 'edit', path: CLUSTER }), wait]);
    expect(unkeep).toEqual([wait]);
  });

  test('are waited for where the file is right already', () => {
    const { changes, keep } = plan(node(`${ON}\n${RULES}`, null, { runs: BARE }));
    expect(changes.map(({ layer, property }) => `${layer} ${property}`)).toEqual([
      'runtime ipv4 multicast',
      'runtime ipv4 corosync',
      'runtime ipv6 multicast',
      'runtime ipv6 corosync',
      'runtime ipv6 igmp',
    ]);
    expect(changes[0]?.note).toContain('every 10 seconds');
    expect(keep).toEqual([wait]);
  });

  test('are not compared where the firewall is off, stopped or nftables, and a note says so', () => {
    const notes = (of: Node) => plan(of).changes.map(({ layer, note }) => [layer, note]);
    const off = notes(node('[OPTIONS]\nenable: 0\n', null, { runs: BARE }));
    expect(off[0]).toEqual([
      'persistent',
      expect.stringContaining('without effect as long as the firewall is off (enable is 0'),
    ]);
    expect(notes(node(ON, '[OPTIONS]\nenable: 0\n', { runs: BARE }))[0]?.[1]).toContain('firewall is off');
    const stopped = { ...BARE, [STATUS]: { stdout: 'Status: enabled/stopped\n' } };
    expect(notes(node(ON, null, { runs: stopped }))[0]?.[1]).toContain('"Status: enabled/stopped"');
    const nft = notes(node(ON, '[OPTIONS]\nnftables: 1\n', { runs: BARE }));
    expect(nft[0]).toEqual([
      'persistent',
      expect.stringContaining('UDP 5405 to 5412 in, but neither 5404 nor multicast'),
    ]);
    expect([...off, ...nft].every(([layer]) => layer === 'persistent')).toBe(true);
  });
});

describe('the node', () => {
  test('without quorum, or without Proxmox', () => {
    const members =
      '{"nodename": "pve1", "version": 3, "cluster": { "name": "c", "version": 3, "nodes": 3, "quorate": 0 } }';
    const lost = node(ON);
    expect(plan({ ...lost, files: { ...lost.files, '/etc/pve/.members': members } }).blocked).toContain(
      'not in the quorum',
    );
    expect(() => plan({ files: {} })).toThrow('there is no "pve-firewall" on this node');
  });

  test('is that of the Proxmox firewall where it is switched on', () => {
    const detect = (of: Node) => pveFirewallBackend.detect(observe(of, resource().reads));
    expect(detect(node(ON))).toEqual({
      isActive: true,
      reason: 'the Proxmox firewall is switched on ("Status: enabled/running")',
    });
    expect(detect(node('[OPTIONS]\n'))).toMatchObject({ isActive: false });
    expect(detect({ files: {} })).toEqual({ isActive: false, reason: 'there is no "pve-firewall"' });
    expect(detect(node('[RULES]\r\n'))).toMatchObject({ isActive: false });
  });

  test('faults of parameters', () => {
    const faults = (params: object) => pveFirewall.schema.safeParse(params).error?.issues.map(({ message }) => message);
    expect(faults({ accept: ['igmp'], scope: 'node' })).toEqual(['must be cluster or host']);
    expect(faults({ accept: ['igmp'], ports: 5405 })?.[0]).toContain('"corosync"');
  });
});
