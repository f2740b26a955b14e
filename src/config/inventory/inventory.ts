import type { Fault } from '../../core/errors.ts';
import type { SourceRef } from '../../core/source.ts';
import { isIpAddress } from './address.ts';
import { type Graph, type Group, type Host, sortGroups } from './graph.ts';
import { selectHosts } from './patterns.ts';
import { Dict, dictOf, dictToPlain, toPlain } from './value.ts';
import type { VarsFolder } from './vars-files.ts';

/** A group as the rest of the program sees it. */
export interface InventoryGroup {
  readonly name: string;
  /** Groups directly below. */
  readonly children: readonly string[];
  /** Hosts that the group names itself. */
  readonly ownHosts: readonly string[];
  /** Hosts of the group and of all groups below it. */
  readonly hosts: readonly string[];
}

/** An Ansible inventory, read and checked. */
export interface Inventory {
  /** The path as it was given. */
  readonly file: string;
  /** All hosts in Ansible's order. */
  readonly hosts: readonly string[];
  readonly groups: ReadonlyMap<string, InventoryGroup>;
  readonly warnings: readonly Fault[];
  /**
   * The variables of a host by Ansible's precedence, extra vars last, with the magic ones: inventory_hostname,
   * inventory_hostname_short, group_names, groups, inventory_dir, inventory_file. Values are plain data; one encrypted with
   * ansible-vault is a VaultText, which opens itself when it is used.
   */
  vars(host: string): Readonly<Record<string, unknown>>;
  /** Where the value in force is written; undefined for magic and unknown variables. */
  sourceOf(host: string, name: string): SourceRef | undefined;
  /**
   * The hosts of a pattern, then limited.
   * @throws InputError where a name is unknown or a pattern malformed
   */
  select(pattern: string | readonly string[], options?: { readonly limit?: string }): readonly string[];
}

/** Variables of Ansible itself, which never show in its listings. */
const INTERNAL = [
  'ansible_diff_mode',
  'ansible_config_file',
  'ansible_facts',
  'ansible_forks',
  'ansible_inventory_sources',
  'ansible_limit',
  'ansible_playbook_python',
  'ansible_run_tags',
  'ansible_skip_tags',
  'ansible_verbosity',
  'ansible_version',
  'inventory_dir',
  'inventory_file',
  'inventory_hostname',
  'inventory_hostname_short',
  'groups',
  'group_names',
  'omit',
  'playbook_dir',
];

/** Where the variables of an inventory come from, besides its own files. */
export interface VarsSources {
  readonly groupVars: VarsFolder;
  readonly hostVars: VarsFolder;
  readonly extraVars: Dict;
}

/** An inventory with the inner values that the listings print. */
export class LoadedInventory implements Inventory {
  readonly file: string;
  readonly graph: Graph;
  readonly hosts: readonly string[];
  readonly groups: ReadonlyMap<string, InventoryGroup>;
  readonly warnings: readonly Fault[];
  private readonly sources: VarsSources;
  private readonly fileVars = new Map<string, Dict>();
  private readonly groupLayers = new Map<string, Dict>();
  private readonly plainVars = new Map<string, Readonly<Record<string, unknown>>>();
  private groupLists: Readonly<Record<string, readonly string[]>> | undefined;

  constructor(file: string, graph: Graph, sources: VarsSources, warnings: readonly Fault[]) {
    this.file = file;
    this.graph = graph;
    this.sources = sources;
    this.warnings = warnings;
    this.hosts = graph.all.allHosts().map((host) => host.name);
    this.groups = new Map([...graph.groups.values()].map((group) => [group.name, viewOf(group)]));
  }

  /** Reads every file of variables that some host uses, so that all faults are known. */
  readFiles(): void {
    for (const host of this.graph.hosts.values()) {
      this.ofHost(host.name);
      for (const group of host.groups) this.ofGroup(group.name);
    }
    if (this.graph.hosts.size > 0) this.ofGroup('all');
  }

  vars(name: string): Readonly<Record<string, unknown>> {
    const known = this.plainVars.get(name);
    if (known !== undefined) return known;
    const host = this.host(name);
    const plain = { ...dictToPlain(this.listedVars(host)), ...this.magicVars(host) };
    this.plainVars.set(name, plain);
    return plain;
  }

  sourceOf(name: string, variable: string): SourceRef | undefined {
    const host = this.graph.hosts.get(name);
    const mark = host === undefined ? undefined : this.listedVars(host).entry(variable)?.mark;
    return mark?.text.at(mark.offset);
  }

  select(pattern: string | readonly string[], options: { readonly limit?: string } = {}): readonly string[] {
    return selectHosts(this.graph, pattern, options.limit);
  }

  /** All variables of a host but Ansible's internal ones: what `ansible-inventory --list` shows. */
  listedVars(host: Host): Dict {
    const groups = sortGroups([...host.groups].filter((group) => group !== this.graph.all));
    return withoutInternal(
      this.groupLayer(groups).combine(host.vars).combine(this.ofHost(host.name)).combine(this.sources.extraVars),
    );
  }

  /** Variables that are set for the host itself, not for its groups: what `--list --export` shows. */
  ownVars(host: Host): Dict {
    return withoutInternal(host.vars.combine(this.ofHost(host.name)));
  }

  /** Variables of a group: what `--list --export` shows. */
  groupVars(group: Group): Dict {
    const priority = group.priority === 1 ? [] : ([['ansible_group_priority', group.priority]] as const);
    return withoutInternal(group.vars.combine(this.ofGroup(group.name)).combine(dictOf(priority)));
  }

  // Files win over what the inventory says of any group, so even group_vars/all over a deeper group's "vars:".
  private groupLayer(groups: readonly Group[]): Dict {
    const key = groups.map((group) => group.name).join('\0');
    const known = this.groupLayers.get(key);
    if (known !== undefined) return known;
    let layer = this.graph.all.vars;
    for (const group of groups) layer = layer.combine(group.vars);
    layer = layer.combine(this.ofGroup('all'));
    for (const group of groups) layer = layer.combine(this.ofGroup(group.name));
    this.groupLayers.set(key, layer);
    return layer;
  }

  private ofGroup(name: string): Dict {
    return this.cached(`group ${name}`, () => this.sources.groupVars.read(name));
  }

  private ofHost(name: string): Dict {
    return this.cached(`host ${name}`, () => this.sources.hostVars.read(name));
  }

  private cached(key: string, read: () => Dict): Dict {
    const known = this.fileVars.get(key) ?? read();
    this.fileVars.set(key, known);
    return known;
  }

  private magicVars(host: Host): Record<string, unknown> {
    this.groupLists ??= Object.fromEntries([...this.groups].map(([name, group]) => [name, group.hosts]));
    const names = [...host.groups].map((group) => group.name).filter((name) => name !== 'all');
    const file = this.internal(host, 'inventory_file');
    return {
      inventory_hostname: host.name,
      inventory_hostname_short: isIpAddress(host.name) ? host.name : (host.name.split('.')[0] ?? ''),
      group_names: names.sort(),
      groups: this.groupLists,
      inventory_file: file,
      inventory_dir: this.internal(host, 'inventory_dir'),
    };
  }

  private internal(host: Host, name: string): unknown {
    return toPlain(host.vars.get(name) ?? this.graph.owner(host.name)?.vars.get(name) ?? null);
  }

  private host(name: string): Host {
    const host = this.graph.hosts.get(name);
    if (host === undefined) throw new Error(`no host "${name}" in the inventory`);
    return host;
  }
}

function viewOf(group: Group): InventoryGroup {
  return {
    name: group.name,
    children: [...group.children].map((child) => child.name),
    ownHosts: [...group.hosts].map((host) => host.name),
    hosts: group.allHosts().map((host) => host.name),
  };
}

function withoutInternal(vars: Dict): Dict {
  const result = new Dict(vars);
  for (const name of INTERNAL) result.delete(name);
  return result;
}
