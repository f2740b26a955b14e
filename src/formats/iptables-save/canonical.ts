import { own } from '../own.ts';
import { type Family, formatNetwork, parseNetwork } from './address.ts';
import { TEXT_OPTIONS } from './command.ts';
import * as known from './options.ts';
import { quoteWord } from './words.ts';

/** One option with its arguments in the spelling that `iptables -S` prints. */
export interface RuleOption {
  /** Such as `-s` or `--dport`. */
  readonly name: string;
  readonly isNegated: boolean;
  readonly values: readonly string[];
}

/** One `-m NAME` with its options, or the target with its own. */
export interface RuleModule {
  readonly name: string;
  readonly options: readonly RuleOption[];
}

/** A rule as `iptables -S` prints it: what it means, apart from how it was written. */
export interface CanonicalRule {
  readonly family: Family;
  /** `-s -d -i -o -p -f` in this order; those that are true for every packet are left out. */
  readonly base: readonly RuleOption[];
  /** In the order given. */
  readonly matches: readonly RuleModule[];
  readonly target: (RuleModule & { readonly isGoto: boolean }) | undefined;
}

type Draft = { name: string; options: RuleOption[] };

const BASE_ORDER = ['-s', '-d', '-i', '-o', '-p', '-f'];
const OPTION_ORDER = ['--sport', '--dport', '--src-type', '--dst-type', '--limit', '--limit-burst', '--ctstate'];

/**
 * The canonical form of the words of a rule, without its command and chain.
 * Equal become: the order of options, long and short spellings, `-p udp -m udp` and an implied match, networks with bits outside of
 * their mask, /32 and /128 and lengths left out, masks of all zeros, protocols by number, ports `5:5` and open ranges, the order of
 * states, address types and TCP flags, upper and lower case where iptables takes both, --syn, names of ICMP types and
 * --reject-with, rates, the defaults of REJECT, LOG and limit. Names of hosts and services are not looked up; lists
 * and ranges of ports stay apart (5404,5405 is not 5404:5405); unknown matches and targets are compared word by word.
 */
export function canonicalRule(words: readonly string[], family: Family): CanonicalRule {
  const base: RuleOption[] = [];
  const matches: Draft[] = [];
  let target: (Draft & { isGoto: boolean }) | undefined;
  let current: Draft | undefined;
  const given = [...readOptions(words)];
  const protocol = known.protocolName(given.find((option) => option.name === '-p')?.values[0] ?? '0');
  for (const option of given) {
    const { name, values } = option;
    if (name === '-m') {
      current = { name: values[0] ?? '', options: [] };
      matches.push(current);
    } else if (name === '-j' || name === '-g') {
      target = { name: values[0] ?? '', options: [], isGoto: name === '-g' };
      current = target;
    } else if (name === '-p') {
      base.push({ ...option, values: [known.protocolName(values[0] ?? '')] });
    } else if (BASE_ORDER.includes(name)) {
      base.push(option);
    } else if (!['-c', '-4', '-6'].includes(name)) {
      const owner = ownerOf(name, matches, target, current, protocol);
      if (!matches.includes(owner) && owner !== target) matches.push(owner);
      owner.options.push(option);
    }
  }
  return {
    family,
    base: base.flatMap((option) => canonicalBase(option, family)).sort(byOrder(BASE_ORDER)),
    matches: matches.map((match) => canonicalMatch(match, family)),
    target: target && { ...canonicalTarget(target, family), isGoto: target.isGoto },
  };
}

/** The rules that iptables makes of one with several addresses after -s or -d: one for each pair. */
export function expandRule(words: readonly string[]): readonly (readonly string[])[] {
  const at = words.findIndex(
    (word, index) => ['-s', '-d'].includes(own(known.BASE_OPTIONS, word) ?? word) && words[index + 1]?.includes(','),
  );
  if (at < 0) return [words];
  const addresses = (words[at + 1] ?? '').split(',');
  return addresses.flatMap((address) => expandRule([...words.slice(0, at + 1), address, ...words.slice(at + 2)]));
}

/** The rule as one line of `iptables -S`, without `-A CHAIN`. */
export function formatRule(rule: CanonicalRule): string {
  const parts = rule.base.map(formatOption);
  for (const { name, options } of rule.matches) parts.push(`-m ${quoteWord(name)}`, ...options.map(formatOption));
  if (rule.target) {
    const { name, options, isGoto } = rule.target;
    parts.push(`${isGoto ? '-g' : '-j'} ${quoteWord(name)}`, ...options.map(formatOption));
  }
  return parts.join(' ');
}

/**
 * Whether two rules do the same to every packet. Beyond the canonical form: comments do not count, `-m state` is `-m conntrack`, a
 * match of the rule's own protocol without options adds nothing, the ports of a multiport may stand in any order, and matches may change places unless one
 * of them remembers packets (limit, recent, …).
 */
export function isSameRule(one: CanonicalRule, other: CanonicalRule): boolean {
  return ruleKey(one) === ruleKey(other);
}

/** The text of the rule's comment, undefined where it has none. */
export function commentOf(rule: CanonicalRule): string | undefined {
  return rule.matches.find((match) => match.name === 'comment')?.options[0]?.values[0];
}

/** The matches that count, `state` spelled as `conntrack`. */
export function meaningfulMatches(rule: CanonicalRule): readonly RuleModule[] {
  const protocol = rule.base.find((option) => option.name === '-p')?.values[0] ?? 'all';
  return rule.matches.flatMap((match) => {
    if (match.name === 'comment') return [];
    if (match.options.length === 0 && match.name === known.protocolMatch(protocol)) return [];
    if (match.name === 'multiport') return [{ ...match, options: match.options.map(withSortedPorts) }];
    if (match.name !== 'state') return [match];
    const options = match.options.map((each) => (each.name === '--state' ? { ...each, name: '--ctstate' } : each));
    return [{ name: 'conntrack', options }];
  });
}

/** Equal for two matches that mean the same. */
export function moduleKey({ name, options }: RuleModule): string {
  return JSON.stringify([name, ...options.map((each) => JSON.stringify(each)).sort()]);
}

function withSortedPorts(option: RuleOption): RuleOption {
  return { ...option, values: option.values.map((list) => list.split(',').sort().join(',')) };
}

/** Equal for two rules that `isSameRule` takes for the same. */
export function ruleKey(rule: CanonicalRule): string {
  const matches = meaningfulMatches(rule);
  const keys = matches.map(moduleKey);
  if (!matches.some((match) => known.STATEFUL.has(match.name))) keys.sort();
  const target = rule.target && [rule.target.isGoto, moduleKey(rule.target)];
  return JSON.stringify([rule.family, rule.base.map((each) => JSON.stringify(each)).sort(), keys, target ?? null]);
}

function* readOptions(words: readonly string[]): Generator<RuleOption> {
  let isNegated = false;
  for (let index = 0; index < words.length; ) {
    const word = words[index++] ?? '';
    if (word === '!') {
      isNegated = true;
      continue;
    }
    const { name, attached } = nameOf(word);
    // Until 1.4 the exclamation mark could also stand before the argument.
    if (words[index] === '!' && !/^-|^!/.test(words[index + 1] ?? '-') && !TEXT_OPTIONS.has(name)) {
      isNegated = true;
      index++;
    }
    const values = attached === undefined ? [] : [attached];
    const wanted = argumentCount(name);
    while (values.length < wanted && index < words.length) {
      const isFixed = known.BASE_WITH_ARGUMENT.has(name) || TEXT_OPTIONS.has(name);
      if (!isFixed && /^(?:-|!$)/.test(words[index] ?? '')) break;
      values.push(words[index++] ?? '');
    }
    yield { name, isNegated, values };
    isNegated = false;
  }
}

function nameOf(word: string): { name: string; attached: string | undefined } {
  const short = /^(-[sdiopjgm])(.+)$/s.exec(word);
  if (short) return { name: short[1] ?? '', attached: short[2] };
  const [option = '', attached] = word.startsWith('--') ? word.split(/=(.*)/s) : [word];
  const abbreviated = Object.keys(known.BASE_OPTIONS).filter((long) => option.length > 5 && long.startsWith(option));
  const long =
    own(known.BASE_OPTIONS, option) ??
    (abbreviated.length === 1 ? own(known.BASE_OPTIONS, abbreviated[0] ?? '') : undefined);
  return { name: long ?? own(known.ALIASES, option) ?? option, attached };
}

function argumentCount(name: string): number {
  if (known.BASE_WITH_ARGUMENT.has(name) || TEXT_OPTIONS.has(name)) return 1;
  if (known.FLAGS.has(name) || ['-f', '-4', '-6'].includes(name)) return 0;
  return name === '-c' ? 2 : Number.POSITIVE_INFINITY;
}

function ownerOf(
  name: string,
  matches: readonly Draft[],
  target: Draft | undefined,
  current: Draft | undefined,
  protocol: string,
): Draft {
  const owners = own(known.OWNERS, name) ?? (known.PROTOCOL_OPTIONS.has(name) ? [known.protocolMatch(protocol)] : []);
  const owner = matches.findLast((match) => owners.includes(match.name));
  if (owner) return owner;
  const isForProtocol = known.PROTOCOL_OPTIONS.has(name) && protocol !== 'all';
  if (isForProtocol && current?.name !== 'tcp' && current?.name !== 'udp') {
    return { name: known.protocolMatch(protocol), options: [] };
  }
  if (target && known.TARGET_OPTION.test(name)) return target;
  return current ?? { name: '', options: [] };
}

function canonicalBase(option: RuleOption, family: Family): RuleOption[] {
  const value = option.values[0] ?? '';
  if (option.name === '-p') return value === 'all' && !option.isNegated ? [] : [option];
  if (option.name === '-i' || option.name === '-o') return value === '+' && !option.isNegated ? [] : [option];
  if (option.name === '-f') return [option];
  const addresses = value.split(',').map((text) => {
    const network = parseNetwork(text, family);
    return network ? formatNetwork(network) : text.toLowerCase();
  });
  if (addresses.length === 1 && addresses[0]?.endsWith('/0') && !option.isNegated) return [];
  return [{ ...option, values: [addresses.join(',')] }];
}

function canonicalMatch({ name, options }: Draft, family: Family): RuleModule {
  const canonical = options
    .map((option) => canonicalOption(option, family))
    .filter((option) => option.name !== '--limit-burst' || option.values[0] !== '5' || name !== 'limit')
    .filter(({ name: port, values }) => !/^--[sd]port$/.test(port) || values[0] !== '0:65535')
    .sort(byOrder(OPTION_ORDER));
  if (name === 'limit' && !canonical.some((option) => option.name === '--limit')) {
    canonical.unshift({ name: '--limit', isNegated: false, values: ['3/hour'] });
  }
  return { name, options: canonical };
}

const STATES = ['INVALID', 'NEW', 'RELATED', 'ESTABLISHED', 'UNTRACKED', 'SNAT', 'DNAT'];
const TYPES = [
  'UNSPEC',
  'UNICAST',
  'LOCAL',
  'BROADCAST',
  'ANYCAST',
  'MULTICAST',
  'BLACKHOLE',
  'UNREACHABLE',
  'PROHIBIT',
];
const FLAG_BITS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'];

function canonicalOption(option: RuleOption, family: Family): RuleOption {
  const { name, isNegated, values } = option;
  const [value = ''] = values;
  const withValue = (text: string): RuleOption => ({ name, isNegated, values: [text] });
  switch (name) {
    case '--state':
    case '--ctstate':
      return withValue(sortedList(value.toUpperCase(), STATES));
    case '--src-type':
    case '--dst-type':
      return withValue(sortedList(value.toUpperCase(), TYPES));
    case '--pkt-type':
      return withValue(value.toLowerCase().replace(/^host$/, 'unicast'));
    case '--sport':
    case '--dport':
      return withValue(canonicalRange(value));
    case '--icmp-type':
    case '--icmpv6-type':
      return withValue(known.icmpType(value, family));
    case '--mac-source':
      return withValue(value.toLowerCase());
    case '--limit':
      return withValue(canonicalRate(value));
    case '--syn':
      return { name: '--tcp-flags', isNegated, values: ['FIN,SYN,RST,ACK', 'SYN'] };
    case '--tcp-flags':
      return {
        name,
        isNegated,
        values: values.map((flags) => sortedList(flags.replace('ALL', FLAG_BITS.join()), FLAG_BITS)),
      };
    default:
      return option;
  }
}

function canonicalTarget({ name, options }: Draft, family: Family): RuleModule {
  if (name === 'REJECT') {
    const given = options.find((option) => option.name === '--reject-with')?.values[0];
    return { name, options: [{ name: '--reject-with', isNegated: false, values: [known.rejection(given, family)] }] };
  }
  if (name !== 'LOG') return { name, options };
  const levelled = options.map((option) =>
    option.name === '--log-level' ? { ...option, values: [known.logLevel(option.values[0] ?? '')] } : option,
  );
  const kept = levelled.filter((option) => option.name !== '--log-level' || option.values[0] !== '4');
  return { name, options: kept.sort(byOrder(['--log-prefix', '--log-level'])) };
}

function sortedList(text: string, order: readonly string[]): string {
  const rank = (word: string): number => (order.indexOf(word) + order.length + 1) % (order.length + 1);
  return [...new Set(text.split(','))].sort((left, right) => rank(left) - rank(right)).join(',');
}

function canonicalRange(text: string): string {
  const [, first = '', last] = /^(\d*):(\d*)$/.exec(text) ?? [];
  if (last === undefined) return text;
  const [from, to] = [first || '0', last || '65535'];
  return from === to ? from : `${from}:${to}`;
}

const UNITS = [
  ['day', 86_400],
  ['hour', 3600],
  ['min', 60],
  ['sec', 1],
] as const;

/** As libxt_limit prints it: 120/minute is 2/sec. The kernel counts in 10000ths of a second. */
function canonicalRate(text: string): string {
  const [, amount = '', given = 'second'] = /^(\d+)(?:\/([a-z]+))?$/i.exec(text) ?? [];
  const unit = given.toLowerCase();
  const length = UNITS.find(([name]) => name.startsWith(unit) || unit.startsWith(name))?.[1];
  const period = Math.floor(((length ?? 0) * 10_000) / Number(amount));
  if (!(period > 0)) return text;
  let shown: (typeof UNITS)[number] = UNITS[0];
  for (const candidate of UNITS.slice(1)) {
    const scale = candidate[1] * 10_000;
    if (period > scale || Math.floor(scale / period) < scale % period) break;
    shown = candidate;
  }
  return `${Math.floor((shown[1] * 10_000) / period)}/${shown[0]}`;
}

function formatOption({ name, isNegated, values }: RuleOption): string {
  return [...(isNegated ? ['!'] : []), name, ...values.map(quoteWord)].join(' ');
}

/** Options in an order of their own first, the others as they came. */
function byOrder(order: readonly string[]): (left: RuleOption, right: RuleOption) => number {
  const rank = ({ name }: RuleOption): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return (left, right) => rank(left) - rank(right);
}
