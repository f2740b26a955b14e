import type { Argv, Observations, Read } from '../../core/resource.ts';
import { ANY, type Conditions, conditionsOf } from '../firewall/conditions.ts';
import { type Chain, type ChainRule, judge } from '../firewall/judge.ts';
import { type AcceptRule, type Family, parsePorts } from '../firewall/wish.ts';

export const STATUS: Argv = ['pve-firewall', 'status'];
const CHAIN = 'PVEFW-HOST-IN';
const CHAINS: Readonly<Record<Family, Argv>> = {
  ipv4: ['iptables', '-S', CHAIN],
  ipv6: ['ip6tables', '-S', CHAIN],
};

export const RUNTIME_READS: readonly Read[] = [STATUS, CHAINS.ipv4, CHAINS.ipv6].map((argv) => ({ read: 'run', argv }));

/** What `pve-firewall status` tells; null: there is no such program. */
export function statusOf(seen: Observations): { readonly isRunning: boolean; readonly text: string } | null {
  const { code, stdout, stderr } = seen.run(STATUS);
  if (code === 127) return null;
  const text = `${stdout}${stderr}`.trim().split('\n').at(-1) ?? '';
  return { isRunning: code === 0 && /\brunning\b/.test(text), text };
}

/** The chain of the host as the kernel has it; null: there is none. */
export function runningChain(seen: Observations, family: Family): Chain | null {
  const { code, stdout } = seen.run(CHAINS[family]);
  if (code !== 0) return null;
  const rules = stdout.split('\n').flatMap((line) => (line.startsWith(`-A ${CHAIN} `) ? [runningRule(line)] : []));
  return { name: CHAIN, policy: 'drop', rules };
}

/** Whether the kernel lets in what a rule is about. */
export function isRunning(chain: Chain, rule: AcceptRule): boolean {
  return judge(chain, new Map(), conditionsOf(rule)).verdict === 'accept';
}

/**
 * A rule as `iptables -S` prints it. RETURN lets it in: nothing after the chain refuses it. All chains that PVE jumps to from here
 * refuse (PVEFW-Drop, PVEFW-reject, PVEFW-smurfs, PVEFW-tcpflags), most of them only some packets, so they count as unknown.
 */
export function runningRule(line: string): ChainRule {
  const words = line.split(' ').slice(2);
  const conditions: { -readonly [Key in keyof Conditions]: Conditions[Key] } = { ...ANY };
  const others: string[] = [];
  let target = '';
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const value = words[at + 1] ?? '';
    if (word === '!') {
      others.push(`! ${value}`);
      at += 2;
    } else if (word === '-m' && ['udp', 'multiport', 'comment', 'icmp6'].includes(value)) at++;
    else if (word === '-p') conditions.protocols = [protocolName(words[++at] ?? '')];
    else if (word === '-s') conditions.sources = [words[++at] ?? ''];
    else if (word === '-d') conditions.destinations = [words[++at] ?? ''];
    else if (word === '-i') conditions.interfaces = [(words[++at] ?? '').replace(/\+$/, '*')];
    else if (word === '--dport' || word === '--dports') {
      const ports = (words[++at] ?? '').split(',').map(parsePorts);
      if (ports.every((port) => port !== null)) conditions.dports = ports;
      else others.push(`${word} ${value}`);
    } else if (word === '-j' || word === '-g') target = words[++at] ?? '';
    else others.push(word);
  }
  return { conditions: { ...conditions, others }, verdict: verdictOf(target), text: line };
}

function protocolName(name: string): string {
  return name === 'ipv6-icmp' ? 'icmpv6' : name;
}

function verdictOf(target: string): ChainRule['verdict'] {
  if (target === 'RETURN' || target === 'ACCEPT') return { do: 'accept' };
  if (target === 'DROP' || target === 'REJECT' || target === 'PVEFW-reject') return { do: 'drop' };
  return { do: 'unknown' };
}

/** Waits until the daemon has made rules of what the files say; it looks every 10 seconds ($updatetime, PVE::Service::pve_firewall). */
const WAIT = `my $end = time + 40;
while (1) {
  open my $status, '-|', @ARGV or die "$ARGV[0]: $!\\n";
  my $said = join '', <$status>;
  close $status;
  exit 0 if $said !~ /pending changes/;
  die "still after 40 s: $said" if time >= $end;
  sleep 1;
}`;

/** A program that ends when no change is pending, or fails after 40 seconds. */
export const WAIT_ARGV: Argv = ['perl', '-e', WAIT, ...STATUS];
