import * as z from 'zod';
import { argvParam, pathParam } from '../params.ts';

/** The parameters that a file and a template share. */
export const attributeFields = {
  owner: accountParam('owner', 'user')
    .optional()
    .describe('User that owns it: name or number; by default as it is, root for a new one'),
  group: accountParam('group', 'group')
    .optional()
    .describe('Group that it belongs to: name or number; by default as it is, root for a new one'),
  mode: z
    .string({ error: ({ input }) => modeFault(input) })
    .regex(/^0[0-7]{3,4}$/, { error: ({ input }) => modeFault(input) })
    .transform((text) => Number.parseInt(text, 8))
    .optional()
    .describe(
      'Permission bits as octal text, in quotes and with a 0 in front: "0644". By default as they are; "0644" for a new file ("0600" with `secret`), "0755" for a new directory',
    ),
};

/** Those that only files with a text have. */
export const textFields = {
  validate: argvParam('validate', '[sshd, -t, -f, "%s"]')
    .refine((argv) => argv.includes('%s'), { error: '"validate" needs an argument "%s": the path of the new text' })
    .optional()
    .describe(
      'Program, as a list of arguments, that must end with 0 before the new text takes the place of the old one; the argument `%s` is its temporary path',
    ),
  secret: z.boolean().default(false).describe('`true`: the text is shown in no diff and no report'),
};

function modeFault(input: unknown): string {
  const example = 'as octal text in quotes, with a 0 in front, such as "0644"';
  if (typeof input === 'number')
    return `"mode" is written ${example}: YAML reads what stands here as the number ${input}, which has lost its 0`;
  if (typeof input === 'string' && /^[0-7]{3,4}$/.test(input)) return `"mode" is written ${example}: write "0${input}"`;
  return `"mode" is written ${example}${typeof input === 'string' ? `, not ${JSON.stringify(input)}` : ''}`;
}

function accountParam(name: string, kind: string) {
  return z
    .union([z.string(), z.int().min(0).max(0xffff_fffe)], { error: `"${name}" is the name or number of a ${kind}` })
    .refine((value) => typeof value === 'number' || /^[A-Za-z0-9_][\w.@-]{0,62}\$?$/.test(value), {
      error: ({ input }) => `${JSON.stringify(input)} is no name of a ${kind}`,
    });
}

export const FileParams = z
  .strictObject({
    path: pathParam('path').describe('Absolute path'),
    state: z
      .enum(['file', 'directory', 'link', 'absent'])
      .default('file')
      .describe(
        '`file` (the default), `directory` (those above it are made too), `link`, or `absent`; a directory is removed only when it is empty',
      ),
    content: z
      .string({ error: '"content" is text' })
      .optional()
      .describe('The whole text. Without it and `src` only owner, group and mode of a file that exists are managed'),
    src: z
      .string()
      .min(1)
      .optional()
      .describe(
        'File of the controller whose text it has: absolute, or relative to the playbook or to the folder `files` beside it. UTF-8, taken as it is',
      ),
    target: z
      .string()
      .min(1)
      .refine((text) => !/\p{Cc}/u.test(text), { error: '"target" holds a control character' })
      .optional()
      .describe('What a `link` holds: absolute, or relative to its own directory'),
    ...attributeFields,
    ...textFields,
  })
  .superRefine((params, context) => {
    const fault = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    const { state } = params;
    if (params.content !== undefined && params.src !== undefined)
      fault('src', 'give either "content" or "src", not both');
    const isText = params.content !== undefined || params.src !== undefined;
    for (const key of ['content', 'src'] as const) {
      if (params[key] === undefined || state === 'file') continue;
      fault(
        key,
        state === 'link'
          ? `"${key}" is the text of a file: what a link holds is its "target"`
          : `"${key}" goes with state "file", not "${state}"`,
      );
    }
    if (params.validate !== undefined && !isText) fault('validate', '"validate" goes with "content" or "src"');
    if (params.target !== undefined && state !== 'link')
      fault('target', `"target" goes with state "link", not "${state}"`);
    if (params.target === undefined && state === 'link')
      context.addIssue({ code: 'custom', message: 'a link lacks "target": what it holds' });
    for (const key of ['owner', 'group', 'mode'] as const) {
      if (params[key] !== undefined && (state === 'link' || state === 'absent'))
        fault(key, `"${key}" goes with state "file" or "directory", not "${state}"`);
    }
    if (
      state === 'file' &&
      !isText &&
      params.owner === undefined &&
      params.group === undefined &&
      params.mode === undefined
    )
      context.addIssue({
        code: 'custom',
        message: '"file" says nothing of the file: give "content", "src", "owner", "group" or "mode"',
      });
  });

export const TemplateParams = z.strictObject({
  src: z
    .string()
    .min(1)
    .describe(
      'Handlebars file of the controller: absolute, or relative to the playbook, to the folder `templates` beside it, or to the one that ships with mcastctl. An unknown name in it is a fault with its place',
    ),
  path: pathParam('path').describe('Absolute path of the file that is made of it'),
  ...attributeFields,
  ...textFields,
});
