import { compareCodePoints } from './json-text.ts';
import { Dict } from './value.ts';

/** A group of hosts. Its own hosts and children in the order in which they were first named. */
export class Group {
  readonly name: string;
  readonly hosts = new Set<Host>();
  readonly children = new Set<Group>();
  readonly parents = new Set<Group>();
  /** Variables that the inventory file gives. */
  readonly vars = new Dict();
  /** Longest way down from "all": deeper groups win. */
  depth = 0;
  /** `ansible_group_priority`: of groups as deep as each other the greater one wins. */
  priority = 1;

  constructor(name: string) {
    this.name = name;
  }

  /** All groups above this one. */
  ancestors(): Set<Group> {
    return reach(this, (group) => group.parents);
  }

  /** All hosts of the group and of those below it, level by level. */
  allHosts(): Host[] {
    const groups = [this as Group, ...reach(this, (group) => group.children)];
    return [...new Set(groups.flatMap((group) => [...group.hosts]))];
  }
}

/** A host of the inventory. */
export class Host {
  readonly name: string;
  /**
   * The host's groups and those above them. Kept step by step, as Ansible does: where names of hosts and groups collide, the steps
   * leave something else than the relations say at the end.
   */
  readonly groups = new Set<Group>();
  /** Variables that the inventory file gives. */
  readonly vars = new Dict();
  /** Absolute path of the inventory file that names the host first. */
  readonly file: string;

  constructor(name: string, file: string) {
    this.name = name;
    this.file = file;
  }
}

function reach(start: Group, next: (group: Group) => Iterable<Group>): Set<Group> {
  const found = new Set<Group>(next(start));
  for (const group of found) for (const further of next(group)) found.add(further);
  return found;
}

/** The order in which group variables are laid over each other: depth, then priority, then name. */
export function sortGroups(groups: Iterable<Group>): Group[] {
  return [...groups].sort((a, b) => a.depth - b.depth || a.priority - b.priority || compareCodePoints(a.name, b.name));
}

/** A relation between groups that would be a circle, or another rule that is broken. The message is for people. */
export class GraphError extends Error {}

/** Groups and hosts by name with their relations. Where a host is named like a group, the group is meant, as in Ansible. */
export class Graph {
  readonly groups = new Map<string, Group>();
  readonly hosts = new Map<string, Host>();
  readonly all = this.addGroup('all');
  readonly ungrouped = this.addGroup('ungrouped');

  constructor() {
    this.link(this.all, this.ungrouped);
  }

  addGroup(name: string): Group {
    const known = this.groups.get(name);
    if (known !== undefined) return known;
    const group = new Group(name);
    this.groups.set(name, group);
    return group;
  }

  addHost(name: string, group: Group, file: string): { readonly host: Host; readonly isNew: boolean } {
    const known = this.hosts.get(name);
    const host = known ?? new Host(name, file);
    this.hosts.set(name, host);
    place(group, host);
    return { host, isNew: known === undefined };
  }

  /** What variables set for a host of this name belong to. */
  owner(name: string): Group | Host | undefined {
    return this.groups.get(name) ?? this.hosts.get(name);
  }

  /**
   * Puts the group (or, where there is none, the host) called `child` into a group.
   * @throws GraphError where neither is known, or groups would form a circle
   */
  addChild(group: Group, child: string): void {
    const childGroup = this.groups.get(child);
    if (childGroup !== undefined) {
      this.link(group, childGroup);
      return;
    }
    const host = this.hosts.get(child);
    if (host === undefined) throw new GraphError(`"${child}" is neither a group nor a host`);
    place(group, host);
  }

  /** Puts groups without a parent under "all" and hosts without a group into "ungrouped". */
  reconcile(): void {
    for (const group of this.groups.values()) {
      if (group !== this.all && group.parents.size === 0) this.link(this.all, group);
    }
    for (const host of this.hosts.values()) {
      const others = [...host.groups].filter((group) => group !== this.all && group !== this.ungrouped);
      const isUngrouped = host.groups.has(this.ungrouped);
      if (isUngrouped && others.length > 0) unplace(this.ungrouped, host);
      if (!isUngrouped && others.length === 0) this.addChild(this.ungrouped, host.name);
    }
  }

  private link(parent: Group, child: Group): void {
    if (parent === child) throw new GraphError(`the group "${parent.name}" can't be its own child`);
    if (parent.children.has(child)) return;
    if (parent.ancestors().has(child)) {
      throw new GraphError(`"${child.name}" can't be a child of "${parent.name}": it is above it already`);
    }
    const before = child.ancestors();
    const added = [...parent.ancestors(), parent].filter((group) => !before.has(group));
    parent.children.add(child);
    child.parents.add(parent);
    for (const host of child.allHosts()) for (const group of added) host.groups.add(group);
    child.depth = Math.max(parent.depth + 1, child.depth);
    deepen(child);
  }
}

function place(group: Group, host: Host): void {
  if (group.hosts.has(host)) return;
  group.hosts.add(host);
  for (const above of group.ancestors()) host.groups.add(above);
  host.groups.add(group);
}

function unplace(group: Group, host: Host): void {
  if (group.hosts.delete(host)) leave(group, host);
}

/** Takes a host out of a group, and out of those above it that no other group of the host is below. */
function leave(group: Group, host: Host): void {
  if (!host.groups.delete(group)) return;
  for (const above of group.ancestors()) {
    const isNeeded = [...host.groups].some((other) => other.ancestors().has(above));
    if (above.name !== 'all' && !isNeeded) leave(above, host);
  }
}

/** Pushes the groups below down, level by level, where they are not deep enough. */
function deepen(start: Group): void {
  let level = new Set(start.children);
  for (let depth = start.depth + 1; level.size > 0; depth++) {
    const next = new Set<Group>();
    for (const group of level) {
      if (group.depth >= depth) continue;
      group.depth = depth;
      for (const child of group.children) next.add(child);
    }
    level = next;
  }
}
