import { areDisjoint, containsNetwork, parseNetwork } from '../../formats/iptables-save/address.ts';
import { type AcceptRule, type Family, familyOf, MULTICAST, type PortRange } from './wish.ts';

/** Which packets a rule is about, whatever firewall wrote it. What is null says nothing; all that is said has to match. */
export interface Conditions {
  readonly family: Family | null;
  /** Names as in /etc/protocols, `icmpv6` for IPv6's; one of them. */
  readonly protocols: readonly string[] | null;
  readonly dports: readonly PortRange[] | null;
  readonly icmpTypes: readonly number[] | null;
  /** CIDR; one of them. That a destination is of the type MULTICAST is said by the networks of `MULTICAST`. */
  readonly sources: readonly string[] | null;
  readonly destinations: readonly string[] | null;
  /** Names, with "*" at the end for all that begin so; one of them. */
  readonly interfaces: readonly string[] | null;
  /** Any but this. */
  readonly notInterface: string | null;
  /** States of a connection, lower case. */
  readonly states: readonly string[] | null;
  /** Whatever else has to match, as the firewall writes it. */
  readonly others: readonly string[];
  /** What has to match besides, where one of the above is said twice. */
  readonly also?: readonly Conditions[];
}

export const ANY: Conditions = {
  family: null,
  protocols: null,
  dports: null,
  icmpTypes: null,
  sources: null,
  destinations: null,
  interfaces: null,
  notInterface: null,
  states: null,
  others: [],
};

/** Conditions with some more; what is said already has to match as well. */
export function withConditions(all: Conditions, more: Partial<Conditions>): Conditions {
  const keys = Object.keys(more) as (keyof Conditions)[];
  const isTwice = keys.some((key) => all[key] !== null && JSON.stringify(all[key]) !== JSON.stringify(more[key]));
  if (!isTwice) return { ...all, ...more };
  // Of several states it is not foretold which a packet has.
  if (more.states != null) return { ...all, others: [...all.others, `states ${more.states.join()}`] };
  return { ...all, also: [...(all.also ?? []), { ...ANY, ...more }] };
}

/** Whether a rule concerns all wanted packets, none, or some, or can't tell. */
export type Cover = 'all' | 'none' | 'some';

/** What a wished rule is about. IGMP and MLD are always sent to a multicast address (RFC 3376 4, RFC 3810 5). */
export function conditionsOf(rule: AcceptRule): Conditions {
  const { family, protocol, dports, destination, icmpTypes, source } = rule;
  return {
    ...ANY,
    family,
    protocols: protocol === null ? null : [protocol],
    dports: dports.length > 0 ? dports : null,
    icmpTypes: icmpTypes.length > 0 ? icmpTypes : null,
    sources: source === null ? null : [source],
    destinations: rule.service === 'igmp' ? [MULTICAST[family]] : destination === null ? null : [destination],
    interfaces: rule.interface === null ? null : [rule.interface],
  };
}

/** The wanted packets as parts of which a rule concerns either all or none: one port, one type each. */
export function partsOf(wanted: Conditions, borders: readonly number[]): readonly Conditions[] {
  if (wanted.dports !== null)
    return wanted.dports.flatMap(({ from, to }) => {
      const starts = [from, ...borders.filter((port) => port > from && port <= to)];
      const sorted = [...new Set(starts)].toSorted((a, b) => a - b);
      return sorted.map((start, at) => ({ ...wanted, dports: [{ from: start, to: (sorted[at + 1] ?? to + 1) - 1 }] }));
    });
  if (wanted.icmpTypes !== null) return wanted.icmpTypes.map((type) => ({ ...wanted, icmpTypes: [type] }));
  return [wanted];
}

/** Where the ports of rules begin, and the ports after their ends: between two of these all rules say the same of all ports. */
export function portBorders(rules: readonly Conditions[]): readonly number[] {
  const all = rules.flatMap((rule) => [rule, ...(rule.also ?? [])]);
  return all.flatMap(({ dports }) => (dports ?? []).flatMap(({ from, to }) => [from, to + 1]));
}

/** How much of the wanted packets the conditions match, states of connections left aside. */
export function coverOf(rule: Conditions, wanted: Conditions): Cover {
  const covers: Cover[] = [
    listCover(rule.family === null ? null : [rule.family], wanted.family === null ? null : [wanted.family]),
    listCover(rule.protocols, wanted.protocols),
    portCover(rule.dports, wanted.dports),
    listCover(rule.icmpTypes, wanted.icmpTypes),
    networkCover(rule.sources, wanted.sources),
    networkCover(rule.destinations, wanted.destinations),
    interfaceCover(rule, wanted),
    rule.others.every((other) => wanted.others.includes(other)) ? 'all' : 'some',
    ...(rule.also ?? []).map((each) => coverOf(each, wanted)),
  ];
  if (covers.includes('none')) return 'none';
  return covers.includes('some') ? 'some' : 'all';
}

/** Whether two are about the same packets. */
export function isSamePackets(one: Conditions, other: Conditions): boolean {
  const states = (each: Conditions): string => (each.states ?? ['any']).toSorted().join();
  return (
    coverOf(one, other) === 'all' &&
    coverOf(other, one) === 'all' &&
    one.notInterface === other.notInterface &&
    states(one) === states(other)
  );
}

function listCover<Item>(has: readonly Item[] | null, wants: readonly Item[] | null): Cover {
  if (has === null) return 'all';
  if (wants === null) return 'some';
  if (wants.every((each) => has.includes(each))) return 'all';
  return wants.some((each) => has.includes(each)) ? 'some' : 'none';
}

function portCover(has: readonly PortRange[] | null, wants: readonly PortRange[] | null): Cover {
  if (has === null) return 'all';
  if (wants === null) return 'some';
  const isIn = (want: PortRange) => has.some(({ from, to }) => from <= want.from && want.to <= to);
  if (wants.every(isIn)) return 'all';
  const touches = (want: PortRange) => has.some(({ from, to }) => from <= want.to && want.from <= to);
  return wants.some(touches) ? 'some' : 'none';
}

function networkCover(has: readonly string[] | null, wants: readonly string[] | null): Cover {
  if (has === null) return 'all';
  if (wants === null) return has.some((each) => /\/0$/.test(each)) ? 'all' : 'some';
  const networks = (list: readonly string[]) => list.map((each) => parseNetwork(each, familyOf(each)));
  const outer = networks(has);
  const inner = networks(wants);
  if (inner.every((want) => outer.some((each) => each && want && containsNetwork(each, want)))) return 'all';
  const isApart = inner.every((want) => outer.every((each) => each && want && areDisjoint(each, want)));
  return isApart ? 'none' : 'some';
}

function matchesName(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}

function interfaceCover(rule: Conditions, wanted: Conditions): Cover {
  const wants = wanted.interfaces;
  if (rule.notInterface !== null) {
    const not = rule.notInterface;
    // What other nodes send never comes in on lo.
    if (wants === null) return not === 'lo' || not === wanted.notInterface ? 'all' : 'some';
    return wants.some((each) => matchesName(not, each)) ? 'none' : 'all';
  }
  if (rule.interfaces === null) return 'all';
  if (wants === null) return rule.interfaces.every((each) => each === 'lo') ? 'none' : 'some';
  const has = rule.interfaces;
  const isIn = (want: string) => has.some((each) => each === want || matchesName(each, want));
  if (wants.every(isIn)) return 'all';
  return wants.some((want) => isIn(want) || want.endsWith('*')) ? 'some' : 'none';
}
