import { describe, expect, test } from 'vitest';
import { FORMATS as EDITED } from '../../../scripts/corpus/formats.ts';
import { failuresOf } from '../../../scripts/corpus/run.ts';
import { parseClusterConf, printClusterConf } from '../../../src/formats/cluster-conf.ts';
import { parseCorosyncConf, printCorosyncConf, proxmoxFault, valueFaults } from '../../../src/formats/corosync-conf.ts';
import { parseEthtoolRings, printEthtoolRings, ringsOf } from '../../../src/formats/ethtool-rings.ts';
import { FormatError } from '../../../src/formats/format-error.ts';
import { type Dialect, parseInterfaces, printInterfaces } from '../../../src/formats/interfaces.ts';
import { parseIptablesList, parseIptablesSave, printIptablesSave } from '../../../src/formats/iptables-save.ts';
import { parseProcIgmp, parseProcIgmp6, printProcIgmp, printProcIgmp6 } from '../../../src/formats/proc-igmp.ts';
import { parsePveFirewall, printPveFirewall } from '../../../src/formats/pve-firewall.ts';
import { parseSysctlRows, printSysctlRows } from '../../../src/formats/sysctl-conf.ts';
import { mutate, randomNumbers } from '../../support/mutate.ts';

/** Reads a text and writes it again. */
type RoundTrip = (text: string) => string;

const COUNT = 10_000;
/** In milliseconds of a processor: how much else runs does not matter. */
const PATIENCE = 1000;

const interfaces =
  (dialect: Dialect): RoundTrip =>
  (text) =>
    printInterfaces(parseInterfaces(text, dialect));

const COROSYNC = [
  '# x\ntotem {\n\tversion: 2\n\tcluster_name: lab\n\ttransport: udp\n\tinterface {\n\t\tlinknumber: 0\n\t\tmcastport: 5405\n\t}\n}\n\nnodelist {\n\tnode {\n\t\tname: a\n\t\tnodeid: 1\n\t\tring0_addr: 10.0.0.1\n\t}\n}\n',
  'logging {\r\n  to_syslog: yes\r\n  logger_subsys {\r\n    subsys: QUORUM\r\n    debug: off\r\n  }\r\n}\r\nquorum {\r\n  provider: corosync_votequorum\r\n  device {\r\n    votes: 1\r\n  }\r\n}',
  'totem: {\ntransport:udpu\n}\ntotem {\n  netmtu: 1500 # x\n}\nuidgid {\n uid: 0\n}\n',
];
const CLUSTER = [
  '<?xml version="1.0"?>\n<!-- x -->\n<cluster name="lab" config_version="7">\n  <cman keyfile=\'/x\' transport="udpu"><multicast addr="239.1.1.1"/>\n  </cman>\n  <clusternodes>\n\t<clusternode name="a&amp;b" votes="1" nodeid="1"/>\n  </clusternodes>\n  <rm>text &lt; <![CDATA[<x>]]></rm>\n</cluster>\n',
  '<!DOCTYPE cluster [<!ENTITY a "b">]>\r\n<cluster\r\n  name="é"\r\n><?pi x?></cluster>',
];
const INTERFACES = [
  'auto lo\niface lo inet loopback\n\n# bridge \\\nauto vmbr0\niface vmbr0 inet static\n\taddress 10.0.0.1/24\n\tbridge-ports eno1 \\\n\t\teno2\n\tbridge-mcquerier 1\n\tpost-up echo 1 > /sys/x || true\n\nsource /etc/network/interfaces.d/*\n',
  'auto vmbr1\r\niface vmbr1 inherits vmbr0\r\n    mtu 9000\r\niface vmbr[0-3] inet6 manual\r\n%for i in range(3):\r\nmapping eth0\r\n  script x\r\nallow-hotplug eth0',
];
const SYSCTL = [
  '# x\nnet.core.rmem_max = 26214400\nnet/ipv4/conf/eth0.200/rp_filter=0\n-net.ipv4.conf.all.rp_filter\n; y\nnet.ipv4.conf.*.rp_filter = 2\n-kernel.x = a = b # c\n',
  'vm.swappiness=1\r\nnet.ipv4.tcp_rmem = 4096\t87380 6291456\r\n\r\nnet.core.rmem_max',
];

const PVE_FIREWALL = [
  '[OPTIONS]\n\nenable: 1\npolicy_in: DROP\n\n[ALIASES]\nring 10.1.0.0/24 # x\n\n[IPSET management]\n!10.0.0.2\n\n[RULES]\n\nIN SSH(ACCEPT) -i vmbr0 -source dc/ring -log nolog # x\n|IN ACCEPT -p udp -dport 5404:5405 # mcastctl\nGROUP nodes\n\n[group nodes] # y\nOUT DROP --proto tcp\n',
  '[options]\nenable: 0\r\n[RULES]\n\tIN REJECT -dest ff00::/8',
];
const IPTABLES = [
  '# x\n*filter\n:INPUT DROP [1:2]\n:X - [0:0]\n[0:0] -A INPUT -p udp -m comment --comment "a \\"b\\"" -j X\n-I INPUT 1 ! -s 10.0.0.0/8 -j DROP\n-A X -j RETURN\nCOMMIT\n*nat\n-N Y\n-D INPUT -p udp\nCOMMIT\n',
  '*raw\r\n:PREROUTING\tACCEPT [0:0]\r\n-A PREROUTING -d ff00::/8 -j CT --notrack\r\n\r\nCOMMIT',
];
const LIST = [
  '-P INPUT ACCEPT -c 1 2\n-N X\n-A INPUT -m state --state NEW -c 3 4 -j X\n-A X -p tcp --dport 1:2 -g X\n',
];
const ETHTOOL = [
  'Ring parameters for eth0:\nPre-set maximums:\nRX:\t\t256\nRX Mini:\tn/a\nTX:\t\t256\nCurrent hardware settings:\nRX:\t\t128\nTX:\t\t64\nTX Push:\toff\n',
  'netlink error: Operation not supported\r\n',
];
const IGMP = [
  'Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n4\tcorosync-ring01:     2      V2\n\t\t\t\t014DC0EF     2 1:000001F4\t\t1\n\t\t\t\t010000E0     1 0:00000000\t\t0\n',
];
const IGMP6 = [
  '1    lo              ff020000000000000000000000000001     1 0000000C 0\n3    corosync-ring01 ff150000000000000000000000004242     1 00000004 0\n',
];

/** By the folder of the corpus. */
const SEEDS: Readonly<Record<string, readonly string[]>> = {
  corosync: COROSYNC,
  clusterconf: CLUSTER,
  interfaces: INTERFACES,
  sysctl: SYSCTL,
  iptables: IPTABLES,
};

const FORMATS: readonly (readonly [name: string, seeds: readonly string[], roundTrip: RoundTrip])[] = [
  ['corosync.conf', COROSYNC, (text) => printCorosyncConf(parseCorosyncConf(text))],
  ['cluster.conf', CLUSTER, (text) => printClusterConf(parseClusterConf(text))],
  ['interfaces, ifupdown', INTERFACES, interfaces('ifupdown')],
  ['interfaces, ifupdown2', INTERFACES, interfaces('ifupdown2')],
  ['sysctl.d', SYSCTL, (text) => printSysctlRows(parseSysctlRows(text))],
  ['cluster.fw', PVE_FIREWALL, (text) => printPveFirewall(parsePveFirewall(text, 'cluster', 'cluster.fw'))],
  ['host.fw', PVE_FIREWALL, (text) => printPveFirewall(parsePveFirewall(text, 'host', 'host.fw'))],
  ['iptables-save', IPTABLES, (text) => printIptablesSave(parseIptablesSave(text, 'rules.v4'))],
  ['iptables -S', LIST, (text) => printIptablesSave(parseIptablesList(text, 'iptables -S'))],
  ['ethtool -g', ETHTOOL, ringsRoundTrip],
  ['/proc/net/igmp', IGMP, (text) => printProcIgmp(parseProcIgmp(text))],
  ['/proc/net/igmp6', IGMP6, (text) => printProcIgmp6(parseProcIgmp6(text))],
];

/** Output of ethtool is never refused as a whole: each answer that has no sizes has its line. */
function ringsRoundTrip(text: string): string {
  const report = parseEthtoolRings(text);
  for (const device of [...report.devices, 'eth0']) {
    const rings = ringsOf(report, device);
    if (rings.kind === 'rings') continue;
    expect(rings.line).toBeGreaterThan(0);
    expect(rings.line).toBeLessThanOrEqual(text.split('\n').length);
  }
  return printEthtoolRings(report);
}

/** What a text is answered with. Throws where that is neither the same text nor an error with a line of it, or comes late. */
function answer(text: string, roundTrip: RoundTrip): 'read' | 'refused' {
  const start = process.cpuUsage();
  try {
    if (roundTrip(text) !== text) throw new Error(`written back, it has other bytes: ${JSON.stringify(text)}`);
    return 'read';
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const { line, column } = error.source;
    if (line < 1 || column < 1 || line > text.split('\n').length) throw new Error(`${error.message} has no place`);
    return 'refused';
  } finally {
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1000, JSON.stringify(text.slice(0, 2000))).toBeLessThan(PATIENCE);
  }
}

describe.each(FORMATS)('%s', (_, seeds, roundTrip) => {
  test('the seeds are read', () => {
    for (const seed of seeds) expect(answer(seed, roundTrip)).toBe('read');
  });

  test(`${COUNT} mutated texts: the same bytes, or an error with its line`, () => {
    const random = randomNumbers(1);
    const tally = { read: 0, refused: 0 };
    for (let count = 0; count < COUNT; count++) {
      tally[answer(mutate(seeds[random(seeds.length)] ?? '', random), roundTrip)]++;
    }
    expect(tally.read).toBeGreaterThan(COUNT / 40);
  });

  test.each([
    '\n',
    '\r',
    '\t',
    ' ',
    '\\',
    '\\\n',
    '#',
    '\0',
    '\f',
    '{',
    '}',
    ':',
    'a: b\n',
    'a {\n',
    '<',
    '<a>',
    '<a b="">',
    '=',
    '-',
    '[',
    'iface a\n',
    '\ufeff',
  ])('a file of 100,000 of %j, and one of those and an x', (piece) => {
    const text = piece.repeat(Math.ceil(100_000 / piece.length));
    answer(text, roundTrip);
    answer(`${text}x`, roundTrip);
    answer(`a ${text}x\n`, roundTrip);
  });
});

test('what is looked at in a corosync.conf beyond its form never throws', () => {
  const random = randomNumbers(2);
  for (let count = 0; count < COUNT / 10; count++) {
    const text = mutate(COROSYNC[random(COROSYNC.length)] ?? '', random);
    expect([null, 'string']).toContain(proxmoxFault(text) === null ? null : 'string');
    try {
      for (const fault of valueFaults(parseCorosyncConf(text))) expect(fault.source?.line).toBeGreaterThan(0);
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
    }
  }
});

describe.each(EDITED.filter(({ folder }) => folder in SEEDS))('edits of $name', (format) => {
  test('leave all other lines of mutated texts alone', () => {
    const random = randomNumbers(3);
    const seeds = SEEDS[format.folder] ?? [];
    for (let count = 0; count < 300; count++) {
      const text = mutate(seeds[random(seeds.length)] ?? '', random);
      expect(failuresOf(format, Buffer.from(text), 'sample'), JSON.stringify(text)).toEqual([]);
    }
  });
});
