import { EXIT, type ExitCode, HostError, UnreachableError } from '../core/errors.ts';
import type { TaskPlan } from '../core/plan.ts';
import type { HostReport, RunStatus, TaskReport, TaskStatus } from '../core/report.ts';
import type { Change } from '../core/resource.ts';
import { HIDDEN, hiddenId } from '../core/secrets.ts';
import { blockedReason } from './plan-task.ts';

/** The worst status: failed, unreachable, drift, changed, ok, in this order. */
export function worst(statuses: readonly RunStatus[]): RunStatus {
  const order: readonly RunStatus[] = ['failed', 'unreachable', 'drift', 'changed'];
  return order.find((status) => statuses.includes(status)) ?? 'ok';
}

/** The exit code of a run's status. */
export function exitCodeOf(status: RunStatus): ExitCode {
  const codes = {
    ok: EXIT.ok,
    changed: EXIT.ok,
    drift: EXIT.difference,
    failed: EXIT.failed,
    unreachable: EXIT.unreachable,
  };
  return codes[status];
}

/** The status of a host from its tasks. */
export function hostStatus(tasks: readonly TaskReport[]): RunStatus {
  const asRun: Record<TaskStatus, RunStatus> = {
    ok: 'ok',
    skipped: 'ok',
    changed: 'changed',
    drift: 'drift',
    failed: 'failed',
    'rolled-back': 'failed',
  };
  return worst(tasks.map((task) => asRun[task.status]));
}

/** The status of a run. A host that was lost while it was changed is unreachable, but its task failed. */
export function runStatus(hosts: readonly HostReport[]): RunStatus {
  return worst(hosts.flatMap((host) => [host.status, hostStatus(host.tasks)]));
}

/** Whether an error tells of a host; anything else is a bug. */
function isExpected(error: unknown): error is HostError | UnreachableError {
  return error instanceof HostError || error instanceof UnreachableError;
}

/** Message and hint of an error on one line; of a bug, where it is. */
export function errorText(error: unknown): string {
  if (!isExpected(error)) return `internal error: ${error instanceof Error ? (error.stack ?? error.message) : error}`;
  return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
}

/**
 * What a compared task looks like in a report.
 * @param differs the status of a resource that differs, after what was done about it
 * @param error why, for resources that differ; a resource that failed has its own
 */
export function taskReports(plan: TaskPlan, differs: TaskStatus, error: string | null = null): TaskReport[] {
  const reports = plan.resources.map((entry): TaskReport => {
    const remark = 'plan' in entry ? (entry.plan?.skipped ?? entry.plan?.note) : undefined;
    const note = remark === undefined ? {} : { note: remark };
    const common = { name: plan.task.name, resource: entry.resource.id };
    if (entry.status === 'skipped') return { ...common, status: 'skipped', changes: [], error: null, ...note };
    if (entry.status === 'failed') return { ...common, status: 'failed', changes: [], error: errorText(entry.error) };
    const { changes, impact } = entry.plan;
    if (entry.status === 'ok') return { ...common, status: 'ok', changes: [], error: null, ...note };
    // A run that changes things has done all it can; for one that looks, the node is not as desired.
    if (entry.status === 'pending') {
      return { ...common, status: differs === 'drift' ? 'drift' : 'ok', changes, error: null, ...note };
    }
    const reason = error ?? blockedReason(plan);
    return { ...common, status: differs, changes, ...(impact && { impact }), error: reason, ...note };
  });
  return plan.task.noLog ? reports.map(hidden) : reports;
}

/** A report that tells what a task with `no_log` costs and whether it is as desired, and nothing else. */
function hidden({ note, impact, ...report }: TaskReport): TaskReport {
  return {
    ...report,
    resource: hiddenId(report.resource),
    changes: report.changes.map(hiddenChange),
    ...(impact && { impact: { kind: impact.kind, text: `${impact.kind} ${HIDDEN}` } }),
    error: report.error === null ? null : HIDDEN,
    ...(note !== undefined && { note: HIDDEN }),
  };
}

/** A change of which is told where it is made, but not from what to what. */
export function hiddenChange({ note, ...change }: Change): Change {
  return { ...change, from: HIDDEN, to: HIDDEN, ...(note !== undefined && { note: HIDDEN }) };
}

/** The report of a host that could not be worked with. */
export function hostFailure(error: unknown, tasks: readonly TaskReport[] = []): HostReport {
  const status = error instanceof UnreachableError ? 'unreachable' : 'failed';
  return { status, error: errorText(error), tasks };
}
