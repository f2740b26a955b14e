import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { chainsOf } from '../../src/formats/iptables-save/chains.ts';
import { parseIptablesSave } from '../../src/formats/iptables-save.ts';
import { ANY, type Conditions } from '../../src/resources/firewall/conditions.ts';
import { type Chain, judge } from '../../src/resources/firewall/judge.ts';
import { tableChains } from '../../src/resources/iptables/rules.ts';
import { BOOT_READS, readBoot } from '../../src/resources/nftables/boot.ts';
import { NFT_READ, readRuleset } from '../../src/resources/nftables/ruleset.ts';
import { observe } from '../support/observed.ts';
import { type ProbeNet, probeNet } from '../support/probe-net.ts';

// What is foretold of rules made at random is what the kernel does with real packets.

const CASES = 30;
const PACKETS: Readonly<Record<string, { to: string; port: number }>> = {
  unicast: { to: '198.18.0.1', port: 5405 },
  link: { to: '198.18.0.1', port: 5410 },
  multicast: { to: '239.5.5.5', port: 5405 },
};

let net: ProbeNet;
let dir: string;
let receiver: Peer;
let sender: Peer;

/** A program in a namespace that answers each line with one. */
interface Peer {
  ask(line: string): Promise<string>;
  stop(): void;
}

function peer(space: number, program: string): Peer {
  const name = net.exec(space, 'ip', 'netns', 'identify').trim();
  const child: ChildProcessWithoutNullStreams = spawn('ip', ['netns', 'exec', name, 'perl', '-MSocket', '-e', program]);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(line) {
      child.stdin.write(`${line}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error('the program ended');
      return value;
    },
    stop: () => void child.kill(),
  };
}

const RECEIVE = `$| = 1; my @s;
for my $port (5405, 5410) {
  socket(my $s, PF_INET, SOCK_DGRAM, 17) or die; bind($s, pack_sockaddr_in($port, INADDR_ANY)) or die "bind: $!";
  setsockopt($s, 0, 35, pack('a4 a4', inet_aton('239.5.5.5'), inet_aton('198.18.0.1'))) or die "join: $!"; push @s, $s;
}
while (<STDIN>) {
  my %got; my $end = time + 1;
  while (1) {
    my $set = ''; vec($set, fileno($_), 1) = 1 for @s;
    select($set, undef, undef, 0.04) or last;
    for my $s (@s) { if (vec($set, fileno($s), 1)) { recv($s, my $text, 100, 0); $got{$text} = 1 } }
  }
  print join(' ', sort keys %got), "\\n";
}`;
const SEND = `$| = 1; socket(my $s, PF_INET, SOCK_DGRAM, 17) or die;
setsockopt($s, 0, 32, inet_aton('198.18.0.2')) or die;
while (<STDIN>) { for (split) { my ($name, $to, $port) = split /,/; send($s, $name, 0, pack_sockaddr_in($port, inet_aton($to))) } print "sent\\n" }`;

beforeAll(async () => {
  net = probeNet(2);
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-judge-'));
  receiver = peer(0, RECEIVE);
  sender = peer(1, SEND);
  expect(await receiver.ask('?')).toBe('');
});
afterAll(() => {
  receiver?.stop();
  sender?.stop();
  net?.down();
  if (dir) rmSync(dir, { recursive: true });
});

beforeEach(() => {
  net.exec(0, 'nft', 'flush', 'ruleset');
  for (const args of [['-P', 'INPUT', 'ACCEPT'], ['-F'], ['-X']]) net.exec(0, 'iptables-legacy', ...args);
});

/** The packets that arrived, by name. */
async function arrived(): Promise<string[]> {
  await sender.ask(
    Object.entries(PACKETS)
      .map(([name, { to, port }]) => `${name},${to},${port}`)
      .join(' '),
  );
  return (await receiver.ask('?')).split(' ').filter((name) => name !== '');
}

function foretold(chain: Chain | undefined, chains: ReadonlyMap<string, Chain>): string[] {
  if (chain === undefined) throw new Error('there is no such chain');
  const names = Object.entries(PACKETS).filter(([, { to, port }]) => {
    const packet: Conditions = {
      ...ANY,
      family: 'ipv4',
      protocols: ['udp'],
      dports: [{ from: port, to: port }],
      sources: ['198.18.0.2'],
      destinations: [to],
      interfaces: ['eth0'],
      states: ['new'],
    };
    return judge(chain, chains, packet).verdict === 'accept';
  });
  return names.map(([name]) => name).toSorted();
}

let seed = 20_240_901;
/** A number from 0, below `below`; the same ones in each run. */
function random(below: number): number {
  seed = (seed * 48_271) % 2_147_483_647;
  return seed % below;
}
const pick = <Item>(list: readonly [Item, ...Item[]]): Item => list[random(list.length)] ?? list[0];

const NFT_MATCHES = [
  'udp dport 5405',
  'udp dport 5404-5412',
  'udp dport { 5410, 5411-5420 }',
  'udp dport { 22, 53 }',
  'tcp dport 5405',
  'meta l4proto udp',
  'ip protocol udp',
  'meta l4proto { tcp, igmp }',
  'ip saddr 198.18.0.0/24',
  'ip saddr 198.18.0.2',
  'ip saddr { 10.0.0.0/8, 198.18.0.2 }',
  'ip daddr 224.0.0.0/4',
  'ip daddr 198.18.0.1',
  'fib daddr type multicast',
  'meta pkttype multicast',
  'iifname "eth0"',
  'iifname "eth*"',
  'iifname { lo, eth1 }',
  'iif lo',
  'iifname != "lo"',
  'ct state new',
  'ct state established,related',
  'ct state { new, invalid }',
  'ip6 saddr ::/0',
  'meta nfproto ipv4',
  'counter',
  '',
] as const;
const VERDICTS = [
  'accept',
  'accept',
  'drop',
  'drop',
  'reject',
  'jump one',
  'goto two',
  'return',
  'log',
  'counter',
] as const;

function nftRule(from: number): string {
  const matches = [pick(NFT_MATCHES), ...(random(3) === 0 ? [pick(NFT_MATCHES)] : [])];
  // A chain leads to later ones only: the kernel refuses loops.
  const verdict = pick(VERDICTS).replace('one', from === 0 ? 'one' : 'two');
  return `${matches.join(' ')} ${from === 2 && /jump|goto/.test(verdict) ? 'accept' : verdict}`.trim();
}
const some = (make: () => string): string => Array.from({ length: random(6) }, make).join('\n');

/** nft refuses rules that contradict themselves, such as an address of IPv6 and one of IPv4. */
function loads(path: string): boolean {
  try {
    net.exec(0, 'nft', '-f', path);
    return true;
  } catch {
    return false;
  }
}

test('rules of nft, as they run and as they stand in a file', { timeout: 60_000 }, async () => {
  let loaded = 0;
  for (let round = 0; round < CASES; round++) {
    const chain = (name: string, head: string, from: number): string =>
      `chain ${name} {\n${head}\n${some(() => nftRule(from))}\n}`;
    const base = `type filter hook input priority 0; policy ${pick(['accept', 'drop'])};`;
    const chains = [chain('two', '', 2), chain('one', '', 1), chain('input', base, 0)];
    const text = `flush ruleset\ntable inet t {\n${chains.join('\n')}\n}\n`;
    writeFileSync(join(dir, 'rules.nft'), text);
    if (!loads(join(dir, 'rules.nft'))) continue;
    loaded += 1;
    const stdout = net.exec(0, ...NFT_READ.argv);
    const seen = observe({ files: { '/etc/nftables.conf': text }, runs: { [NFT_READ.argv.join(' ')]: { stdout } } }, [
      NFT_READ,
      ...BOOT_READS,
    ]);
    const told = (list: readonly Chain[]): string[] => {
      const all = new Map(list.map((each) => [each.name, each]));
      return foretold(all.get('inet t input'), all);
    };
    const real = (await arrived()).toSorted();
    expect({ text, runs: told(readRuleset(seen)), file: told(readBoot(seen).chains) }).toEqual({
      text,
      runs: real,
      file: real,
    });
  }
  expect(loaded).toBeGreaterThan(CASES / 2);
});

const TABLE_MATCHES = [
  '-p udp -m udp --dport 5405',
  '-p udp -m udp --dport 5404:5412',
  '-p udp -m multiport --dports 5410,5411:5420',
  '-p tcp -m tcp --dport 5405',
  '-p udp',
  '-p 2',
  '-s 198.18.0.0/24',
  '-s 198.18.0.2',
  '! -s 10.0.0.0/8 -p tcp',
  '-d 224.0.0.0/4',
  '-d 198.18.0.1/32',
  '-m addrtype --dst-type MULTICAST',
  '-m pkttype --pkt-type multicast',
  '-i eth0',
  '-i eth+',
  '-i lo',
  '! -i lo',
  '-m state --state NEW',
  '-m conntrack --ctstate RELATED,ESTABLISHED',
  '-m conntrack --ctstate NEW,INVALID -p udp',
  '-m comment --comment "a b" -p udp',
  '',
] as const;
const TARGETS = [
  '-j ACCEPT',
  '-j ACCEPT',
  '-j DROP',
  '-j DROP',
  '-j REJECT',
  '-j one',
  '-g two',
  '-j RETURN',
  '-j LOG',
  '',
] as const;

test.each(['nft', 'legacy'])('rules of iptables-%s', { timeout: 60_000 }, async (backend) => {
  for (let round = 0; round < CASES; round++) {
    const rule = (chain: string, from: number): string => {
      const target = pick(TARGETS).replace('one', from === 0 ? 'one' : 'two');
      return `-A ${chain} ${pick(TABLE_MATCHES)} ${from === 2 && / (?:one|two)$/.test(target) ? '-j ACCEPT' : target}`;
    };
    const rules = (['INPUT', 'one', 'two'] as const).map((chain, from) => some(() => rule(chain, from)));
    const text = [
      '*filter',
      `:INPUT ${pick(['ACCEPT', 'DROP'])} [0:0]`,
      ':FORWARD ACCEPT [0:0]',
      ':OUTPUT ACCEPT [0:0]',
      ':one - [0:0]',
      ':two - [0:0]',
      ...rules,
      'COMMIT',
      '',
    ].join('\n');
    writeFileSync(join(dir, 'rules.v4'), text);
    net.exec(0, `iptables-${backend}-restore`, join(dir, 'rules.v4'));
    const told = (from: string): string[] => {
      const chains = tableChains(chainsOf(parseIptablesSave(from, 'rules'), 'filter', 'ipv4'), 'ipv4');
      return foretold(chains.get('INPUT'), chains);
    };
    const real = (await arrived()).toSorted();
    const runs = told(net.exec(0, `iptables-${backend}-save`));
    expect({ text, runs, file: told(text) }).toEqual({ text, runs: real, file: real });
  }
});
