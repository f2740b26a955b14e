import {
  aliasesIn,
  type FirewallFile,
  type FirewallRule,
  groupsIn,
  optionIn,
  type RuleLine,
  rulesIn,
} from '../../formats/pve-firewall.ts';
import { ANY, type Conditions } from '../firewall/conditions.ts';
import type { Chain, ChainRule } from '../firewall/judge.ts';
import { isNetwork, type PortRange, parsePorts } from '../firewall/wish.ts';

/** Both files of a node. */
export interface FirewallFiles {
  readonly cluster: FirewallFile;
  readonly host: FirewallFile;
}

/** A rule of the host's chain with the place that it comes from; null: it is always there. */
export interface HostRule extends ChainRule {
  readonly from: { readonly scope: keyof FirewallFiles; readonly line: number } | null;
}

/** IGMP is let in before all rules ("important for multicast", PVE::Firewall: enable_host_firewall). */
const IGMP: HostRule = {
  conditions: { ...ANY, protocols: ['igmp'] },
  verdict: { do: 'accept' },
  text: '-p igmp',
  from: null,
};

/** Whether proxmox-firewall (nftables) makes the rules of the node and not pve-firewall. */
export const usesNftables = ({ host }: FirewallFiles): boolean => optionIn(host, 'nftables') === '1';

/** Whether the firewall is on: off by default for the cluster, on for a host. A number above 1 is a time, and then off later. */
export function isSwitchedOn({ cluster, host }: FirewallFiles): boolean {
  return Number(optionIn(cluster, 'enable') ?? 0) === 1 && (optionIn(host, 'enable') ?? '1') !== '0';
}

/**
 * What becomes of packets to the host: the rules of host.fw, then those of cluster.fw, then policy_in, which is DROP by default.
 * Rules of Proxmox for its own addresses and ports come after those and only ever accept less than a wish asks for.
 */
export function hostChain(files: FirewallFiles): { chain: Chain<HostRule>; groups: ReadonlyMap<string, Chain> } {
  const aliases = aliasesIn(files.cluster);
  const of = (scope: keyof FirewallFiles): HostRule[] =>
    rulesIn(files[scope], 'rules').flatMap((entry) => hostRule(entry, scope, aliases));
  const accepts = optionIn(files.cluster, 'policy_in')?.toUpperCase() === 'ACCEPT';
  const groups = groupsIn(files.cluster).map((name): [string, Chain] => [
    name,
    {
      name: `group ${name}`,
      policy: null,
      rules: rulesIn(files.cluster, 'group', name).flatMap((entry) => hostRule(entry, 'cluster', aliases)),
    },
  ]);
  const rules = [...(usesNftables(files) ? [] : [IGMP]), ...of('host'), ...of('cluster')];
  return { chain: { name: 'policy_in', policy: accepts ? 'accept' : 'drop', rules }, groups: new Map(groups) };
}

function hostRule(
  { line, rule }: RuleLine,
  scope: keyof FirewallFiles,
  aliases: ReadonlyMap<string, string>,
): HostRule[] {
  if (!rule.isEnabled || (rule.type !== 'in' && rule.type !== 'group')) return [];
  const verdict =
    rule.type === 'group'
      ? ({ do: 'jump', chain: rule.action } as const)
      : ({ do: rule.action === 'ACCEPT' ? 'accept' : 'drop' } as const);
  const conditions = conditionsOf(rule, aliases);
  return [{ conditions, verdict, text: line.raw.trim(), from: { scope, line: line.number } }];
}

/** What a rule is about; what can't be told from the two files (macros, ipsets, source ports) nobody foretells. */
export function conditionsOf(rule: FirewallRule, aliases: ReadonlyMap<string, string>): Conditions {
  const { i, p, dport, sport, source, dest } = rule.options;
  const others: string[] = [];
  const known = <Value>(text: string | undefined, name: string, value: Value | null): Value | null => {
    if (text !== undefined && value === null) others.push(`${name} ${text}`);
    return text === undefined ? null : value;
  };
  if (rule.macro !== null) others.push(`macro ${rule.macro}`);
  if (sport !== undefined) others.push(`sport ${sport}`);
  if (rule.options['icmp-type'] !== undefined) others.push(`icmp-type ${rule.options['icmp-type']}`);
  return {
    ...ANY,
    interfaces: i === undefined ? null : [i],
    protocols: p === undefined ? null : [protocolName(p)],
    dports: known(dport, 'dport', portsOf(dport ?? '')),
    sources: known(source, 'source', networksOf(source ?? '', aliases)),
    destinations: known(dest, 'dest', networksOf(dest ?? '', aliases)),
    others,
  };
}

function protocolName(name: string): string {
  return { 'ipv6-icmp': 'icmpv6', '58': 'icmpv6', '2': 'igmp', '17': 'udp' }[name.toLowerCase()] ?? name.toLowerCase();
}

function portsOf(text: string): readonly PortRange[] | null {
  const ports = text.split(',').map(parsePorts);
  return ports.every((port) => port !== null) ? ports : null;
}

function networksOf(text: string, aliases: ReadonlyMap<string, string>): readonly string[] | null {
  const networks = text.split(',').map((each) => aliases.get(each.toLowerCase().replace(/^dc\//, '')) ?? each);
  return networks.every(isNetwork) ? networks : null;
}
