import type { HostReport, Report, RunStatus, TaskReport, TaskStatus } from '../core/report.ts';
import type { Change } from '../core/resource.ts';
import { HIDDEN } from '../core/secrets.ts';
import type { Io, Paint } from './io.ts';

type Style = Pick<Io, 'paint' | 'unicode'>;

/** How a value looks in a report: text in quotes, `absent` for null. */
export function showValue(value: unknown): string {
  if (value === HIDDEN) return HIDDEN;
  return value === null || value === undefined ? 'absent' : JSON.stringify(value);
}

/** One change on one line, such as `runtime     multicast_querier: false → true`. */
export function changeLine(change: Change, { paint, unicode }: Style): string {
  const arrow = unicode ? '→' : '->';
  const place =
    change.file === undefined ? '' : `  ${change.file}${change.line === undefined ? '' : `:${change.line}`}`;
  const note = change.note === undefined ? '' : `  (${change.note})`;
  const values = `${showValue(change.from)} ${arrow} ${showValue(change.to)}`;
  const pending = change.after === 'reboot' ? paint.warn('  pending reboot') : '';
  return `${change.layer.padEnd(10)}  ${change.property}: ${values}${paint.dim(place + note)}${pending}`;
}

/** One task: its mark, resource and name, then its changes, then what is wrong. */
export function taskLines(task: TaskReport, style: Style): string[] {
  const lines = task.changes.map((change) => `      ${changeLine(change, style)}`);
  if (task.impact !== undefined) lines.push(`      ${style.paint.warn(task.impact.text)}`);
  if (task.note !== undefined) lines.push(`      ${style.paint.dim(task.note)}`);
  if (task.error !== null) lines.push(`      ${style.paint.bad(task.error)}`);
  return [`  ${statusMark(task.status, style)} ${task.resource}  ${style.paint.dim(task.name)}`, ...lines];
}

export interface BlockOptions {
  /** Also what is as desired. */
  readonly isVerbose: boolean;
  /** More lines about a host, such as its diff; each ends with a newline. */
  readonly details?: (host: string) => string;
}

/**
 * A block for each host that has something to say: status, tasks, what is wrong. Hosts of which the same is to be said
 * share a block, so that a change of fifty nodes stays readable.
 */
export function hostBlocks(hosts: Report['hosts'], style: Style, options: BlockOptions): string {
  const blocks = new Map<string, string[]>();
  for (const [host, report] of Object.entries(hosts)) {
    const body = hostBody(report, style, options.isVerbose) + (options.details?.(host) ?? '');
    if (body === '' && !options.isVerbose) continue;
    const text = `${statusWord(report.status, style.paint)}\n${body}`;
    blocks.set(text, [...(blocks.get(text) ?? []), host]);
  }
  return [...blocks].map(([text, names]) => `${style.paint.bold(names.join(', '))}: ${text}`).join('');
}

function hostBody(report: HostReport, style: Style, isVerbose: boolean): string {
  const isNews = (task: TaskReport) => task.changes.length > 0 || (task.status !== 'ok' && task.status !== 'skipped');
  const tasks = report.tasks.filter((task) => isVerbose || isNews(task));
  const error = report.error === null ? [] : [`  ${report.error.split('\n').join('\n  ')}`];
  return [...error, ...tasks.flatMap((task) => taskLines(task, style))].map((line) => `${line}\n`).join('');
}

/** The last line of a run: how many hosts are how, how long it took. */
export function summaryLine(report: Report, { paint }: Style): string {
  const counts = new Map<RunStatus, number>();
  for (const host of Object.values(report.hosts)) counts.set(host.status, (counts.get(host.status) ?? 0) + 1);
  const order: readonly RunStatus[] = ['ok', 'changed', 'drift', 'failed', 'unreachable'];
  const parts = order.flatMap((status) => {
    const count = counts.get(status) ?? 0;
    return count === 0 ? [] : [`${count} ${statusWord(status, paint)}`];
  });
  const hosts = Object.keys(report.hosts).length;
  return `${report.command}: ${hosts} host${hosts === 1 ? '' : 's'}: ${parts.join(', ') || 'none'} in ${(report.durationMs / 1000).toFixed(1)} s`;
}

function statusWord(status: RunStatus, paint: Paint): string {
  if (status === 'ok' || status === 'changed') return paint.good(status);
  return status === 'drift' ? paint.warn(status) : paint.bad(status);
}

function statusMark(status: TaskStatus, { paint, unicode }: Style): string {
  const marks: Record<TaskStatus, string> = {
    ok: paint.good(unicode ? '✓' : 'ok'),
    changed: paint.good(unicode ? '✓' : 'changed'),
    drift: paint.warn(unicode ? '≠' : 'drift'),
    skipped: paint.dim(unicode ? '-' : 'skipped'),
    failed: paint.bad(unicode ? '✗' : 'failed'),
    'rolled-back': paint.bad(unicode ? '↩' : 'rolled back'),
  };
  return marks[status];
}
