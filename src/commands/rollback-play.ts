import type { DoneTask, Made, RunRecord } from '../core/journal.ts';
import type { Resource } from '../core/resource.ts';
import type { CompiledPlay, HostTask } from '../core/task.ts';
import { rollbackResource, unchangedResource } from '../journal/rollback.ts';
import { resourceTypes } from '../resources/index.ts';

/** A play whose tasks want what the tasks of a run found, in reverse order. */
export function rollbackPlay(record: RunRecord, hosts: readonly string[], isForced: boolean): CompiledPlay {
  const source = { file: record.playbook, line: 1, column: 1 };
  const tasks = hosts.map((host): [string, HostTask[]] => {
    const done = (record.hosts[host]?.done ?? []).map((task) => ({ task, made: madeAgain(task) }));
    const of = (name: string, type: string, resource: Resource, noLog = false): HostTask => ({
      host,
      name,
      type,
      source,
      items: [{ resources: [resource], when: () => true }],
      ignoreErrors: false,
      notify: [],
      ...(noLog && { noLog }),
    });
    const hasHidden = done.some(({ task }) => task.noLog);
    const first = of('Nothing was changed since', 'rollback', unchangedResource(record.run, done), hasHidden);
    const back = done.map(({ task, made }) =>
      of(`back: ${task.name}`, task.type, rollbackResource(task, made, isForced), task.noLog),
    );
    return [host, [...(isForced ? [] : [first]), ...back.toReversed()]];
  });
  const interfaces = hosts.flatMap((host): [string, string][] => {
    const device = record.hosts[host]?.probeInterface ?? null;
    return device === null ? [] : [[host, device]];
  });
  return {
    name: `rollback of ${record.run}`,
    source,
    hosts,
    batches: [hosts],
    probeInterfaces: new Map(interfaces),
    probe: record.probe ?? { group: '239.192.77.1', port: 4321, count: 20, intervalMs: 10, ttl: 1, maxLoss: 0 },
    tasks: new Map(tasks),
    handlers: new Map(),
    needsFacts: false,
  };
}

function madeAgain(task: DoneTask): readonly Resource[] {
  return task.made.flatMap(({ type, params, texts }: Made) => {
    const known = resourceTypes.get(type);
    const checked = known?.schema.safeParse(params);
    if (!known || !checked?.success) return [];
    return known.resources(checked.data, texts);
  });
}
