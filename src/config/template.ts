/// <reference types="handlebars" />
/// <reference path="./handlebars-parser.d.ts" />
import { parse } from 'handlebars/dist/cjs/handlebars/compiler/base.js';
import { type Fault, InputError } from '../core/errors.ts';
import { evaluateProgram, type Names } from './template-evaluate.ts';
import { TemplateFault, TemplateFaults } from './template-fault.ts';
import { hintFor } from './template-hint.ts';
import { faultAt, type SourceText } from './yaml.ts';

/** A Handlebars text, read once and evaluated as often as needed. */
export interface Template {
  /** Without any `{{`: its value is the text itself. */
  readonly isLiteral: boolean;
  /**
   * The value: of its own type where the text is exactly one `{{ expression }}`, else text.
   * @throws TemplateFaults for what is wrong in this text, InputError for what is wrong in a variable that it uses
   */
  evaluate(names: Names): unknown;
}

/** Templates by text. Emptied when it grows beyond what any playbook holds, so that a long-lived process keeps its memory. */
const cache = new Map<string, Template>();
const CACHE_SIZE = 10_000;

/**
 * Reads a Handlebars text (https://handlebarsjs.com/guide/). The grammar is that of the library; evaluation is our own:
 * an unknown name is always a fault, values keep their types, nothing is escaped, and only own properties of plain data
 * can be reached. No code is generated. Partials and decorators are not supported.
 * Helpers: `default`, `join`, `lookup`, `eq`; blocks: `if`, `unless`, `each`, `with`.
 * @throws TemplateFaults where it can't be read
 */
export function compileTemplate(text: string): Template {
  const known = cache.get(text);
  if (known !== undefined) return known;
  if (cache.size >= CACHE_SIZE) cache.clear();
  const template = text.includes('{{') ? readTemplate(text) : { isLiteral: true, evaluate: () => text };
  cache.set(text, template);
  return template;
}

/**
 * Fills in a template file.
 * @param text the whole text of the file
 * @param vars the values it can name; other templates in them are not evaluated
 * @param source the file, as faults name it
 * @throws InputError with every fault of the text, each with its position
 */
export function renderTemplate(text: string, vars: Readonly<Record<string, unknown>>, source: string): string {
  const names: Names = {
    has: (name) => Object.hasOwn(vars, name),
    get: (name) => vars[name],
    names: () => Object.keys(vars),
  };
  return renderWith(text, names, source);
}

/** `renderTemplate` with the variables of a task on a host. @param isSecret the file was encrypted: faults show nothing of it */
export function renderWith(text: string, names: Names, source: string, isSecret = false): string {
  const doc: SourceText = { file: source, text, isSecret };
  try {
    const value = readTemplate(text, 'text').evaluate(names);
    return String(value);
  } catch (error) {
    if (!(error instanceof TemplateFaults)) throw error;
    throw new InputError(error.faults.map((fault): Fault => faultAt(doc, fault.index, fault.message, fault.hint)));
  }
}

function readTemplate(text: string, as: 'value' | 'text' = 'value'): Template {
  const program = parseProgram(text);
  return { isLiteral: false, evaluate: (names) => evaluateProgram(program, text, names, as) };
}

function parseProgram(text: string): hbs.AST.Program {
  try {
    return parse(text);
  } catch (error) {
    throw new TemplateFaults([syntaxFault(text, error)]);
  }
}

function syntaxFault(text: string, error: unknown): TemplateFault {
  for (const found of text.matchAll(/(?<!\\)\{\{[\s\S]*?\}\}+/g)) {
    const [expression] = found;
    if (/^\{\{\{?\{?~?\s*(?:[#/^!>*]|else\b)/.test(expression) || canParse(expression)) continue;
    return new TemplateFault(
      `not a Handlebars expression: ${JSON.stringify(expression)}`,
      found.index,
      hintFor(expression),
    );
  }
  const mismatch = error instanceof Error && /^(?<detail>.*doesn't match.*) - \d+:\d+$/.exec(error.message);
  if (mismatch) return new TemplateFault(`block not closed: ${mismatch.groups?.detail}`, firstBlock(text));
  const line = Number(/^Parse error on line (\d+)/.exec(error instanceof Error ? error.message : '')?.[1] ?? 1);
  const isOpen = /\{\{~?[#^]/.test(text);
  const last = text.lastIndexOf('{{');
  if (!/\}\}/.test(text.slice(last)))
    return new TemplateFault('"{{" without "}}"', last, 'write "\\{{" for the two braces themselves');
  return isOpen
    ? new TemplateFault('a block is not closed', firstBlock(text), 'each {{#if}} needs its {{/if}}')
    : new TemplateFault('not a Handlebars text', startOfLine(text, line), hintFor(text));
}

function canParse(text: string): boolean {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
}

function firstBlock(text: string): number {
  return Math.max(0, text.search(/\{\{~?[#^]/));
}

function startOfLine(text: string, line: number): number {
  return (
    text
      .split('\n')
      .slice(0, line - 1)
      .join('\n').length + Number(line > 1)
  );
}
