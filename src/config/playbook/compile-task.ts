import { type Fault, HostError, InputError } from '../../core/errors.ts';
import type { Resource } from '../../core/resource.ts';
import { ARGV_HINT, argvProblem, HIDDEN, hiddenId } from '../../core/secrets.ts';
import { didYouMean } from '../../core/suggest.ts';
import type { Facts, HostTask, TaskItem } from '../../core/task.ts';
import { asHostError, type Expression, ExpressionFault } from '../expression.ts';
import { FaultList } from '../faults.ts';
import { schemaFaults } from '../schema-faults.ts';
import { kindOf } from '../template-helpers.ts';
import { force, layerOf, type Scope, singleLayer } from '../vars.ts';
import { faultAt, faultOf, offsetInScalar, type YamlScalar } from '../yaml.ts';
import type { PlayTask } from './model.ts';
import type { ResourceCache } from './resource-cache.ts';
import type { SourceReader } from './sources.ts';

/** What a task is made concrete with. */
export interface HostContext {
  readonly host: string;
  readonly scope: Scope;
  readonly resources: ResourceCache;
  readonly sources: SourceReader;
  readonly faults: FaultList;
}

/** Makes a task concrete for a host. Faults go to the context's list; the result then lacks what they concern. */
export function compileTask(task: PlayTask, context: HostContext): HostTask {
  const scope = task.vars === null ? context.scope : context.scope.extend([layerOf(task.vars)]);
  const items = loopScopes(task, scope, context).map((itemScope) => compileItem(task, itemScope, context));
  const type = task.type?.type ?? '';
  return {
    host: context.host,
    name: taskName(task, type, scope, items, context),
    type,
    source: task.source,
    items,
    ignoreErrors: task.ignoreErrors,
    ...(task.noLog && { noLog: true }),
    notify: task.notify,
  };
}

function loopScopes(task: PlayTask, scope: Scope, context: HostContext): readonly Scope[] {
  const { loop } = task;
  if (loop === null) return [scope];
  const list = context.faults.collect(() => scope.render(loop), context.host);
  if (list === undefined) return [];
  if (Array.isArray(list)) return list.map((item) => scope.extend([singleLayer(task.loopVar, item)]));
  const fault = faultOf(
    loop,
    `"loop" must be a list, not ${kindOf(list)}`,
    'write "{{name}}" of a variable that is a list, or a list',
  );
  context.faults.add(fault, context.host);
  return [];
}

function compileItem(task: PlayTask, scope: Scope, context: HostContext): TaskItem {
  const condition = bindConditions(task, scope, context);
  if (condition === null) return { resources: [], when: () => false };
  // The parameters of a task that is skipped may name what this host has not: then it is shown without resources.
  const faults = condition === false ? new FaultList() : context.faults;
  const built = buildResources(task, scope, { ...context, faults });
  if (typeof condition === 'boolean') return { ...built, when: () => condition };
  return { ...built, when: condition, isConstant: false };
}

function buildResources(task: PlayTask, scope: Scope, context: HostContext): Pick<TaskItem, 'resources' | 'made'> {
  const { faults, host } = context;
  const none = { resources: [] };
  const params = faults.collect(() => ({ value: scope.render(task.params) }), host);
  if (params === undefined || task.type === null) return none;
  const { type } = task;
  const texts = context.sources.read(type, task.params, params.value, scope, faults, host);
  if (texts === null) return none;
  const built = faults.collect(() => context.resources.build(type, task.params, params.value, texts), host);
  if (built === undefined) return none;
  if (built.ok) {
    refuseActions(task, built.resources, faults);
    refuseSecretReads(task, built.resources, faults);
    return { resources: built.resources, made: { type: type.type, params: params.value, texts } };
  }
  const checked = {
    schema: type.schema,
    node: task.params,
    value: params.value,
    subject: `"${type.type}"`,
    missingAt: task.paramsAt,
  };
  faults.addAll(schemaFaults(built.issues, checked).map(task.noLog ? hiddenFault : (fault) => fault), host);
  return none;
}

/** What is wrong with a parameter may say what its value is. */
function hiddenFault({ source }: Fault): Fault {
  return { message: `a parameter is wrong ${HIDDEN}`, source, hint: 'take "no_log" away for a moment to see it' };
}

/** A program that is only asked is started as well: its arguments can be seen. */
function refuseSecretReads(task: PlayTask, resources: readonly Resource[], faults: FaultList): void {
  for (const read of resources.flatMap((resource) => resource.reads)) {
    const problem = read.read === 'run' ? argvProblem(read.argv) : null;
    if (problem !== null) faults.add(faultOf(task.params, problem, ARGV_HINT));
  }
}

/** What is done each time it is asked for would be done by every run. */
function refuseActions(task: PlayTask, resources: readonly Resource[], faults: FaultList): void {
  const action = task.kind === 'task' ? resources.find((resource) => resource.isAction === true) : undefined;
  if (action === undefined) return;
  const id = task.noLog ? hiddenId(action.id) : action.id;
  const hint = 'put it under "handlers" and let the tasks that change something "notify" it';
  faults.add(faultOf(task.params, `${id} would be done again by every run: only a handler can ask for that`, hint));
}

/** A `when` whose variables are bound: decided, to be decided by facts, or null where it is faulty. */
type BoundCondition = boolean | ((facts: Facts) => boolean) | null;

interface OpenCondition {
  readonly expression: Expression;
  readonly vars: Readonly<Record<string, unknown>>;
}

function bindConditions(task: PlayTask, scope: Scope, context: HostContext): BoundCondition {
  const open: OpenCondition[] = [];
  let isFalse = false;
  let isFaulty = false;
  for (const { node, expression } of task.conditions) {
    if (typeof expression === 'boolean') {
      isFalse ||= !expression;
      continue;
    }
    const vars = bindVars(node, expression, scope, context);
    if (vars === null) isFaulty = true;
    else if (expression.usesFacts) open.push({ expression, vars });
    else {
      const result = decide(node, expression, vars, context);
      isFaulty ||= result === null;
      isFalse ||= result === false;
    }
  }
  if (isFaulty) return null;
  if (isFalse) return false;
  return open.length === 0 ? true : (facts) => open.every((condition) => decideOnHost(condition, facts));
}

function bindVars(
  node: YamlScalar,
  expression: Expression,
  scope: Scope,
  { faults, host }: HostContext,
): Readonly<Record<string, unknown>> | null {
  const vars: Record<string, unknown> = Object.create(null);
  let isComplete = true;
  for (const { name, index } of expression.names) {
    const offset = offsetInScalar(node, index);
    if (!scope.has(name)) {
      faults.add(
        faultAt(node.doc, offset, `unknown variable "${name}"`, didYouMean(name, [...scope.names(), 'facts'])),
        host,
      );
      isComplete = false;
      continue;
    }
    try {
      vars[name] = force(scope.get(name));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      // A variable of the inventory has no place of its own.
      for (const fault of error.faults)
        faults.add(fault.source ? fault : faultAt(node.doc, offset, fault.message, fault.hint), host);
      isComplete = false;
    }
  }
  return isComplete ? vars : null;
}

function decide(
  node: YamlScalar,
  expression: Expression,
  vars: Readonly<Record<string, unknown>>,
  { faults, host }: HostContext,
): boolean | null {
  try {
    return expression.evaluate(vars);
  } catch (error) {
    if (!(error instanceof ExpressionFault)) throw error;
    faults.add(faultAt(node.doc, offsetInScalar(node, error.index), error.message, error.hint), host);
    return null;
  }
}

function decideOnHost({ expression, vars }: OpenCondition, facts: Facts): boolean {
  try {
    return expression.evaluate(vars, facts);
  } catch (error) {
    if (error instanceof ExpressionFault) throw asHostError(error, expression.text);
    throw error instanceof HostError
      ? error
      : new HostError(`"when" can't be evaluated (in "${expression.text}")`, { cause: error });
  }
}

function taskName(
  task: PlayTask,
  type: string,
  scope: Scope,
  items: readonly TaskItem[],
  { faults, host }: HostContext,
): string {
  const { name } = task;
  if (name !== null) return String(faults.collect(() => scope.render(name), host) ?? name.value);
  if (task.noLog) return type;
  const titles = items.flatMap((item) => item.resources.map((resource) => titleOf(resource.id)));
  return titles.length === 0 ? type : `${type}[${[...new Set(titles)].join(', ')}]`;
}

function titleOf(id: string): string {
  return id.slice(id.indexOf('[') + 1, -1);
}
