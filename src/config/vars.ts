import { type Fault, InputError } from '../core/errors.ts';
import type { FaultList } from './faults.ts';
import { compileTemplate, type Template } from './template.ts';
import type { Names } from './template-evaluate.ts';
import { TemplateFault, TemplateFaults } from './template-fault.ts';
import { VaultText } from './vault/vault-text.ts';
import { childOf, faultAt, offsetInScalar, toValue, type YamlMap, type YamlNode } from './yaml.ts';

/** A variable as it was written: templates in it are evaluated when it is used. */
export interface Variable {
  readonly value: unknown;
  /** Where it stands, where that is known; positions of faults come from it. */
  readonly node: YamlNode | undefined;
  /** What to call it where its place is unknown: `inventory variable "x"`. */
  readonly origin: () => string;
}

/** Variables of one place of definition. */
export interface VarLayer {
  get(name: string): Variable | undefined;
  names(): readonly string[];
}

/** The variables of a YAML mapping, which know their places. */
export function layerOf(map: YamlMap): VarLayer {
  return {
    get: (name) => {
      const entry = map.entries.get(name);
      return entry && { value: plainValue(entry.value), node: entry.value, origin: () => `variable "${name}"` };
    },
    names: () => [...map.entries.keys()],
  };
}

/** Variables without places, such as those of an inventory host. */
export function plainLayer(values: Readonly<Record<string, unknown>>, kind: string): VarLayer {
  return {
    get: (name) =>
      Object.hasOwn(values, name)
        ? { value: values[name], node: undefined, origin: () => `${kind} "${name}"` }
        : undefined,
    names: () => Object.keys(values),
  };
}

/** One variable, such as the item of a loop. */
export function singleLayer(name: string, value: unknown): VarLayer {
  const variable: Variable = { value: new Evaluated(value), node: undefined, origin: () => `variable "${name}"` };
  return { get: (asked) => (asked === name ? variable : undefined), names: () => [name] };
}

/** A value in which no template is left: text in it that looks like one stays as it is. */
class Evaluated {
  readonly value: unknown;
  constructor(value: unknown) {
    this.value = value;
  }
}

/**
 * The variables that one task of one host can name. They are evaluated when used, so that one may refer to others in any
 * order, and each at most once.
 */
export class Scope implements Names {
  /** Highest precedence first. */
  readonly #low: readonly VarLayer[];
  readonly #high: readonly VarLayer[];
  readonly #values = new Map<string, unknown>();
  /** What is being evaluated, outermost first: `a`, or `a.b` for a value inside a map. */
  readonly #open: string[] = [];
  #names: readonly string[] | null = null;

  /**
   * @param low layers that others may be put over, highest precedence first
   * @param high layers that stay above all, highest precedence first
   */
  constructor(low: readonly VarLayer[], high: readonly VarLayer[] = []) {
    this.#low = low;
    this.#high = high;
  }

  /** These variables with more put over all but the `high` ones; the first of `layers` has the highest precedence. */
  extend(layers: readonly VarLayer[]): Scope {
    return new Scope([...layers, ...this.#low], this.#high);
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  names(): readonly string[] {
    this.#names ??= [...new Set([...this.#high, ...this.#low].flatMap((layer) => layer.names()))];
    return this.#names;
  }

  /** The value of a variable. Maps in it are evaluated as they are looked into. @throws InputError where it can't be evaluated */
  get(name: string): unknown {
    if (this.#values.has(name)) return this.#values.get(name);
    const variable = this.#find(name);
    if (variable === undefined) return undefined;
    const value = this.#inside(name, () => this.#evaluate(variable.value, variable.node, name, variable.origin));
    this.#values.set(name, value);
    return value;
  }

  /**
   * The value of a part of a playbook, all templates in it evaluated.
   * @throws InputError with all faults in it
   */
  render(node: YamlNode): unknown {
    if (!hasTemplate(node)) return plainValue(node);
    return force(this.#evaluate(plainValue(node), node, NO_VARIABLE, noOrigin));
  }

  /** The value of a text that stands in no file. @throws InputError where it can't be evaluated */
  evaluateText(text: string): unknown {
    return this.#evaluateText(text, undefined, noOrigin);
  }

  #find(name: string): Variable | undefined {
    for (const layers of [this.#high, this.#low]) {
      for (const layer of layers) {
        const variable = layer.get(name);
        if (variable !== undefined) return variable;
      }
    }
    return undefined;
  }

  #inside<Value>(label: string, run: () => Value): Value {
    if (this.#open.includes(label)) throw this.#circle(label);
    this.#open.push(label);
    try {
      return run();
    } finally {
      this.#open.pop();
    }
  }

  #circle(label: string): InputError {
    const members = this.#open.slice(this.#open.indexOf(label));
    // Told from its first member by name, so that the same circle is the same fault wherever it was entered.
    const first = members.indexOf([...members].sort()[0] ?? label);
    const chain = [...members.slice(first), ...members.slice(0, first)];
    const start = chain[0] ?? label;
    const [name = start] = start.split('.');
    const node = this.#find(name)?.node;
    const message = `variable "${start}" refers to itself: ${[...chain, start].join(' → ')}`;
    return new InputError([node ? faultAt(node.doc, node.start, message) : { message }]);
  }

  #evaluate(value: unknown, node: YamlNode | undefined, label: string, origin: () => string): unknown {
    if (value instanceof Evaluated) return value.value;
    if (typeof value === 'string') return this.#evaluateText(value, node, origin);
    if (Array.isArray(value)) return this.#evaluateList(value, node, label, origin);
    if (typeof value !== 'object' || value === null) return value;
    const special = markedValue(value, origin);
    if (special !== undefined) return special;
    return this.#lazyMap(value, node, label, origin);
  }

  #evaluateList(list: readonly unknown[], node: YamlNode | undefined, label: string, origin: () => string): unknown {
    const faults: Fault[] = [];
    const items = list.map((item, index) => {
      try {
        return this.#evaluate(item, childOf(node, index), `${label}[${index}]`, origin);
      } catch (error) {
        faults.push(...faultsOf(error));
        return undefined;
      }
    });
    if (faults.length > 0) throw new InputError(faults);
    return items;
  }

  #lazyMap(source: object, node: YamlNode | undefined, label: string, origin: () => string): object {
    const map: object = Object.create(null);
    for (const [key, value] of Object.entries(source)) {
      const isPlain = typeof value === 'number' || typeof value === 'boolean' || value === null;
      const path = `${label}.${key}`;
      const get = isPlain
        ? () => value
        : lazily(() => this.#inside(path, () => this.#evaluate(value, childOf(node, key), path, origin)));
      Object.defineProperty(map, key, { enumerable: true, configurable: true, get });
    }
    return map;
  }

  #evaluateText(text: string, node: YamlNode | undefined, origin: () => string): unknown {
    if (!text.includes('{{') && !text.includes('{%')) return text;
    const template = readText(text, node, origin);
    try {
      return template.evaluate(this);
    } catch (error) {
      throw placed(error, node, origin);
    }
  }
}

/** @throws InputError where a text can't be read as a template */
function readText(text: string, node: YamlNode | undefined, origin: () => string): Template {
  try {
    const statement = text.indexOf('{%');
    if (statement < 0) return compileTemplate(text);
    const message = 'Jinja statements ("{%") are not supported';
    throw new TemplateFaults([new TemplateFault(message, statement, 'use {{#if}} and {{#each}}')]);
  } catch (error) {
    throw placed(error, node, origin);
  }
}

function placed(error: unknown, node: YamlNode | undefined, origin: () => string): unknown {
  if (!(error instanceof TemplateFaults)) return error;
  return new InputError(error.faults.map((fault) => placedFault(fault, node, origin)));
}

function placedFault(fault: TemplateFault, node: YamlNode | undefined, origin: () => string): Fault {
  if (node?.kind === 'scalar') return faultAt(node.doc, offsetInScalar(node, fault.index), fault.message, fault.hint);
  const name = origin();
  return { message: name === '' ? fault.message : `${name}: ${fault.message}`, hint: fault.hint };
}

/** A value that ansible-vault encrypted; or one of the two tags by which Ansible marks a value, as `ansible-inventory --list` prints them. */
function markedValue(value: object, origin: () => string): string | undefined {
  if (value instanceof VaultText) return value.reveal();
  const keys = Object.keys(value);
  if (keys.length !== 1) return undefined;
  if ('__ansible_vault' in value) {
    const hint = 'write it as "!vault |", or give it with -e';
    throw new InputError([{ message: `${origin() || 'a value'} is encrypted with ansible-vault`, hint }]);
  }
  return '__ansible_unsafe' in value && typeof value.__ansible_unsafe === 'string' ? value.__ansible_unsafe : undefined;
}

/** Label of what is no variable; no name of a variable has a blank in front. */
const NO_VARIABLE = ' ';

function noOrigin(): string {
  return '';
}

function lazily(run: () => unknown): () => unknown {
  let known: { readonly value: unknown } | null = null;
  return () => {
    known ??= { value: run() };
    return known.value;
  };
}

/** A value with nothing left to evaluate. @throws InputError with all faults in it */
export function force(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const faults: Fault[] = [];
  const attempt = (run: () => unknown): unknown => {
    try {
      return force(run());
    } catch (error) {
      faults.push(...faultsOf(error));
      return undefined;
    }
  };
  let result: unknown;
  if (Array.isArray(value)) {
    result = value.map((item) => attempt(() => item));
  } else {
    const map: Record<string, unknown> = Object.create(null);
    for (const key of Object.keys(value)) map[key] = attempt(() => Reflect.get(value, key));
    result = map;
  }
  if (faults.length > 0) throw new InputError(faults);
  return result;
}

function faultsOf(error: unknown): readonly Fault[] {
  if (error instanceof InputError) return error.faults;
  throw error;
}

/**
 * The value of a text or an encrypted value among some variables, such as a connection variable of an inventory host: of its own
 * type where it is exactly one `{{ expression }}`. Other values are given back.
 * @throws InputError where it can't be evaluated
 */
export function renderValue(value: unknown, vars: Readonly<Record<string, unknown>>): unknown {
  if (value instanceof VaultText) return value.reveal();
  if (typeof value !== 'string') return value;
  const layer = plainLayer(vars, 'inventory variable');
  return force(new Scope([layer]).evaluateText(value));
}

const plainValues = new WeakMap<YamlNode, unknown>();
const templated = new WeakMap<YamlNode, boolean>();

/** `toValue`, kept for the next host. */
function plainValue(node: YamlNode): unknown {
  if (!plainValues.has(node)) plainValues.set(node, toValue(node));
  return plainValues.get(node);
}

/** Whether something in a node has to be evaluated. */
export function hasTemplate(node: YamlNode): boolean {
  const known = templated.get(node);
  if (known !== undefined) return known;
  const result = findTemplate(node);
  templated.set(node, result);
  return result;
}

function findTemplate(node: YamlNode): boolean {
  if (node.kind === 'scalar')
    return node.isEncrypted === true || (typeof node.value === 'string' && /\{[{%]/.test(node.value));
  if (node.kind === 'list') return node.items.some(hasTemplate);
  return [...node.entries.values()].some((entry) => hasTemplate(entry.value));
}

/**
 * Finds what can't be read of the templates in a mapping, before their values are known.
 * @param except keys whose values hold no templates
 */
export function checkTemplates(map: YamlMap, except: readonly string[], faults: FaultList): void {
  for (const entry of map.entries.values()) {
    if (!except.includes(entry.key) && hasTemplate(entry.value)) checkNode(entry.value, faults);
  }
}

function checkNode(node: YamlNode, faults: FaultList): void {
  if (node.kind === 'list') for (const item of node.items) checkNode(item, faults);
  else if (node.kind === 'map') for (const entry of node.entries.values()) checkNode(entry.value, faults);
  else if (typeof node.value === 'string' && !node.isEncrypted)
    faults.collect(() => readText(String(node.value), node, noOrigin));
}
