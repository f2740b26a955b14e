import type { ReadSession } from '../agent/session.ts';
import type { TaskPlan } from '../core/plan.ts';
import type { HostReport } from '../core/report.ts';
import { planAll, type RunContext, readHosts } from './fleet.ts';
import { hostFailure, hostStatus, taskReports } from './outcome.ts';

export interface HostOutcome {
  readonly report: HostReport;
  /** What was compared, for those who show the diff; empty where the host could not be read. */
  readonly plans: readonly TaskPlan[];
}

/**
 * Compares every host with its tasks and changes nothing, nor could it: what `check` and `plan` do. One login and one read a host.
 */
export async function checkHosts(context: RunContext<ReadSession>): Promise<Map<string, HostOutcome>> {
  function done(host: string, outcome: HostOutcome): HostOutcome {
    context.emit({ type: 'host-done', host, report: outcome.report });
    return outcome;
  }
  return readHosts(
    context,
    async (host) => {
      try {
        const plans = planAll(context.plays, host.host, host.seen, host.facts);
        const tasks = plans.flatMap((plan) => taskReports(plan, 'drift'));
        return done(host.host, { report: { status: hostStatus(tasks), error: null, tasks }, plans });
      } finally {
        await host.close();
      }
    },
    (host, error) => done(host, { report: hostFailure(error), plans: [] }),
  );
}
