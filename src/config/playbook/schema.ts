import * as z from 'zod';
import type { ResourceType } from '../../core/resource.ts';
import { ProbeSchema } from './probe.ts';

const TextOrList = z.union([z.string(), z.array(z.string())]);
const Vars = z.record(z.string(), z.unknown());

const SERIAL = '"serial" is a number of hosts, a percentage such as "30%", or a list of those';
const SerialEntry = z.union([z.int().min(0), z.string().regex(/^\d{1,9}%?$/, SERIAL)], SERIAL);

const tagsField = TextOrList.nullish().describe('Names by which --tags and --skip-tags choose');

/** A play, its tasks and handlers left to `taskSchema`. */
export const PlaySchema = z.strictObject({
  name: z.string().optional().describe('What the play is for'),
  hosts: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)], {
      error: '"hosts" is a host pattern, or a list of them',
    })
    .describe('Host pattern, such as a group, or a list of them'),
  vars: Vars.nullish().describe('Variables'),
  vars_files: TextOrList.nullish().describe('YAML files with variables, relative to the playbook'),
  serial: z
    .union([SerialEntry, z.array(SerialEntry).min(1)], {
      error: SERIAL,
    })
    .optional()
    .describe('How many hosts at a time'),
  tags: tagsField,
  probe: ProbeSchema.nullish(),
  tasks: z.array(z.unknown()).nullish().describe('What is desired'),
  handlers: z.array(z.unknown()).nullish().describe('Tasks that run at the end of the play where they are notified'),
});

const LoopControl = z.strictObject({
  loop_var: z
    .string()
    .regex(/^[A-Za-z_]\w*$/, { error: '"loop_var" is the name of a variable' })
    .optional()
    .describe('Name of the variable with the item, "item" by default'),
});

/** What every task may have beside the parameters of its resource. */
const TaskFields = {
  name: z.string().optional().describe('What the task is for; by default its resources'),
  when: z
    .union([z.string(), z.boolean(), z.array(z.union([z.string(), z.boolean()]))], {
      error: '"when" is a CEL expression, true, false, or a list of those',
    })
    .optional()
    .describe('CEL expression; the task is skipped where it is false. Of a list all must be true'),
  loop: z
    .union([z.string(), z.array(z.unknown())], { error: '"loop" is a list, or a template that gives one' })
    .optional()
    .describe('The task is done for each item of this list'),
  loop_control: LoopControl.optional().describe('How the loop names its item'),
  tags: tagsField,
  ignore_errors: z.boolean().optional().describe('Go on with the host where the task fails'),
  vars: Vars.nullish().describe('Variables of this task'),
  no_log: z
    .boolean()
    .optional()
    .describe('Show nothing of what the task does: no values, differences, commands and errors'),
};

const Notify = TextOrList.nullish().describe('Handlers to run where the task changed something');

/** A task: the common fields and one key for each resource type, whose value the type's own schema checks. */
export function taskSchema(registry: ReadonlyMap<string, ResourceType>): z.ZodObject {
  return z.strictObject({ ...resourceFields(registry), ...TaskFields, notify: Notify });
}

/** A handler: a task that notifies nobody. */
export function handlerSchema(registry: ReadonlyMap<string, ResourceType>): z.ZodObject {
  const name = z.string({ error: '"name" is the text that "notify" names' }).describe('The name that "notify" names');
  return z.strictObject({ ...resourceFields(registry), ...TaskFields, name });
}

/** The common fields of a task as they come out of its schema. */
export const CommonFields = z.object({ ...TaskFields, notify: Notify });
export type CommonFields = z.output<typeof CommonFields>;

function resourceFields(registry: ReadonlyMap<string, ResourceType>): Record<string, z.ZodType> {
  return Object.fromEntries([...registry.keys()].map((type) => [type, z.unknown().optional()]));
}

/** Keys of Ansible that have no meaning here, with what to do instead. */
export const FOREIGN_PLAY_KEYS: ReadonlyMap<string, string> = new Map([
  ['become', 'set ansible_become in the inventory, or give --become'],
  ['become_user', 'set ansible_become_user in the inventory'],
  ['remote_user', 'set ansible_user in the inventory, or give --user'],
  ['gather_facts', 'leave it out: facts are read where a "when" needs them'],
  ['roles', 'roles are not supported: put their tasks here'],
  ['pre_tasks', 'put these tasks first in "tasks"'],
  ['post_tasks', 'put these tasks last in "tasks"'],
  ['strategy', 'leave it out; --forks and "serial" say how many hosts work at a time'],
  ['environment', 'leave it out: nothing runs through a shell'],
]);

/** Modules of Ansible whose work another resource does. */
export const FOREIGN_RESOURCES: ReadonlyMap<string, string> = new Map([
  [
    'shell',
    'nothing runs through a shell: describe the state in a resource, or write "command" with a list of arguments',
  ],
  ['copy', 'write "file" with "src" or "content"'],
  ['lineinfile', 'write "file" or "template" with the whole text, or the resource whose file it is'],
  ['apt', 'write "package"'],
  ['dnf', 'write "package"'],
  ['yum', 'write "package"'],
  ['systemd', 'write "service"'],
]);

export const FOREIGN_TASK_KEYS: ReadonlyMap<string, string> = new Map([
  ...FOREIGN_RESOURCES,
  ['become', 'set ansible_become in the inventory, or give --become'],
  ['with_items', 'write "loop"'],
  ['block', 'blocks are not supported: give each task its own "when" and "tags"'],
  ['register', 'results of tasks are not available: use facts in "when"'],
  ['changed_when', 'leave it out: a task changes what differs'],
  ['failed_when', 'leave it out: a task fails where its proof fails'],
  ['delegate_to', 'write a play for those hosts'],
  ['notify', 'a handler notifies nobody: name all handlers in the task'],
  ['listen', 'notify the handler by its name'],
]);
