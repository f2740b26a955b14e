import * as z from 'zod';
import type { Fault } from '../core/errors.ts';
import { redact } from '../core/secrets.ts';
import { didYouMean } from '../core/suggest.ts';
import { kindOf } from './template-helpers.ts';
import { faultAt, faultOf, toValue, type YamlNode } from './yaml.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** What is needed to turn the issues of a schema into faults at the right places. */
export interface Checked {
  readonly schema: z.ZodType;
  /** Where the checked value stands. A value that came out of a template has the place of that template. */
  readonly node: YamlNode;
  /** The value as it was checked. */
  readonly value: unknown;
  /** What the whole value is called, such as `bridge`. */
  readonly subject: string;
  /** Hints for keys that people write although they are not ours; by key. */
  readonly foreignKeys?: ReadonlyMap<string, string>;
  /** Offset at which to report that something is missing from the whole value; by default where the value begins. */
  readonly missingAt?: number;
}

/** A sentence for each issue, placed at the very key or value, with the nearest known key or value as hint. */
export function schemaFaults(issues: readonly Issue[], checked: Checked): readonly Fault[] {
  return issues.flatMap((issue) => describeIssue(issue, issue.path, checked));
}

function describeIssue(issue: Issue, path: Path, checked: Checked): readonly Fault[] {
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(key, path, checked));
    case 'invalid_union':
      return describeUnion(issue, path, checked);
    case 'invalid_key':
      return issue.issues.map((inner) => keyFault(inner, path, checked));
    default:
      return [describeValue(issue, path, checked)];
  }
}

function unknownKey(key: string, path: Path, checked: Checked): Fault {
  const known = keysAt(checked.schema, path);
  const hint =
    checked.foreignKeys?.get(key) ??
    didYouMean(key, known) ??
    (known.length > 0 ? `known keys: ${known.join(', ')}` : undefined);
  const message = `unknown key "${key}" in ${path.length === 0 ? checked.subject : label(path)}`;
  const parent = nodeAt(checked.node, path);
  const entry = parent.exact && parent.node.kind === 'map' ? parent.node.entries.get(key) : undefined;
  return faultOf(entry ?? parent.node, message, hint);
}

function keyFault(inner: Issue, path: Path, checked: Checked): Fault {
  const key = String(path.at(-1));
  const detail = isDefaultMessage(inner.message)
    ? lowerFirst(inner.message.replace(/^Invalid string: /, ''))
    : inner.message;
  const parent = nodeAt(checked.node, path.slice(0, -1)).node;
  const entry = parent.kind === 'map' ? parent.entries.get(key) : undefined;
  const hint = inner.code === 'invalid_value' ? oneOfHint(key, inner.values) : undefined;
  return faultOf(entry ?? parent, `wrong key "${key}": ${detail}`, hint);
}

function describeValue(issue: Issue, path: Path, checked: Checked): Fault {
  const value = valueAt(checked.value, path);
  const isMissing =
    value === undefined && path.length > 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');
  if (isMissing) return missingKey(path, checked);
  const { node } = nodeAt(checked.node, path);
  if (!isDefaultMessage(issue.message)) return faultOf(node, issue.message);
  const name = path.length === 0 ? checked.subject : label(path);
  const hint = issue.code === 'invalid_value' ? valueHint(value, issue.values) : booleanHint(issue, value);
  return faultOf(node, `${name} must be ${expectation(issue)}, not ${show(value)}`, hint);
}

function missingKey(path: Path, checked: Checked): Fault {
  const parent = nodeAt(checked.node, path.slice(0, -1)).node;
  const start = path.length === 1 ? (checked.missingAt ?? parent.start) : parent.start;
  const description = schemasAt(checked.schema, path)
    .map((schema) => schema.description)
    .find((text) => text !== undefined);
  const where = path.length === 1 ? checked.subject : label(path.slice(0, -1));
  return faultAt(parent.doc, start, `${where} lacks "${String(path.at(-1))}"`, description);
}

function expectation(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return EXPECTED.get(issue.expected) ?? `of type ${issue.expected}`;
    case 'invalid_value':
      return oneOf(issue.values);
    case 'too_small':
      return `${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unit(issue.origin)}`;
    case 'too_big':
      return `${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unit(issue.origin)}`;
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return issue.format === 'regex' ? `text that matches ${issue.pattern}` : `a valid ${issue.format}`;
    default:
      return `other: ${issue.message}`;
  }
}

const EXPECTED: ReadonlyMap<string, string> = new Map([
  ['string', 'text'],
  ['number', 'a number'],
  ['int', 'a whole number'],
  ['boolean', 'true or false'],
  ['array', 'a list'],
  ['object', 'a mapping'],
  ['record', 'a mapping'],
  ['null', 'null'],
]);

function unit(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' || origin === 'set' ? ' items long' : '';
}

/** The branch of a union that was meant, where that can be told; else all that it takes. */
function describeUnion(issue: z.core.$ZodIssueInvalidUnion, path: Path, checked: Checked): readonly Fault[] {
  const { node } = nodeAt(checked.node, path);
  const value = valueAt(checked.value, path);
  if (value === undefined && path.length > 0) return [missingKey(path, checked)];
  if (!isDefaultMessage(issue.message)) return [faultOf(node, issue.message)];
  // A branch whose own type fits fails only further in, or by a limit.
  const meant = issue.errors.filter((branch) => branch.every((inner) => inner.path.length > 0 || !isTypeIssue(inner)));
  const [best] = meant.toSorted((a, b) => a.length - b.length);
  if (best !== undefined && best.length > 0)
    return best.flatMap((inner) => describeIssue(inner, [...path, ...inner.path], checked));
  const options = 'options' in issue && Array.isArray(issue.options) ? issue.options : undefined;
  const expected = options
    ? [oneOf(options)]
    : issue.errors.flatMap((branch) => branch.map((inner) => unionExpectation(inner)));
  const name = path.length === 0 ? checked.subject : label(path);
  const literals =
    options ?? issue.errors.flat().flatMap((inner) => (inner.code === 'invalid_value' ? inner.values : []));
  const hint = typeof value === 'string' ? oneOfHint(value, literals) : undefined;
  return [faultOf(node, `${name} must be ${[...new Set(expected)].join(' or ')}, not ${show(value)}`, hint)];
}

function unionExpectation(issue: Issue): string {
  if (issue.code !== 'invalid_union') return expectation(issue);
  return [...new Set(issue.errors.flat().map(unionExpectation))].join(' or ');
}

function isTypeIssue(issue: Issue): boolean {
  return issue.code === 'invalid_type' || issue.code === 'invalid_value' || issue.code === 'invalid_union';
}

/** Whether a message is the library's own; another one was written for the parameter and says more. */
function isDefaultMessage(message: string): boolean {
  return /^(?:Invalid|Too (?:big|small)|Unrecognized)\b/.test(message);
}

function oneOf(values: readonly unknown[]): string {
  const shown = values.map((value) => (typeof value === 'string' ? JSON.stringify(value) : String(value)));
  return shown.length === 1 ? (shown[0] ?? '') : `one of ${shown.join(', ')}`;
}

function oneOfHint(word: string, values: readonly unknown[]): string | undefined {
  return didYouMean(
    word,
    values.filter((value) => typeof value === 'string'),
  );
}

function valueHint(value: unknown, values: readonly unknown[]): string | undefined {
  return typeof value === 'string' ? oneOfHint(value, values) : undefined;
}

function booleanHint(issue: Issue, value: unknown): string | undefined {
  if (issue.code !== 'invalid_type' || issue.expected !== 'boolean' || typeof value !== 'string') return undefined;
  if (!/^(?:yes|no|on|off|y|n)$/i.test(value)) return undefined;
  return `YAML 1.2 reads ${value} as text: write ${/^(?:yes|on|y)$/i.test(value)}`;
}

/** A value in a message: short, and text in quotes. */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    // Before it is cut: what is left of a secret would not be known as one.
    const text = redact(value);
    return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
  }
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return kindOf(value);
}

function label(path: Path): string {
  const last = path.findLastIndex((part) => typeof part === 'string');
  const indices = path.slice(last + 1).map((part) => `[${String(part)}]`);
  return `"${last < 0 ? '' : String(path[last])}${indices.join('')}"`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const part of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined;
    at = Reflect.get(at, part);
  }
  return at;
}

/** The node under a path, or the deepest one on the way. */
function nodeAt(root: YamlNode, path: Path): { readonly node: YamlNode; readonly exact: boolean } {
  let node = root;
  for (const part of path) {
    const next =
      node.kind === 'map'
        ? node.entries.get(String(part))?.value
        : node.kind === 'list'
          ? node.items[Number(part)]
          : undefined;
    if (next === undefined) return { node, exact: false };
    node = next;
  }
  return { node, exact: true };
}

/** The keys that a schema knows in the mapping under a path, over all branches of unions. */
export function keysAt(schema: z.ZodType, path: Path): readonly string[] {
  const found = schemasAt(schema, path).flatMap((at) => (at instanceof z.ZodObject ? Object.keys(at.shape) : []));
  return [...new Set(found)];
}

function schemasAt(schema: z.ZodType, path: Path): readonly z.ZodType[] {
  let current = variants(schema);
  for (const part of path) current = current.flatMap((at) => childSchemas(at, part)).flatMap(variants);
  return current;
}

/** A schema without its wrappers; the branches where it is a union. The wrappers themselves come first: they may carry a description. */
function variants(schema: z.ZodType): readonly z.ZodType[] {
  return [schema, ...innerSchemas(schema).flatMap(variants)];
}

function innerSchemas(schema: z.ZodType): readonly z.ZodType[] {
  const { def } = schema._zod;
  if ('innerType' in def) return [def.innerType as z.ZodType];
  if (schema instanceof z.ZodPipe) return [schema.in as z.ZodType, schema.out as z.ZodType];
  if (schema instanceof z.ZodUnion) return schema.options as readonly z.ZodType[];
  if (schema instanceof z.ZodIntersection) return [schema.def.left as z.ZodType, schema.def.right as z.ZodType];
  if (schema instanceof z.ZodLazy) return [schema.unwrap() as z.ZodType];
  return [];
}

function childSchemas(schema: z.ZodType, part: PropertyKey): readonly z.ZodType[] {
  if (schema instanceof z.ZodObject) {
    const child: unknown = Object.hasOwn(schema.shape, part) ? schema.shape[String(part)] : undefined;
    return child === undefined ? [] : [child as z.ZodType];
  }
  if (schema instanceof z.ZodRecord) return [schema.valueType as z.ZodType];
  if (schema instanceof z.ZodArray) return [schema.element as z.ZodType];
  if (schema instanceof z.ZodTuple) return schema.def.items as readonly z.ZodType[];
  return [];
}

/** Stands for what a template will give, in a check before any host is known. No schema takes a symbol. */
const HOLE: unique symbol = Symbol('template');

/**
 * Checks what is already certain of a value whose templates are not yet evaluated: unknown keys, wrong literals.
 * @returns issues that no value of the templates can mend
 */
export function literalIssues(schema: z.ZodType, node: YamlNode): readonly Issue[] {
  const holes: PropertyKey[][] = [];
  const value = withHoles(node, [], holes);
  const result = holes.length === 0 ? schema.safeParse(value) : attemptParse(schema, value);
  if (result === null || result.success) return [];
  return result.error.issues.filter((issue) => isCertain(issue, holes));
}

/** The value of a node with holes in place of templates, for messages. */
export function literalValue(node: YamlNode): unknown {
  return withHoles(node, [], []);
}

function isCertain(issue: Issue, holes: readonly Path[]): boolean {
  if (issue.code === 'unrecognized_keys') return true;
  return !holes.some((hole) => startsWith(hole, issue.path) || startsWith(issue.path, hole));
}

function startsWith(path: Path, prefix: Path): boolean {
  return prefix.every((part, index) => path[index] === part);
}

function attemptParse(schema: z.ZodType, value: unknown): z.ZodSafeParseResult<unknown> | null {
  try {
    return schema.safeParse(value);
  } catch {
    // A refinement that stumbles over the placeholder: the check with real values follows.
    return null;
  }
}

function withHoles(node: YamlNode, path: PropertyKey[], holes: PropertyKey[][]): unknown {
  if (node.kind === 'list') return node.items.map((item, index) => withHoles(item, [...path, index], holes));
  if (node.kind === 'map') {
    const entries = [...node.entries.values()].map((entry) => [
      entry.key,
      withHoles(entry.value, [...path, entry.key], holes),
    ]);
    return Object.fromEntries(entries);
  }
  if (!node.isEncrypted && (typeof node.value !== 'string' || !/\{[{%]/.test(node.value))) return toValue(node);
  holes.push(path);
  return HOLE;
}
