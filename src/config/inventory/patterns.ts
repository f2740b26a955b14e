import { readFileSync } from 'node:fs';
import { type Fault, InputError, messageOf } from '../../core/errors.ts';
import { didYouMean } from '../../core/suggest.ts';
import { parseAddress } from './address.ts';
import type { Graph, Host } from './graph.ts';

/**
 * The hosts that a pattern means, in the order that it gives them, as Ansible: `a:b` or `a,b` both, `!c` without, `&d` only those also in;
 * globs, `~regex`, `group[0]`, `group[1:3]`.
 * @param pattern one pattern or several
 * @param limit `--limit`: hosts outside it are left out; may also hold `@file` with one pattern in each line
 * @throws InputError where a name or subscript matches nothing, or a pattern is malformed
 */
export function selectHosts(graph: Graph, pattern: string | readonly string[], limit?: string): readonly string[] {
  const faults: Fault[] = [];
  const matcher = new Matcher(graph, faults);
  const hosts = matcher.evaluate([pattern].flat().flatMap(splitPattern));
  const wanted = limit === undefined ? undefined : new Set(matcher.evaluate(limitPatterns(limit, faults)));
  if (faults.length > 0) throw new InputError(faults);
  const chosen = wanted === undefined ? hosts : hosts.filter((host) => wanted.has(host));
  return [...new Set(chosen)].map((host) => host.name);
}

/** Splits at commas; where there are none and it is no single address, at colons outside of brackets. */
export function splitPattern(pattern: string): string[] {
  const isOne = !pattern.includes(',') && parseAddress(pattern) !== undefined;
  const parts = pattern.includes(',') ? pattern.split(',') : (pattern.match(/(?:[^\s:[\]]|\[[^\]]*\])+/g) ?? []);
  return (isOne ? [pattern] : [...parts]).map((part) => part.trim()).filter((part) => part !== '');
}

function limitPatterns(limit: string, faults: Fault[]): string[] {
  return splitPattern(limit).flatMap((part) => {
    if (!part.startsWith('@')) return [part];
    const file = part.slice(1);
    try {
      const lines = readFileSync(file, 'utf8').split('\n');
      return lines.map((line) => line.trim()).filter((line) => line !== '');
    } catch (error) {
      faults.push({ message: `the limit file "${file}" can't be read: ${messageOf(error)}` });
      return [];
    }
  });
}

class Matcher {
  private readonly graph: Graph;
  private readonly faults: Fault[];

  constructor(graph: Graph, faults: Fault[]) {
    this.graph = graph;
    this.faults = faults;
  }

  /** Plain patterns first, then the intersections, then the exclusions; without a plain one "all" is meant. */
  evaluate(patterns: readonly string[]): readonly Host[] {
    const plain = patterns.filter((pattern) => !/^[!&]/.test(pattern));
    let hosts: Host[] = [];
    for (const pattern of plain.length > 0 ? plain : ['all']) hosts.push(...this.match(pattern));
    for (const pattern of patterns.filter((each) => each.startsWith('&'))) {
      const both = new Set(this.match(pattern.slice(1)));
      hosts = hosts.filter((host) => both.has(host));
    }
    for (const pattern of patterns.filter((each) => each.startsWith('!'))) {
      const without = new Set(this.match(pattern.slice(1)));
      hosts = hosts.filter((host) => !without.has(host));
    }
    return hosts;
  }

  private match(pattern: string): readonly Host[] {
    const exact = this.graph.hosts.get(pattern);
    if (exact !== undefined) return [exact];
    const { base, subscript } = splitSubscript(pattern);
    const test = this.tester(base);
    if (test === undefined) return [];
    const groups = [...this.graph.groups.values()].filter((group) => test(group.name));
    const hosts = groups.flatMap((group) => group.allHosts());
    if (groups.length === 0 || /^~|[.?*[]/.test(base)) {
      hosts.push(...[...this.graph.hosts.values()].filter((host) => test(host.name)));
    }
    if (groups.length === 0 && hosts.length === 0 && isPlainName(base) && base !== 'all') this.unknown(base);
    return subscript === undefined ? hosts : this.subscripted(pattern, hosts, subscript);
  }

  private tester(pattern: string): ((name: string) => boolean) | undefined {
    try {
      if (pattern === '~') throw new SyntaxError('no expression');
      const regex = pattern.startsWith('~') ? fromPython(pattern.slice(1)) : fromGlob(pattern);
      return (name) => regex.test(name);
    } catch {
      this.faults.push({
        message: `"${pattern}" is no valid host pattern`,
        hint: 'after "~" stands a regular expression',
      });
      return undefined;
    }
  }

  private subscripted(pattern: string, hosts: readonly Host[], { start, end }: Subscript): readonly Host[] {
    if (hosts.length === 0) return hosts;
    if (end === undefined || end === 0) {
      const one = hosts.at(start);
      if (one !== undefined) return [one];
      const count = hosts.length === 1 ? '1 host' : `${hosts.length} hosts`;
      this.faults.push({
        message: `"${pattern}" matches no host: there is no such one among ${count}`,
        hint: 'the first one is [0]',
      });
      return [];
    }
    return hosts.slice(start, (end === -1 ? hosts.length - 1 : end) + 1);
  }

  private unknown(name: string): void {
    const known = [...this.graph.groups.keys(), ...this.graph.hosts.keys()];
    const message =
      name === '' ? 'a host pattern is empty' : `"${name}" is neither a host nor a group of the inventory`;
    this.faults.push({ message, hint: didYouMean(name, known) });
  }
}

interface Subscript {
  readonly start: number;
  readonly end: number | undefined;
}

function splitSubscript(pattern: string): { readonly base: string; readonly subscript: Subscript | undefined } {
  const match = /^(?<base>.+)\[(?:(?<index>-?[0-9]+)|(?<start>[0-9]+)[:-](?<end>[0-9]*))\]$/.exec(pattern);
  const parts = match?.groups;
  if (parts === undefined || pattern.startsWith('~')) return { base: pattern, subscript: undefined };
  const base = parts['base'] ?? '';
  if (parts['index'] !== undefined) return { base, subscript: { start: Number(parts['index']), end: undefined } };
  const end = parts['end'] === '' ? -1 : Number(parts['end']);
  return { base, subscript: { start: Number(parts['start']), end } };
}

function isPlainName(pattern: string): boolean {
  return !/^~|[?*[]/.test(pattern);
}

/** A Python regular expression that matches from the start, as `re.match`. */
function fromPython(pattern: string): RegExp {
  const flags = /^\(\?(?<flags>[aimsux]+)\)/.exec(pattern);
  const body = pattern.slice(flags?.[0].length ?? 0);
  const source = body
    .replaceAll('(?P<', '(?<')
    .replace(/\(\?P=(\w+)\)/g, '\\k<$1>')
    .replaceAll('\\Z', '$')
    .replaceAll('\\A', '^');
  return new RegExp(
    `^(?:${source})`,
    [...(flags?.groups?.['flags'] ?? '')].filter((flag) => 'ims'.includes(flag)).join(''),
  );
}

/** A shell glob as Python's fnmatch reads it: `*`, `?`, `[seq]`, `[!seq]`. */
function fromGlob(glob: string): RegExp {
  let source = '';
  for (let at = 0; at < glob.length; at++) {
    const char = glob.charAt(at);
    const close = char === '[' ? glob.indexOf(']', at + (glob[at + 1] === '!' ? 3 : 2)) : -1;
    if (char === '*') source += '.*';
    else if (char === '?') source += '.';
    else if (close > 0) {
      source += classOf(glob.slice(at + 1, close));
      at = close;
    } else source += char.replace(/[\\^$.|?*+()[\]{}/]/g, '\\$&');
  }
  return new RegExp(`^(?:${source})$`, 's');
}

function classOf(inside: string): string {
  const isNegated = inside.startsWith('!');
  const members: string[] = [];
  const text = inside.slice(isNegated ? 1 : 0);
  for (let at = 0; at < text.length; at++) {
    const [from = '', to = ''] = [text.charAt(at), text.charAt(at + 2)];
    const isSpan = text[at + 1] === '-' && to !== '';
    if (!isSpan) members.push(escaped(from));
    else if (from <= to) members.push(`${escaped(from)}-${escaped(to)}`);
    if (isSpan) at += 2;
  }
  if (members.length === 0) return isNegated ? '.' : '(?!)';
  return `[${isNegated ? '^' : ''}${members.join('')}]`;
}

function escaped(char: string): string {
  return char.replace(/[\\\]^-]/g, '\\$&');
}
