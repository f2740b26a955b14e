import { HostError } from '../../core/errors.ts';
import { ANY, type Conditions } from '../firewall/conditions.ts';
import type { Chain, ChainRule } from '../firewall/judge.ts';
import { parsePorts } from '../firewall/wish.ts';
import { parseRichRule, type RichRule } from './rich-rule.ts';

/** One zone, running or permanent, as `firewall-cmd --list-all-zones` prints it. */
export interface Zone {
  readonly name: string;
  /** What becomes of the rest: `default` and `%%REJECT%%` (all but ICMP is refused), `DROP`, `ACCEPT`. */
  readonly target: string;
  readonly isIcmpInverted: boolean;
  readonly interfaces: readonly string[];
  readonly sources: readonly string[];
  readonly services: readonly string[];
  /** Such as `5404-5412/udp`. */
  readonly ports: readonly string[];
  readonly protocols: readonly string[];
  readonly icmpBlocks: readonly string[];
  readonly richRules: readonly string[];
}

/** Names of firewalld's ICMP types for MLD, which only newer versions have. */
const MLD_NAMES: Readonly<Record<string, number>> = {
  'mld-listener-query': 130,
  'mld-listener-report': 131,
  'mld-listener-done': 132,
  'mld2-listener-report': 143,
};

/**
 * Zones by name.
 * @throws HostError where a line is none that firewall-cmd prints
 */
export function parseZones(text: string): ReadonlyMap<string, Zone> {
  const found: { readonly name: string; readonly fields: Map<string, string[]> }[] = [];
  let values: string[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const name = /^(?<name>[^\s:]+)(?: \([^)]*\))?$/.exec(line)?.groups?.name;
    const field = /^ {2}(?<key>[a-z]+(?:[ -][a-z]+)*):(?<value>.*)$/.exec(line)?.groups;
    const zone = found.at(-1);
    if (name !== undefined) found.push({ name, fields: new Map() });
    else if (zone !== undefined && field?.key !== undefined) {
      values = (field.value ?? '').split(' ').filter((word) => word !== '');
      zone.fields.set(field.key, values);
    } else if (zone !== undefined && line.startsWith('\t')) values.push(line.trim());
    else throw new HostError(`"firewall-cmd --list-all-zones" printed a line that is not understood: "${line}"`);
  }
  return new Map(found.map(({ name, fields }) => [name, zoneOf(name, fields)]));
}

function zoneOf(name: string, fields: ReadonlyMap<string, readonly string[]>): Zone {
  const list = (key: string): readonly string[] => fields.get(key) ?? [];
  return {
    name,
    target: list('target')[0] ?? 'default',
    isIcmpInverted: list('icmp-block-inversion')[0] === 'yes',
    interfaces: list('interfaces'),
    sources: list('sources'),
    services: list('services'),
    ports: list('ports'),
    protocols: list('protocols'),
    icmpBlocks: list('icmp-blocks'),
    richRules: list('rich rules'),
  };
}

/** The ports of a service's file (firewalld.service(5)), such as `5404/udp`. */
export function parseServicePorts(xml: string): readonly string[] {
  const bare = xml.replace(/<!--.*?-->/gs, '');
  return [...bare.matchAll(/<port\s[^>]*>/g)].flatMap(([tag]) => {
    const attribute = (name: string) =>
      new RegExp(`\\s${name}\\s*=\\s*["'](?<value>[^"']*)["']`).exec(tag)?.groups?.value;
    const port = attribute('port');
    return port ? [`${port}/${attribute('protocol') ?? ''}`] : [];
  });
}

/** What is said of a service whose ports were not asked for: nobody can foretell what it matches. */
const unknownService = (name: string): Conditions => ({ ...ANY, others: [`service ${name}`] });

function portConditions(port: string): Conditions {
  const [ports = '', protocol = ''] = port.split('/');
  const range = parsePorts(ports);
  return range === null ? { ...ANY, others: [port] } : { ...ANY, protocols: [protocol], dports: [range] };
}

const protocolConditions = (name: string): Conditions => ({ ...ANY, protocols: [protocolName(name)] });

function protocolName(name: string): string {
  return { 'ipv6-icmp': 'icmpv6', '58': 'icmpv6', '2': 'igmp', '17': 'udp' }[name] ?? name;
}

function richConditions(rule: RichRule, services: Services): readonly Conditions[] {
  const addresses = {
    family: rule.family,
    sources: rule.source === null ? null : [rule.source],
    destinations: rule.destination === null ? null : [rule.destination],
  };
  return elementConditions(rule, services).map((each) => ({
    ...each,
    ...addresses,
    others: [...each.others, ...rule.others],
  }));
}

function elementConditions({ element }: RichRule, services: Services): readonly Conditions[] {
  if (element === null) return [ANY];
  const { kind, attributes } = element;
  if (kind === 'port') return [portConditions(`${attributes.port}/${attributes.protocol}`)];
  if (kind === 'protocol') return [protocolConditions(attributes.value ?? '')];
  if (kind === 'service') return serviceConditions(attributes.name ?? '', services);
  const mld = MLD_NAMES[attributes.name ?? ''];
  if (kind === 'icmp-type' && mld !== undefined) return [{ ...ANY, protocols: ['icmpv6'], icmpTypes: [mld] }];
  return [{ ...ANY, others: [kind] }];
}

/** Ports by the name of the service. */
export type Services = ReadonlyMap<string, readonly string[]>;

function serviceConditions(name: string, services: Services): readonly Conditions[] {
  return services.get(name)?.map(portConditions) ?? [unknownService(name)];
}

/**
 * A zone as firewalld makes it: rich rules of a priority below 0, then what refuses, then what accepts, then rich rules above 0, then
 * ICMP, then the target (firewalld.richlanguage(5), "priority"; seen in the ruleset of firewalld 1.3.3).
 */
export function zoneChain(zone: Zone, services: Services): Chain {
  const rich = zone.richRules.map(parseRichRule).filter(({ action }) => action !== null);
  const of = (rules: readonly RichRule[]): ChainRule[] => rules.flatMap((rule) => richChainRules(rule, services));
  const byPriority = rich.toSorted((a, b) => a.priority - b.priority);
  const accept = (text: string, conditions: Conditions): ChainRule => ({ conditions, verdict: { do: 'accept' }, text });
  const rules = [
    ...of(byPriority.filter(({ priority }) => priority < 0)),
    ...of(rich.filter(({ priority, action }) => priority === 0 && action !== 'accept')),
    ...icmpBlocks(zone),
    ...zone.services.flatMap((name) =>
      serviceConditions(name, services).map((each) => accept(`service ${name}`, each)),
    ),
    ...zone.ports.map((port) => accept(`port ${port}`, portConditions(port))),
    ...zone.protocols.map((name) => accept(`protocol ${name}`, protocolConditions(name))),
    ...of(rich.filter(({ priority, action }) => priority === 0 && action === 'accept')),
    ...of(byPriority.filter(({ priority }) => priority > 0)),
    ...(zone.target === 'DROP' || zone.target === 'ACCEPT' || zone.isIcmpInverted
      ? []
      : [accept('ICMP', { ...ANY, protocols: ['icmp', 'icmpv6'] })]),
  ];
  return { name: `zone ${zone.name}`, policy: zone.target === 'ACCEPT' ? 'accept' : 'drop', rules };
}

function richChainRules(rule: RichRule, services: Services): ChainRule[] {
  const verdict = { do: rule.action === 'accept' ? 'accept' : 'drop' } as const;
  return richConditions(rule, services).map((conditions) => ({ conditions, verdict, text: rule.text }));
}

/** What is listed is refused, or with inversion accepted and all others refused. */
function icmpBlocks(zone: Zone): ChainRule[] {
  const verdict = { do: zone.isIcmpInverted ? 'accept' : 'drop' } as const;
  const listed = zone.icmpBlocks.flatMap((name): ChainRule[] => {
    const type = MLD_NAMES[name];
    const conditions = { ...ANY, protocols: ['icmpv6'], icmpTypes: type === undefined ? null : [type] };
    return type === undefined ? [] : [{ conditions, verdict, text: `ICMP block ${name}` }];
  });
  const rest: ChainRule = {
    conditions: { ...ANY, protocols: ['icmp', 'icmpv6'] },
    verdict: { do: 'drop' },
    text: 'ICMP block inversion',
  };
  return zone.isIcmpInverted ? [...listed, rest] : listed;
}
