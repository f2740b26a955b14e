import type * as z from 'zod';
import type { ResourceType } from '../../core/resource.ts';
import { sourceAt } from '../../core/source.ts';
import { didYouMean } from '../../core/suggest.ts';
import { compileExpression, ExpressionFault } from '../expression.ts';
import type { FaultList } from '../faults.ts';
import { literalIssues, literalValue, schemaFaults } from '../schema-faults.ts';
import { checkTemplates } from '../vars.ts';
import {
  faultAt,
  faultOf,
  offsetInScalar,
  toValue,
  type YamlEntry,
  type YamlMap,
  type YamlNode,
  type YamlScalar,
} from '../yaml.ts';
import type { Condition, PlayTask } from './model.ts';
import { CommonFields, FOREIGN_RESOURCES, FOREIGN_TASK_KEYS } from './schema.ts';
import { tagList } from './tags.ts';

/** What a task is read with. */
export interface TaskContext {
  readonly registry: ReadonlyMap<string, ResourceType>;
  /** Schema of a task or of a handler, from `taskSchema` or `handlerSchema`. */
  readonly schema: z.ZodObject;
  readonly kind: 'task' | 'handler';
  readonly playTags: readonly string[];
  /** Names of the play's handlers. */
  readonly handlers: readonly string[];
  readonly faults: FaultList;
}

/** Reads a task. Its faults go to the context's list; null where it is no task at all or its common fields are wrong. */
export function loadTask(node: YamlNode, context: TaskContext): PlayTask | null {
  if (node.kind !== 'map') {
    context.faults.add(faultOf(node, `a ${context.kind} is a mapping with a resource and its parameters`));
    return null;
  }
  const fields = readCommonFields(node, context);
  const resource = findResource(node, context);
  const conditions = readConditions(node.entries.get('when')?.value, context.faults);
  checkTemplates(node, ['when', 'notify', 'tags'], context.faults);
  if (resource === null) return null;
  const { type, entry } = resource;
  const issues = literalIssues(type.schema, entry.value);
  const checked = {
    schema: type.schema,
    node: entry.value,
    value: literalValue(entry.value),
    subject: `"${type.type}"`,
    missingAt: entry.start,
  };
  context.faults.addAll(schemaFaults(issues, checked));
  if (fields === null || conditions === null) return null;
  const vars = node.entries.get('vars')?.value;
  const name = node.entries.get('name')?.value;
  return {
    kind: context.kind,
    source: sourceAt(node.doc.file, node.doc.text, node.start),
    name: name?.kind === 'scalar' ? name : null,
    type: issues.length === 0 ? type : null,
    params: entry.value,
    paramsAt: entry.start,
    conditions,
    loop: node.entries.get('loop')?.value ?? null,
    loopVar: fields.loop_control?.loop_var ?? 'item',
    tags: new Set([...context.playTags, ...tagList(fields.tags)]),
    ignoreErrors: fields.ignore_errors ?? false,
    noLog: fields.no_log ?? false,
    notify: readNotify(node, fields, context),
    vars: vars?.kind === 'map' ? vars : null,
  };
}

/** The common fields; what is only unknown in a task is reported, but does not keep the rest from being read. */
function readCommonFields(node: YamlMap, context: TaskContext): CommonFields | null {
  const value = toValue(node);
  const result = context.schema.safeParse(value);
  if (!result.success) {
    const checked = {
      schema: context.schema,
      node,
      value,
      subject: `a ${context.kind}`,
      foreignKeys: FOREIGN_TASK_KEYS,
    };
    context.faults.addAll(schemaFaults(result.error.issues, checked));
  }
  const vars = node.entries.get('vars')?.value;
  if (vars?.kind === 'map') checkVarNames(vars, context.faults);
  const known = CommonFields.safeParse(value);
  return known.success ? known.data : null;
}

/** `facts` belongs to `when`. */
export function checkVarNames(vars: YamlMap, faults: FaultList): void {
  const entry = vars.entries.get('facts');
  if (entry)
    faults.add(
      faultOf(entry, 'a variable can\'t be named "facts"', 'in "when" that name means what was read from the host'),
    );
}

function findResource(
  node: YamlMap,
  context: TaskContext,
): { readonly type: ResourceType; readonly entry: YamlEntry } | null {
  const types = [...context.registry.keys()];
  const found = [...node.entries.values()].flatMap((entry) => {
    const type = context.registry.get(entry.key);
    return type ? [{ type, entry }] : [];
  });
  const [first, second] = found;
  if (second !== undefined) {
    const named = found.map(({ entry }) => `"${entry.key}"`).join(' and ');
    context.faults.add(
      faultOf(second.entry, `a ${context.kind} has one resource, not ${named}`, 'make each a task of its own'),
    );
    return null;
  }
  if (first !== undefined) return first;
  // An unknown key was reported already, and is probably meant as the resource.
  const unknown = [...node.entries.keys()].filter(
    (key) => !(key in context.schema.shape) && (!FOREIGN_TASK_KEYS.has(key) || FOREIGN_RESOURCES.has(key)),
  );
  if (unknown.length === 0) {
    context.faults.add(faultOf(node, `this ${context.kind} has no resource`, `resource types: ${types.join(', ')}`));
  }
  return null;
}

function readConditions(node: YamlNode | undefined, faults: FaultList): readonly Condition[] | null {
  if (node === undefined) return [];
  const nodes = node.kind === 'list' ? node.items : [node];
  const conditions = nodes.map((item) => (item.kind === 'scalar' ? readCondition(item, faults) : null));
  return conditions.every((condition) => condition !== null) ? conditions : null;
}

function readCondition(node: YamlScalar, faults: FaultList): Condition | null {
  if (typeof node.value === 'boolean') return { node, expression: node.value };
  if (typeof node.value !== 'string') return null;
  try {
    return { node, expression: compileExpression(node.value) };
  } catch (error) {
    if (!(error instanceof ExpressionFault)) throw error;
    faults.add(faultAt(node.doc, offsetInScalar(node, error.index), error.message, error.hint));
    return null;
  }
}

function readNotify(node: YamlMap, fields: CommonFields, context: TaskContext): readonly string[] {
  const names = typeof fields.notify === 'string' ? [fields.notify] : (fields.notify ?? []);
  const place = node.entries.get('notify')?.value ?? node;
  for (const [index, name] of names.entries()) {
    if (context.handlers.includes(name)) continue;
    const at = place.kind === 'list' ? (place.items[index] ?? place) : place;
    const hint =
      didYouMean(name, context.handlers) ??
      (context.handlers.length > 0 ? `handlers: ${context.handlers.join(', ')}` : 'this play has no handlers');
    context.faults.add(faultOf(at, `unknown handler "${name}"`, hint));
  }
  return names;
}
