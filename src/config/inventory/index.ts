import { readdirSync, type Stats, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Fault, InputError, messageOf } from '../../core/errors.ts';
import { NO_VAULT, type Vault } from '../vault/vault.ts';
import { readExtraVars } from './extra-vars.ts';
import { Graph, GraphError } from './graph.ts';
import { LoadedInventory } from './inventory.ts';
import { compareCodePoints } from './json-text.ts';
import { loadFile } from './load-file.ts';
import type { Findings } from './source-text.ts';
import { VarsFolder } from './vars-files.ts';

export { VaultText } from '../vault/vault-text.ts';
export { parseExtraVars } from './extra-vars.ts';
export type { Inventory, InventoryGroup, LoadedInventory } from './inventory.ts';

/** What Ansible passes over in a folder that is an inventory. */
const IGNORED =
  /^\.|^(?:host_vars|group_vars|vars_plugins)$|~$|\.(?:pyc|pyo|swp|bak|rpm|md|txt|rst|orig|ini|cfg|retry)$/;

/**
 * Reads an Ansible YAML inventory with the `group_vars/` and `host_vars/` beside it, as ansible-core 2.14 does. Where `path` is a
 * folder, all inventories in it are one. Encrypted files are opened with `vault`; encrypted values stay so until they are used.
 * @throws InputError with all faults of all files
 */
export function loadInventory(
  path: string,
  options: { readonly extraVars?: readonly string[]; readonly vault?: Vault } = {},
): LoadedInventory {
  const faults: Fault[] = [];
  const warnings: Fault[] = [];
  const findings: Findings = { faults, warnings, vault: options.vault ?? NO_VAULT };
  const stats = statOf(path);
  const isFolder = stats.isDirectory();
  const base = isFolder ? path : dirname(path);
  const graph = new Graph();
  const files = isFolder ? filesIn(path) : [path];
  if (files.length === 0) faults.push({ message: `the folder "${path}" holds no inventory` });
  for (const file of files) loadFile(resolve(file), file, graph, findings);
  reconcile(graph, path, findings);
  const folder = (name: string) => new VarsFolder(resolve(base), base, name, findings);
  const sources = {
    groupVars: folder('group_vars'),
    hostVars: folder('host_vars'),
    extraVars: readExtraVars(options.extraVars ?? [], findings),
  };
  const inventory = new LoadedInventory(path, graph, sources, warnings);
  inventory.readFiles();
  if (faults.length > 0) throw new InputError(faults);
  return inventory;
}

function statOf(path: string): Stats {
  const hint = 'give the path of an Ansible YAML inventory; inventories/example.yml is one to copy';
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats !== undefined) return stats;
  } catch (error) {
    throw new InputError([{ message: `the inventory "${path}" can't be read: ${messageOf(error)}`, hint }]);
  }
  throw new InputError([{ message: `there is no inventory "${path}"`, hint }]);
}

function filesIn(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => !IGNORED.test(name));
  return names.sort(compareCodePoints).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? filesIn(path) : [path];
  });
}

function reconcile(graph: Graph, path: string, { faults, warnings }: Findings): void {
  try {
    graph.reconcile();
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    faults.push({ message: `"${path}": ${error.message}`, hint: '"all" stands above every group' });
  }
  for (const name of graph.groups.keys()) {
    if (!graph.hosts.has(name)) continue;
    const hint = 'rename one of them: variables of the host are given to the group';
    warnings.push({ message: `"${name}" is a group and a host`, hint });
  }
}
