import { describe, expect, it } from 'vitest';
import { parseCorosyncConf, printCorosyncConf } from '../../../src/formats/corosync-conf.ts';
import { KEYS } from '../../../src/resources/corosync/keys.ts';
import { CorosyncSchema, paramsOf } from '../../../src/resources/corosync/params.ts';
import { planNode, wantedConf } from '../../../src/resources/corosync/plan.ts';
import { corosync } from '../../../src/resources/corosync.ts';
import { confOf } from '../../support/corosync.ts';
import { type Observed, observed } from '../../support/corosync-observed.ts';

const faultsOf = (given: unknown): string[] => {
  const result = CorosyncSchema.safeParse(given);
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
};
const params = (given: Record<string, unknown>) => paramsOf(CorosyncSchema.parse(given));
const plan = (given: Record<string, unknown>, node: Partial<Observed> = {}) =>
  planNode(params(given), observed({ number: 1, text: UDP, ...node }));
/** What differs; that the version rises with it goes without saying. */
const lines = (given: Record<string, unknown>, node?: Partial<Observed>) =>
  plan(given, node)
    .changes.filter(({ isAction }) => isAction !== true)
    .map(({ layer, property, from, to }) => `${layer} ${property}: ${from} → ${to}`);

const UDP = confOf(3, {
  version: 4,
  totem: ['transport: udp', 'ip_version: ipv4'],
  interface: ['linknumber: 0', 'mcastport: 5405'],
});
const KNET = confOf(3, { version: 4, totem: ['transport: knet', 'secauth: on'] });
const OVER_UDP: Partial<Observed> = {
  cmap: { 'totem.transport': 'udp' },
  sockets: ['198.18.0.11:5404', '239.192.2.214:5405', '198.18.0.11:5405'],
};

describe('what a task may say', () => {
  it.each<[unknown, string]>([
    [{}, ': names no key: add at least one, such as transport: udp'],
    [{ transport: 'sctp' }, 'transport: must be one of knet, udp, udpu, or null to leave the key out'],
    [{ netmtu: '1500' }, 'netmtu: must be a whole number, 576 to 65536 bytes, or null to leave the key out'],
    [{ netmtu: 20 }, 'netmtu: must be a whole number, 576 to 65536 bytes, or null to leave the key out'],
    [{ token: 10 }, 'token: must be a whole number, 30 or more milliseconds, or null to leave the key out'],
    [{ token: 100 }, 'token: leaves less than 30 ms for each of 4 attempts: raise it to 126 or more'],
    [{ token: 5000, consensus: 5500 }, 'consensus: must be at least 1.2 times token, 6000: raise it, or leave it out'],
    [{ netmtu: 9000, max_messages: 50 }, 'max_messages: must be at most 256000 / netmtu, 28'],
    [{ cluster_name: 'a b' }, 'cluster_name: must be one word without "#", "{" and "}", or null to leave the key out'],
    [{ keyfile: 'x # y' }, 'keyfile: must be one word without "#", "{" and "}", or null to leave the key out'],
    [
      { transport: 'udp', secauth: true },
      'secauth: corosync does not start with encryption and transport udp: remove it, or use transport: knet',
    ],
    [
      { transport: 'udpu', crypto_cipher: 'aes256' },
      'crypto_cipher: corosync does not start with encryption and transport udpu: remove it, or use transport: knet',
    ],
    [
      { transport: 'udp', knet_mtu: 1400 },
      'knet_mtu: does nothing with transport udp: remove it, or use transport: knet',
    ],
    [
      { transport: 'knet', interfaces: [{ linknumber: 0, mcastaddr: '239.192.1.1' }] },
      'interfaces.0.mcastaddr: a multicast address does nothing with transport knet, which is unicast: remove it, or use transport: udp',
    ],
    [
      { transport: 'udpu', interfaces: [{ linknumber: 0, mcastaddr: '239.192.1.1' }] },
      'interfaces.0.mcastaddr: a multicast address does nothing with transport udpu, which is unicast: remove it, or use transport: udp',
    ],
    [
      { transport: 'udp', interfaces: [{ linknumber: 1, mcastport: 5405 }] },
      'interfaces.0.linknumber: transport udp has one link, number 0',
    ],
    [{ interfaces: [{ linknumber: 0 }] }, 'interfaces.0: names no key: add one, such as mcastport: 5405'],
    [{ interfaces: [{ linknumber: 8, ttl: 1 }] }, 'interfaces.0.linknumber: must be the number of a link, 0 to 7'],
    [
      { interfaces: [{ linknumber: 0, mcastaddr: '10.0.0.1' }] },
      'interfaces.0.mcastaddr: must be a multicast address: 224.0.0.0 to 239.255.255.255, or one that begins with ff',
    ],
    [
      { interfaces: [{ linknumber: 0, mcastaddr: '239.192.1.1', broadcast: true }] },
      'interfaces.0.mcastaddr: can not be set together with broadcast: remove one of them',
    ],
    [
      {
        interfaces: [
          { linknumber: 0, mcastaddr: '239.192.1.1', mcastport: 5405 },
          { linknumber: 1, mcastaddr: '239.192.1.1', mcastport: 5406 },
        ],
      },
      'interfaces.1.mcastport: is too near to that of link 0: each uses its port and the one below, so leave a gap of 2',
    ],
    [
      { quorum: { two_node: true, auto_tie_breaker: true } },
      'quorum.two_node: can not be together with auto_tie_breaker: corosync turns it off',
    ],
    [
      { nodelist: { nodes: [{ name: '-x', nodeid: 1 }] } },
      'nodelist.nodes.0.name: must be a host name: letters, digits, "-" and "."',
    ],
    [
      {
        nodelist: {
          nodes: [
            { name: 'a', nodeid: 1 },
            { name: 'b', nodeid: 1 },
          ],
        },
      },
      'nodelist.nodes.1.nodeid: nodeid 1 is also that of node "a"',
    ],
    [
      { nodelist: { nodes: [{ name: 'a', nodeid: 1 }], absent: ['a'] } },
      'nodelist.nodes.0.name: node "a" is also to be absent: name it once',
    ],
  ])('%j is refused', (given, fault) => {
    expect(faultsOf(given)).toEqual([fault]);
  });

  it('takes null for every key, and tells all faults at once', () => {
    for (const section of ['totem', 'quorum', 'logging', 'system'] as const) {
      for (const { name } of KEYS[section])
        expect(faultsOf(section === 'totem' ? { [name]: null } : { [section]: { [name]: null } })).toEqual([]);
    }
    expect(faultsOf({ token: -1, netmtu: 1, logging: { debug: 'loud' } })).toHaveLength(3);
    expect(faultsOf({ tokn: 1 })).toHaveLength(1);
    expect(faultsOf({ transport: 'knet', interfaces: [{ linknumber: 0, mcastaddr: null }] })).toEqual([]);
    expect(faultsOf({ interfaces: [{ linknumber: 0, mcastaddr: 'ff15::7' }] })).toEqual([]);
  });

  it('knows the value of every property, so that tasks that contradict each other are found', () => {
    const [resource] = corosync.resources(
      CorosyncSchema.parse({ token: 5000, interfaces: [{ linknumber: 0, ttl: 2 }], nodelist: { absent: ['x'] } }),
    );
    expect(resource?.wants).toEqual({
      'totem.token': 5000,
      'totem.interface.0': 'present',
      'totem.interface.0.ttl': 2,
      'nodelist.x': 'absent',
    });
  });
});

describe('the file', () => {
  const edited = (text: string, given: Record<string, unknown>) =>
    printCorosyncConf(wantedConf(parseCorosyncConf(text), params(given), 5));

  it('keeps every other byte', () => {
    const crlf = UDP.replaceAll('\n', '\r\n').replace(/\r\n$/, '');
    expect(edited(crlf, { netmtu: 1400 })).toBe(
      crlf
        .replace('config_version: 4', 'config_version: 5')
        .replace('ip_version: ipv4\r\n', 'ip_version: ipv4\r\n\tnetmtu: 1400\r\n'),
    );
    expect(edited(edited(UDP, { netmtu: 1400 }), { netmtu: null })).toBe(
      UDP.replace('config_version: 4', 'config_version: 5'),
    );
  });

  it('has the words of corosync for true and false', () => {
    const text = edited(KNET, {
      secauth: false,
      quorum: { wait_for_all: true },
      logging: { fileline: true, to_syslog: false },
    });
    for (const line of ['\tsecauth: off', '\twait_for_all: 1', '\tfileline: on', '\tto_syslog: no'])
      expect(text).toContain(`${line}\n`);
  });

  it('loses encryption together with knet', () => {
    const crypto = KNET.replace('secauth: on', 'crypto_cipher: aes256\n\tcrypto_hash: sha256');
    expect(edited(KNET, { transport: 'udp' })).toBe(
      KNET.replace('transport: knet', 'transport: udp')
        .replace('secauth: on', 'secauth: off')
        .replace('config_version: 4', 'config_version: 5'),
    );
    expect(edited(crypto, { transport: 'udpu' })).toMatch(/crypto_cipher: none\n\tcrypto_hash: none/);
  });

  it('gets links and nodes where they belong, and loses them', () => {
    const link = { interfaces: [{ linknumber: 1, knet_link_priority: 5 }] };
    expect(edited(UDP.replace('udp', 'knet'), link)).toContain(
      'mcastport: 5405\n\t}\n\tinterface {\n\t\tlinknumber: 1\n\t\tknet_link_priority: 5\n\t}',
    );
    expect(edited(KNET, link)).toContain(
      'secauth: on\n\tinterface {\n\t\tlinknumber: 1\n\t\tknet_link_priority: 5\n\t}',
    );
    const four = { nodelist: { nodes: [{ name: 'pve4', nodeid: 4, ring0_addr: '198.18.0.14' }] } };
    expect(edited(UDP, four)).toContain(
      '\t}\n\tnode {\n\t\tname: pve4\n\t\tnodeid: 4\n\t\tring0_addr: 198.18.0.14\n\t}\n}\n',
    );
    expect(edited(edited(UDP, four), { nodelist: { absent: ['pve4'] } })).toBe(
      UDP.replace('config_version: 4', 'config_version: 5'),
    );
    expect(edited(edited(KNET, link), { interfaces: [{ linknumber: 1, absent: true }] })).toBe(
      KNET.replace('config_version: 4', 'config_version: 5'),
    );
    const votes = { nodelist: { nodes: [{ name: 'pve2', quorum_votes: 2 }] } };
    expect(edited(UDP, votes)).toContain('ring0_addr: 198.18.0.12\n\t\tquorum_votes: 2\n');
  });

  it('treats the blocks of one link as one, as corosync does', () => {
    const twice = KNET.replace(
      '\tsecauth: on\n',
      '\tinterface {\n\t\tmcastport: 5405\n\t}\n\tinterface {\n\t\tringnumber: 0\n\t\tknet_link_priority: 1\n\t}\n',
    );
    expect(edited(twice, { interfaces: [{ linknumber: 0, mcastport: 5407 }] })).toContain(
      'interface {\n\t\tmcastport: 5407\n\t}',
    );
    expect(edited(twice, { interfaces: [{ linknumber: 0, mcastport: null, knet_link_priority: null }] })).toContain(
      'interface {\n\t}\n\tinterface {\n\t\tringnumber: 0\n\t}',
    );
    expect(edited(twice, { interfaces: [{ linknumber: 0, absent: true }] })).not.toContain('interface');
  });

  it('takes a multicast address only with udp, also where the task does not name the transport', () => {
    expect(() => edited(KNET, { interfaces: [{ linknumber: 0, mcastaddr: '239.192.1.1' }] })).toThrow(
      '"mcastaddr": a multicast address does nothing with transport knet',
    );
    expect(() => edited(UDP, { nodelist: { nodes: [{ name: 'pve9', nodeid: 9 }] } })).toThrow(
      'node "pve9" is not in the nodelist',
    );
  });
});

describe('a node', () => {
  it('is as desired where file and daemon have the value', () => {
    expect(
      lines({ transport: 'udp', netmtu: null, interfaces: [{ linknumber: 0, mcastport: 5405 }] }, OVER_UDP),
    ).toEqual([]);
    expect(
      plan(
        { token: 5000 },
        { text: KNET.replace('secauth: on', 'token: 5000'), cmap: { 'runtime.config.totem.token': '5650' } },
      ).changes,
    ).toEqual([]);
  });

  it('is told apart by sockets where cmap lies', () => {
    const moved = UDP.replace('5405', '5410');
    const cmap = { 'totem.transport': 'udp', 'totem.interface.0.mcastport': '5410' };
    expect(lines({ interfaces: [{ linknumber: 0, mcastport: 5410 }] }, { ...OVER_UDP, text: moved, cmap })).toEqual([
      'runtime totem.interface.0.mcastport: 5405 → 5410',
    ]);
    // transport is gone from the file, and from cmap; the group is still there.
    expect(lines({ transport: null }, { ...OVER_UDP, text: UDP.replace('\ttransport: udp\n', ''), cmap: {} })).toEqual([
      'runtime totem.transport: udp → null',
    ]);
    const udpu = {
      text: UDP.replace('udp', 'udpu'),
      cmap: {},
      sockets: ['198.18.0.11:5405', '198.18.0.11:41234', '198.18.0.11:41235'],
    };
    expect(lines({ transport: 'udpu' }, udpu)).toEqual([]);
    expect(
      lines(
        { netmtu: 1400 },
        { ...OVER_UDP, text: UDP.replace('ip_version', 'netmtu: 1400\n\tip_version'), mtu: 1410 },
      ),
    ).toEqual(['runtime totem.netmtu: 1500 → 1400']);
  });

  it('is told apart by the flags of votequorum, which cmap does not know', () => {
    const text = UDP.replace('provider', 'wait_for_all: 1\n\tprovider');
    const node = { ...OVER_UDP, text, cmap: { 'quorum.wait_for_all': '1' } };
    expect(lines({ quorum: { wait_for_all: true } }, node)).toEqual(['runtime quorum.wait_for_all: 0 → 1']);
    expect(lines({ quorum: { wait_for_all: true } }, { ...node, flags: 'Quorate WaitForAll ' })).toEqual([]);
    expect(lines({ quorum: { wait_for_all: null } }, { ...OVER_UDP, flags: '2Node Quorate WaitForAll ' })).toEqual([]);
  });

  it.each<[Record<string, unknown>, Partial<Observed>, string]>([
    [{ token: 5000 }, OVER_UDP, 'needs a reload of corosync, nothing is restarted'],
    [
      { link_mode: 'active' },
      { text: KNET },
      'needs a restart of corosync node by node, quorum is kept: it reads totem.link_mode at its start only',
    ],
    [
      { quorum: { last_man_standing: true } },
      OVER_UDP,
      'needs a restart of corosync node by node, quorum is kept: it reads quorum.last_man_standing at its start only',
    ],
    [
      { netmtu: 1400, token: 5000 },
      OVER_UDP,
      'needs a restart of the whole cluster, without quorum for some seconds: a running corosync refuses totem.netmtu; with Pacemaker set maintenance-mode first',
    ],
    [
      { interfaces: [{ linknumber: 0, ttl: 4 }] },
      { ...OVER_UDP, shared: UDP },
      'needs a restart of the whole cluster, without quorum for some seconds: a running corosync refuses totem.interface.0.ttl; disarm HA first ("ha-manager crm-command disarm-ha freeze")',
    ],
    // Right in force already: the file alone is written and loaded.
    [{ netmtu: 1400 }, { ...OVER_UDP, mtu: 1310 }, 'needs a reload of corosync, nothing is restarted'],
  ])('says what %j costs', (given, node, text) => {
    expect(plan(given, node).impact?.text).toBe(text);
  });

  it('shows version, file and line, and a note where udpu gets many nodes', () => {
    const five = confOf(5, { version: 4, totem: ['transport: udp'] });
    expect(plan({ transport: 'udpu' }, { ...OVER_UDP, text: five }).changes).toMatchObject([
      {
        property: 'totem.transport',
        from: 'udp',
        to: 'udpu',
        file: '/etc/corosync/corosync.conf',
        line: 6,
        note: expect.stringContaining('these are 5'),
      },
      { property: 'totem.config_version', from: 4, to: 5, isAction: true },
      { layer: 'runtime', property: 'totem.transport' },
    ]);
  });

  it('is behind where it has heard of a newer file, or did not load its own', () => {
    expect(
      lines({ token: null }, { ...OVER_UDP, cmap: { ...OVER_UDP.cmap, 'runtime.members.2.config_version': '6' } }),
    ).toEqual(['persistent totem.config_version: 4 → 7']);
    expect(lines({ token: null }, { ...OVER_UDP, cmap: { ...OVER_UDP.cmap, 'totem.config_version': '3' } })).toEqual([
      'runtime totem.config_version: 3 → 5',
    ]);
    expect(lines({ token: null }, { ...OVER_UDP, shared: `${UDP}\n` })).toEqual([
      'persistent local copy: another text → as /etc/pve/corosync.conf',
    ]);
  });

  it.each<[string, Record<string, unknown>, Partial<Observed>, string]>([
    ['a stopped corosync', { token: 5000 }, { cmap: null }, 'corosync does not run on this node'],
    ['a device whose MTU is less', { netmtu: 9000 }, OVER_UDP, 'netmtu is 9000, and the MTU of "vmbr0" is 1500'],
    [
      'a device whose MTU is less than the default',
      { transport: 'udp' },
      { text: KNET, deviceMtu: 1450 },
      'netmtu is 1500 by default, and the MTU of "vmbr0" is 1450',
    ],
    [
      'IPoIB in connected mode',
      { netmtu: 4000 },
      { ...OVER_UDP, deviceMtu: 65520, linkType: 'infiniband', mode: 'connected' },
      'netmtu is 4000, and multicast over IPoIB in connected mode ("vmbr0") carries 2044 bytes',
    ],
    [
      'two links',
      { transport: 'udp' },
      { text: KNET.replaceAll(/(ring0_addr: .*\.)(\d+)/g, '$1$2\n\t\tring1_addr: 10.0.0.$2') },
      'has a link 1, and transport udp has only link 0',
    ],
    [
      'a corosync without udp',
      { transport: 'udp' },
      {
        text: KNET,
        version: "Corosync Cluster Engine, version '3.2.0'\nBuilt-in features: dbus enforce_encryption without_udpu\n",
      },
      'this corosync is built without transport udp',
    ],
    [
      'an old corosync',
      { token: 5000 },
      { version: "Corosync Cluster Engine, version '2.4.5'\n" },
      'corosync 2 is older',
    ],
    [
      'a tie breaker for three',
      { quorum: { auto_tie_breaker: true } },
      OVER_UDP,
      'auto_tie_breaker with 3 nodes, an odd number, needs wait_for_all',
    ],
    [
      'a consensus below the token time in force',
      { consensus: 4000 },
      OVER_UDP,
      '1.2 times the token time of 3 nodes (3650) is 4380',
    ],
    [
      'a host that is no node',
      { token: 5000 },
      { number: 7 },
      '"pve7" is no node of a cluster: the nodelist of /etc/corosync/corosync.conf has neither',
    ],
    [
      'a value that nobody named and corosync refuses',
      { token: 5000 },
      { text: UDP.replace('ip_version: ipv4', 'ip_version: 4') },
      '"ip_version" is "4"',
    ],
    ['a file that is none', { token: 5000 }, { text: 'totem {\n' }, '/etc/corosync/corosync.conf:1'],
  ])('can not be brought there with %s', (_, given, node, message) => {
    expect(() => plan(given, node)).toThrow(message);
  });

  it('shows no diff of a file that has the key of the cluster', () => {
    const keyed = KNET.replace('secauth: on', 'secauth: on\n\tkey: hunter2');
    expect(plan({ token: 5000 }, { text: keyed }).keep[0]).toMatchObject({ do: 'edit', isSecret: true });
    expect(plan({ token: 5000 }, { text: KNET }).keep[0]).toMatchObject({ do: 'edit', isSecret: false });
    expect(JSON.stringify(plan({ token: 5000 }, { text: keyed }).changes)).not.toContain('hunter2');
  });

  it('explains where its values come from', () => {
    expect(plan({ token: 3000 }, OVER_UDP).explain).toEqual([
      'this host is node "pve1" of /etc/corosync/corosync.conf',
      'it runs with transport udp, by its socket 239.192.2.214 port 5405, netmtu 1500 by "corosync-cfgtool -n"',
      'the token time of 3 nodes is token 3000 (default) + (3 - 2) × token_coefficient 650 (default) = 3650 ms (corosync.conf(5)); in force: 3650 ms',
      'config_version is 4 in the file, 4 in the daemon, at most 4 in the cluster: a change makes it 5',
    ]);
  });

  it('is fine with IPoIB in datagram mode, or with less', () => {
    const infiniband = { ...OVER_UDP, deviceMtu: 4092, linkType: 'infiniband' };
    expect(plan({ netmtu: 4000 }, { ...infiniband, mode: 'datagram' }).changes).not.toEqual([]);
    expect(plan({ netmtu: 2044 }, { ...infiniband, mode: 'connected' }).changes).not.toEqual([]);
  });
});
