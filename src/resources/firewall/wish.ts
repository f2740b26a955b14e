import { isIP, isIPv4 } from 'node:net';
import * as z from 'zod';
import type { ResourceId } from '../../core/resource.ts';

/** What a wish may name. */
export const SERVICES = ['multicast', 'corosync', 'igmp'] as const;
export type Service = (typeof SERVICES)[number];

export const FAMILIES = ['ipv4', 'ipv6'] as const;
export type Family = (typeof FAMILIES)[number];

/** By this comment the rules of this program are known in every firewall; only those are ever removed for a wish. */
export const RULE_COMMENT = 'mcastctl';

/** All multicast addresses (RFC 5771, RFC 4291 2.7). Where a firewall knows address types, MULTICAST means the same. */
export const MULTICAST: Readonly<Record<Family, string>> = { ipv4: '224.0.0.0/4', ipv6: 'ff00::/8' };

/** MLD query, report and done, and the report of MLDv2 (RFC 2710 3, RFC 3810 5): what IGMP is for IPv6. */
export const MLD_TYPES: readonly number[] = [130, 131, 132, 143];

/** UDP ports, both ends included, 1 to 65535. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** 5404 and 5405: totem over udp (`mcastport - 1` and `mcastport`); 5405 to 5412: the eight links of knet (corosync.conf(5)). */
export const COROSYNC_PORTS: PortRange = { from: 5404, to: 5412 };

/** What must get in. */
export interface Wish {
  /** In the order of `SERVICES`, each once. */
  readonly accept: readonly Service[];
  /** Of corosync, sorted; at least one. */
  readonly ports: readonly PortRange[];
  /** null: on all interfaces. */
  readonly interface: string | null;
  /** Addresses or networks; none: from everywhere. */
  readonly sources: readonly string[];
  /** At least one. */
  readonly families: readonly Family[];
  readonly state: 'present' | 'absent';
}

/** One rule that lets something in, whatever firewall writes it. All that is not null has to match. */
export interface AcceptRule {
  readonly service: Service;
  readonly family: Family;
  /** null: any. igmp: IP protocol 2. */
  readonly protocol: 'udp' | 'igmp' | 'icmpv6' | null;
  /** Destination ports; none: any. */
  readonly dports: readonly PortRange[];
  /** A network; only ever one of `MULTICAST`. */
  readonly destination: string | null;
  /** None: any. */
  readonly icmpTypes: readonly number[];
  readonly interface: string | null;
  readonly source: string | null;
}

/** Whether a text is an address or a network of one, such as 10.0.0.0/24 or fd00::1. */
export function isNetwork(text: string): boolean {
  const [address = '', length, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0 || address.includes('%')) return false;
  return length === undefined || (/^(0|[1-9]\d{0,2})$/.test(length) && Number(length) <= (version === 4 ? 32 : 128));
}

/** The family of what `isNetwork` is true for. */
export function familyOf(network: string): Family {
  return isIPv4(network.split('/')[0] ?? '') ? 'ipv4' : 'ipv6';
}

/** null where the text is no port and no range of ports: `5405`, `5404-5412` or, as in iptables, `5404:5412`. */
export function parsePorts(value: string | number): PortRange | null {
  const match = /^(?<from>\d{1,5})(?:\s*[-:]\s*(?<to>\d{1,5}))?$/.exec(String(value).trim());
  const from = Number(match?.groups?.from ?? Number.NaN);
  const to = Number(match?.groups?.to ?? from);
  return from >= 1 && from <= to && to <= 65535 ? { from, to } : null;
}

/** Why a text can't name a network device here, or null. Wildcards are refused: each firewall spells them differently. */
export function interfaceFault(name: string): string | null {
  if (/^[A-Za-z0-9_.-]{1,15}$/.test(name) && !/^[-.]/.test(name)) return null;
  return `interface ${JSON.stringify(name)} is no name of a network device: write one such as vmbr0, at most 15 letters, digits, ".", "_" and "-"; for several devices write several tasks`;
}

const onceOrMore = <Item extends z.ZodType>(item: Item, error: string) =>
  z.union([item, z.array(item).min(1, 'name at least one')], { error });

const Ports = z
  .union([z.int(), z.string()], { error: 'a port is a number such as 5405 or a range such as 5404-5412' })
  .refine((value) => parsePorts(value) !== null, {
    error: ({ input }) =>
      `${JSON.stringify(input)} is no port: write a number from 1 to 65535 or a range such as 5404-5412`,
  });

const Network = z
  .string({ error: 'a source is an address or a network such as 10.0.0.0/24 or fd00::/64' })
  .refine(isNetwork, {
    error: ({ input }) => `${JSON.stringify(input)} is no source: write an address or a network such as 10.0.0.0/24`,
  });

/** The parameters of a wish. Made strict, and given to `checkWish`, by each resource that takes one. */
export const WISH_SHAPE = {
  accept: z
    .array(z.enum(SERVICES, { error: `must be one of ${SERVICES.join(', ')}` }), {
      error: 'must be a list such as [multicast, corosync, igmp]',
    })
    .min(1, 'name at least one of multicast, corosync, igmp')
    .describe(
      'What gets in: `multicast` (all that is sent to 224.0.0.0/4 and ff00::/8), `corosync` (UDP to its ports), `igmp` (IGMP, and MLD for IPv6)',
    ),
  ports: onceOrMore(Ports, 'must be a port, a range such as 5404-5412 or a list of them')
    .optional()
    .describe(
      'UDP ports of `corosync`: a port, a range such as 5404-5412 or a list of them; 5404-5412 by default: udp uses 5404 and 5405, the links of knet 5405 to 5412',
    ),
  interface: z
    .string()
    .refine((name) => interfaceFault(name) === null, { error: ({ input }) => interfaceFault(String(input)) ?? '' })
    .optional()
    .describe('Only what comes in on this interface; on all by default'),
  source: onceOrMore(Network, 'must be an address or a network such as 10.0.0.0/24, or a list of them')
    .optional()
    .describe(
      'Only what is sent from this address or network (CIDR), or one of these; from everywhere by default. It does not limit `igmp`: queriers often have an address of another network, or 0.0.0.0',
    ),
  family: z
    .enum(['ipv4', 'ipv6', 'both'], { error: 'must be ipv4, ipv6 or both' })
    .optional()
    .describe('`ipv4`, `ipv6` or `both`; by default those of `source`, and both where there is none'),
  state: z
    .enum(['present', 'absent'], { error: 'must be present or absent' })
    .optional()
    .describe('`absent` takes the rules of this program away again; `present` by default'),
};

const Shape = z.strictObject(WISH_SHAPE);
/** What a task says. */
export type WishParams = z.output<typeof Shape>;

const listed = <Item extends string | number>(value: Item | readonly Item[] | undefined): readonly Item[] =>
  value === undefined ? [] : ((Array.isArray(value) ? value : [value]) as readonly Item[]);

/** Adds the faults that concern several parameters of a wish; for `superRefine`. */
export function checkWish(params: WishParams, context: z.RefinementCtx): void {
  const fault = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
  if (new Set(params.accept).size < params.accept.length) fault('accept', 'names something twice: keep one of them');
  if (params.ports !== undefined && !params.accept.includes('corosync'))
    fault('ports', 'are those of "corosync", which "accept" does not name: add it, or remove "ports"');
  if (listed(params.ports).length > 7) fault('ports', "must be at most 7: iptables can't match more in one rule");
  const given = params.family;
  if (given === undefined || given === 'both') return;
  for (const source of listed(params.source).filter((each) => familyOf(each) !== given))
    fault('source', `"${source}" is no ${given} network, but "family" is ${given}: change one of them`);
}

/** The strict schema of a wish, for a resource that takes nothing else. */
export const WishSchema = Shape.superRefine(checkWish);

/** A wish out of checked parameters. */
export function wishOf(params: WishParams): Wish {
  const sources = listed(params.source).map((each) => each.toLowerCase());
  const spoken = sources.map(familyOf);
  const chosen = params.family === undefined || params.family === 'both' ? FAMILIES : [params.family];
  const ports = listed<string | number>(params.ports).flatMap((each) => parsePorts(each) ?? []);
  return {
    accept: SERVICES.filter((service) => params.accept.includes(service)),
    ports: ports.length > 0 ? ports.toSorted((a, b) => a.from - b.from || a.to - b.to) : [COROSYNC_PORTS],
    interface: params.interface ?? null,
    sources: [...new Set(sources)],
    families: chosen.filter((family) => spoken.length === 0 || params.family === 'both' || spoken.includes(family)),
    state: params.state ?? 'present',
  };
}

function rulesOf(wish: Wish, service: Service, family: Family): readonly AcceptRule[] {
  const any: AcceptRule = {
    service,
    family,
    protocol: null,
    dports: [],
    destination: null,
    icmpTypes: [],
    interface: wish.interface,
    source: null,
  };
  if (service === 'igmp')
    return [family === 'ipv4' ? { ...any, protocol: 'igmp' } : { ...any, protocol: 'icmpv6', icmpTypes: MLD_TYPES }];
  const rule: AcceptRule =
    service === 'multicast'
      ? { ...any, destination: MULTICAST[family] }
      : { ...any, protocol: 'udp', dports: wish.ports };
  if (wish.sources.length === 0) return [rule];
  // With "both" a family without a source of its own gets no rule: it would let in what nobody asked for.
  return wish.sources.filter((source) => familyOf(source) === family).map((source) => ({ ...rule, source }));
}

/** What has to be accepted in one family, in the order of `accept`, then of `sources`. */
export function acceptRules(wish: Wish, family: Family): readonly AcceptRule[] {
  if (!wish.families.includes(family)) return [];
  return wish.accept.flatMap((service) => rulesOf(wish, service, family));
}

/** `5404-5412`, or `5405` where it is one port, with the sign between that a firewall wants. */
export function showPorts(range: PortRange, dash = '-'): string {
  return range.from === range.to ? `${range.from}` : `${range.from}${dash}${range.to}`;
}

/** How a change of a rule is named in reports, such as `ipv6 corosync`, with its source where it has one. */
export function propertyOf(rule: AcceptRule): string {
  return `${rule.family} ${rule.service}${rule.source === null ? '' : ` from ${rule.source}`}`;
}

/** `firewall[input]`, with what limits the wish: `firewall[input vmbr0 10.0.0.0/24]`. */
export function wishId(type: string, wish: Wish): ResourceId {
  return `${type}[${['input', ...(wish.interface === null ? [] : [wish.interface]), ...wish.sources].join(' ')}]`;
}

/** The `wants` of a resource that takes a wish: two tasks with one id must not want a service in different ways. */
export function wishWants(wish: Wish): Readonly<Record<string, unknown>> {
  const rules = wish.families.flatMap((family) => acceptRules(wish, family));
  const told = (rule: AcceptRule): string =>
    wish.state === 'absent' ? 'absent' : ['accept', ...rule.dports.map((range) => showPorts(range))].join(' ');
  return Object.fromEntries(rules.map((rule) => [propertyOf(rule), told(rule)]));
}
