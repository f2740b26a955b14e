import { basename, dirname, extname } from 'node:path';
import { parseAddress } from './address.ts';
import { type Graph, GraphError, type Group } from './graph.ts';
import { expandRanges } from './ranges.ts';
import { wholeNumber } from './scalars.ts';
import { type Findings, faultAt, type Mark, readSource } from './source-text.ts';
import { Dict, type Entry, FloatValue, isFalsy, type Key, keyText, kindOf, textOf, type Value } from './value.ts';
import { readValue } from './yaml-reader.ts';

const EXTENSIONS = ['', '.yml', '.yaml', '.json'];
const SECTIONS = ['vars', 'children', 'hosts'];
const CONVERT = 'convert it once: ansible-inventory -i FILE --list --yaml --export --output hosts.yml';

/**
 * Reads one inventory file into the graph.
 * @param path absolute path, which `inventory_file` then holds
 * @param shown the path as messages mention it
 */
export function loadFile(path: string, shown: string, graph: Graph, findings: Findings): void {
  if (!EXTENSIONS.includes(extname(basename(path)))) {
    const message = `"${shown}": Ansible takes only files named .yml, .yaml, .json or without an extension for YAML inventories`;
    findings.faults.push({ message, hint: `rename it where it is YAML; else ${CONVERT}` });
    return;
  }
  const source = readSource(path, shown, findings);
  if (source === undefined) return;
  const before = findings.faults.length;
  const { value, mark } = readValue(source, findings);
  if (findings.faults.length > before) {
    addIniHint(source.text, findings, before);
    return;
  }
  if (isFalsy(value)) {
    findings.faults.push(faultAt(mark, 'the inventory is empty', 'begin with "all:", then "hosts:" and a host'));
  } else if (!(value instanceof Dict)) {
    const hint = looksLikeIni(source.text)
      ? `an INI inventory is not read: ${CONVERT}`
      : 'the top level names groups, such as "all:"';
    findings.faults.push(faultAt(mark, `an inventory must be a mapping of groups, this is ${kindOf(value)}`, hint));
  } else if (!isFalsy(value.get('plugin') ?? null)) {
    const hint = `run the plugin and keep its answer: ansible-inventory -i ${shown} --list --yaml --export --output hosts.yml`;
    const at = value.entry('plugin')?.keyMark ?? mark;
    findings.faults.push(faultAt(at, 'this configures an inventory plugin of Ansible, it is no inventory', hint));
  } else {
    new FileLoader(path, graph, findings).load(value);
  }
}

function looksLikeIni(text: string): boolean {
  return /^\s*\[[\w:-]+\]\s*$/m.test(text);
}

function addIniHint(text: string, findings: Findings, from: number): void {
  const fault = findings.faults[from];
  if (fault !== undefined && looksLikeIni(text)) {
    findings.faults[from] = { ...fault, hint: `an INI inventory is not read: ${CONVERT}` };
  }
}

class FileLoader {
  private readonly path: string;
  private readonly graph: Graph;
  private readonly findings: Findings;
  private readonly badNames = new Map<string, Mark>();

  constructor(path: string, graph: Graph, findings: Findings) {
    this.path = path;
    this.graph = graph;
    this.findings = findings;
  }

  load(top: Dict): void {
    for (const entry of top.entries()) this.group(entry);
    const first = [...this.badNames.values()][0];
    if (first === undefined) return;
    const names = [...this.badNames.keys()];
    const listed =
      names
        .slice(0, 3)
        .map((name) => `"${name}"`)
        .join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');
    const message = `group names with characters that a variable can't have: ${listed}`;
    this.warn(first, message, 'Ansible accepts them as they are; letters, digits and "_" are safe');
  }

  /** Reads a group. Gives false where its name is faulty. */
  private group(entry: Entry): boolean {
    const { key, value, keyMark } = entry;
    const body = value instanceof Dict || value === null ? value : undefined;
    if (body === undefined) {
      this.warn(keyMark, `"${keyText(key)}" is ${kindOf(value)}, no group: it is skipped`);
      return true;
    }
    const name = this.groupName(key, keyMark);
    if (name === undefined) return false;
    const group = this.graph.addGroup(name);
    if (/^[^\p{L}_]|[^\p{L}\p{N}_]/u.test(name)) this.badNames.set(name, this.badNames.get(name) ?? keyMark);
    if (body !== null) this.sections(group, body);
    return true;
  }

  private groupName(key: Key, mark: Mark): string | undefined {
    if (typeof key === 'string' && key !== '') return key;
    const what = key === '' || key === null ? 'an empty name' : kindOf(key);
    this.fault(mark, `a group must have a name, this is ${what}`, `quote it: "${keyText(key)}"`);
    return undefined;
  }

  private sections(group: Group, body: Dict): void {
    for (const entry of body.entries()) {
      if (SECTIONS.includes(String(entry.key))) this.section(group, entry);
      else this.warnUnknown(group, entry);
    }
  }

  private section(group: Group, entry: Entry): void {
    const { key, value, mark, keyMark } = entry;
    // Plain text stands for a mapping with that one key.
    const text = textOf(value);
    const single = text === undefined ? undefined : new Dict();
    single?.set({ key: text ?? '', value: null, keyMark: mark, mark });
    const content = single ?? value;
    if (content === null) return;
    if (!(content instanceof Dict)) {
      const hint = `write a mapping: each name as a key, such as "${key === 'vars' ? 'name: value' : 'name:'}"`;
      this.fault(
        value === null ? keyMark : mark,
        `"${String(key)}" of group "${group.name}" must be a mapping, this is ${kindOf(value)}`,
        hint,
      );
      return;
    }
    for (const item of content.entries()) {
      if (key === 'vars') this.groupVariable(group, item);
      else if (key === 'children') this.child(group, item);
      else this.hostEntry(group, item);
    }
  }

  private groupVariable(group: Group, entry: Entry): void {
    if (entry.key !== 'ansible_group_priority') {
      group.vars.set(entry);
      return;
    }
    const priority = toInt(entry.value);
    if (priority !== undefined) group.priority = priority;
    else this.fault(entry.mark, `"ansible_group_priority" must be a whole number, this is ${kindOf(entry.value)}`);
  }

  private child(group: Group, entry: Entry): void {
    if (!this.group(entry)) return;
    try {
      this.graph.addChild(group, keyText(entry.key));
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      this.fault(entry.keyMark, error.message, 'a child is a group: a mapping or nothing stands after its name');
    }
  }

  private hostEntry(group: Group, entry: Entry): void {
    const { key, keyMark, mark } = entry;
    if (typeof key !== 'string') {
      const hint = `quote it: "${keyText(key)}"`;
      this.fault(keyMark, `a host must have a text as name, this is ${kindOf(key)}`, hint);
      return;
    }
    const value = isFalsy(entry.value) ? new Dict() : entry.value;
    if (!(value instanceof Dict)) {
      const hint = `write variables below the host, such as "ansible_host: ${textOf(value) ?? 'ADDRESS'}"`;
      this.fault(mark, `the variables of host "${key}" must be a mapping, this is ${kindOf(value)}`, hint);
      return;
    }
    const address = parseAddress(key);
    const names = this.expand(address?.host ?? key, keyMark);
    for (const name of names) this.host(name, group, address?.port ?? 0n, value, keyMark);
  }

  private expand(pattern: string, mark: Mark): readonly string[] {
    try {
      const names = expandRanges(pattern);
      if (!names.includes('')) return names;
      this.fault(mark, 'a host must have a name, this one is empty');
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.fault(
        mark,
        `the host pattern "${pattern}" can't be expanded: ${error.message}`,
        'for example "pve[01:16]" or "node[a:f]"',
      );
    }
    return [];
  }

  private host(name: string, group: Group, port: bigint, vars: Dict, keyMark: Mark): void {
    const { host, isNew } = this.graph.addHost(name, group, this.path);
    if (isNew && port !== 0n) {
      host.vars.set({ key: 'ansible_port', value: wholeNumber(port), keyMark, mark: keyMark });
    }
    if (isNew) this.internalVars(name, keyMark);
    const owner = this.graph.groups.get(name);
    for (const entry of vars.entries()) {
      if (owner !== undefined) this.groupVariable(owner, entry);
      else host.vars.set(entry);
    }
  }

  // They never show, but take their place in the order of a host's variables.
  private internalVars(name: string, keyMark: Mark): void {
    const owner = this.graph.owner(name);
    if (owner === undefined) return;
    const pair = (key: string, value: string) => ({ key, value, keyMark, mark: keyMark });
    owner.vars.set(pair('inventory_file', this.path));
    owner.vars.set(pair('inventory_dir', dirname(this.path)));
  }

  private warnUnknown(group: Group, { key, value, keyMark }: Entry): void {
    const name = keyText(key);
    if (!(value instanceof Dict) && value !== null) {
      const hint = 'a variable of the group belongs below its "vars:"';
      this.warn(
        keyMark,
        `"${name}" in group "${group.name}" is skipped: a group has "vars", "children" and "hosts"`,
        hint,
      );
    } else if (value !== null) {
      const hint = 'a group below it belongs below its "children:"';
      this.warn(
        keyMark,
        `"${name}" in group "${group.name}" is skipped: a group has "vars", "children" and "hosts"`,
        hint,
      );
    }
  }

  private fault(mark: Mark, message: string, hint?: string): void {
    this.findings.faults.push(faultAt(mark, message, hint));
  }

  private warn(mark: Mark, message: string, hint?: string): void {
    this.findings.warnings.push(faultAt(mark, message, hint));
  }
}

/** What Python's int() makes of a value; undefined where it refuses. */
function toInt(value: Value): number | undefined {
  if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'bigint') return Number(value);
  if (value instanceof FloatValue) return Number.isFinite(value.value) ? Math.trunc(value.value) : undefined;
  const text = textOf(value)?.trim();
  return text !== undefined && /^[-+]?[0-9]+(?:_[0-9]+)*$/.test(text) ? Number(text.replaceAll('_', '')) : undefined;
}
