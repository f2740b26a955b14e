import * as z from 'zod';
import { deviceName } from '../device-name.ts';
import { count, flag, oneOf, seconds, timerFaults } from './fields.ts';
import { PROPERTIES, toKernel, type Wanted } from './properties.ts';

const WHOLE = ' (ifupdown2 keeps whole seconds only)';

const GUESTS_EXPECTED = 'must be true, false or a mapping of properties, such as { multicast_snooping: false }';

/** The properties of guests' bridges that can be set: they have no address and no use for timers of their own. */
const GuestProperties = z
  .strictObject({
    multicast_snooping: flag('As the one of the bridge, on the bridges of its guests'),
    multicast_querier: flag('As the one of the bridge, on the bridges of its guests; they query from 0.0.0.0'),
    multicast_igmp_version: oneOf('As the one of the bridge, on the bridges of its guests', [2, 3]),
    multicast_mld_version: oneOf('As the one of the bridge, on the bridges of its guests', [1, 2]),
  })
  .refine((guests) => Object.values(guests).some((value) => value !== undefined), 'names no property of the guests');

/** What a `bridge` task takes. At least one property besides the name. */
export const BridgeParams = z
  .strictObject({
    name: deviceName('a bridge', 'vmbr0'),
    multicast_snooping: flag('Whether the bridge forwards a group only to the ports that joined it'),
    multicast_querier: flag('Whether the bridge asks for members where it hears no better querier'),
    multicast_query_use_ifaddr: flag(
      'Whether queries come from the address of the bridge and not from 0.0.0.0; needs an address on it',
    ),
    multicast_igmp_version: oneOf('IGMP version of its queries: 2 or 3', [2, 3]),
    multicast_mld_version: oneOf('MLD version of its queries: 1 or 2', [1, 2]),
    multicast_router: oneOf(
      'Whether the bridge itself gets all groups as a multicast router: 0 never, 1 where queries say so, 2 always',
      [0, 1, 2],
    ),
    multicast_query_interval: seconds('Time between two general queries', 1, WHOLE),
    multicast_query_response_interval: seconds('Time that hosts have to answer a query', 0.1, WHOLE),
    multicast_querier_interval: seconds('Time without a query after which another querier counts as gone', 0.1, WHOLE),
    multicast_membership_interval: seconds(
      'Time without a report after which a port counts as having left',
      0.1,
      WHOLE,
    ),
    multicast_last_member_interval: seconds('Time between the queries that follow a leave', 0.1, WHOLE),
    multicast_startup_query_interval: seconds('Time between the first queries after the start', 1, WHOLE),
    multicast_last_member_count: count('Number of queries that follow a leave', 255),
    multicast_startup_query_count: count('Number of queries sent at the start', 255),
    multicast_hash_max: z
      .int({ error: 'must be a whole number from 1 to 65536' })
      .min(1, 'must be a whole number from 1 to 65536')
      .max(65536, 'must be a whole number from 1 to 65536')
      .optional()
      .describe(
        'Number of group entries that the bridge keeps: a whole number, 1 to 65536, before Linux 4.20 a power of two',
      ),
    multicast_stats_enabled: flag('Whether the bridge counts IGMP and MLD messages'),
    guests: z
      .union([z.boolean(), GuestProperties], { error: GUESTS_EXPECTED })
      .optional()
      .describe(
        'Bridges that Proxmox VE made for guests of this bridge (fwbr100i0, vmbr0v50): true gives them its multicast_snooping and multicast_querier, a mapping what it says; now only, they do not outlive the guest',
      ),
  })
  .superRefine((params, context) => {
    // With an unknown key, which may be a misspelt property, this would be noise.
    for (const fault of context.issues.length > 0 ? [] : crossFaults(params)) {
      context.addIssue({ code: 'custom', path: fault.path, message: fault.message });
    }
  });

/** The checked parameters of a `bridge` task. */
export type BridgeParams = z.output<typeof BridgeParams>;

/** What Proxmox VE copies from a bridge to the one of a guest's network device when it is plugged in (PVE::Network). */
const COPIED = ['multicast_snooping', 'multicast_querier'];

/** The properties that the bridges of guests shall have, in the kernel's units; none where they are not managed. */
export function guestsWantedOf(params: BridgeParams): readonly Wanted[] {
  const { guests } = params;
  if (guests === undefined || guests === false) return [];
  if (guests !== true) return wantedOf(guests);
  return wantedOf(params).filter(({ property }) => COPIED.includes(property.name));
}

/** The properties that a task names, in the kernel's units. */
export function wantedOf(params: Partial<BridgeParams>): readonly Wanted[] {
  const given = params as Readonly<Record<string, unknown>>;
  return PROPERTIES.flatMap((property) => {
    const value = given[property.name];
    return typeof value === 'boolean' || typeof value === 'number'
      ? [{ property, value: toKernel(property, value) }]
      : [];
  });
}

/** Rules between parameters. */
function crossFaults(params: Readonly<Record<string, unknown>>): { path: string[]; message: string }[] {
  const faults: { path: string[]; message: string }[] = [];
  const isGiven = (name: string): boolean => params[name] !== undefined;
  if (params['guests'] === true && !COPIED.some(isGiven)) {
    faults.push({ path: ['guests'], message: `copies ${COPIED.join(' and ')}: add one of them, or write a mapping` });
  }
  if (!PROPERTIES.some(({ name }) => isGiven(name)) && typeof params['guests'] !== 'object') {
    faults.push({ path: [], message: 'names no property: add at least one, such as multicast_querier: true' });
  }
  return [...faults, ...timerFaults(params)];
}
