import { EXIT, type ExitCode } from '../core/errors.ts';
import type { RunRecord } from '../core/journal.ts';
import { findRecord, readRecords } from '../journal/store.ts';
import type { Io } from '../ui/io.ts';
import { changeLine } from '../ui/text-report.ts';
import { checkOutput, writeOutput } from './output.ts';

export interface HistoryOptions {
  readonly format: 'text' | 'json';
  readonly output?: string;
  /** How many runs are listed. */
  readonly last: number;
}

/** `mcastctl history [RUN]`: the runs of this user on this machine, or what one of them changed. */
export function historyCommand(run: string | undefined, options: HistoryOptions, io: Io): ExitCode {
  checkOutput(options.output);
  const { records, unread } =
    run === undefined ? readRecords() : { records: [findRecord(run, () => true)], unread: [] };
  for (const problem of unread) io.err(`warning: ${problem}\n`);
  const shown = records.slice(0, options.last);
  const document = { version: 1, command: 'history', runs: run === undefined ? shown.map(summaryOf) : shown };
  const isJson = options.format === 'json';
  const [only] = shown;
  const text = run !== undefined && only ? runText(only, io) : listText(shown, io);
  writeOutput(isJson ? `${JSON.stringify(document, null, 2)}\n` : text, options.output, io);
  return EXIT.ok;
}

function summaryOf({
  run,
  command,
  who,
  startedAt,
  durationMs,
  status,
  exitCode,
  inventory,
  playbook,
  hosts,
  rolledBackBy,
}: RunRecord) {
  const counts = Object.fromEntries(
    Object.entries(hosts).map(([host, { status: of, done }]) => [host, { status: of, changed: done.length }]),
  );
  return {
    run,
    command,
    who,
    startedAt,
    durationMs,
    status,
    exitCode,
    inventory,
    playbook,
    hosts: counts,
    rolledBackBy,
  };
}

function listText(records: readonly RunRecord[], { paint }: Pick<Io, 'paint'>): string {
  if (records.length === 0) return 'no run of this user on this machine has changed anything yet\n';
  const rows = records.map((record) => {
    const hosts = Object.values(record.hosts);
    const tasks = hosts.reduce((sum, { done }) => sum + done.length, 0);
    const back = record.rolledBackBy === null ? '' : `, taken back by ${record.rolledBackBy}`;
    const what = `${tasks} task${tasks === 1 ? '' : 's'} on ${hosts.length} host${hosts.length === 1 ? '' : 's'}`;
    return `${paint.bold(record.run)}  ${record.startedAt}  ${record.who}  ${record.command}  ${record.status}: ${what}${back}\n`;
  });
  return rows.join('');
}

function runText(record: RunRecord, io: Pick<Io, 'paint' | 'unicode'>): string {
  const lines = Object.entries(record.hosts).flatMap(([host, { status, error, done }]) => [
    `${io.paint.bold(host)}: ${status}`,
    ...(error === null ? [] : [`  ${error}`]),
    ...done.flatMap((task) => [
      `  ${task.name}`,
      ...task.changes.map((change) => `      ${change.resource}  ${changeLine(change, io)}`),
    ]),
  ]);
  const head = [
    `${record.command} ${record.run}: ${record.status}`,
    `  by ${record.who}, ${record.startedAt}, ${(record.durationMs / 1000).toFixed(1)} s`,
    `  inventory ${record.inventory}`,
    `  playbook  ${record.playbook}`,
    ...(record.rolledBackBy === null ? [] : [`  taken back by ${record.rolledBackBy}`]),
  ];
  return [...head, ...lines].map((line) => `${line}\n`).join('');
}
