import { areDisjoint, containsNetwork, type Family, type Network, parseNetwork } from './address.ts';
import { type CanonicalRule, meaningfulMatches, moduleKey, type RuleModule, type RuleOption } from './canonical.ts';
import { STATEFUL } from './options.ts';

type Range = readonly [from: number, to: number];

/**
 * Whether every packet that `wish` is for also meets all conditions of `rule`. Only what can be decided from the two texts counts:
 * false also means "not known". 224.0.0.0/4 and ff00::/8 are what addrtype calls MULTICAST.
 */
export function covers(rule: CanonicalRule, wish: CanonicalRule): boolean {
  const wanted = new Set(meaningfulMatches(wish).map(moduleKey));
  return (
    rule.base.every((option) => baseHolds(option, wish)) &&
    meaningfulMatches(rule).every(
      (match) => !STATEFUL.has(match.name) && (wanted.has(moduleKey(match)) || matchHolds(match, wish)),
    )
  );
}

/** Whether no packet can meet the conditions of both: false also means "not known". */
export function excludes(rule: CanonicalRule, wish: CanonicalRule): boolean {
  return rule.base.some((option) => {
    if (option.isNegated) return false;
    const others = wish.base.filter((other) => other.name === option.name && !other.isNegated);
    return others.some((other) => apart(option, other, rule.family));
  });
}

function baseHolds(option: RuleOption, wish: CanonicalRule): boolean {
  const own = wish.base.filter((other) => other.name === option.name);
  if (own.some((other) => JSON.stringify(other) === JSON.stringify(option))) return true;
  const family = wish.family;
  const given = own.filter((other) => !other.isNegated);
  if (option.isNegated) return given.some((other) => apart(option, other, family));
  if (given.some((other) => within(other, option, family))) return true;
  const multicast = { name: '-d', isNegated: false, values: [multicastOf(family)] };
  return option.name === '-d' && isMulticastOnly(wish) && within(multicast, option, family);
}

function within(inner: RuleOption, outer: RuleOption, family: Family): boolean {
  const [small = '', large = ''] = [inner.values[0], outer.values[0]];
  if (outer.name === '-s' || outer.name === '-d') {
    const [one, other] = [networks(small, family), networks(large, family)];
    return one?.every((each) => other?.some((network) => containsNetwork(network, each))) ?? false;
  }
  const isPattern = outer.name !== '-p' && large.endsWith('+');
  return small === large || (isPattern && small.startsWith(large.slice(0, -1)));
}

function apart(one: RuleOption, other: RuleOption, family: Family): boolean {
  const [left = '', right = ''] = [one.values[0], other.values[0]];
  if (one.name === '-s' || one.name === '-d') {
    const [ours, theirs] = [networks(left, family), networks(right, family)];
    return (
      ours !== undefined && theirs !== undefined && ours.every((each) => theirs.every((net) => areDisjoint(each, net)))
    );
  }
  if (one.name === '-p') return left !== right && left !== 'all' && right !== 'all';
  const [short, long] = [left.replace(/\+$/, ''), right.replace(/\+$/, '')];
  const isLeftFirst = left.endsWith('+') && long.startsWith(short);
  const isRightFirst = right.endsWith('+') && short.startsWith(long);
  return left !== right && !isLeftFirst && !isRightFirst;
}

/** undefined where one of them is the name of a host. */
function networks(list: string, family: Family): readonly Network[] | undefined {
  const found = list.split(',').map((text) => parseNetwork(text, family));
  return found.every((network) => network !== undefined) ? found : undefined;
}

function multicastOf(family: Family): string {
  return family === 'ipv6' ? 'ff00::/8' : '224.0.0.0/4';
}

function isMulticastOnly(wish: CanonicalRule): boolean {
  const types = optionsOf(wish, 'addrtype', '--dst-type');
  return types.some((option) => !option.isNegated && option.values[0] === 'MULTICAST');
}

function optionsOf(wish: CanonicalRule, module: string, name: string): RuleOption[] {
  const matches = meaningfulMatches(wish).filter((match) => match.name === module);
  return matches.flatMap((match) => match.options.filter((option) => option.name === name));
}

function matchHolds(match: RuleModule, wish: CanonicalRule): boolean {
  return (
    match.options.length > 0 &&
    match.options.every((option) => {
      if (option.name === '--ctstate') return listHolds(option, optionsOf(wish, 'conntrack', option.name));
      if (option.name === '--dst-type' && match.options.length === 1) return typeHolds(option, wish);
      if (/^--[sd]ports?$/.test(option.name)) return portsHold(match, option, wish);
      return false;
    })
  );
}

function listHolds(option: RuleOption, own: readonly RuleOption[]): boolean {
  const items = new Set(option.values[0]?.split(','));
  return own.some((other) => {
    const theirs = other.values[0]?.split(',') ?? [];
    return !other.isNegated && theirs.every((item) => items.has(item) !== option.isNegated);
  });
}

function typeHolds(option: RuleOption, wish: CanonicalRule): boolean {
  if (listHolds(option, optionsOf(wish, 'addrtype', '--dst-type'))) return true;
  const multicast = { name: '-d', isNegated: false, values: [multicastOf(wish.family)] };
  const isMulticast = wish.base.some(
    (own) => own.name === '-d' && !own.isNegated && within(own, multicast, wish.family),
  );
  return isMulticast && !option.isNegated && (option.values[0]?.split(',').includes('MULTICAST') ?? false);
}

function portsHold(match: RuleModule, option: RuleOption, wish: CanonicalRule): boolean {
  const protocol = wish.base.find((own) => own.name === '-p' && !own.isNegated)?.values[0] ?? '';
  const single = option.name.replace(/s$/, '');
  const own = [...optionsOf(wish, protocol, single), ...optionsOf(wish, 'multiport', `${single}s`)];
  const known = ranges(option.values[0] ?? '');
  if (protocol === '' || known === undefined || (match.name !== protocol && match.name !== 'multiport')) return false;
  return own.some((other) => {
    const wanted = other.isNegated ? undefined : ranges(other.values[0] ?? '');
    const isIn = ([from, to]: Range): boolean => known.some(([first, last]) => first <= from && to <= last);
    const isOut = ([from, to]: Range): boolean => known.every(([first, last]) => to < first || last < from);
    return wanted?.every(option.isNegated ? isOut : isIn) ?? false;
  });
}

/** undefined where a service stands by its name. */
function ranges(list: string): readonly Range[] | undefined {
  const found = list.split(',').map((item): Range | undefined => {
    const [, from = '', to = from] = /^(\d+)(?::(\d+))?$/.exec(item) ?? [];
    return from === '' ? undefined : [Number(from), Number(to)];
  });
  return found.every((range) => range !== undefined) ? found : undefined;
}
