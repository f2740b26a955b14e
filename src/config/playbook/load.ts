import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import type * as z from 'zod';
import { type Fault, InputError, messageOf } from '../../core/errors.ts';
import type { ResourceType } from '../../core/resource.ts';
import { sourceAt } from '../../core/source.ts';
import { FaultList } from '../faults.ts';
import { literalIssues, literalValue, schemaFaults } from '../schema-faults.ts';
import { checkTemplates, hasTemplate } from '../vars.ts';
import { isVaultText, VaultFault } from '../vault/decrypt.ts';
import { NO_VAULT, type Vault } from '../vault/vault.ts';
import { faultAt, faultOf, readYaml, toValue, type YamlMap, type YamlNode } from '../yaml.ts';
import { checkVarNames, loadTask, type TaskContext } from './load-task.ts';
import type { Play, Playbook, PlayTask } from './model.ts';
import { ProbeSchema } from './probe.ts';
import { FOREIGN_PLAY_KEYS, handlerSchema, PlaySchema, taskSchema } from './schema.ts';
import { tagList } from './tags.ts';

type Registry = ReadonlyMap<string, ResourceType>;

/** A playbook with what is wrong with it. */
export interface ReadPlaybook {
  /** What could be understood: parts with faults are left out, so that the rest can be checked further. */
  readonly playbook: Playbook;
  readonly faults: readonly Fault[];
}

/**
 * Reads a playbook and checks what can be checked without an inventory: YAML, structure, names of keys, resources and
 * handlers, literal parameters, the syntax of templates and expressions.
 * @param path a YAML file; its vars_files are read too
 * @param registry the resource types that tasks can name
 * @param vault opens encrypted vars_files, and encrypted values when they are used
 * @throws InputError with all faults
 */
export function loadPlaybook(path: string, registry: Registry, vault: Vault = NO_VAULT): Playbook {
  const { playbook, faults } = readPlaybook(path, registry, vault);
  if (faults.length > 0) throw new InputError(faults);
  return playbook;
}

/** As `loadPlaybook`, but gives the faults back, for those who have more to check. Never throws InputError. */
export function readPlaybook(path: string, registry: Registry, vault: Vault = NO_VAULT): ReadPlaybook {
  const faults = new FaultList();
  const root = readFile(path, 'playbook', vault, faults);
  const plays = root === null ? [] : playNodes(root, faults);
  const schemas = { taskSchema: taskSchema(registry), handlerSchema: handlerSchema(registry) };
  const loader: Loader = { registry, ...schemas, vault, faults };
  const playbook: Playbook = {
    file: path,
    plays: plays.flatMap((node) => loadPlay(node, loader) ?? []),
  };
  return { playbook, faults: faults.list() };
}

type What = 'playbook' | 'variables file';

function readFile(path: string, what: What, vault: Vault, faults: FaultList, usedAt?: YamlNode): YamlNode | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const message = `${what} "${path}" can't be read: ${reason(error)}`;
    faults.add(usedAt ? faultOf(usedAt, message) : { message });
    return null;
  }
  const isSecret = isVaultText(text);
  const plain = isSecret ? decrypted(path, text, what, vault, faults) : text;
  if (plain === null) return null;
  const { root, faults: found } = readYaml(path, plain, { vault, isSecret });
  faults.addAll(found);
  if (root === null && found.length === 0) {
    faults.add({ message: `${what} "${path}" is empty`, source: { file: path, line: 1, column: 1 } });
  }
  return root;
}

/** null: it can't be, and `faults` says why. */
function decrypted(path: string, text: string, what: What, vault: Vault, faults: FaultList): string | null {
  const refuse = (message: string, hint: string): null => {
    faults.add(faultAt({ file: path, text }, 0, message, hint));
    return null;
  };
  // Every name in it would be a secret, and no report could say what was done.
  if (what === 'playbook')
    return refuse("a playbook can't be encrypted as a whole", 'encrypt the values in it, or a file of "vars_files"');
  try {
    return vault.open(text);
  } catch (error) {
    if (error instanceof VaultFault) return refuse(error.message, error.hint);
    throw error;
  }
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EISDIR') return 'it is a directory';
  return code === 'EACCES' ? 'permission denied' : messageOf(error);
}

function playNodes(root: YamlNode, faults: FaultList): readonly YamlMap[] {
  if (root.kind === 'list') {
    if (root.items.length === 0) faults.add(faultOf(root, 'the playbook has no plays'));
    return root.items.flatMap((item) => {
      if (item.kind === 'map') return [item];
      faults.add(faultOf(item, 'a play is a mapping with hosts and tasks'));
      return [];
    });
  }
  const isInventory = root.kind === 'map' && (root.entries.has('all') || !root.entries.has('hosts'));
  const hint = isInventory
    ? 'this looks like an inventory: give it first, the playbook with -p'
    : 'put "- " before its first key and indent the rest';
  faults.add(faultOf(root, 'a playbook is a list of plays', root.kind === 'map' ? hint : undefined));
  // What stands where a list item was forgotten is checked all the same.
  return root.kind === 'map' && !isInventory ? [root] : [];
}

interface Loader {
  readonly registry: Registry;
  readonly taskSchema: z.ZodObject;
  readonly handlerSchema: z.ZodObject;
  readonly vault: Vault;
  readonly faults: FaultList;
}

function loadPlay(node: YamlMap, loader: Loader): Play | null {
  const { registry, faults } = loader;
  const fields = readPlayFields(node, faults);
  const handlers = listOf(node, 'handlers');
  const playTags = tagList(fields?.tags);
  const common = { registry, playTags, handlers: handlerNames(handlers, faults), faults };
  const taskContext: TaskContext = { ...common, schema: loader.taskSchema, kind: 'task' };
  const handlerContext: TaskContext = { ...common, schema: loader.handlerSchema, kind: 'handler' };
  const tasks = loadTasks(listOf(node, 'tasks'), taskContext);
  const loadedHandlers = loadTasks(handlers, handlerContext);
  checkTemplates(node, ['tasks', 'handlers'], faults);
  const vars = varsOf(node, fields, loader);
  const hosts = node.entries.get('hosts')?.value;
  const probe = node.entries.get('probe')?.value;
  if (fields === null || hosts === undefined) return null;
  if (hasTemplate(hosts)) {
    faults.add(faultOf(hosts, '"hosts" can\'t hold a template', 'name a group here and choose hosts with --limit'));
    return null;
  }
  const pattern = typeof fields.hosts === 'string' ? fields.hosts : fields.hosts.join(':');
  return {
    source: sourceAt(node.doc.file, node.doc.text, node.start),
    name: fields.name ?? pattern,
    pattern,
    hosts,
    vars,
    serial: fields.serial === undefined ? [] : [fields.serial].flat(),
    probe: probe?.kind === 'map' ? probe : null,
    tasks,
    handlers: loadedHandlers,
  };
}

type PlayFields = Omit<z.output<typeof PlaySchema>, 'probe'>;

/** Everything of a play but its probe, which may hold templates and is checked for what is certain of it. */
const PlayFields = PlaySchema.omit({ probe: true });
const LoosePlayFields = PlayFields.strip();

function readPlayFields(node: YamlMap, faults: FaultList): PlayFields | null {
  const probe = node.entries.get('probe');
  const withoutProbe: YamlMap = { ...node, entries: new Map([...node.entries].filter(([key]) => key !== 'probe')) };
  const value = toValue(withoutProbe);
  const result = PlayFields.safeParse(value);
  if (!result.success) {
    const checked = { schema: PlaySchema, node, value, subject: 'a play', foreignKeys: FOREIGN_PLAY_KEYS };
    faults.addAll(schemaFaults(result.error.issues, checked));
  }
  if (probe && toValue(probe.value) !== null) {
    const checked = { schema: ProbeSchema, node: probe.value, value: literalValue(probe.value), subject: '"probe"' };
    faults.addAll(schemaFaults(literalIssues(ProbeSchema, probe.value), checked));
  }
  const known = LoosePlayFields.safeParse(value);
  return known.success ? known.data : null;
}

function listOf(node: YamlMap, key: string): readonly YamlNode[] {
  const value = node.entries.get(key)?.value;
  return value?.kind === 'list' ? value.items : [];
}

function loadTasks(nodes: readonly YamlNode[], context: TaskContext): readonly PlayTask[] {
  return nodes.flatMap((node) => loadTask(node, context) ?? []);
}

function handlerNames(handlers: readonly YamlNode[], faults: FaultList): readonly string[] {
  const names: string[] = [];
  for (const handler of handlers) {
    const name = handler.kind === 'map' ? handler.entries.get('name')?.value : undefined;
    if (name?.kind !== 'scalar' || typeof name.value !== 'string') continue;
    if (names.includes(name.value)) faults.add(faultOf(name, `a second handler is named "${name.value}"`));
    names.push(name.value);
  }
  return names;
}

function varsOf(node: YamlMap, fields: PlayFields | null, { vault, faults }: Loader): readonly YamlMap[] {
  const own = node.entries.get('vars')?.value;
  const files = node.entries.get('vars_files')?.value;
  const paths = typeof fields?.vars_files === 'string' ? [fields.vars_files] : (fields?.vars_files ?? []);
  const read = paths.map((path, index) => {
    const place = files?.kind === 'list' ? files.items[index] : files;
    return readVarsFile(path, place ?? node, vault, faults);
  });
  const maps = [own, ...read].filter((map) => map?.kind === 'map');
  for (const map of maps) checkVarNames(map, faults);
  return maps;
}

function readVarsFile(path: string, usedAt: YamlNode, vault: Vault, faults: FaultList): YamlMap | null {
  if (hasTemplate(usedAt)) {
    faults.add(
      faultOf(
        usedAt,
        '"vars_files" can\'t hold a template',
        'variables of one host or group belong into host_vars or group_vars',
      ),
    );
    return null;
  }
  const full = isAbsolute(path) ? path : join(dirname(usedAt.doc.file), path);
  const root = readFile(full, 'variables file', vault, faults, usedAt);
  if (root === null || root.kind === 'map') return root;
  faults.add(faultOf(root, 'a variables file is a mapping of names to values'));
  return null;
}
