import type { HostReport, Report, RunStatus, TaskReport, TaskStatus } from '../core/report.ts';
import type { Change } from '../core/resource.ts';
import type { Io, Paint } from './io.ts';

type Style = Pick<Io, 'paint' | 'unicode'>;

/** How a value looks in a report: text in quotes, `absent` for null. */
export function showValue(value: unknown): string {
  return value === null || value === undefined ? 'absent' : JSON.stringify(value);
}

/** One change on one line, such as `runtime     multicast_querier: false → true`. */
export function changeLine(change: Change, { paint, unicode }: Style): string {
  const arrow = unicode ? '→' : '->';
  const place =
    change.file === undefined ? '' : `  ${change.file}${change.line === undefined ? '' : `:${change.line}`}`;
  const note = change.note === undefined ? '' : `  (${change.note})`;
  const values = `${showValue(change.from)} ${arrow} ${showValue(change.to)}`;
  return `${change.layer.padEnd(10)}  ${change.property}: ${values}${paint.dim(place + note)}`;
}

/** The tasks of a host that have something to say; "" where all is well. */
export function taskLines(task: TaskReport, style: Style): string[] {
  const lines = task.changes.map((change) => `      ${changeLine(change, style)}`);
  if (task.error !== null) lines.push(`      ${style.paint.bad(task.error)}`);
  return [`  ${statusMark(task.status, style)} ${task.resource}  ${style.paint.dim(task.name)}`, ...lines];
}

/**
 * The block of a host: status, its tasks, what is wrong. Nothing for a host in the desired state.
 * @param isVerbose also the tasks that are as desired
 */
export function hostBlock(host: string, report: HostReport, style: Style, isVerbose: boolean): string {
  const tasks = report.tasks.filter((task) => isVerbose || (task.status !== 'ok' && task.status !== 'skipped'));
  if (tasks.length === 0 && report.error === null && !isVerbose) return '';
  const head = `${style.paint.bold(host)}: ${statusWord(report.status, style.paint)}`;
  const error = report.error === null ? [] : [`  ${report.error.split('\n').join('\n  ')}`];
  return [head, ...error, ...tasks.flatMap((task) => taskLines(task, style)), ''].join('\n');
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
