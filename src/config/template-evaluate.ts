/// <reference types="handlebars" />
import { InputError } from '../core/errors.ts';
import { didYouMean } from '../core/suggest.ts';
import { TemplateFault, TemplateFaults } from './template-fault.ts';
import { BLOCKS, HELPERS, kindOf, propertiesOf, propertyOf, textOf } from './template-helpers.ts';
import { hintFor } from './template-hint.ts';

/** The variables that a template can name. */
export interface Names {
  has(name: string): boolean;
  /** @throws InputError where the variable is known but can't be evaluated */
  get(name: string): unknown;
  /** All known names, for suggestions. */
  names(): readonly string[];
}

/** The value that `this` means inside `each` and `with`. At the top there is none: names are variables. */
interface Frame {
  readonly context: unknown;
  readonly isTop: boolean;
  readonly parent: Frame | null;
  /** Names given by `as |value key|`. */
  readonly locals: ReadonlyMap<string, unknown>;
  /** `@index`, `@key`, `@first`, `@last`. */
  readonly data: ReadonlyMap<string, unknown>;
}

const TOP: Frame = { context: undefined, isTop: true, parent: null, locals: new Map(), data: new Map() };

/**
 * The value of a parsed template.
 * @param as `value`: a program that is one expression gives that expression's value; `text`: always text
 * @throws TemplateFaults with all faults of the text; InputError where only variables that it uses are faulty
 */
export function evaluateProgram(program: hbs.AST.Program, text: string, names: Names, as: 'value' | 'text'): unknown {
  const [only, ...rest] = program.body;
  const evaluation = new Evaluation(text, names);
  if (as === 'value' && rest.length === 0 && isMustache(only)) return evaluation.value(only);
  return evaluation.text(program);
}

class Evaluation {
  readonly #lineStarts: readonly number[];
  readonly #names: Names;
  readonly #text: string;
  readonly #faults: TemplateFault[] = [];
  readonly #inner: InputError[] = [];
  /** Offset of the `{{` that is being evaluated. */
  #index = 0;

  constructor(text: string, names: Names) {
    this.#text = text;
    this.#names = names;
    this.#lineStarts = [0, ...[...text.matchAll(/\r\n?|\n/g)].map((found) => found.index + found[0].length)];
  }

  value(statement: hbs.AST.MustacheStatement): unknown {
    const value = this.#guard(statement, () => this.#mustache(statement, TOP));
    this.#raise();
    return value;
  }

  text(program: hbs.AST.Program): string {
    const text = this.#program(program, TOP);
    this.#raise();
    return text;
  }

  #raise(): void {
    if (this.#faults.length > 0) throw new TemplateFaults(withoutRepeats(this.#faults));
    const faults = this.#inner.flatMap((error) => error.faults);
    if (faults.length > 0) throw new InputError(faults);
  }

  /** Keeps faults for later, so that all those of a text are found. */
  #guard<Value>(statement: hbs.AST.Node, run: () => Value): Value | undefined {
    const outer = this.#index;
    this.#index = this.#offset(statement);
    try {
      return run();
    } catch (error) {
      if (error instanceof InputError) this.#keepInner(error);
      else if (error instanceof TemplateFault) this.#faults.push(error);
      else throw error;
      return undefined;
    } finally {
      this.#index = outer;
    }
  }

  /** A fault in a variable without a place of its own belongs to where it is used. */
  #keepInner(error: InputError): void {
    const homeless = error.faults.filter((fault) => fault.source === undefined);
    for (const fault of homeless) this.#faults.push(new TemplateFault(fault.message, this.#index, fault.hint));
    const placed = error.faults.filter((fault) => fault.source !== undefined);
    if (placed.length > 0) this.#inner.push(new InputError(placed));
  }

  #fail(message: string, hint?: string): never {
    throw new TemplateFault(message, this.#index, hint);
  }

  #program(program: hbs.AST.Program, frame: Frame): string {
    return program.body.map((statement) => this.#statement(statement, frame)).join('');
  }

  #statement(statement: hbs.AST.Statement, frame: Frame): string {
    if (isContent(statement)) return statement.value;
    if (statement.type === 'CommentStatement') return '';
    const text = this.#guard(statement, () => {
      if (isMustache(statement)) return this.#inText(this.#mustache(statement, frame));
      if (isBlock(statement)) return this.#block(statement, frame);
      return this.#fail('partials and decorators are not supported in templates');
    });
    return text ?? '';
  }

  #inText(value: unknown): string {
    if (value === null) return this.#fail('the value is null', 'give another one with {{default name "value"}}');
    if (typeof value === 'object' || value === undefined) {
      const hint = Array.isArray(value) ? 'use {{join list ","}}' : 'name one of its values';
      return this.#fail(`${kindOf(value)} can't be part of a text`, hint);
    }
    return textOf(value);
  }

  #mustache(statement: hbs.AST.MustacheStatement, frame: Frame): unknown {
    const { path } = statement;
    if (!isPath(path)) return literalOf(path);
    if (statement.params.length > 0 || statement.hash !== undefined) return this.#call(statement, frame);
    const name = path.parts[0];
    const isHelperOnly = isPlain(path) && name !== undefined && !this.#isKnown(name, frame) && HELPERS.has(name);
    return isHelperOnly ? this.#call(statement, frame) : this.#path(path, frame);
  }

  #call(expression: hbs.AST.MustacheStatement | hbs.AST.SubExpression, frame: Frame): unknown {
    const name = isPath(expression.path) ? expression.path.original : String(literalOf(expression.path));
    const helper = HELPERS.get(name);
    if (helper === undefined) {
      const isBlockName = BLOCKS.some((block) => block === name);
      const hint = isBlockName ? `write {{#${name} …}}…{{/${name}}}` : didYouMean(name, [...HELPERS.keys()]);
      return this.#fail(
        `unknown helper "${name}"`,
        hint ?? hintFor(this.#text) ?? `helpers are ${[...HELPERS.keys()].join(', ')}`,
      );
    }
    const { params } = expression;
    if (expression.hash !== undefined || params.length < helper.minimum || params.length > helper.maximum) {
      return this.#fail(`wrong arguments for the helper "${name}"`, `write ${helper.usage}`);
    }
    const values = params.map((param, position) => this.#expression(param, frame, helper.lenient && position === 0));
    try {
      return helper.call(values);
    } catch (error) {
      return this.#fail(error instanceof Error ? error.message : String(error), `write ${helper.usage}`);
    }
  }

  #expression(expression: hbs.AST.Expression, frame: Frame, isLenient = false): unknown {
    if (isPath(expression)) return this.#path(expression, frame, isLenient);
    if (isCall(expression)) return this.#call(expression, frame);
    return literalOf(expression);
  }

  #path(path: hbs.AST.PathExpression, frame: Frame, isLenient = false): unknown {
    const [first, ...rest] = path.parts;
    if (path.data && first === 'root') return this.#descend(rest, TOP, path, isLenient);
    if (path.data) {
      if (first !== undefined && frame.data.has(first)) return this.#walk(frame.data.get(first), rest, path, isLenient);
      return isLenient
        ? undefined
        : this.#fail(`unknown name "${path.original}"`, '@index, @key, @first and @last exist inside {{#each}}');
    }
    let at = frame;
    for (let depth = 0; depth < path.depth; depth++) {
      if (at.parent === null) return this.#fail(`"${path.original}" leads out of the template`);
      at = at.parent;
    }
    if (first !== undefined && isPlain(path) && at.locals.has(first))
      return this.#walk(at.locals.get(first), rest, path, isLenient);
    return this.#descend(path.parts, at, path, isLenient);
  }

  #descend(parts: readonly string[], frame: Frame, path: hbs.AST.PathExpression, isLenient: boolean): unknown {
    if (!frame.isTop) return this.#walk(frame.context, parts, path, isLenient);
    const [first, ...rest] = parts;
    if (first === undefined) return this.#fail(`"${path.original}" has a meaning only inside {{#each}} and {{#with}}`);
    if (first === 'facts') {
      return this.#fail('"facts" is known only in "when"', 'parameters must be known before the one read of a host');
    }
    if (this.#names.has(first)) return this.#walk(this.#names.get(first), rest, path, isLenient);
    return isLenient ? undefined : this.#unknown(first, this.#names.names());
  }

  #walk(start: unknown, parts: readonly string[], path: hbs.AST.PathExpression, isLenient: boolean): unknown {
    let value = start;
    for (const part of parts) {
      const next = propertyOf(value, part);
      if (next === undefined && isLenient) return undefined;
      if (next === undefined) return this.#missing(value, part, path);
      value = next;
    }
    return value;
  }

  #unknown(name: string, known: readonly string[]): never {
    return this.#fail(`unknown variable "${name}"`, didYouMean(name, known));
  }

  #missing(container: unknown, part: string, path: hbs.AST.PathExpression): never {
    const isVariable = path.parts[0] === part && this.#names.has(part);
    const hint = isVariable ? `inside a block write @root.${part}` : didYouMean(part, propertiesOf(container));
    const inPath = path.original === part ? '' : ` (in "${path.original}")`;
    return this.#fail(`${kindOf(container)} has no "${part}"${inPath}`, hint);
  }

  #isKnown(name: string, frame: Frame): boolean {
    if (frame.locals.has(name)) return true;
    return frame.isTop ? this.#names.has(name) : propertyOf(frame.context, name) !== undefined;
  }

  #block(block: hbs.AST.BlockStatement, frame: Frame): string {
    const name = block.path.original;
    const [param, ...rest] = block.params;
    if (!BLOCKS.some((known) => known === name)) {
      return this.#fail(`unknown block "${name}"`, didYouMean(name, BLOCKS) ?? `blocks are ${BLOCKS.join(', ')}`);
    }
    if (param === undefined || rest.length > 0 || block.hash !== undefined) {
      return this.#fail(`wrong arguments for the block "${name}"`, `write {{#${name} name}}…{{/${name}}}`);
    }
    const value = this.#expression(param, frame);
    if (name === 'each') return this.#each(block, value, frame);
    const isMet = name === 'unless' ? !isTruthy(value) : isTruthy(value);
    const inner = name === 'with' && isMet ? enter(frame, value, block.program.blockParams, [value]) : frame;
    return this.#branch(isMet ? block.program : block.inverse, inner);
  }

  #branch(program: hbs.AST.Program | undefined, frame: Frame): string {
    return program === undefined ? '' : this.#program(program, frame);
  }

  #each(block: hbs.AST.BlockStatement, value: unknown, frame: Frame): string {
    if (typeof value !== 'object' || value === null)
      return this.#fail(`"each" takes a list or a map, not ${kindOf(value)}`);
    const isList = Array.isArray(value);
    const keys = Object.keys(value);
    if (keys.length === 0) return this.#branch(block.inverse, frame);
    const parts = keys.map((key, index) => {
      const item = propertyOf(value, key);
      const position = isList ? index : key;
      const data: [string, unknown][] = [
        ['index', index],
        ['key', position],
        ['first', index === 0],
        ['last', index === keys.length - 1],
      ];
      return this.#program(block.program, enter(frame, item, block.program.blockParams, [item, position], data));
    });
    return parts.join('');
  }

  #offset(node: hbs.AST.Node): number {
    const { line, column } = node.loc.start;
    return (this.#lineStarts[line - 1] ?? 0) + column;
  }
}

/** A fault inside a loop is found once for each item. */
function withoutRepeats(faults: readonly TemplateFault[]): readonly TemplateFault[] {
  return [...new Map(faults.map((fault) => [`${fault.index} ${fault.message}`, fault])).values()];
}

function enter(
  parent: Frame,
  context: unknown,
  params: readonly string[] | undefined,
  values: readonly unknown[],
  data: readonly [string, unknown][] = [],
): Frame {
  const locals = new Map([
    ...parent.locals,
    ...(params ?? []).map((name, index): [string, unknown] => [name, values[index]]),
  ]);
  return { context, isTop: false, parent, locals, data: new Map([...parent.data, ...data]) };
}

/** Handlebars' own notion: 0, "", false, null and an empty list are false. */
function isTruthy(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function literalOf(node: hbs.AST.Expression): unknown {
  return 'value' in node ? node.value : null;
}

/** Neither `this.x` nor `../x` nor `@x`: such a name may be a helper or a block parameter. */
function isPlain(path: hbs.AST.PathExpression): boolean {
  return !path.data && path.depth === 0 && !/^(?:this\b|\.)/.test(path.original);
}

function isContent(node: hbs.AST.Node): node is hbs.AST.ContentStatement {
  return node.type === 'ContentStatement';
}

function isMustache(node: hbs.AST.Node | undefined): node is hbs.AST.MustacheStatement {
  return node?.type === 'MustacheStatement';
}

function isBlock(node: hbs.AST.Node): node is hbs.AST.BlockStatement {
  return node.type === 'BlockStatement';
}

function isPath(node: hbs.AST.Node): node is hbs.AST.PathExpression {
  return node.type === 'PathExpression';
}

function isCall(node: hbs.AST.Node): node is hbs.AST.SubExpression {
  return node.type === 'SubExpression';
}
