import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type LoadedInventory, loadInventory } from '../../../../src/config/inventory/index.ts';
import { type Fault, InputError } from '../../../../src/core/errors.ts';

/** Writes files (path: text) to a new folder and gives the path of the folder. */
export function folderOf(files: Readonly<Record<string, string | Buffer>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'mcastctl-inventory-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** Loads `hosts.yml` with the given text and the files beside it. */
export function load(
  text: string,
  beside: Readonly<Record<string, string>> = {},
  extraVars: string[] = [],
): LoadedInventory {
  return loadInventory(join(folderOf({ 'hosts.yml': text, ...beside }), 'hosts.yml'), { extraVars });
}

/** The faults that something gives. */
export function faultsOf(work: () => unknown): readonly Fault[] {
  try {
    work();
  } catch (error) {
    if (error instanceof InputError) return error.faults;
    throw error;
  }
  return [];
}

/** `line:column message` of each fault. */
export function short(faults: readonly Fault[]): string[] {
  return faults.map(({ source, message }) =>
    source === undefined ? message : `${source.line}:${source.column} ${message}`,
  );
}
