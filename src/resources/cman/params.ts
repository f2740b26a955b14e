import { isIP, isIPv4 } from 'node:net';
import * as z from 'zod';
import type { ImpactKind } from '../../core/resource.ts';
import { pathParam } from '../params.ts';

/** What takes a property out of the file. */
export const ABSENT = 'absent';

const orAbsent = <Value extends z.ZodType>(value: Value, error: string) =>
  z.union([value, z.literal(ABSENT)], { error: `${error}, or absent` });

const count = (least: number, most: number, error: string) =>
  orAbsent(z.int().min(least).max(most), `must be ${error}`).optional();

const milliseconds = (name: string) => count(30, 3_600_000, `${name} in milliseconds, 30 to 3600000`);

/** Whether a text is a group that a cluster can use. */
export function isGroup(address: string): boolean {
  if (isIPv4(address)) return /^(22[4-9]|23\d)\./.test(address);
  return isIP(address) === 6 && /^ff/i.test(address);
}

const group = z.string().refine(isGroup, {
  error: ({ input }) => `${JSON.stringify(input)} is no multicast address: write one such as 239.192.11.21`,
});

const Shape = z.strictObject({
  transport: orAbsent(z.enum(['udp', 'udpu']), 'must be udp or udpu')
    .optional()
    .describe(
      '`udp` (multicast, the default of cman) or `udpu` (unicast to each node; seldom good for more than 4 nodes)',
    ),
  multicast: orAbsent(group, 'must be a multicast address such as 239.192.11.21')
    .optional()
    .describe(
      'The group of the cluster, `multicast addr`; without one cman makes it of the name of the cluster. Only with udp',
    ),
  port: count(1024, 65535, 'a port, 1024 to 65535').describe(
    'UDP port of totem, 5405 by default; the one below is used too',
  ),
  keyfile: orAbsent(pathParam('keyfile'), 'must be an absolute path')
    .optional()
    .describe('File with the key of the cluster, such as /var/lib/pve-cluster/corosync.authkey'),
  two_node: z
    .boolean({ error: 'must be true or false' })
    .optional()
    .describe('A cluster of two nodes that is quorate with one of them; sets `expected_votes` to 1, as cman demands'),
  expected_votes: count(1, 10_000, 'a number of votes from 1').describe(
    'Votes that the whole cluster has; without it, cman adds up those of the nodes',
  ),
  netmtu: count(256, 10_000, 'a number of bytes, 256 to 10000').describe(
    "Largest packet of totem in bytes, 256 to 10000; 1500 by default. Not above the interface's MTU; over IPoIB at most 2044",
  ),
  token: milliseconds('token').describe('Milliseconds until a lost token is noticed, 30 to 3600000; 10000 by default'),
  consensus: milliseconds('consensus').describe('Milliseconds for agreeing on members, at least 1.2 times `token`'),
  join: milliseconds('join').describe('Milliseconds for which join messages are waited for'),
  token_retransmits_before_loss_const: count(1, 100, 'a number from 1 to 100').describe(
    'How often a token is sent again before it is lost; 20 by default',
  ),
});
export type CmanParams = z.output<typeof Shape>;
export type PropertyName = keyof CmanParams;

export const CmanParams = Shape.superRefine((params, context) => {
  const fault = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
  if (Object.keys(params).length === 0) context.addIssue({ code: 'custom', message: 'cman names nothing to set' });
  if (params.transport === 'udpu' && params.multicast !== undefined && params.multicast !== ABSENT)
    fault('multicast', 'is not used with transport: udpu: remove it, or write absent');
  if (params.two_node === true && params.expected_votes !== undefined && params.expected_votes !== 1)
    fault('expected_votes', 'must be 1 with two_node: true: cman refuses anything else');
  const { token, consensus } = params;
  if (typeof token === 'number' && typeof consensus === 'number' && consensus < 1.2 * token)
    fault('consensus', `must be at least 1.2 times token, which is ${Math.ceil(1.2 * token)}`);
});

interface Property {
  readonly name: PropertyName;
  /** Path of its element. */
  readonly path: string;
  readonly attribute: string;
  /** What has to be started anew before it counts. */
  readonly impact: Extract<ImpactKind, 'reload' | 'restart-node' | 'restart-cluster'>;
  /** What cman takes where it is not set. */
  readonly byDefault?: string;
}

const cman = 'cluster/cman';
const totem = (name: PropertyName): Property => ({
  name,
  path: 'cluster/totem',
  attribute: name,
  impact: 'restart-node',
});

/** Where each parameter stands in cluster.conf (cluster.conf(5), cman(5), corosync.conf(5) of RHEL 6). */
export const PROPERTIES: readonly Property[] = [
  { name: 'transport', path: cman, attribute: 'transport', impact: 'restart-cluster', byDefault: 'udp' },
  { name: 'multicast', path: `${cman}/multicast`, attribute: 'addr', impact: 'restart-cluster' },
  { name: 'port', path: cman, attribute: 'port', impact: 'restart-cluster' },
  { name: 'keyfile', path: cman, attribute: 'keyfile', impact: 'restart-cluster' },
  { name: 'two_node', path: cman, attribute: 'two_node', impact: 'reload', byDefault: '0' },
  { name: 'expected_votes', path: cman, attribute: 'expected_votes', impact: 'reload' },
  totem('netmtu'),
  totem('token'),
  totem('consensus'),
  totem('join'),
  totem('token_retransmits_before_loss_const'),
];

/** A property with the text that its attribute shall have; null: none. */
export interface Wanted {
  readonly property: Property;
  readonly value: string | null;
}

export function wantedOf(params: CmanParams): readonly Wanted[] {
  const all = { ...params, ...(params.two_node === true && { expected_votes: 1 }) };
  return PROPERTIES.flatMap((property): Wanted[] => {
    const value = all[property.name];
    if (value === undefined) return [];
    const text = typeof value === 'boolean' ? (value ? '1' : '0') : String(value);
    return [{ property, value: value === ABSENT ? null : text }];
  });
}
