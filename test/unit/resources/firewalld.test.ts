import { describe, expect, test } from 'vitest';
import type { Resource } from '../../../src/core/resource.ts';
import { parseRichRule } from '../../../src/resources/firewalld/rich-rule.ts';
import { parseServicePorts, parseZones } from '../../../src/resources/firewalld/zone.ts';
import { firewalld, firewalldBackend } from '../../../src/resources/firewalld.ts';
import { type Node, observe, planOn } from '../../support/observed.ts';

/** As firewall-cmd 1.3.3 of Debian 12 prints a zone. */
function zone(name: string, fields: Readonly<Record<string, string>> = {}, rich: readonly string[] = []): string {
  const all = {
    target: 'default',
    'icmp-block-inversion': 'no',
    interfaces: '',
    sources: '',
    services: 'dhcpv6-client ssh',
    ports: '',
    protocols: '',
    forward: 'yes',
    masquerade: 'no',
    'forward-ports': '',
    'source-ports': '',
    'icmp-blocks': '',
    'rich rules': '',
    ...fields,
  };
  const lines = Object.entries(all).map(([key, value]) => `  ${key}: ${value}`);
  return [`${name}${all.interfaces === '' ? '' : ' (active)'}`, ...lines, ...rich.map((rule) => `\t${rule}`), ''].join(
    '\n',
  );
}

const SERVICE = '/usr/lib/firewalld/services/high-availability.xml';
const XML = `<?xml version="1.0" encoding="utf-8"?>
<service>
  <!-- <port protocol="udp" port="9"/> -->
  <port protocol="tcp" port="5403"/>
  <port port='5404' protocol='udp'/>
  <port protocol="udp" port="5405-5412"/>
</service>
`;

function node(runtime: string, permanent = runtime, files: Readonly<Record<string, string>> = {}): Node {
  return {
    files: { '/etc/firewalld/firewalld.conf': '# conf\nDefaultZone=public\n', [SERVICE]: XML, ...files },
    runs: {
      'firewall-cmd --list-all-zones': { stdout: runtime },
      'firewall-cmd --permanent --list-all-zones': { stdout: permanent },
    },
  };
}

function resource(input: object = {}): Resource {
  const params = firewalld.schema.parse({ accept: ['multicast', 'corosync', 'igmp'], ...input });
  const [only] = firewalld.resources(params);
  if (only === undefined) throw new Error('one task is one resource');
  return only;
}
const plan = (of: Node, input: object = {}) => planOn(of, resource(input));
const properties = (of: Node, input: object = {}) =>
  plan(of, input).changes.map(({ layer, property }) => `${layer} ${property}`);
const argvs = (steps: readonly { do: string; argv?: readonly string[] }[]) => steps.map(({ argv }) => argv?.slice(1));

const RICH4 = 'rule family="ipv4" destination address="224.0.0.0/4" accept';
const RICH6 = 'rule family="ipv6" destination address="ff00::/8" accept';

describe('what is read', () => {
  test('zones, with marks, tabs and unknown fields', () => {
    const zones = parseZones(
      `public (default, active)\n  target: %%REJECT%%\n  ingress-priority: 0\n  interfaces: a b\n  rich rules: \n\t${RICH4}\n\nwork\n  ports: 1/udp 2-3/tcp\n`,
    );
    expect(zones.get('public')).toMatchObject({ target: '%%REJECT%%', interfaces: ['a', 'b'], richRules: [RICH4] });
    expect(zones.get('work')).toMatchObject({ target: 'default', ports: ['1/udp', '2-3/tcp'], richRules: [] });
    expect(() => parseZones('Traceback (most recent call last):\n')).toThrow('"Traceback (most recent call last):"');
  });

  test('rich rules', () => {
    expect(
      parseRichRule(
        'rule priority="-5" family="ipv4" source NOT address="10.0.0.0/8" port port="5-6" protocol="udp" log prefix="a accept" level="info" limit value="1/m" drop',
      ),
    ).toMatchObject({
      priority: -5,
      family: 'ipv4',
      source: '10.0.0.0/8',
      element: { kind: 'port', attributes: { port: '5-6', protocol: 'udp' } },
      action: 'drop',
      others: ['source NOT', 'log limit'],
    });
    expect(parseRichRule('rule source mac="00:11:22:33:44:55" accept')).toMatchObject({
      source: null,
      others: ['source mac=00:11:22:33:44:55'],
    });
  });

  test('ports of a service', () => {
    expect(parseServicePorts(XML)).toEqual(['5403/tcp', '5404/udp', '5405-5412/udp']);
  });
});

describe('a plan', () => {
  test('adds to both layers, one program an option, and takes back what it added', () => {
    const {
      try: tried,
      undo,
      keep,
      unkeep,
    } = plan(node(zone('public', { ports: '5405/udp 5500/udp' }), zone('public')));
    expect(argvs(tried)).toEqual([
      ['--zone=public', '--add-port=5404-5412/udp'],
      ['--zone=public', '--add-protocol=igmp'],
      ['--zone=public', `--add-rich-rule=${RICH4}`, `--add-rich-rule=${RICH6}`],
    ]);
    expect(argvs(undo)).toEqual([
      ['--zone=public', '--remove-port=5404-5412/udp'],
      ['--zone=public', '--remove-protocol=igmp'],
      ['--zone=public', `--remove-rich-rule=${RICH4}`, `--remove-rich-rule=${RICH6}`],
      ['--zone=public', '--add-port=5405/udp'],
    ]);
    expect(argvs(keep)[0]).toEqual(['--permanent', '--zone=public', '--add-port=5404-5412/udp']);
    expect(argvs(unkeep ?? [])).toHaveLength(3);
  });

  test('is empty where ports, services, protocols and rules let it in together', () => {
    const open = zone('public', { services: 'high-availability', protocols: 'igmp' }, [RICH4, RICH6]);
    expect(plan(node(open)).changes).toEqual([]);
    expect(plan(node(zone('public', { target: 'ACCEPT' }))).changes).toEqual([]);
    const old = { '/etc/firewalld/services/high-availability.xml': '<port protocol="udp" port="5404-5405"/>' };
    expect(properties(node(open, open, old))).toHaveLength(4);
    expect(properties(node(open, open, old), { accept: ['corosync'], ports: '5404-5405' })).toEqual([]);
  });

  test('counts the zones that have interfaces or sources, one zone, or that of an interface', () => {
    const zones = [
      zone('public'),
      zone('ring', { interfaces: 'vmbr1' }),
      zone('work', { sources: '10.0.0.0/8' }),
      zone('home'),
    ];
    const of = (input: object) =>
      new Set(properties(node(zones.join('\n')), input).map((each) => /zone "(?<name>.*)"/.exec(each)?.groups?.name));
    expect(of({})).toEqual(new Set(['public', 'ring', 'work']));
    expect(of({ interface: 'vmbr1' })).toEqual(new Set(['ring']));
    expect(of({ interface: 'vmbr7' })).toEqual(new Set(['public']));
    expect(of({ zone: 'home' })).toEqual(new Set(['home']));
    expect(() => of({ zone: 'none' })).toThrow('firewalld has no zone "none"');
    expect(() => plan(node(zones.join('\n'), zone('public')))).toThrow('firewalld has no permanent zone "ring"');
  });

  test('says what refuses it first', () => {
    const drop = (rule: string) =>
      plan(node(zone('public', {}, [rule])), { accept: ['multicast'], family: 'ipv4' }).blocked;
    expect(drop('rule family="ipv4" drop')).toContain('"rule family="ipv4" drop"');
    expect(drop('rule priority="-7" protocol value="udp" reject')).toBeUndefined();
    expect(drop('rule priority="7" family="ipv4" drop')).toBeUndefined();
    expect(drop('rule family="ipv4" source address="10.0.0.0/8" drop')).toBeUndefined();
    expect(drop('rule family="ipv4" drop limit value="1/m"')).toBeUndefined();
    const blocked = plan(node(zone('public', { 'icmp-blocks': 'mld-listener-query' })), {
      accept: ['igmp'],
      family: 'ipv6',
    });
    expect(blocked.blocked).toContain('ICMP block mld-listener-query');
  });

  test('lets MLD in where a zone drops ICMP too', () => {
    const mld = { accept: ['igmp'], family: 'ipv6' };
    expect(plan(node(zone('public')), mld).changes).toEqual([]);
    const { changes, try: tried } = plan(node(zone('public', { target: 'DROP' })), mld);
    expect(changes[0]).toMatchObject({
      from: null,
      to: 'accept',
      note: 'firewalld knows no MLD: all ICMPv6 is let in',
    });
    expect(argvs(tried)).toEqual([
      ['--zone=public', '--add-rich-rule=rule family="ipv6" protocol value="ipv6-icmp" accept'],
    ]);
  });

  test('for one source or one family uses rich rules', () => {
    const rules = (input: object) => argvs(plan(node(zone('public')), { accept: ['corosync'], ...input }).try);
    expect(rules({ source: ['10.0.0.0/8', 'fd00::/64'], ports: [5405, 5407] })[0]).toEqual([
      '--zone=public',
      ...['10.0.0.0/8', 'fd00::/64'].flatMap((source) =>
        [5405, 5407].map(
          (port) =>
            `--add-rich-rule=rule family="${source.includes(':') ? 'ipv6' : 'ipv4'}" source address="${source}" port port="${port}" protocol="udp" accept`,
        ),
      ),
    ]);
    expect(rules({ family: 'ipv6' })[0]).toEqual([
      '--zone=public',
      '--add-rich-rule=rule family="ipv6" port port="5404-5412" protocol="udp" accept',
    ]);
  });

  test('absent removes what it would have added, and nothing else', () => {
    const open = zone('public', { ports: '5404-5412/udp 5405/tcp', services: 'high-availability' }, [RICH4]);
    const { try: tried, undo } = plan(node(open), { state: 'absent' });
    expect(argvs(tried)).toEqual([
      ['--zone=public', '--remove-port=5404-5412/udp'],
      ['--zone=public', `--remove-rich-rule=${RICH4}`],
    ]);
    expect(argvs(undo)[0]).toEqual(['--zone=public', '--add-port=5404-5412/udp']);
    expect(plan(node(zone('public')), { state: 'absent' }).changes).toEqual([]);
  });
});

describe('the node', () => {
  const stopped = {
    files: {},
    runs: { 'firewall-cmd --list-all-zones': { code: 252, stderr: 'FirewallD is not running\n' } },
  };

  test('without a running firewalld', () => {
    expect(() => plan({ files: {} })).toThrow('"firewall-cmd --list-all-zones" ended with 127');
    expect(() => plan(stopped)).toThrow('FirewallD is not running');
  });

  test('is detected', () => {
    const detect = (of: Node) => firewalldBackend.detect(observe(of, resource().reads));
    expect(detect(node(zone('public'))).isActive).toBe(true);
    expect(detect(stopped)).toEqual({ isActive: false, reason: 'firewalld does not run' });
    expect(detect({ files: {} })).toEqual({ isActive: false, reason: 'there is no "firewall-cmd"' });
  });

  test('faults of parameters, all at once', () => {
    const faults = (params: object) => firewalld.schema.safeParse(params).error?.issues.map(({ message }) => message);
    expect(faults({ accept: ['igmp'], zone: 'work', interface: 'vmbr0', ports: 1 })).toHaveLength(2);
    expect(faults({ accept: ['igmp'], zone: '--reload' })).toEqual([
      'is the name of a zone: at most 17 letters, digits, "_" and "-"',
    ]);
  });
});
