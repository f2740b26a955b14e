import { InputError } from '../../core/errors.ts';
import { didYouMean } from '../../core/suggest.ts';
import type { Group, Host } from './graph.ts';
import type { LoadedInventory } from './inventory.ts';
import { toJsonText } from './json-text.ts';
import { Dict, dictOf, type Value } from './value.ts';

/** What a listing takes. */
export interface ListingOptions {
  /** Only these hosts (`--limit`). */
  readonly limit?: string;
  /** Variables where they are set, not as hosts get them. */
  readonly export?: boolean;
}

/**
 * What `ansible-inventory --list` prints, without the final newline. With a limit, as newer releases of it: groups keep their
 * children, hosts outside are gone.
 * @throws InputError where the limit is faulty
 */
export function listText(inventory: LoadedInventory, options: ListingOptions = {}): string {
  const hosts = chosenHosts(inventory, options.limit);
  const groups = new Map<string, Value>();
  addGroup(inventory, inventory.graph.all, groups, { isExport: options.export === true, hosts: new Set(hosts) });
  const hostvars = hosts
    .map((host) => [host.name, options.export ? inventory.ownVars(host) : inventory.listedVars(host)] as const)
    .filter(([, vars]) => vars.size > 0);
  const meta = dictOf([['hostvars', dictOf(hostvars)]]);
  const shown = [...groups].filter(([, body]) => body instanceof Dict && body.size > 0);
  return toJsonText(dictOf([...shown, ['_meta', meta]]));
}

/**
 * What `ansible-inventory --host` prints, without the final newline.
 * @throws InputError where there is no such host
 */
export function hostText(inventory: LoadedInventory, name: string, options: ListingOptions = {}): string {
  const names = inventory.hosts.includes(name) ? [name] : inventory.select(name);
  const host = names.length === 1 ? inventory.graph.hosts.get(names[0] ?? '') : undefined;
  if (host === undefined) {
    const message =
      names.length === 0 ? `"${name}" matches no host` : `"${name}" matches ${names.length} hosts, not one`;
    throw new InputError([{ message, hint: didYouMean(name, inventory.hosts) }]);
  }
  return toJsonText(options.export ? inventory.ownVars(host) : inventory.listedVars(host));
}

/** What `ansible-inventory --graph` prints, without the final newline. */
export function graphText(inventory: LoadedInventory, options: ListingOptions = {}): string {
  const hosts = new Set(chosenHosts(inventory, options.limit));
  return graphLines(inventory.graph.all, 0, hosts).join('\n');
}

function chosenHosts(inventory: LoadedInventory, limit: string | undefined): Host[] {
  const names = inventory.select('all', limit === undefined ? {} : { limit });
  return names.flatMap((name) => inventory.graph.hosts.get(name) ?? []);
}

interface Chosen {
  readonly isExport: boolean;
  readonly hosts: ReadonlySet<Host>;
}

function addGroup(inventory: LoadedInventory, group: Group, groups: Map<string, Value>, chosen: Chosen): void {
  if (groups.has(group.name)) return;
  groups.set(group.name, null);
  const isAll = group === inventory.graph.all;
  const hosts = isAll ? [] : [...group.hosts].filter((host) => chosen.hosts.has(host)).map((host) => host.name);
  for (const child of group.children) addGroup(inventory, child, groups, chosen);
  const parts: (readonly [string, Value, number])[] = [
    ['hosts', hosts, hosts.length],
    ['children', [...group.children].map((child) => child.name), group.children.size],
  ];
  if (chosen.isExport) {
    const vars = inventory.groupVars(group);
    parts.push(['vars', vars, vars.size]);
  }
  groups.set(group.name, dictOf(parts.flatMap(([key, value, size]) => (size > 0 ? [[key, value] as const] : []))));
}

function graphLines(group: Group, depth: number, hosts: ReadonlySet<Host>): string[] {
  const lines = [branch(`@${group.name}:`, depth)];
  for (const child of group.children) lines.push(...graphLines(child, depth + 1, hosts));
  if (group.name === 'all') return lines;
  for (const host of group.hosts) if (hosts.has(host)) lines.push(branch(host.name, depth + 1));
  return lines;
}

function branch(name: string, depth: number): string {
  return depth === 0 ? name : `${'  |'.repeat(depth)}--${name}`;
}
