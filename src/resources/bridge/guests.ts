import { HostError } from '../../core/errors.ts';
import type { Argv, Change, Observations, Read, Resource, ResourcePlan, Step } from '../../core/resource.ts';
import { isSame, type Property, shown, type Wanted } from './properties.ts';

const BRIDGES: Argv = ['ip', '-d', '-j', 'link', 'show', 'type', 'bridge'];
const CABLES: Argv = ['ip', '-j', 'link', 'show', 'type', 'veth'];

/**
 * The bridges that Proxmox VE makes for guests of a bridge, when a guest starts: `fwbr100i0` for a device of guest 100 with the firewall on,
 * `vmbr0v50` for VLAN 50 of a bridge that is not VLAN-aware. They are gone with the guest, so there is no persistent layer; Proxmox VE
 * copies snooping and querier to new fwbr bridges and nothing to VLAN bridges (PVE::Network).
 */
export function guestsResource(bridge: string, wanted: readonly Wanted[]): Resource {
  const reads: readonly Read[] = [
    { read: 'run', argv: BRIDGES },
    { read: 'run', argv: CABLES },
  ];
  return {
    id: `bridge[guests of ${bridge}]`,
    reads,
    wants: Object.fromEntries(wanted.map(({ property, value }) => [property.name, shown(property, value)])),
    plan: (seen) => planGuests(bridge, wanted, seen),
  };
}

type Entry = Readonly<Record<string, unknown>>;

function planGuests(bridge: string, wanted: readonly Wanted[], seen: Observations): ResourcePlan {
  const bridges = linksOf(BRIDGES, seen);
  const cables = linksOf(CABLES, seen);
  const changes: Change[] = [];
  const to: Step[] = [];
  const back: Step[] = [];
  for (const guest of guestBridges(bridge, bridges, cables)) {
    const differing = wanted.flatMap(({ property, value }) => {
      const now = numberOf(guest, property);
      return isSame(property, now, value) ? [] : [{ property, value, now }];
    });
    if (differing.length === 0) continue;
    changes.push(...differing.map((each) => changeOf(nameOf(guest), each)));
    to.push(setStep(nameOf(guest), differing));
    back.unshift(
      setStep(
        nameOf(guest),
        differing.map(({ property, now }) => ({ property, value: now })),
      ),
    );
  }
  return { changes, try: to, undo: back, keep: [] };
}

function changeOf(guest: string, { property, value, now }: Wanted & { readonly now: number }): Change {
  const isQuerier = property.name === 'multicast_querier' && value === 1;
  return {
    layer: 'runtime',
    property: `${guest}: ${property.name}`,
    from: shown(property, now),
    to: shown(property, value),
    ...(isQuerier && { note: 'its queries come from 0.0.0.0, which silences queriers with an address' }),
  };
}

function setStep(guest: string, values: readonly Wanted[]): Step {
  const settings = values.flatMap(({ property, value }) => [property.ip, String(value)]);
  return { do: 'run', argv: ['ip', 'link', 'set', 'dev', guest, 'type', 'bridge', ...settings] };
}

/** By their names; of a firewall bridge the other end of its cable tells to which bridge it leads. */
function guestBridges(bridge: string, bridges: readonly Entry[], cables: readonly Entry[]): readonly Entry[] {
  const isVlan = (name: string): boolean =>
    name.startsWith(`${bridge}v`) && /^\d{1,4}$/.test(name.slice(bridge.length + 1));
  const masters = new Map(cables.map((cable) => [nameOf(cable), cable['master']]));
  return bridges
    .filter((entry) => {
      const name = nameOf(entry);
      const [, guest, device] = /^fwbr(\d+)i(\d+)$/.exec(name) ?? [];
      const master = guest === undefined ? undefined : masters.get(`fwpr${guest}p${device}`);
      return isVlan(name) || (typeof master === 'string' && (master === bridge || isVlan(master)));
    })
    .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

function numberOf(entry: Entry, property: Property): number {
  const value = record(record(entry['linkinfo'])['info_data'])[property.json];
  if (typeof value === 'number' || typeof value === 'boolean') return Number(value);
  throw new HostError(`ip tells no ${property.name} of "${nameOf(entry)}"`, {
    hint: 'its iproute2 is too old for the bridges of guests: leave "guests" out there',
  });
}

function linksOf(argv: Argv, seen: Observations): readonly Entry[] {
  const { code, stdout, stderr } = seen.run(argv);
  const problem = (why: string): HostError =>
    new HostError(`the bridges of guests can't be read: "${argv.join(' ')}" ${why}`, {
      hint: 'leave "guests" out there',
    });
  if (code !== 0) throw problem(`fails: ${stderr.trim()}`);
  if (stdout.trim() === '') return [];
  try {
    const list: unknown = JSON.parse(stdout);
    // Old versions print `{}` for each device that was not asked for.
    return (Array.isArray(list) ? list : []).map(record).filter((entry) => typeof entry['ifname'] === 'string');
  } catch {
    throw problem('gives no JSON');
  }
}

function nameOf(entry: Entry): string {
  return String(entry['ifname']);
}

function record(value: unknown): Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Entry) : {};
}
