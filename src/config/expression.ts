import { type ASTNode, Environment, EvaluationError, ParseError, type ParseResult } from '@marcbachmann/cel-js';
import { HostError } from '../core/errors.ts';
import { didYouMean } from '../core/suggest.ts';
import type { Facts } from '../core/task.ts';

/** What is wrong with an expression, and where in its text. */
export class ExpressionFault extends Error {
  override readonly name = 'ExpressionFault';
  /** Offset in the expression. */
  readonly index: number;
  readonly hint: string | undefined;
  constructor(message: string, index: number, hint?: string) {
    super(message);
    this.index = index;
    this.hint = hint;
  }
}

/** A variable that an expression names, with the offset of its first mention. */
export interface FreeName {
  readonly name: string;
  readonly index: number;
}

/** A CEL expression whose syntax and static types are right. */
export interface Expression {
  readonly text: string;
  /** The variables it names, `facts` not among them. */
  readonly names: readonly FreeName[];
  /** Whether it mentions `facts`. */
  readonly usesFacts: boolean;
  /**
   * Evaluates it.
   * @param vars values of all `names`; whole numbers are CEL ints, others doubles
   * @param facts needed where `usesFacts`
   * @throws ExpressionFault where it can't be evaluated or is neither true nor false
   */
  evaluate(vars: Readonly<Record<string, unknown>>, facts?: Facts): boolean;
}

/** Fields of facts, for the check before any host is contacted. Keep in step with `Facts`. */
const FACT_FIELDS = {
  Nic: { driver: 'string', mac: 'string', mtu: 'int' },
  Os: { id: 'string', version: 'string' },
  Facts: { nics: 'map<string, Nic>', hostname: 'string', kernel: 'string', arch: 'string', os: 'Os' },
} as const satisfies {
  Facts: Record<keyof Facts, string>;
  Nic: Record<keyof Facts['nics'][string], string>;
  Os: Record<keyof Facts['os'], string>;
};

/** Names that CEL itself knows: types and namespaces. */
const CEL_NAMES = new Set([
  'int',
  'uint',
  'double',
  'string',
  'bool',
  'bytes',
  'list',
  'map',
  'null_type',
  'type',
  'dyn',
  'cel',
  'google',
]);
/** Macros whose first argument is a variable of their own. */
const BINDING_MACROS = new Set(['all', 'exists', 'exists_one', 'map', 'filter', 'bind']);

const options = { unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false };
const evaluating = new Environment(options);
const checking = new Environment(options);
for (const [name, fields] of Object.entries(FACT_FIELDS)) checking.registerType({ name, fields });
checking.registerVariable('facts', 'Facts');

const cache = new Map<string, Expression>();
const CACHE_SIZE = 10_000;

/**
 * Reads a CEL expression (https://cel.dev, language definition in github.com/google/cel-spec) and checks what can be
 * checked without values: syntax, functions, fields of `facts`, operators between values of known types.
 * @throws ExpressionFault
 */
export function compileExpression(text: string): Expression {
  const known = cache.get(text);
  if (known !== undefined) return known;
  if (cache.size >= CACHE_SIZE) cache.clear();
  const expression = readExpression(text);
  cache.set(text, expression);
  return expression;
}

function readExpression(text: string): Expression {
  if (text.includes('{{')) {
    throw new ExpressionFault(
      '"when" is a CEL expression, not a template',
      text.indexOf('{{'),
      'write the names without {{ }}',
    );
  }
  const program = parse(evaluating, text);
  const names = new Map<string, FreeName>();
  findNames(program.ast, new Set(), names);
  const usesFacts = names.delete('facts');
  checkTypes(text);
  return {
    text,
    names: [...names.values()],
    usesFacts,
    evaluate: (vars, facts) => evaluate(program, { ...vars, ...(usesFacts ? { facts } : {}) }),
  };
}

function parse(environment: Environment, text: string): ParseResult {
  try {
    return environment.parse(text);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const isJinja = /\b(?:and|or|not|is)\b/.test(text);
    const hint = isJinja ? 'CEL writes && || ! for and, or, not, and has(a.b) for "is defined"' : undefined;
    const detail =
      text.trim() === '' ? 'it is empty' : error.summary.replace('Unexpected token: EOF', 'it ends too early');
    throw new ExpressionFault(`not a CEL expression: ${detail}`, Math.min(error.range?.start ?? 0, text.length), hint);
  }
}

function checkTypes(text: string): void {
  const result = parse(checking, text).check();
  if (result.valid) {
    if (result.type === undefined || result.type === 'bool' || result.type === 'dyn') return;
    const isType = result.type === 'type';
    const hint = isType ? `"${text.trim()}" is the name of a type in CEL` : 'compare it with something: == != < >';
    throw new ExpressionFault(`"when" must be true or false, but this is of type ${result.type}`, 0, hint);
  }
  const { error } = result;
  if (error === undefined) return;
  const index = error.range?.start ?? 0;
  if (error.code === 'no_such_key') {
    const field = text.slice(index, error.range?.end);
    const fields = Object.values(FACT_FIELDS).flatMap((type) => Object.keys(type));
    const hint =
      didYouMean(field, fields) ??
      `facts are ${Object.keys(FACT_FIELDS.Facts).join(', ')}; a NIC has ${Object.keys(FACT_FIELDS.Nic).join(', ')}`;
    throw new ExpressionFault(`facts have no "${field}"`, index, hint);
  }
  throw new ExpressionFault(`"when" can't be evaluated: ${error.summary}`, index);
}

function evaluate(program: ParseResult, values: Readonly<Record<string, unknown>>): boolean {
  const context: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) context[name] = toCel(value);
  let result: unknown;
  try {
    result = program(context);
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    throw new ExpressionFault(
      `"when" can't be evaluated: ${error.summary}`,
      error.range?.start ?? 0,
      hintForKey(error.summary),
    );
  }
  if (typeof result === 'boolean') return result;
  throw new ExpressionFault(
    `"when" must be true or false, not ${describe(result)}`,
    0,
    'compare it with something: == != < >',
  );
}

function hintForKey(summary: string): string | undefined {
  return summary.startsWith('No such key') ? 'ask first: has(map.key) && …, or "key" in map && …' : undefined;
}

/** Whole numbers become CEL ints, since CEL does not compare an int literal with a double variable in all places. */
function toCel(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toCel);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toCel(entry)]));
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint' || typeof value === 'number') return `the number ${value}`;
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : 'a map';
}

function findNames(node: ASTNode, bound: ReadonlySet<string>, found: Map<string, FreeName>): void {
  switch (node.op) {
    case 'value':
      return;
    case 'id':
      if (!bound.has(node.args) && !CEL_NAMES.has(node.args) && !found.has(node.args)) {
        found.set(node.args, { name: node.args, index: node.range.start });
      }
      return;
    case 'rcall':
      findInCall(node.args, bound, found);
      return;
    default:
      for (const child of childrenOf(node)) findNames(child, bound, found);
  }
}

function findInCall(
  [method, receiver, args]: readonly [string, ASTNode, readonly ASTNode[]],
  bound: ReadonlySet<string>,
  found: Map<string, FreeName>,
): void {
  findNames(receiver, bound, found);
  const [first] = args;
  const isBinding = BINDING_MACROS.has(method) && first?.op === 'id';
  const inner = isBinding ? new Set([...bound, first.args]) : bound;
  for (const argument of isBinding ? args.slice(1) : args) findNames(argument, inner, found);
}

function childrenOf(node: Exclude<ASTNode, { readonly op: 'value' | 'id' | 'rcall' }>): readonly ASTNode[] {
  switch (node.op) {
    case '.':
    case '.?':
      return [node.args[0]];
    case 'call':
      return node.args[1];
    case 'map':
      return node.args.flat();
    case '!_':
    case '-_':
      return [node.args];
    default:
      return node.args;
  }
}

/** An evaluation that failed on a host, with the expression in the message. */
export function asHostError(fault: ExpressionFault, text: string): HostError {
  return new HostError(`${fault.message} (in "${text}")`, { hint: fault.hint, cause: fault });
}
