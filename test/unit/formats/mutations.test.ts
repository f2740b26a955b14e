import { describe, expect, test } from 'vitest';
import { FORMATS as EDITED } from '../../../scripts/corpus/formats.ts';
import { failuresOf } from '../../../scripts/corpus/run.ts';
import { parseClusterConf, printClusterConf } from '../../../src/formats/cluster-conf.ts';
import { parseCorosyncConf, printCorosyncConf, proxmoxFault, valueFaults } from '../../../src/formats/corosync-conf.ts';
import { FormatError } from '../../../src/formats/format-error.ts';
import { type Dialect, parseInterfaces, printInterfaces } from '../../../src/formats/interfaces.ts';
import { parseSysctlRows, printSysctlRows } from '../../../src/formats/sysctl-conf.ts';
import { mutate, randomNumbers } from '../../support/mutate.ts';

/** Reads a text and writes it again. */
type RoundTrip = (text: string) => string;

const COUNT = 10_000;
/** In milliseconds. */
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

/** By the folder of the corpus. */
const SEEDS: Readonly<Record<string, readonly string[]>> = {
  corosync: COROSYNC,
  clusterconf: CLUSTER,
  interfaces: INTERFACES,
  sysctl: SYSCTL,
};

const FORMATS: readonly (readonly [name: string, seeds: readonly string[], roundTrip: RoundTrip])[] = [
  ['corosync.conf', COROSYNC, (text) => printCorosyncConf(parseCorosyncConf(text))],
  ['cluster.conf', CLUSTER, (text) => printClusterConf(parseClusterConf(text))],
  ['interfaces, ifupdown', INTERFACES, interfaces('ifupdown')],
  ['interfaces, ifupdown2', INTERFACES, interfaces('ifupdown2')],
  ['sysctl.d', SYSCTL, (text) => printSysctlRows(parseSysctlRows(text))],
];

/** What a text is answered with. Throws where that is neither the same text nor an error with a line of it, or comes late. */
function answer(text: string, roundTrip: RoundTrip): 'read' | 'refused' {
  const start = performance.now();
  try {
    if (roundTrip(text) !== text) throw new Error(`written back, it has other bytes: ${JSON.stringify(text)}`);
    return 'read';
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const { line, column } = error.source;
    if (line < 1 || column < 1 || line > text.split('\n').length) throw new Error(`${error.message} has no place`);
    return 'refused';
  } finally {
    const taken = performance.now() - start;
    expect(taken, JSON.stringify(text.slice(0, 2000))).toBeLessThan(PATIENCE);
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
    expect(tally.read).toBeGreaterThan(COUNT / 20);
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
