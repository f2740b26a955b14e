import type { Argv } from '../../core/resource.ts';
import { type AcceptRule, FAMILIES, parsePorts, showPorts, type Wish } from '../firewall/wish.ts';
import type { Zone } from './zone.ts';

/** One thing that firewalld keeps for a zone. */
export interface Setting {
  readonly option: 'port' | 'protocol' | 'rich-rule';
  readonly value: string;
}

/**
 * How a rule is written. Ports and protocols of a zone count for both families; what is for one family, or from one source, is a rich
 * rule.
 */
export function settingsOf(rule: AcceptRule, wish: Wish): readonly Setting[] {
  const rich = (element: string): Setting => {
    const source = rule.source === null ? '' : ` source address="${rule.source}"`;
    const destination = rule.destination === null ? '' : ` destination address="${rule.destination}"`;
    return { option: 'rich-rule', value: `rule family="${rule.family}"${source}${destination}${element} accept` };
  };
  if (rule.service === 'multicast') return [rich('')];
  if (rule.service === 'igmp')
    return [rule.family === 'ipv4' ? { option: 'protocol', value: 'igmp' } : rich(' protocol value="ipv6-icmp"')];
  const isForAll = rule.source === null && FAMILIES.every((family) => wish.families.includes(family));
  return rule.dports.map((range) =>
    isForAll
      ? { option: 'port', value: `${showPorts(range)}/udp` }
      : rich(` port port="${showPorts(range)}" protocol="udp"`),
  );
}

export function has(zone: Zone, { option, value }: Setting): boolean {
  const lists = { port: zone.ports, protocol: zone.protocols, 'rich-rule': zone.richRules };
  return lists[option].includes(value);
}

/** The zone with settings added, as it would judge then. */
export function withSettings(zone: Zone, settings: readonly Setting[]): Zone {
  const more = (option: Setting['option']) =>
    settings.filter((each) => each.option === option).map(({ value }) => value);
  return {
    ...zone,
    ports: [...zone.ports, ...more('port')],
    protocols: [...zone.protocols, ...more('protocol')],
    richRules: [...zone.richRules, ...more('rich-rule')],
  };
}

/** The programs that add or remove settings of a zone: one for each option, since firewall-cmd takes no two of them at once. */
export function commands(
  verb: 'add' | 'remove',
  layer: 'runtime' | 'persistent',
  zone: string,
  settings: readonly Setting[],
): readonly Argv[] {
  const options = ['port', 'protocol', 'rich-rule'] as const;
  return options.flatMap((option): readonly Argv[] => {
    const own = settings.filter((each) => each.option === option);
    if (own.length === 0) return [];
    const permanent = layer === 'persistent' ? ['--permanent'] : [];
    return [
      ['firewall-cmd', ...permanent, `--zone=${zone}`, ...own.map(({ value }) => `--${verb}-${option}=${value}`)],
    ];
  });
}

/**
 * What must be added again once settings are removed: firewalld joins a port with those that overlap it, so that they go together.
 * @param zone as it was before the settings were added
 */
export function joinedPorts(zone: Zone, settings: readonly Setting[]): readonly Setting[] {
  const ranges = settings.flatMap(({ option, value }) => (option === 'port' ? [rangeOf(value)] : []));
  return zone.ports
    .filter((port) => ranges.some((range) => range !== null && touches(port, range)))
    .map((value) => ({ option: 'port', value }));
}

const rangeOf = (port: string) => (port.endsWith('/udp') ? parsePorts(port.split('/')[0] ?? '') : null);

function touches(port: string, range: { readonly from: number; readonly to: number }): boolean {
  const own = rangeOf(port);
  return own !== null && own.from <= range.to + 1 && range.from <= own.to + 1;
}
