import type { Family } from '../../formats/iptables-save/address.ts';
import {
  type CanonicalRule,
  canonicalRule,
  commentOf,
  formatRule,
  meaningfulMatches,
  moduleKey,
  type RuleModule,
  type RuleOption,
} from '../../formats/iptables-save/canonical.ts';
import type { Chains, IptablesRule } from '../../formats/iptables-save/chains.ts';
import { ANY, type Conditions, withConditions } from '../firewall/conditions.ts';
import type { Chain, ChainRule, Verdict } from '../firewall/judge.ts';
import { type AcceptRule, MULTICAST, type PortRange, parsePorts, RULE_COMMENT, showPorts } from '../firewall/wish.ts';

/** A rule of a chain with what it means. */
export interface TableRule extends ChainRule {
  readonly rule: IptablesRule;
  readonly canonical: CanonicalRule;
  readonly comment: string | null;
}

export type TableChain = Chain<TableRule>;

/** The chains of a table, ready to be judged. */
export function tableChains(chains: Chains, family: Family): ReadonlyMap<string, TableChain> {
  const names = new Set(chains.keys());
  return new Map(
    [...chains].map(([name, { policy, isBuiltIn, rules }]) => {
      const built = isBuiltIn ? (policy === 'DROP' || policy === 'REJECT' ? 'drop' : 'accept') : null;
      return [name, { name, policy: built, rules: rules.map((rule) => tableRule(rule, family, names)) }];
    }),
  );
}

function tableRule(rule: IptablesRule, family: Family, names: ReadonlySet<string>): TableRule {
  const canonical = canonicalRule(rule.words, family);
  return {
    rule,
    canonical,
    comment: commentOf(canonical) ?? null,
    conditions: conditionsOfRule(canonical),
    verdict: verdictOf(canonical, (name) => names.has(name)),
    text: `-A ${rule.chain} ${formatRule(canonical)}`,
  };
}

/** Targets that let the packet go on to the next rule (iptables-extensions(8)). */
const PASSING =
  /^(?:LOG|NFLOG|ULOG|MARK|CONNMARK|CT|TRACE|SET|CLASSIFY|TOS|DSCP|TTL|HL|TCPMSS|CHECKSUM|AUDIT|SECMARK|CONNSECMARK|RATEEST|NOTRACK|IDLETIMER|LED)$/;

/** What a rule does. */
export function verdictOf({ target }: CanonicalRule, isChain: (name: string) => boolean): Verdict {
  if (target === undefined || PASSING.test(target.name)) return { do: 'continue' };
  if (target.name === 'ACCEPT') return { do: 'accept' };
  if (target.name === 'DROP' || target.name === 'REJECT') return { do: 'drop' };
  if (target.name === 'RETURN') return { do: 'return' };
  if (isChain(target.name)) return { do: target.isGoto ? 'goto' : 'jump', chain: target.name };
  return { do: 'unknown' };
}

/** What a rule is about, as far as `Conditions` can say it. */
export function conditionsOfRule(rule: CanonicalRule): Conditions {
  let all: Conditions = { ...ANY, family: rule.family };
  const add = (read: Partial<Conditions> | null, text: string): void => {
    all = read === null ? { ...all, others: [...all.others, text] } : withConditions(all, read);
  };
  for (const option of rule.base) add(readBase(option), JSON.stringify(option));
  for (const match of meaningfulMatches(rule)) add(readMatch(match, rule.family), moduleKey(match));
  return all;
}

function readBase({ name, isNegated, values }: RuleOption): Partial<Conditions> | null {
  const [value = ''] = values;
  if (isNegated) return name === '-i' && !value.endsWith('+') ? { notInterface: value } : null;
  if (name === '-p') return { protocols: [value === 'ipv6-icmp' ? 'icmpv6' : value] };
  if (name === '-i') return { interfaces: [value.replace(/\+$/, '*')] };
  const networks = value.split(',');
  if (!networks.every((each) => /^[\da-f.:]+\/\d+$/.test(each))) return null;
  return name === '-s' ? { sources: networks } : name === '-d' ? { destinations: networks } : null;
}

function ports(text: string): readonly PortRange[] | null {
  const found = text.split(',').map((each) => parsePorts(each) ?? (each === '0' ? { from: 0, to: 0 } : null));
  return found.includes(null) ? null : found.filter((each) => each !== null);
}

function readMatch({ name, options }: RuleModule, family: Family): Partial<Conditions> | null {
  const [option, ...more] = options;
  const [value = ''] = option?.values ?? [];
  if (option === undefined || option.isNegated || more.length > 0) return null;
  const isMulticast =
    (option.name === '--dst-type' && value === 'MULTICAST') || (option.name === '--pkt-type' && value === 'multicast');
  if (isMulticast) return { destinations: [MULTICAST[family]] };
  if (name === 'conntrack' && option.name === '--ctstate') return { states: value.toLowerCase().split(',') };
  if (option.name === '--icmpv6-type' && /^\d+$/.test(value)) return { icmpTypes: [Number(value)] };
  if (option.name !== '--dport' && option.name !== '--dports') return null;
  const dports = ports(value);
  return dports === null ? null : { dports };
}

/** The words of the rules that let in what is wished: several where iptables can't say it in one. */
export function acceptRuleWords(rule: AcceptRule): readonly (readonly string[])[] {
  const base: string[] = [];
  if (rule.source !== null) base.push('-s', rule.source);
  if (rule.interface !== null) base.push('-i', rule.interface);
  // By number: iptables looks names other than the commonest up in /etc/protocols, which a small system lacks.
  if (rule.protocol !== null) base.push('-p', rule.protocol === 'igmp' ? '2' : rule.protocol);
  if (rule.destination !== null) base.push('-m', 'addrtype', '--dst-type', 'MULTICAST');
  const end = ['-m', 'comment', '--comment', RULE_COMMENT, '-j', 'ACCEPT'];
  if (rule.icmpTypes.length > 0)
    return rule.icmpTypes.map((type) => [...base, '-m', 'icmp6', '--icmpv6-type', String(type), ...end]);
  const dports = rule.dports.map((range) => showPorts(range, ':'));
  if (dports.length === 1) return [[...base, '-m', 'udp', '--dport', ...dports, ...end]];
  if (dports.length > 1) return [[...base, '-m', 'multiport', '--dports', dports.join(','), ...end]];
  return [[...base, ...end]];
}
