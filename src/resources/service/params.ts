import * as z from 'zod';
import { argvParam } from '../params.ts';

const ACTIONS: readonly (string | undefined)[] = ['restarted', 'reloaded'];

export const ServiceParams = z
  .strictObject({
    name: z
      .string()
      .regex(/^(?!-)[\w@:.\\-]{1,200}$/, { error: ({ input }) => `${JSON.stringify(input)} is no name of a service` })
      .describe(
        'Name of the unit, such as `corosync` or `corosync.service`; without systemd of the script in /etc/init.d',
      ),
    state: z
      .enum(['started', 'stopped', 'restarted', 'reloaded'])
      .optional()
      .describe('`started` or `stopped`; in a handler also `restarted` or `reloaded`, which are done each time'),
    enabled: z.boolean().optional().describe('Whether it starts at boot'),
    masked: z.boolean().optional().describe('Whether nothing can start it; systemd only'),
    process: z
      .string()
      .regex(/^(?!-)[^\s/]{1,64}$/, { error: ({ input }) => `${JSON.stringify(input)} is no name of a process` })
      .optional()
      .describe(
        'Without systemd: the name of its process, by which pidof finds it; by default the init script is asked for its status',
      ),
    start: argvParam('start', '[corosync]')
      .optional()
      .describe(
        'Without systemd and init script: the program, as a list of arguments, that starts it in the background; goes with `stop` and `process`',
      ),
    stop: argvParam('stop', '[corosync-cfgtool, -H]').optional().describe('The same for stopping it'),
    seconds: z
      .int()
      .min(1)
      .max(600)
      .default(30)
      .describe('How long starting or stopping may take, 1 to 600 s, 30 by default'),
  })
  .superRefine((params, context) => {
    const fault = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    if (params.state === undefined && params.enabled === undefined && params.masked === undefined)
      context.addIssue({
        code: 'custom',
        message: '"service" says nothing of the service: give "state", "enabled" or "masked"',
      });
    if (params.masked === true && params.enabled === true) fault('enabled', "what is masked can't be enabled");
    if (params.masked === true && params.state !== undefined && params.state !== 'stopped')
      fault('state', `what is masked can't be ${params.state}`);
    for (const [key, other] of [
      ['start', 'stop'],
      ['stop', 'start'],
    ] as const) {
      if (params[key] !== undefined && params[other] === undefined) fault(key, `"${key}" goes with "${other}"`);
    }
    if (params.start !== undefined && params.process === undefined)
      fault('start', '"start" goes with "process": the name of the process that then runs');
  });

export type ServiceParams = z.output<typeof ServiceParams>;

/** What is done each time it is asked for; null: a state that is compared. */
export function actionOf(state: ServiceParams['state']): 'restarted' | 'reloaded' | null {
  return ACTIONS.includes(state) ? (state as 'restarted' | 'reloaded') : null;
}
