import * as z from 'zod';
import { crossFaults } from './cross-faults.ts';
import { KEYS, type Key, type Section } from './keys.ts';
import { type Given, kindText, valueFault } from './values.ts';

/** The values of one block by key. */
export type Block = Readonly<Record<string, Given>>;

/** What a `corosync` task names. */
export interface CorosyncParams {
  readonly totem: Block;
  readonly interfaces: readonly { readonly linknumber: number; readonly absent: boolean; readonly values: Block }[];
  readonly quorum: Block;
  readonly logging: Block;
  readonly system: Block;
  readonly nodes: readonly { readonly name: string; readonly values: Block }[];
  /** Names of the nodes that are to leave. */
  readonly absent: readonly string[];
}

function shapeOf(section: Section): Record<string, z.ZodType> {
  return Object.fromEntries(KEYS[section].map((key) => [key.name, valueSchema(key)]));
}

function valueSchema(key: Key): z.ZodType {
  const only = key.only === undefined ? '' : ` (${key.only.join(', ')} only)`;
  const about = `${key.about}${only}. Takes ${kindText(key.kind)}`;
  return z
    .unknown()
    .superRefine((value, context) => {
      const fault = value === undefined ? null : valueFault(key.kind, value);
      if (fault !== null) context.addIssue({ code: 'custom', message: fault });
    })
    .optional()
    .describe(about);
}

const link = z
  .int('must be the number of a link, 0 to 7')
  .min(0, 'must be the number of a link, 0 to 7')
  .max(7, 'must be the number of a link, 0 to 7')
  .describe('Number of the link, 0 to 7; with udp and udpu only 0');

const nodeName = z
  .string('must be the name of a node')
  .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, 'must be a host name: letters, digits, "-" and "."')
  .describe('Name of the node as in corosync.conf; a new node has its host name');

/** The parameters of a `corosync` task. null leaves a key out of the file; what is not named stays as it is. */
export const CorosyncSchema = z
  .strictObject({
    ...shapeOf('totem'),
    interfaces: z
      .array(
        z.strictObject({
          linknumber: link,
          absent: z
            .literal(true, 'must be true, or left out')
            .optional()
            .describe('The block of this link is removed: true'),
          ...shapeOf('interface'),
        }),
      )
      .optional()
      .describe('Blocks totem.interface, by linknumber'),
    nodelist: z
      .strictObject({
        nodes: z
          .array(z.strictObject({ name: nodeName, ...shapeOf('node') }))
          .optional()
          .describe('Nodes that the cluster has; one that is not in the file yet joins'),
        absent: z.array(nodeName).optional().describe('Names of nodes that leave the cluster'),
      })
      .optional()
      .describe('The nodelist'),
    quorum: z.strictObject(shapeOf('quorum')).optional().describe('Keys of quorum, see votequorum(5)'),
    logging: z.strictObject(shapeOf('logging')).optional().describe('Keys of logging'),
    system: z.strictObject(shapeOf('system')).optional().describe('Keys of system'),
  })
  .superRefine((given, context) => {
    // With an unknown key, which may be a misspelt one, this would be noise.
    for (const fault of context.issues.length > 0 ? [] : crossFaults(paramsOf(given))) {
      context.addIssue({ code: 'custom', path: [...fault.path], message: fault.message });
    }
  });

type Raw = Readonly<Record<string, unknown>>;

/** The checked parameters by blocks. */
export function paramsOf(given: z.output<typeof CorosyncSchema>): CorosyncParams {
  const raw = given as Raw;
  const nodelist = raw['nodelist'] as
    | { readonly nodes?: readonly Raw[]; readonly absent?: readonly string[] }
    | undefined;
  const interfaces = (raw['interfaces'] ?? []) as readonly Raw[];
  return {
    totem: blockOf('totem', raw),
    interfaces: interfaces.map((each) => ({
      linknumber: Number(each['linknumber']),
      absent: each['absent'] === true,
      values: blockOf('interface', each),
    })),
    quorum: blockOf('quorum', raw['quorum']),
    logging: blockOf('logging', raw['logging']),
    system: blockOf('system', raw['system']),
    nodes: (nodelist?.nodes ?? []).map((each) => ({ name: String(each['name']), values: blockOf('node', each) })),
    absent: nodelist?.absent ?? [],
  };
}

function blockOf(section: Section, raw: unknown): Block {
  const values = (raw ?? {}) as Readonly<Record<string, Given>>;
  return Object.fromEntries(
    KEYS[section].flatMap(({ name }): [string, Given][] => {
      const value = values[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
