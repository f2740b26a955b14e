import { EXIT, type ExitCode, InputError } from '../core/errors.ts';
import type { TaskPlan } from '../core/plan.ts';
import type { ResourceType } from '../core/resource.ts';
import { HIDDEN, hiddenId } from '../core/secrets.ts';
import { formatSource } from '../core/source.ts';
import { didYouMean } from '../core/suggest.ts';
import { checkHosts, type HostOutcome } from '../engine/check.ts';
import { hostsOf } from '../engine/fleet.ts';
import { errorText, exitCodeOf, hiddenChange, runStatus } from '../engine/outcome.ts';
import { parametersOf, readTextsOf } from '../resources/describe.ts';
import { resourceTypes } from '../resources/index.ts';
import type { Io } from '../ui/io.ts';
import { startProgress } from '../ui/progress.ts';
import { changeLine, showValue } from '../ui/text-report.ts';
import type { CommonOptions } from './options.ts';
import { checkOutput, writeOutput } from './output.ts';
import { prepare, readConnector } from './prepare.ts';

/**
 * `mcastctl explain [RESOURCE [INVENTORY]]`: what there is to manage, what a resource takes, or how its desired values come about on
 * each host. Changes nothing.
 */
export async function explainCommand(
  name: string | undefined,
  inventoryFile: string | undefined,
  options: CommonOptions,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  checkOutput(options.output);
  const print = (document: Readonly<Record<string, unknown>>, text: string): void => {
    const isJson = options.format === 'json';
    writeOutput(
      isJson ? `${JSON.stringify({ version: 1, command: 'explain', ...document }, null, 2)}\n` : text,
      options.output,
      io,
    );
  };
  if (name === undefined) {
    const types = [...resourceTypes.values()];
    print({ types: types.map(({ type, summary }) => ({ type, summary })) }, listText(types, io));
    return EXIT.ok;
  }
  const type = typeNamed(name);
  if (inventoryFile === undefined) {
    const { type: key, summary, example } = type;
    print(
      { type: key, summary, parameters: parametersOf(type), example, reads: readTextsOf(type) },
      typeText(type, io),
    );
    return EXIT.ok;
  }
  const outcomes = await compare(type, inventoryFile, options, io, signal);
  const document = Object.fromEntries(
    [...outcomes].map(([host, { report, plans }]) => [
      host,
      { status: report.status, error: report.error, resources: plans.flatMap(explanations) },
    ]),
  );
  print(
    { type: type.type, hosts: document },
    [...outcomes].map(([host, outcome]) => hostText(host, outcome, io)).join(''),
  );
  // Differences are what is explained here, no finding.
  const code = exitCodeOf(runStatus([...outcomes.values()].map(({ report }) => report)));
  return code === EXIT.difference ? EXIT.ok : code;
}

/** Compares the tasks of one type on all hosts of a playbook. */
async function compare(
  type: ResourceType,
  inventoryFile: string,
  options: CommonOptions,
  io: Io,
  signal: AbortSignal,
): Promise<Map<string, HostOutcome>> {
  const { inventory, plays } = await prepare(inventoryFile, options, io);
  const chosen = plays.map((play) => ({
    ...play,
    tasks: new Map([...play.tasks].map(([host, tasks]) => [host, tasks.filter((task) => task.type === type.type)])),
  }));
  if (chosen.every((play) => [...play.tasks.values()].every((tasks) => tasks.length === 0)))
    throw new InputError([
      { message: `the playbook has no task of type "${type.type}"`, hint: 'choose another with -p' },
    ]);
  const open = await readConnector(plays, inventory, options, io);
  const progress = startProgress(hostsOf(plays), io, true);
  const context = { plays: chosen, open, forks: options.forks, emit: progress.emit, signal };
  return checkHosts(context).finally(progress.stop);
}

/** What is told of each resource of a task, as data. */
function explanations(plan: TaskPlan): Readonly<Record<string, unknown>>[] {
  const { name, source, noLog = false } = plan.task;
  return plan.resources.map(({ resource, ...entry }) => {
    const changes = 'plan' in entry && entry.plan ? entry.plan.changes : [];
    const reasons = 'plan' in entry && entry.plan ? (entry.plan.explain ?? []) : [];
    const error = entry.status === 'failed' ? errorText(entry.error) : null;
    return {
      name,
      source: formatSource(source),
      resource: noLog ? hiddenId(resource.id) : resource.id,
      wants: noLog ? mapped(resource.wants ?? {}) : (resource.wants ?? {}),
      explain: noLog ? reasons.map(() => HIDDEN) : reasons,
      changes: noLog ? changes.map(hiddenChange) : changes,
      error: noLog && error !== null ? HIDDEN : error,
    };
  });
}

function mapped(wants: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.keys(wants).map((property) => [property, HIDDEN]));
}

function hostText(host: string, { report, plans }: HostOutcome, io: Io): string {
  const error = report.error === null ? '' : `  ${io.paint.bad(report.error)}\n`;
  return `${io.paint.bold(host)}\n${error}${plans.map((plan) => planText(plan, io)).join('')}`;
}

function typeNamed(name: string): ResourceType {
  // `sysctl[net.core.rmem_max]`, as reports name it, is taken for its type.
  const wanted = name.replace(/\[.*$/, '');
  const type = resourceTypes.get(wanted);
  if (type) return type;
  const names = [...resourceTypes.keys()];
  const hint = didYouMean(wanted, names) ?? `there are ${names.join(', ')}`;
  throw new InputError([{ message: `there is no resource type "${wanted}"`, hint }]);
}

function listText(types: readonly ResourceType[], { paint }: Pick<Io, 'paint'>): string {
  const width = Math.max(...types.map(({ type }) => type.length));
  const rows = types.map(({ type, summary }) => `  ${paint.bold(type.padEnd(width))}  ${summary}\n`);
  return `Resource types; "mcastctl explain TYPE" tells more of one:\n${rows.join('')}`;
}

function typeText(type: ResourceType, { paint }: Pick<Io, 'paint'>): string {
  const section = (title: string, lines: readonly string[]) =>
    `\n${paint.bold(title)}\n${lines.map((line) => `${line}\n`).join('')}`;
  const parameters = parametersOf(type).flatMap(({ name, description, isNeeded }) => [
    `  ${name}${isNeeded ? ' (needed)' : ''}`,
    `      ${description}`,
  ]);
  return [
    `${paint.bold(type.type)}: ${type.summary}\n`,
    section('Parameters', parameters),
    section(
      'Example',
      type.example
        .trimEnd()
        .split('\n')
        .map((line) => `  ${line}`),
    ),
    section(
      'What the example reads on a node',
      readTextsOf(type).map((text) => `  ${text.replaceAll('`', '')}`),
    ),
  ].join('');
}

function planText(plan: TaskPlan, io: Io): string {
  const lines = plan.resources.flatMap((entry) => {
    const { noLog = false } = plan.task;
    const id = noLog ? hiddenId(entry.resource.id) : entry.resource.id;
    const head = `  ${id}  ${io.paint.dim(plan.task.name)}`;
    if (entry.status === 'skipped') return [`${head}: skipped by its "when"`];
    if (noLog) return [`${head}  ${HIDDEN}`];
    if (entry.status === 'failed') return [head, `      ${io.paint.bad(errorText(entry.error))}`];
    const wants = Object.entries(entry.resource.wants ?? {}).map(
      ([property, value]) => `      wanted  ${property}: ${showValue(value)}, by ${formatSource(plan.task.source)}`,
    );
    const reasons = (entry.plan.explain ?? []).map((reason) => `      because ${reason}`);
    const changes = entry.plan.changes.map((change) => `      ${changeLine(change, io)}`);
    return [head, ...wants, ...reasons, ...(changes.length > 0 ? changes : ['      as desired in both layers'])];
  });
  return lines.map((line) => `${line}\n`).join('');
}
