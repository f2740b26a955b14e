import * as z from 'zod';
import { HostError } from '../core/errors.ts';
import type { Argv, Change, Observations, Resource, ResourceId, ResourceType, Step } from '../core/resource.ts';
import { redact } from '../core/secrets.ts';
import { argvParam, pathParam } from './params.ts';

/** Longest name of a command in reports. */
const TITLE = 60;
const CONDITIONS = ['creates', 'removes', 'unless', 'onlyif'] as const;

const NEEDS =
  'without one nobody could tell whether the command is still to be run: "creates" or "removes" (a path), "unless" or "onlyif" (a program)';

const CommandParams = z
  .strictObject(
    {
      argv: argvParam('argv', '[update-ca-certificates, --fresh]').describe(
        'Program and its arguments, each an item of the list: there is no shell, so nothing is expanded or split',
      ),
      creates: pathParam('creates').optional().describe('Done where this path exists'),
      removes: pathParam('removes').optional().describe('Done where this path does not exist'),
      unless: argvParam('unless', '[grep, -q, word, /etc/file]')
        .optional()
        .describe(
          'Done where this program, a list of arguments that only looks, ends with 0. It is run by `check` and `plan` too, for 10 s at most',
        ),
      onlyif: argvParam('onlyif', '[test, -e, /etc/old]')
        .optional()
        .describe('To be run where this program ends with 0, and done where it does not; else as `unless`'),
      undo: argvParam('undo', '[rm, -f, /etc/file]')
        .optional()
        .describe(
          "What takes it back, also where it failed half-way. Without it a failed proof can't be taken back, and says so",
        ),
      chdir: pathParam('chdir').optional().describe('Directory in which all of these programs are run; by default /'),
      env: z
        .record(
          z.string().regex(/^[A-Za-z_]\w*$/, { error: 'a variable of the environment is letters, digits and "_"' }),
          z
            .union([z.string(), z.number()])
            .transform(String)
            .refine((value) => !value.includes('\0'), { error: "a variable can't hold a NUL character" }),
          { error: ({ code }) => (code === 'invalid_type' ? '"env" is a mapping of names to values' : undefined) },
        )
        .optional()
        .describe(
          'Variables of the environment of all of these programs. Others of the node can see them for a moment: give secrets by `stdin`',
        ),
      stdin: z.string({ error: '"stdin" is text' }).optional().describe('What `argv` reads from its standard input'),
      seconds: z
        .int()
        .min(1)
        .max(3600)
        .default(60)
        .describe('How long `argv` and `undo` may take, 1 to 3600 s, 60 by default'),
    },
    {
      error: ({ input, code }) =>
        code !== 'invalid_type'
          ? undefined
          : typeof input === 'string' || Array.isArray(input)
            ? '"command" is a mapping with "argv", a list of arguments, and what tells whether it was done, such as "creates"; there is no shell that could take a text apart'
            : undefined,
    },
  )
  .superRefine((params, context) => {
    const given = CONDITIONS.filter((key) => params[key] !== undefined);
    const [first, second] = given;
    if (first === undefined)
      context.addIssue({ code: 'custom', message: `"command" lacks what tells whether it was done: ${NEEDS}` });
    if (second !== undefined)
      context.addIssue({ code: 'custom', path: [second], message: `give either "${first}" or "${second}", not both` });
    if (params.argv.at(0)?.includes('=') === true)
      context.addIssue({
        code: 'custom',
        path: ['argv'],
        message: `"${params.argv[0]}" is no program: variables go into "env"`,
      });
  });

type CommandParams = z.output<typeof CommandParams>;

/** A program with its directory and environment, by env(1). */
function within({ chdir, env = {} }: CommandParams, argv: Argv): Argv {
  const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  if (chdir === undefined && settings.length === 0) return argv;
  return ['env', ...(chdir === undefined ? [] : ['-C', chdir]), '--', ...settings, ...argv];
}

/** What is asked to know whether the command was done, and how to read the answer. */
interface Question {
  readonly argv: Argv;
  /** Whether exit code 0 means done. */
  readonly isDoneAtZero: boolean;
  readonly property: (typeof CONDITIONS)[number];
  readonly values: readonly [notDone: string, done: string];
}

function questionOf(params: CommandParams): Question {
  const { creates, removes, unless, onlyif } = params;
  if (creates !== undefined)
    return {
      argv: ['test', '-e', creates],
      isDoneAtZero: true,
      property: 'creates',
      values: [`no ${creates}`, creates],
    };
  if (removes !== undefined)
    return {
      argv: ['test', '-e', removes],
      isDoneAtZero: false,
      property: 'removes',
      values: [removes, `no ${removes}`],
    };
  if (unless !== undefined)
    return { argv: within(params, unless), isDoneAtZero: true, property: 'unless', values: ['to be run', 'done'] };
  if (onlyif !== undefined)
    return { argv: within(params, onlyif), isDoneAtZero: false, property: 'onlyif', values: ['to be run', 'done'] };
  throw new Error('a command without condition');
}

function isDone(seen: Observations, { argv, isDoneAtZero, property }: Question): boolean {
  const { code, signal, stderr } = seen.run(argv);
  const said = stderr.trim() && `: ${stderr.trim()}`;
  // 126 and 127: it could not be started, which answers nothing, as 125 of env(1) whose directory is missing; test(1) ends with 2 for
  // an error.
  const isPath = property === 'creates' || property === 'removes';
  if (code === null || code === 126 || code === 127 || (argv[0] === 'env' && code === 125) || (isPath && code > 1))
    throw new HostError(
      `"${argv.join(' ')}" can't tell whether the command was done: ${code === null ? `signal ${signal}` : `exit code ${code}`}${said}`,
      {
        hint: `correct "${property}"`,
      },
    );
  return (code === 0) === isDoneAtZero;
}

function commandResource(params: CommandParams): Resource {
  const question = questionOf(params);
  const words = redact(params.argv.join(' ')).replace(/\p{Cc}+/gu, ' ');
  const id: ResourceId = `command[${words.length > TITLE ? `${words.slice(0, TITLE - 1)}…` : words}]`;
  const run = (argv: Argv, stdin?: string): Step => ({
    do: 'run',
    argv: within(params, argv),
    ...(stdin !== undefined && { stdin }),
    seconds: params.seconds,
  });
  return {
    id,
    reads: [{ read: 'run', argv: question.argv }],
    plan(seen) {
      if (isDone(seen, question)) return { changes: [], try: [], undo: [], keep: [] };
      const [from, to] = question.values;
      const change: Change = {
        layer: 'runtime',
        property: question.property,
        from,
        to,
        ...(params.undo === undefined && { note: 'it can\'t be taken back: there is no "undo"' }),
      };
      const undo = params.undo === undefined ? [] : [run(params.undo)];
      return { changes: [change], try: [run(params.argv, params.stdin)], undo, keep: [] };
    },
  };
}

/**
 * A program that is run where a condition says that it was not yet. Runtime layer: it is tried, the condition must hold afterwards, and it is
 * proved. Nobody can tell whether its effect survives a reboot.
 */
export const command = {
  type: 'command',
  summary: 'A program that is run until what it does is there',
  schema: CommandParams,
  example: `- name: Diffie-Hellman parameters
  command:
    argv: [openssl, dhparam, -out, /etc/ssl/dhparams.pem, 2048]
    creates: /etc/ssl/dhparams.pem
    undo: [rm, -f, /etc/ssl/dhparams.pem]
    seconds: 600
`,
  resources: (params) => [commandResource(params)],
} satisfies ResourceType<typeof CommandParams>;
