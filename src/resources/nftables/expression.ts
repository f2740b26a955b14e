import { own } from '../../formats/own.ts';
import { ANY, type Conditions, withConditions } from '../firewall/conditions.ts';
import type { Verdict } from '../firewall/judge.ts';
import { type Family, MLD_TYPES, MULTICAST, type PortRange, parsePorts } from '../firewall/wish.ts';

/** One comparison of a rule, as both nft's JSON and its text give it. */
export interface Match {
  /** `ip daddr`, `udp dport`, `meta iifname`, `ct state`, `fib daddr type`. */
  readonly left: string;
  readonly op: string;
  /** Any of these; null: a set of its own, a variable, or anything else that is not followed. */
  readonly values: readonly string[] | null;
  /** As it is written, to be compared where it is not understood. */
  readonly text: string;
}

/** A rule taken apart. */
export interface NftRule {
  readonly conditions: Conditions;
  readonly verdict: Verdict;
  readonly comment: string | null;
}

/** Names that nft gives to MLD's types, besides the numbers. */
const ICMPV6_TYPES: Readonly<Record<string, number>> = {
  'mld-listener-query': 130,
  'mld-listener-report': 131,
  'mld-listener-done': 132,
  'mld-listener-reduction': 132,
  'mld2-listener-report': 143,
  'echo-request': 128,
  'echo-reply': 129,
  'nd-router-solicit': 133,
  'nd-router-advert': 134,
  'nd-neighbor-solicit': 135,
  'nd-neighbor-advert': 136,
  'nd-redirect': 137,
};

const PROTOCOLS: Readonly<Record<string, string>> = {
  'ipv6-icmp': 'icmpv6',
  '58': 'icmpv6',
  '1': 'icmp',
  '2': 'igmp',
  '6': 'tcp',
  '17': 'udp',
};

const HEADER_FAMILY: Readonly<Record<string, Family>> = { ip: 'ipv4', ip6: 'ipv6' };

/** @returns null for inet, where each rule may say it */
export function familyOfTable(family: string): Family | null {
  return HEADER_FAMILY[family] ?? null;
}

/** What the comparisons of a rule, and what else limits it, mean together. */
export function conditionsOfMatches(
  tableFamily: string,
  matches: readonly Match[],
  others: readonly string[],
): Conditions {
  let all: Conditions = { ...ANY, family: familyOfTable(tableFamily), others };
  for (const match of matches) {
    const read = readMatch(match);
    all = read === null ? { ...all, others: [...all.others, match.text] } : withConditions(all, read);
  }
  return all;
}

function numbers(values: readonly string[], names: Readonly<Record<string, number>>): readonly number[] | null {
  const found = values.map((value) => names[value] ?? (/^\d+$/.test(value) ? Number(value) : Number.NaN));
  return found.some(Number.isNaN) ? null : found;
}

function ports(values: readonly string[]): readonly PortRange[] | null {
  const found = values.map((value) => parsePorts(value));
  return found.includes(null) ? null : found.filter((each) => each !== null);
}

const isNetworkText = (value: string): boolean => /^[\da-fA-F.:]+(?:\/\d+)?$/.test(value);

/** null where it can't be said in `Conditions`. */
function readMatch({ left, op, values }: Match): Partial<Conditions> | null {
  const [header = '', field = ''] = left.split(' ');
  if (op === '!=' && /^meta iif(?:name)?$/.test(left) && values?.length === 1 && values[0] !== undefined)
    return { notInterface: values[0] };
  if (values === null || !/^(?:==|in|)$/.test(op)) return null;
  const family = HEADER_FAMILY[header];
  if (family !== undefined && /^[sd]addr$/.test(field)) {
    if (!values.every(isNetworkText)) return null;
    return field === 'saddr' ? { family, sources: values } : { family, destinations: values };
  }
  if (left === 'meta l4proto' || left === 'ip protocol') {
    const protocols = values.map((value) => own(PROTOCOLS, value) ?? value);
    return { ...(left === 'ip protocol' && { family: 'ipv4' as const }), protocols };
  }
  if (field === 'dport') {
    const dports = ports(values);
    return dports === null ? null : { ...(header !== 'th' && { protocols: [header] }), dports };
  }
  if (left === 'icmpv6 type') {
    const icmpTypes = numbers(values, ICMPV6_TYPES);
    return icmpTypes === null ? null : { family: 'ipv6', protocols: ['icmpv6'], icmpTypes };
  }
  if (left === 'ct state') return { states: values };
  if (left === 'meta iifname' || left === 'meta iif') return { interfaces: values };
  if (left === 'meta nfproto' || left === 'meta protocol') return readFamily(values);
  const isMulticast = (left === 'meta pkttype' || left === 'fib daddr type') && values.join() === 'multicast';
  return isMulticast ? { destinations: Object.values(MULTICAST) } : null;
}

function readFamily(values: readonly string[]): Partial<Conditions> | null {
  const [value = '', ...more] = values;
  const family: Family | undefined = { ipv4: 'ipv4', ip: 'ipv4', ipv6: 'ipv6', ip6: 'ipv6' }[value] as
    | Family
    | undefined;
  return family === undefined || more.length > 0 ? null : { family };
}

/** nft's name of an MLD type; it shows types by name and takes both. */
export function mldNames(): readonly string[] {
  return MLD_TYPES.flatMap((type) => Object.keys(ICMPV6_TYPES).find((name) => ICMPV6_TYPES[name] === type) ?? []);
}
