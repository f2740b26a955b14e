import { type ExitCode, InputError } from '../core/errors.ts';
import type { RunRecord } from '../core/journal.ts';
import { findRecord, writeRecord } from '../journal/store.ts';
import type { Io } from '../ui/io.ts';
import { changeHosts } from './change.ts';
import type { ChangeOptions } from './options.ts';
import { checkOutput } from './output.ts';
import { knowPasswords, readInventory } from './prepare.ts';
import { rollbackPlay } from './rollback-play.ts';
import { openVault } from './vault.ts';

export interface RollbackOptions extends ChangeOptions {
  /** The run to take back; by default the newest that changed something and was not taken back. */
  readonly run?: string;
  /** Also puts back what somebody changed since. */
  readonly force?: boolean;
}

/** Takes back what a run changed, task by task, the last first: tried, proved and kept like any change. */
export async function rollbackCommand(
  inventoryFile: string,
  options: RollbackOptions,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  checkOutput(options.output);
  const record = findRecord(options.run, isWanted);
  const inventory = readInventory(inventoryFile, options, io, await openVault(options));
  knowPasswords(inventory, options.limit);
  const known = new Set(inventory.select('all', options.limit === undefined ? {} : { limit: options.limit }));
  const changed = Object.entries(record.hosts).flatMap(([host, { done }]) => (done.length > 0 ? [host] : []));
  const hosts = changed.filter((host) => known.has(host));
  if (hosts.length === 0) {
    const hint = changed.length === 0 ? 'choose another with --run' : `it changed ${changed.join(', ')}`;
    throw new InputError([{ message: `run ${record.run} changed no host that is chosen here`, hint }]);
  }
  io.err(`taking back run ${record.run} of ${record.who}, ${record.startedAt}\n`);
  const plays = [rollbackPlay(record, hosts, options.force ?? false)];
  const prepared = { inventory, playbookFile: record.playbook, plays, extraVars: [] };
  const back = await changeHosts('rollback', inventoryFile, prepared, options, io, signal);
  if (back.exitCode === 0 && hosts.length === changed.length) writeRecord({ ...record, rolledBackBy: back.record.run });
  return back.exitCode;
}

/** Whether a run is one that people mean who name none: it changed something, and that is still there. */
function isWanted(record: RunRecord): boolean {
  return (
    record.command === 'apply' &&
    record.rolledBackBy === null &&
    Object.values(record.hosts).some(({ done }) => done.length > 0)
  );
}
