import {
  type FirewallScope,
  parseFirewallRule,
  parsePveFirewall,
  type RuleLine,
  rulesIn,
  withEnabled,
  withoutLines,
  withRule,
} from '../../formats/pve-firewall.ts';
import { conditionsOf as wantedOf } from '../firewall/conditions.ts';
import { judge } from '../firewall/judge.ts';
import { type AcceptRule, MULTICAST, RULE_COMMENT, showPorts, type Wish } from '../firewall/wish.ts';
import { type FirewallFiles, hostChain } from './chain.ts';

export const PATHS: Readonly<Record<FirewallScope, string>> = {
  cluster: '/etc/pve/firewall/cluster.fw',
  /** A link of pmxcfs to the folder of the node itself. */
  host: '/etc/pve/local/host.fw',
};

/** The texts of both files; null: no file. */
export type FirewallTexts = Readonly<Record<FirewallScope, string | null>>;

/** @throws FormatError */
export function parseFiles(texts: FirewallTexts): FirewallFiles {
  const of = (scope: FirewallScope) => parsePveFirewall(texts[scope] ?? '', scope, PATHS[scope]);
  return { cluster: of('cluster'), host: of('host') };
}

/** A rule as a line of `[RULES]`. The family of a rule is that of its addresses, so one without is for both. */
export function ruleLine(rule: AcceptRule, wish: Wish): string {
  const isForAll = rule.destination !== null || rule.service === 'igmp' || wish.families.length === 2;
  const every = rule.family === 'ipv4' ? '0.0.0.0/0' : '::/0';
  const source = rule.source ?? (isForAll ? null : every);
  const destination = rule.protocol === 'icmpv6' ? MULTICAST.ipv6 : rule.destination;
  const protocol = rule.protocol === 'icmpv6' ? 'ipv6-icmp' : rule.protocol;
  const words = [
    'IN ACCEPT',
    ...(rule.interface === null ? [] : [`-i ${rule.interface}`]),
    ...(source === null ? [] : [`-source ${source}`]),
    ...(destination === null ? [] : [`-dest ${destination}`]),
    ...(protocol === null ? [] : [`-p ${protocol}`]),
    ...(rule.dports.length === 0 ? [] : [`-dport ${rule.dports.map((range) => showPorts(range, ':')).join(',')}`]),
  ];
  return `${words.join(' ')} # ${RULE_COMMENT}`;
}

/** What a rule of a wish needs in the files. */
export interface RuleState {
  /** What is wrong: null: nothing; otherwise what is there now. */
  readonly from: 'right' | 'absent' | 'disabled' | 'unreachable' | 'present';
  /** The line of ours that is there, 1-based. */
  readonly line: number | null;
  /** The text afterwards; null: no file. */
  readonly text: string | null;
  /** Why it can't be had. */
  readonly blocked: string | null;
}

function twins(texts: FirewallTexts, scope: FirewallScope, line: string): readonly RuleLine[] {
  const wanted = parseFirewallRule(line);
  const key = (rule: typeof wanted) => JSON.stringify([rule?.type, rule?.action, rule?.macro, sorted(rule?.options)]);
  return rulesIn(parseFiles(texts)[scope], 'rules').filter(
    ({ rule }) => rule.comment === RULE_COMMENT && key(rule) === key(wanted),
  );
}

const sorted = (options: Readonly<Record<string, string>> = {}) => Object.entries(options).toSorted();

/** The files with the rule as wished, in the file of `scope`. */
export function placeRule(texts: FirewallTexts, scope: FirewallScope, rule: AcceptRule, wish: Wish): RuleState {
  const line = ruleLine(rule, wish);
  const own = twins(texts, scope, line);
  const first = own[0]?.line.number ?? null;
  const file = parseFiles(texts)[scope];
  if (wish.state === 'absent') {
    const numbers = own.map((each) => each.line.number);
    const from = own.length === 0 ? 'right' : 'present';
    return { from, line: first, text: own.length === 0 ? texts[scope] : withoutLines(file, numbers), blocked: null };
  }
  if (verdictOn(texts, rule).isAccepted) return { from: 'right', line: first, text: texts[scope], blocked: null };
  const from = own.length === 0 ? 'absent' : own.some((each) => each.rule.isEnabled) ? 'unreachable' : 'disabled';
  const found = (text: string, blocked: string | null = null): RuleState => ({ from, line: first, text, blocked });
  const accepted = (text: string) => verdictOn({ ...texts, [scope]: text }, rule);
  const disabled = own.find((each) => !each.rule.isEnabled);
  if (disabled !== undefined) {
    const enabled = withEnabled(file, disabled.line.number);
    if (accepted(enabled).isAccepted) return found(enabled);
  }
  const numbers = own.map((each) => each.line.number);
  const bare = parsePveFirewall(withoutLines(file, numbers), scope, PATHS[scope]);
  const last = withRule(bare, line, null);
  const atEnd = accepted(last);
  if (atEnd.isAccepted) return found(last);
  const before = atEnd.by?.scope === scope ? atEnd.by.line : null;
  const inFront = before === null ? last : withRule(bare, line, before);
  if (accepted(inFront).isAccepted) return found(inFront);
  const place = atEnd.by === null ? atEnd.text : `${PATHS[atEnd.by.scope]}:${atEnd.by.line} (${atEnd.text})`;
  const hint = atEnd.by?.scope === 'host' && scope === 'cluster' ? 'remove it, or use "scope: host"' : 'remove it';
  return found(last, `${place} refuses it before any rule of ${PATHS[scope]} is asked: ${hint}`);
}

interface Verdict {
  readonly isAccepted: boolean;
  /** The rule that refuses it. */
  readonly by: { readonly scope: FirewallScope; readonly line: number } | null;
  readonly text: string;
}

function verdictOn(texts: FirewallTexts, rule: AcceptRule): Verdict {
  const { chain, groups } = hostChain(parseFiles(texts));
  const { verdict, at, by } = judge(chain, groups, wantedOf(rule));
  const decider = at === null ? undefined : chain.rules[at];
  return { isAccepted: verdict === 'accept', by: decider?.from ?? null, text: decider?.text ?? by };
}
