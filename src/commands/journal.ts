import { hostname, userInfo } from 'node:os';
import { resolve } from 'node:path';
import { messageOf } from '../core/errors.ts';
import type { DoneTask, HostRecord, RunRecord } from '../core/journal.ts';
import type { TaskPlan } from '../core/plan.ts';
import type { Report } from '../core/report.ts';
import { hiddenId, redact, redactValue } from '../core/secrets.ts';
import type { CompiledPlay } from '../core/task.ts';
import type { ApplyResult } from '../engine/apply.ts';
import { hiddenChange } from '../engine/outcome.ts';
import { writeRecord } from '../journal/store.ts';
import type { Io } from '../ui/io.ts';

/** What is known of a run besides its report. */
export interface RunFacts {
  readonly run: string;
  readonly command: RunRecord['command'];
  readonly inventory: string;
  readonly playbook: string;
  readonly plays: readonly CompiledPlay[];
}

/**
 * Keeps the record of a run that changed something. That it can't be written ends nothing, but is said.
 * @returns the whole record; what is kept of it is without secrets
 */
export function keepRecord(facts: RunFacts, report: Report, result: ApplyResult, io: Pick<Io, 'err'>): RunRecord {
  const record = recordOf(facts, report, result, doneTask);
  const hasChanged = Object.values(record.hosts).some(({ done }) => done.length > 0);
  if (!hasChanged && report.status === 'ok') return record;
  try {
    writeRecord(recordOf(facts, report, result, keptTask));
  } catch (error) {
    io.err(`warning: the record of this run can't be kept, it can't be rolled back: ${messageOf(error)}\n`);
  }
  return record;
}

function recordOf(
  { run, command, inventory, playbook, plays }: RunFacts,
  report: Report,
  result: ApplyResult,
  recordTask: (plan: TaskPlan) => DoneTask,
): RunRecord {
  const interfaces = new Map(plays.flatMap((play) => [...play.probeInterfaces]));
  const hosts = Object.entries(report.hosts).map(([host, { status, error }]): [string, HostRecord] => [
    host,
    {
      status,
      error: error === null ? null : redact(error),
      done: (result.done.get(host) ?? []).map(recordTask),
      probeInterface: interfaces.get(host) ?? null,
    },
  ]);
  return {
    version: 1,
    run,
    command,
    who: `${userInfo().username}@${hostname()}`,
    startedAt: report.startedAt,
    durationMs: report.durationMs,
    inventory: resolve(inventory),
    playbook: resolve(playbook),
    status: report.status,
    exitCode: report.exitCode,
    probe: plays[0]?.probe ?? null,
    hosts: Object.fromEntries(hosts),
    rolledBackBy: null,
  };
}

function doneTask(plan: TaskPlan): DoneTask {
  const differing = plan.resources.flatMap((entry) => (entry.status === 'differs' ? [entry] : []));
  return {
    name: plan.task.name,
    type: plan.task.type,
    ...(plan.task.noLog && { noLog: true }),
    made: plan.task.items.flatMap((item) => item.made ?? []),
    changes: differing.flatMap((entry) =>
      entry.plan.changes.map((change) => ({ ...change, resource: entry.resource.id })),
    ),
    files: plan.writes.map(({ path, before, text }) => ({ path, before, after: text })),
    try: plan.try,
    undo: plan.undo,
    keepRuns: plan.keepRuns,
    unkeep: plan.unkeep,
    obstacle: obstacleOf(plan),
  };
}

/** A task as the journal keeps it. */
function keptTask(plan: TaskPlan): DoneTask {
  const done = doneTask(plan);
  const { noLog = false } = done;
  const isSecret = noLog || plan.writes.some((write) => write.isSecret) || isRedacted(done);
  return isSecret ? withoutSecrets(done) : done;
}

/** What is left to be told of a task. What takes it back would give it away, also what a file was like before. */
function withoutSecrets(done: DoneTask): DoneTask {
  const hidden = (change: DoneTask['changes'][number]) => ({
    ...hiddenChange(change),
    resource: hiddenId(change.resource),
  });
  return {
    name: redact(done.name),
    type: done.type,
    made: [],
    changes: done.noLog ? done.changes.map(hidden) : (redactValue(done.changes) as DoneTask['changes']),
    files: [],
    try: [],
    undo: [],
    keepRuns: [],
    unkeep: [],
    obstacle: 'its values are secret, which no journal keeps: put back by hand what was there before',
  };
}

/** Whether a known secret is in a value. */
function isRedacted(value: unknown): boolean {
  return JSON.stringify(redactValue(value)) !== JSON.stringify(value);
}

function obstacleOf(plan: TaskPlan): string | null {
  if (plan.resources.some(({ resource }) => resource.together !== undefined))
    return 'it was done on all nodes together: apply a playbook with the old values, as the history shows them';
  return null;
}
