import * as z from 'zod';
import { canonicalRule, expandRule, meaningfulMatches } from '../../formats/iptables-save/canonical.ts';
import { readCommand } from '../../formats/iptables-save/command.ts';
import { splitWords } from '../../formats/iptables-save/words.ts';
import { dashFault } from '../firewall/raw.ts';
import { checkWish, type Family, familyOf, isNetwork, parsePorts, WISH_SHAPE } from '../firewall/wish.ts';

const TABLES = ['filter', 'mangle', 'raw', 'nat', 'security'] as const;
const MATCHES = ['addrtype', 'state', 'conntrack', 'multiport', 'udp', 'tcp', 'comment'] as const;
const TYPES = [
  'UNICAST',
  'LOCAL',
  'BROADCAST',
  'ANYCAST',
  'MULTICAST',
  'BLACKHOLE',
  'UNREACHABLE',
  'PROHIBIT',
] as const;
const STATES = ['NEW', 'ESTABLISHED', 'RELATED', 'INVALID', 'UNTRACKED'] as const;
/** More ports than these can't be in one multiport; a range counts as two. */
const MULTIPORT_SLOTS = 15;

const onceOrMore = <Item extends z.ZodType>(item: Item, error: string) =>
  z.union([item, z.array(item).min(1, 'name at least one')], { error });
const oneOf = <const Values extends readonly [string, ...string[]]>(values: Values) =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` });

const Port = z
  .union([z.int(), z.string()], { error: 'a port is a number such as 5405 or a range such as 5404:5405' })
  .refine((value) => parsePorts(value) !== null, {
    error: ({ input }) =>
      `${JSON.stringify(input)} is no port: write a number from 1 to 65535 or a range such as 5404:5405`,
  });

const Network = z.string().refine(isNetwork, {
  error: ({ input }) => `${JSON.stringify(input)} is no address or network: write one such as 10.0.0.0/24 or fd00::/64`,
});

const Interface = z
  .string()
  .regex(
    /^(?![-.])[A-Za-z0-9_.-]{1,15}\+?$/,
    'must be the name of a network device such as vmbr0, or the begin of names such as eth+',
  );

const Name = z
  .string()
  .regex(/^[A-Za-z_][\w.-]{0,27}$/, 'must be a name of at most 28 letters, digits, "_", "." and "-"');

const MATCH_ERROR = `must be of ${MATCHES.join(', ')}; write other matches as "rule"`;

const RuleShape = {
  rule: z
    .string({ error: 'must be a rule as text, such as "-p udp -m udp --dport 5405 -j ACCEPT"' })
    .optional()
    .describe(
      'A rule as in iptables(8), without "iptables" and without "-A CHAIN": `-p udp -m udp --dport 5405 -j ACCEPT`. Split into words as iptables-restore does, never by a shell',
    ),
  table: z.enum(TABLES).optional().describe('Table of the rule; filter by default'),
  chain: Name.optional().describe('Chain of the rule, such as INPUT; must be given with a rule'),
  match: onceOrMore(z.enum(MATCHES, { error: MATCH_ERROR }), MATCH_ERROR)
    .optional()
    .describe(
      'Matches as after `-m`; those that follow from other parameters can be left out. `state` writes ctstate as `-m state --state`',
    ),
  dst_type: oneOf(TYPES).optional().describe('Type of the destination (addrtype), such as MULTICAST'),
  src_type: oneOf(TYPES).optional().describe('Type of the source (addrtype)'),
  protocol: z
    .union([z.string().regex(/^[a-z][a-z0-9-]*$/i, 'must be a protocol such as udp'), z.int().min(1).max(255)])
    .optional()
    .describe('Protocol: udp, tcp, igmp, icmp, icmpv6, … or its number, 1 to 255'),
  ctstate: onceOrMore(oneOf(STATES), `must be of ${STATES.join(', ')}`)
    .optional()
    .describe('States of the connection, such as [NEW, ESTABLISHED] (conntrack, or state where `match` says so)'),
  dport: Port.optional().describe('Destination port or range, such as 5405 or 5404:5405; needs a protocol'),
  sport: Port.optional().describe('Source port or range; needs a protocol'),
  dports: onceOrMore(Port, 'must be ports and ranges such as [5404, 5405]')
    .optional()
    .describe('Destination ports and ranges (multiport), such as [5404, 5405]; needs a protocol'),
  destination: onceOrMore(Network, 'must be an address or network such as 10.0.0.0/24, or a list of them')
    .optional()
    .describe('Destination address or network; a list makes a rule of each'),
  in_interface: Interface.optional().describe('Interface on which it comes in; `eth+` is all whose names begin so'),
  out_interface: Interface.optional().describe('Interface on which it goes out'),
  jump: Name.optional().describe('What to do: ACCEPT, DROP, REJECT, LOG, RETURN or a chain'),
  comment: z
    .string()
    .max(255)
    .regex(/^[^\p{Cc}]*$/u, 'must be one line')
    .optional()
    .describe('Comment of the rule, at most 255 characters; `mcastctl` by default'),
  position: z
    .union([z.enum(['before terminal', 'first', 'last']), z.int().min(1)], {
      error: 'must be "before terminal", first, last or a number from 1',
    })
    .optional()
    .describe(
      'Where a missing rule is put: `before terminal` (the default): before the first rule that would keep packets from it, else last; `first`, `last`, or a number from 1',
    ),
};

const Shape = z.strictObject({
  ...WISH_SHAPE,
  accept: WISH_SHAPE.accept.optional(),
  state: z
    .enum(['present', 'absent'], {
      error: ({ input }) =>
        `must be present or absent, what is wanted of the rule${/^[A-Z,]+$/.test(String(input)) ? `: the state of a connection is ctstate: ${String(input)}` : ''}`,
    })
    .optional()
    .describe(
      '`absent` takes the rule away, or with `accept` those of this program; `present` by default. The match of this name is `ctstate`',
    ),
  ...RuleShape,
});
type Params = z.output<typeof Shape>;

const listed = <Item>(value: Item | readonly Item[] | undefined): readonly Item[] =>
  value === undefined ? [] : ((Array.isArray(value) ? value : [value]) as readonly Item[]);

const isGiven = (params: Params, names: readonly string[]): readonly string[] =>
  names.filter((name) => params[name as keyof Params] !== undefined);

type FaultAt = (path: string, message: string) => void;

export const IptablesParams = Shape.superRefine((params, context) => {
  const fault: FaultAt = (path, message) => context.addIssue({ code: 'custom', path: [path], message });
  if (params.accept !== undefined) {
    for (const name of isGiven(params, Object.keys(RuleShape)))
      fault(name, 'belongs to a single rule and does not go with "accept": write two tasks');
    return checkWish({ ...params, accept: params.accept }, context);
  }
  for (const name of isGiven(params, ['ports', 'interface']))
    fault(name, name === 'ports' ? 'goes with "accept": write "dports"' : 'goes with "accept": write "in_interface"');
  if (params.chain === undefined)
    fault('chain', 'is missing: write chain: INPUT, or accept: [multicast, corosync, igmp] in place of a rule');
  if (params.rule !== undefined) checkRaw(params, params.rule, fault);
  else checkParts(params, fault);
  checkFamilies(params, fault);
}).describe('One rule of iptables and ip6tables, by its parts or as text, or what gets in');
export type IptablesParams = z.output<typeof IptablesParams>;

function checkRaw(params: Params, rule: string, fault: FaultAt): void {
  const parts = Object.keys(RuleShape).filter((name) => !['rule', 'table', 'chain', 'position'].includes(name));
  for (const name of isGiven(params, [...parts, 'source'])) fault(name, 'does not go with "rule": write it there');
  const problem = ruleFault(rule);
  if (problem !== null) fault('rule', problem);
}

/** Why a text is no rule that may be set, with what to do; null: it is one as far as can be told here. */
export function ruleFault(rule: string): string | null {
  const dash = dashFault(rule);
  if (dash !== null) return dash;
  if (/[\n\r\0]/.test(rule)) return 'must be one line: write each rule as a task of its own';
  const { words, unclosed } = splitWords(rule);
  const [first] = words;
  if (unclosed !== undefined) return 'has a double quote that is never closed';
  if (first === undefined) return 'is empty';
  if (/(?:^|\/)ip6?tables/.test(first.text))
    return `begins with "${first.text}": write what follows the name of the chain alone`;
  const table = words.find(({ text }) => /^(?:-t|--table)/.test(text));
  if (table !== undefined) return 'chooses its table with -t: write it as the parameter "table"';
  const { text } = first;
  if (/^(?:-P|--policy)$/.test(text))
    return 'sets a policy, which is not managed: what no rule accepts is yours to decide';
  if (/^-[AI]$|^--(?:append|insert)$/.test(text))
    return `begins with "${text}": write what follows the name of the chain alone; where it goes is "position"`;
  if (!/^[-!]/.test(text))
    return `begins with "${text}", which is no option: write it as -p udp --dport 5405 -j ACCEPT`;
  const command = readCommand([{ text: '-A', at: 0 }, { text: 'INPUT', at: 0 }, ...words], 'list');
  if ('fault' in command) return `is no rule: ${command.fault}`;
  const canonical = canonicalRule(
    words.map((word) => word.text),
    'ipv4',
  );
  if (canonical.target === undefined) return 'has no target: add what to do, such as -j ACCEPT';
  const isBare = canonical.base.length === 0 && meaningfulMatches(canonical).length === 0;
  return isBare ? bareFault(canonical.target.name) : null;
}

function bareFault(target: string): string | null {
  if (!/^(?:DROP|REJECT)$/.test(target)) return null;
  return `is "${target}" for everything, the connection that it is set over as well: name what it is about`;
}

const ADDRTYPE = ['dst_type', 'src_type'] as const;
const FILTERS = [
  'dst_type',
  'src_type',
  'protocol',
  'ctstate',
  'dport',
  'sport',
  'dports',
  'source',
  'destination',
] as const;

function checkParts(params: Params, fault: FaultAt): void {
  const { jump, protocol, dport, dports } = params;
  if (jump === undefined) fault('jump', 'is missing: write jump: ACCEPT, or the whole rule as "rule"');
  const matches = listed(params.match);
  const needs = (match: (typeof MATCHES)[number], names: readonly string[]): void => {
    if (matches.includes(match) && isGiven(params, names).length === 0)
      fault('match', `"${match}" needs ${names.join(' or ')}`);
  };
  needs('addrtype', ADDRTYPE);
  needs('state', ['ctstate']);
  needs('conntrack', ['ctstate']);
  needs('multiport', ['dports']);
  needs('comment', ['comment']);
  if (matches.includes('state') && matches.includes('conntrack')) fault('match', 'names state and conntrack: keep one');
  for (const each of ['udp', 'tcp'] as const)
    if (matches.includes(each) && protocol !== each) fault('match', `"${each}" needs protocol: ${each}`);
  const hasPorts = isGiven(params, ['dport', 'sport', 'dports']);
  const isPorted = typeof protocol === 'string' && /^(?:udp|tcp|sctp|dccp|udplite)$/i.test(protocol);
  if (hasPorts.length > 0 && !isPorted) fault(hasPorts[0] ?? '', 'needs a protocol with ports: write protocol: udp');
  if (dport !== undefined && dports !== undefined) fault('dports', 'and "dport" say the same: keep one');
  const slots = listed(dports)
    .map((each) => parsePorts(each))
    .map((each) => (each !== null && each.to > each.from ? 2 : 1));
  if (slots.reduce<number>((sum, each) => sum + each, 0) > MULTIPORT_SLOTS)
    fault(
      'dports',
      `are too many: iptables takes ${MULTIPORT_SLOTS} in a rule, and a range counts as two; write several tasks`,
    );
  const isBare = isGiven(params, [...FILTERS, 'in_interface', 'out_interface']).length === 0;
  const bare = isBare && jump !== undefined ? bareFault(jump) : null;
  if (bare !== null) fault('jump', bare);
}

function checkFamilies(params: Params, fault: FaultAt): void {
  if (params.family === undefined || params.family === 'both') return;
  for (const name of ['source', 'destination'] as const)
    for (const network of listed(params[name]).filter((each) => isNetwork(each) && familyOf(each) !== params.family))
      fault(name, `"${network}" is no ${params.family} network, but "family" is ${params.family}: change one of them`);
}

/** One rule to be there, or not, in one family. */
export interface WantedRule {
  readonly family: Family;
  readonly table: string;
  readonly chain: string;
  readonly words: readonly string[];
  readonly isRaw: boolean;
  readonly position: NonNullable<Params['position']>;
}

/** The families that a rule can be of, by its addresses and protocol. */
function familiesOf(params: Params, words: readonly string[]): readonly Family[] {
  const both: readonly Family[] = ['ipv4', 'ipv6'];
  const text = ` ${words.join(' ')} `;
  const hinted: Family[] = [
    ...words
      .flatMap((word) => word.split(','))
      .filter(isNetwork)
      .map(familyOf),
    ...(/ (?:igmp|icmp|-4|--ipv4|icmp-\S+|-p 2) /.test(text) ? (['ipv4'] as const) : []),
    ...(/ (?:icmpv6|ipv6-icmp|icmp6|-6|--ipv6|icmp6-\S+) /.test(text) ? (['ipv6'] as const) : []),
  ];
  if (params.family !== undefined && params.family !== 'both') return [params.family];
  return hinted.length === 0 ? both : both.filter((family) => hinted.includes(family));
}

/** The rules of a task: one for each family, source and destination that fit each other. */
export function wantedRules(params: Params): readonly WantedRule[] {
  const base = {
    table: params.table ?? 'filter',
    chain: params.chain ?? '',
    position: params.position ?? 'before terminal',
  };
  if (params.rule !== undefined) {
    const words = splitWords(params.rule).words.map(({ text }) => text);
    const plain = words.filter((word) => !/^(?:-4|-6|--ipv4|--ipv6)$/.test(word));
    return familiesOf(params, words).flatMap((family) =>
      expandRule(withComment(plain)).map((each) => ({ ...base, family, words: each, isRaw: true })),
    );
  }
  const pairs = orNone(params.source).flatMap((source) => orNone(params.destination).map((to) => ({ source, to })));
  return pairs
    .filter(({ source, to }) => source === null || to === null || familyOf(source) === familyOf(to))
    .flatMap(({ source, to }) => {
      const words = wordsOf(params, source, to);
      return familiesOf(params, words).map((family) => ({ ...base, family, words, isRaw: false }));
    });
}

const orNone = (value: string | readonly string[] | undefined): readonly (string | null)[] =>
  value === undefined ? [null] : listed(value as string | string[]);

const DEFAULT_COMMENT: readonly string[] = ['-m', 'comment', '--comment', 'mcastctl'];

function withComment(words: readonly string[]): readonly string[] {
  if (words.includes('--comment')) return words;
  const at = words.findIndex((word) => /^(?:-[jg]|--(?:jump|goto)$)/.test(word));
  return at < 0 ? words : [...words.slice(0, at), ...DEFAULT_COMMENT, ...words.slice(at)];
}

const portText = (port: string | number): string => String(port).replace(/\s/g, '').replace('-', ':');

function wordsOf(params: Params, source: string | null, destination: string | null): readonly string[] {
  const { protocol, dport, sport, dports, ctstate, comment, jump = '' } = params;
  const words: string[] = [];
  const add = (...more: readonly string[]): void => void words.push(...more);
  if (source !== null) add('-s', source);
  if (destination !== null) add('-d', destination);
  if (params.in_interface !== undefined) add('-i', params.in_interface);
  if (params.out_interface !== undefined) add('-o', params.out_interface);
  const name = String(protocol ?? '').toLowerCase();
  if (protocol !== undefined) add('-p', name === 'igmp' ? '2' : name);
  const states = listed(ctstate).join(',');
  if (ctstate !== undefined && listed(params.match).includes('state')) add('-m', 'state', '--state', states);
  else if (ctstate !== undefined) add('-m', 'conntrack', '--ctstate', states);
  if (dport !== undefined || sport !== undefined) add('-m', name);
  if (sport !== undefined) add('--sport', portText(sport));
  if (dport !== undefined) add('--dport', portText(dport));
  if (dports !== undefined) add('-m', 'multiport', '--dports', listed(dports).map(portText).join(','));
  if (params.src_type !== undefined || params.dst_type !== undefined) add('-m', 'addrtype');
  if (params.src_type !== undefined) add('--src-type', params.src_type);
  if (params.dst_type !== undefined) add('--dst-type', params.dst_type);
  add('-m', 'comment', '--comment', comment ?? 'mcastctl');
  return [...words, '-j', jump];
}
