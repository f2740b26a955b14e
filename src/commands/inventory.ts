import { type LoadedInventory, loadInventory } from '../config/inventory/index.ts';
import { graphText, hostText, listText } from '../config/inventory/listing.ts';
import { NO_VAULT, type Vault } from '../config/vault/vault.ts';
import { EXIT, type ExitCode, formatFault, InputError } from '../core/errors.ts';
import type { VaultOptions } from './options.ts';

/** The options of `mcastctl inventory`; names and meanings are those of `ansible-inventory`. */
export interface InventoryOptions extends VaultOptions {
  readonly list?: boolean;
  readonly host?: string;
  readonly graph?: boolean;
  readonly limit?: string;
  readonly extraVars?: readonly string[];
  readonly export?: boolean;
}

/**
 * `mcastctl inventory FILE [--list | --host HOST | --graph]`: what an inventory means. Without one of the three, a summary for people.
 * Warnings go to `io.err`, and so do the faults of an InputError: then 3 is returned.
 * @param io where text goes; it is given with its line ends
 * @param vault opens encrypted files; encrypted values are shown as they are
 */
export function inventoryCommand(
  file: string,
  options: InventoryOptions,
  io: { out(text: string): void; err(text: string): void },
  vault: Vault = NO_VAULT,
): ExitCode {
  try {
    const actions = [options.list, options.host !== undefined, options.graph].filter(Boolean);
    if (actions.length > 1) {
      throw new InputError([
        { message: '"--list", "--host" and "--graph" exclude each other', hint: 'choose one of them' },
      ]);
    }
    const inventory = loadInventory(file, { extraVars: options.extraVars ?? [], vault });
    for (const warning of inventory.warnings) io.err(`warning: ${formatFault(warning)}\n`);
    io.out(`${textFor(inventory, options)}\n`);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    io.err(`${error.message}\n`);
    return EXIT.input;
  }
}

function textFor(inventory: LoadedInventory, options: InventoryOptions): string {
  const listing = {
    ...(options.limit === undefined ? {} : { limit: options.limit }),
    export: options.export === true,
  };
  if (options.list) return listText(inventory, listing);
  if (options.host !== undefined) return hostText(inventory, options.host, listing);
  if (options.graph) return graphText(inventory, listing);
  return summary(inventory, options.limit);
}

function summary(inventory: LoadedInventory, limit: string | undefined): string {
  const names = inventory.select('all', limit === undefined ? {} : { limit });
  const rows = names.map((name) => {
    const vars = inventory.vars(name);
    const groups = vars['group_names'] as readonly string[];
    return [name, addressOf(name, vars), groups.filter((group) => group !== 'ungrouped').join(' ')];
  });
  const filled = [...inventory.groups.values()].filter((group) => group.name !== 'all' && group.hosts.length > 0);
  const count = `${plural(names.length, 'host')}, ${plural(filled.length, 'group')} with hosts`;
  return rows.length === 0 ? count : `${columns([['HOST', 'ADDRESS', 'GROUPS'], ...rows])}\n\n${count}`;
}

/** What `ansible_host`, `ansible_port` and `ansible_user` make of a host, as `user@address:port`. Templates stay as they are written. */
function addressOf(name: string, vars: Readonly<Record<string, unknown>>): string {
  if (vars['ansible_connection'] === 'local') return 'local';
  const address = String(vars['ansible_host'] ?? name);
  const port = vars['ansible_port'];
  const user = vars['ansible_user'];
  const isBare = port === undefined || port === null;
  const place = isBare ? address : `${address.includes(':') ? `[${address}]` : address}:${port}`;
  return user === undefined || user === null ? place : `${user}@${place}`;
}

function columns(rows: readonly (readonly string[])[]): string {
  const width = (index: number) => Math.max(...rows.map((row) => (row[index] ?? '').length));
  const widths = [width(0), width(1)];
  return rows
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
