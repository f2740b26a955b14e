import { isIPv4, isIPv6 } from 'node:net';
import * as z from 'zod';
import type { ProbeParams } from '../../core/task.ts';

/** Most packets that one probe sends to each target. */
const MAX_COUNT = 1_000_000;
const MAX_INTERVAL_MS = 60_000;
const UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/**
 * A span of time in milliseconds from seconds as a number, or text such as "10ms", "0.5s", "2m", "1h" (text without a
 * unit: seconds); null where it is none.
 */
export function parseDuration(value: string | number): number | null {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? toMilliseconds(value, 1000) : null;
  const found = /^(?<number>\d+(?:\.\d+)?)\s*(?<unit>ms|s|m|h)?$/.exec(value.trim());
  if (!found?.groups) return null;
  return toMilliseconds(Number(found.groups.number), UNITS.get(found.groups.unit ?? 's') ?? 1000);
}

/** Rounded to a millionth, so that 0.3 s are 300 ms and not 299.99… */
function toMilliseconds(amount: number, unit: number): number {
  return Math.round(amount * unit * 1e6) / 1e6;
}

/**
 * Why an address can't be the group of a probe, or null where it can. 224.0.0.0/24 (RFC 4541, 2.1.2) and ff02::/16 are
 * flooded by every switch whatever its snooping does: packets to them prove nothing.
 */
export function groupFault(group: string): string | null {
  if (isIPv4(group)) {
    const [first = 0, second, third] = group.split('.').map(Number);
    if (first < 224 || first > 239) return `${group} is no multicast address: those are 224.0.0.0 to 239.255.255.255`;
    const isLinkLocal = first === 224 && second === 0 && third === 0;
    return isLinkLocal ? `${group} is link-local: switches never snoop 224.0.0.x, so it would prove nothing` : null;
  }
  if (!isIPv6(group) || group.includes('%')) return `"${group}" is no IPv4 or IPv6 address`;
  const first = Number.parseInt(group.startsWith('::') ? '0' : group, 16);
  if (first >> 8 !== 0xff) return `${group} is no multicast address: those are ff00::/8`;
  const scope = first & 0xf;
  if (scope === 1) return `${group} never leaves the node: take a group of scope 5 (site) or 8 (organisation)`;
  return scope === 2 ? `${group} is link-local: switches never snoop ff02::/16, so it would prove nothing` : null;
}

const Duration = (what: string, range: readonly [number, number]) =>
  z
    .union([z.number(), z.string()], { error: `${what} is seconds as a number, or text such as "10ms" or "0.5s"` })
    .transform((value, context) => {
      const milliseconds = parseDuration(value);
      if (milliseconds !== null && milliseconds >= range[0] && milliseconds <= range[1]) return milliseconds;
      const message =
        milliseconds === null
          ? `${what} is seconds as a number, or text such as "10ms" or "0.5s", not ${JSON.stringify(value)}`
          : `${what} lies between ${range[0]}ms and ${range[1] / 1000}s, not ${JSON.stringify(value)}`;
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    });

/** The `probe` of a play, which takes what `mcastctl probe` takes. */
export const ProbeSchema = z
  .strictObject({
    group: z
      .string()
      .superRefine((group, context) => {
        const fault = groupFault(group);
        if (fault !== null) context.addIssue({ code: 'custom', message: fault });
      })
      .optional()
      .describe('IPv4 or IPv6 multicast address, 239.192.77.1 by default'),
    port: z.int().min(1).max(65_535).optional().describe('UDP port, 1 to 65535, 4321 by default'),
    interface: z
      .string()
      .regex(/^[^\s/]{1,15}$/, { error: ({ input }) => `${JSON.stringify(input)} is no name of a network device` })
      .optional()
      .describe('Device on which the host joins the group; by default the one that carries the SSH connection'),
    count: z.int().min(1).max(MAX_COUNT).optional().describe('Packets to each peer and to the group, 20 by default'),
    interval: Duration('"interval"', [1, MAX_INTERVAL_MS])
      .optional()
      .describe('Time between two packets: seconds as a number, or text such as "10ms", the default'),
    duration: Duration('"duration"', [1, 86_400_000])
      .optional()
      .describe('How long to send, in place of count: seconds as a number, or text such as "14s"'),
    ttl: z
      .int()
      .min(1)
      .max(255)
      .optional()
      .describe('IP TTL or hop limit of multicast packets, 1 to 255, 1 by default'),
    max_loss: z
      .number()
      .min(0)
      .max(100)
      .optional()
      .describe('Loss in percent at which a path is still ok, 0 by default'),
  })
  .superRefine(({ count, duration, interval }, context) => {
    if (duration === undefined) return;
    if (count !== undefined) {
      context.addIssue({ code: 'custom', path: ['duration'], message: 'give either "count" or "duration", not both' });
    } else if (packets(duration, interval) > MAX_COUNT) {
      context.addIssue({ code: 'custom', path: ['duration'], message: `that would be more than ${MAX_COUNT} packets` });
    }
  })
  .describe('How each change of the play is proved');

const DEFAULT_INTERVAL_MS = 10;

function packets(duration: number, interval = DEFAULT_INTERVAL_MS): number {
  return Math.max(1, Math.round(duration / interval));
}

/** What a probe does, with defaults for what is not given. */
export function toProbeParams(given: z.output<typeof ProbeSchema>): ProbeParams {
  return {
    group: given.group ?? '239.192.77.1',
    port: given.port ?? 4321,
    count: given.duration === undefined ? (given.count ?? 20) : packets(given.duration, given.interval),
    intervalMs: given.interval ?? DEFAULT_INTERVAL_MS,
    ttl: given.ttl ?? 1,
    maxLoss: given.max_loss ?? 0,
  };
}
