import { createHash } from 'node:crypto';
import {
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { type Fault, HostError, InputError, messageOf } from '../core/errors.ts';
import type { SavedPlan, SavedSource } from '../core/saved-plan.ts';
import type { HostOutcome } from '../engine/check.ts';
import { type Binding, bindingTo, otherWishes, saveHost, savePlays } from '../engine/saved-plan.ts';
import type { Io } from '../ui/io.ts';
import type { ChangeOptions, CommonOptions } from './options.ts';
import { checkOutput } from './output.ts';
import { type Prepared, prepare } from './prepare.ts';

const FORMAT = 'mcastctl plan';
const PLAN_AGAIN = 'look at what is different, and make a new plan with "mcastctl plan --out"';

/** The hashes of inventory and playbook. */
export type Sources = Pick<SavedPlan, 'inventory' | 'playbook'>;

/** @throws InputError where one of the files can't be read */
export function sourcesOf(inventoryFile: string, playbookFile: string): Sources {
  return { inventory: sourceOf('inventory', inventoryFile), playbook: sourceOf('playbook', playbookFile) };
}

/** A plan as it is saved. */
export function savedPlan(
  { plays, extraVars }: Pick<Prepared, 'plays' | 'extraVars'>,
  options: CommonOptions,
  sources: Sources,
  outcomes: ReadonlyMap<string, HostOutcome>,
): SavedPlan {
  const { limit, tags, skipTags, user, privateKey, become, becomeUser } = options;
  return {
    format: FORMAT,
    version: 1,
    madeAt: new Date().toISOString(),
    who: `${userInfo().username}@${hostname()}`,
    ...sources,
    options: { limit, tags, skipTags, extraVars },
    login: { user, privateKey: privateKey && resolve(privateKey), become, becomeUser },
    plays: savePlays(plays),
    hosts: Object.fromEntries(
      [...outcomes].map(([host, { plans, report }]) => [host, saveHost(plays, host, plans, report.error)]),
    ),
  };
}

/** Finds out before the work whether a plan can be written in the end. @throws InputError where not */
export function checkPlanFile(file: string | undefined): void {
  checkOutput(file, '--out');
  const found = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false });
  // A device or pipe would be replaced by a file.
  if (found && !found.isFile())
    throw new InputError([{ message: `can't write "${file}": it is no regular file`, hint: 'choose another --out' }]);
}

/** Writes a plan for its user alone, in one go; a link is followed. @throws HostError where it can't be written */
export function writePlan(plan: SavedPlan, out: string): void {
  const file = existsSync(out) ? realpathSync(out) : out;
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, `${JSON.stringify(plan, null, 1)}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new HostError(`can't write the plan to "${file}": ${messageOf(error)}`, { hint: 'choose another --out' });
  }
}

/** The text of a file that says of itself to be a plan; null: it is something else, such as an inventory. */
export function planText(file: string): string | null {
  try {
    const text = readFileSync(file, 'utf8');
    return /^\s*\{\s*"format"\s*:\s*"mcastctl plan"/.test(text) ? text : null;
  } catch {
    return null;
  }
}

/** A run that does what a plan says. */
export interface BoundRun<Options> {
  readonly inventoryFile: string;
  readonly prepared: Prepared;
  readonly options: Options;
  readonly binding: Binding;
}

/**
 * Makes the run of a saved plan again: the same inventory, playbook and options.
 * @throws InputError where the plan can't be read, an option would make it another one, or its files have changed
 */
export async function bindRun<Options extends ChangeOptions>(
  file: string,
  text: string,
  options: Options,
  io: Pick<Io, 'err'>,
): Promise<BoundRun<Options>> {
  const plan = parsePlan(file, text);
  refuseOptions(file, plan, options);
  const changed = (['inventory', 'playbook'] as const).flatMap((kind): Fault[] => {
    const { path, hash } = plan[kind];
    if (sourceOf(kind, path).hash === hash) return [];
    return [{ message: `the ${kind} "${path}" has changed since the plan "${file}" was made`, hint: PLAN_AGAIN }];
  });
  if (changed.length > 0) throw new InputError(changed);
  const { limit, tags, skipTags } = plan.options;
  const same = defined({ limit, tags, skipTags, playbook: plan.playbook.path });
  const bound: Options = { ...defined(plan.login), ...options, ...same };
  const inventoryFile = plan.inventory.path;
  const prepared = await prepare(inventoryFile, bound, io);
  refuseVariables(file, plan.options.extraVars, prepared.extraVars);
  const other = otherWishes(plan, prepared.plays);
  if (other.length > 0)
    throw new InputError(
      other.map((sentence) => ({
        message: `${sentence}: a file that inventory or playbook take in, or a variable, has changed since the plan "${file}" was made`,
        hint: PLAN_AGAIN,
      })),
    );
  io.err(`doing the plan of ${plan.who}, ${plan.madeAt}, and nothing else\n`);
  return { inventoryFile, prepared, options: bound, binding: bindingTo(plan, prepared.plays) };
}

function refuseOptions(file: string, plan: SavedPlan, options: ChangeOptions): void {
  const given = { '-p': options.playbook, '-l': options.limit, '-t': options.tags, '--skip-tags': options.skipTags };
  const faults = Object.entries(given).flatMap(([option, value]): Fault[] =>
    value === undefined ? [] : [{ message: `${option} can't be given with a plan: it is done as it was made` }],
  );
  if (faults.length > 0) throw new InputError(faults);
  // Without them a template would be at fault, which says less.
  if (options.extraVars === undefined) refuseVariables(file, plan.options.extraVars, []);
}

function refuseVariables(file: string, then: readonly string[], now: readonly string[]): void {
  if (now.join() === then.join()) return;
  const message =
    then.length === 0
      ? `the plan "${file}" was made without -e`
      : `the plan "${file}" was made with -e for ${then.join(', ')}, whose values it does not keep`;
  throw new InputError([{ message, hint: then.length === 0 ? 'leave it out' : 'give the same -e again' }]);
}

/** The entries that are there. */
function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
}

function sourceOf(kind: 'inventory' | 'playbook', file: string): SavedSource {
  const path = resolve(file);
  try {
    return { path, hash: hashOf(path) };
  } catch (error) {
    throw new InputError([{ message: `the ${kind} "${path}" can't be read: ${messageOf(error)}` }]);
  }
}

/** SHA-256 of a file, or of names and content of all files of a folder. */
function hashOf(path: string): string {
  const hash = createHash('sha256');
  if (!statSync(path).isDirectory()) return hash.update(readFileSync(path)).digest('hex');
  for (const name of readdirSync(path).toSorted()) hash.update(`${name}\0${hashOf(join(path, name))}\n`);
  return hash.digest('hex');
}

const HASH = z.string().regex(/^[0-9a-f]{64}$/);
const WISH = { name: z.string(), desired: HASH };
const SOURCE = z.object({ path: z.string(), hash: HASH });
const CHANGE = z.object({
  layer: z.enum(['runtime', 'persistent']),
  property: z.string(),
  file: z.string().optional(),
  from: z.json(),
  to: z.json(),
  hash: HASH,
});
const RESOURCE = z.object({
  resource: z.templateLiteral([z.string(), '[', z.string(), ']']),
  status: z.enum(['ok', 'differs', 'pending', 'skipped', 'failed']),
  changes: z.array(CHANGE),
  error: z.string().nullable(),
});
const TASK = z.object({
  ...WISH,
  resources: z.array(RESOURCE),
  steps: z.array(z.object({ text: z.string(), hash: HASH })),
  files: z.array(z.object({ path: z.string(), before: HASH.nullable(), after: HASH.nullable() })),
  observed: HASH,
});
const PLAN = z.object({
  format: z.literal(FORMAT),
  version: z.literal(1),
  madeAt: z.string(),
  who: z.string(),
  inventory: SOURCE,
  playbook: SOURCE,
  options: z.object({
    limit: z.string().optional(),
    tags: z.array(z.string()).optional(),
    skipTags: z.array(z.string()).optional(),
    extraVars: z.array(z.string()),
  }),
  login: z.object({
    user: z.string().optional(),
    privateKey: z.string().optional(),
    become: z.boolean().optional(),
    becomeUser: z.string().optional(),
  }),
  plays: z.array(z.object(WISH)),
  hosts: z.record(
    z.string(),
    z.object({ error: z.string().nullable(), tasks: z.array(TASK), handlers: z.array(z.object(WISH)) }),
  ),
});

function parsePlan(file: string, text: string): SavedPlan {
  const hint = 'make a new plan with "mcastctl plan --out"';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError([{ message: `the plan "${file}" is damaged: ${messageOf(error)}`, hint }]);
  }
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  if (version !== 1)
    throw new InputError([
      {
        message: `the plan "${file}" is of version ${JSON.stringify(version) ?? 'none'}, and this mcastctl does those of version 1`,
        hint,
      },
    ]);
  const parsed = PLAN.safeParse(value);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  const message = `the plan "${file}" is damaged: ${first?.path.join('.')}: ${first?.message}`;
  throw new InputError([{ message, hint }]);
}
