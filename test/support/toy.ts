import { HostError } from '../../src/core/errors.ts';
import type { ProbePath, ProbeReport } from '../../src/core/probe.ts';
import type { Change, Observations, Resource, ResourcePlan } from '../../src/core/resource.ts';
import type { CompiledPlay, HostTask } from '../../src/core/task.ts';

export interface Toy {
  readonly name: string;
  /** A file that stands for a running value. */
  readonly runtime: string;
  /** A file that stands for the configuration. */
  readonly persistent: string;
  readonly value: string;
  readonly blocked?: string;
  /** A step that fails after the value was set. */
  readonly failsAfterSet?: boolean;
  /** Thrown by the comparison once the value is set. */
  readonly throwsAfterSet?: Error;
  /** The name of its property; default: `name`. */
  readonly property?: string;
}

/** A resource with both layers in two files of a temporary directory: small enough to see through, real enough to fail. */
export function toyResource(toy: Toy): Resource {
  function plan(seen: Observations): ResourcePlan {
    const running = seen.file(toy.runtime)?.text ?? null;
    const kept = seen.file(toy.persistent)?.text ?? null;
    if (running === null) throw new HostError(`no device "${toy.name}"`);
    if (running === toy.value && toy.throwsAfterSet) throw toy.throwsAfterSet;
    const { property = toy.name } = toy;
    const changes: Change[] = [];
    if (running !== toy.value) changes.push({ layer: 'runtime', property, from: running, to: toy.value });
    if (kept !== toy.value) {
      changes.push({ layer: 'persistent', property, from: kept, to: toy.value, file: toy.persistent });
    }
    const set = (value: string) => ({ do: 'set' as const, path: toy.runtime, value });
    const fail = toy.failsAfterSet
      ? [{ do: 'run' as const, argv: ['sh', '-c', 'echo boom >&2; exit 9'] as const }]
      : [];
    return {
      changes,
      try: running === toy.value ? [] : [set(toy.value), ...fail],
      undo: running === toy.value ? [] : [set(running)],
      keep: kept === toy.value ? [] : [{ do: 'edit', path: toy.persistent, edit: () => toy.value }],
      ...(toy.blocked === undefined ? {} : { blocked: toy.blocked }),
    };
  }
  return {
    id: `toy[${toy.name}]`,
    reads: [
      { read: 'file', path: toy.runtime },
      { read: 'file', path: toy.persistent },
    ],
    plan,
  };
}

export function toyTask(
  host: string,
  name: string,
  resources: readonly Resource[],
  more: Partial<HostTask> = {},
): HostTask {
  return {
    host,
    name,
    type: 'toy',
    source: { file: 'play.yml', line: 1, column: 1 },
    items: [{ resources, when: () => true }],
    ignoreErrors: false,
    notify: [],
    ...more,
  };
}

export function toyPlay(
  tasks: Readonly<Record<string, readonly HostTask[]>>,
  more: Partial<CompiledPlay> = {},
): CompiledPlay {
  const hosts = Object.keys(tasks);
  return {
    name: 'toys',
    source: { file: 'play.yml', line: 1, column: 1 },
    hosts,
    batches: [hosts],
    probeInterfaces: new Map(),
    probe: { group: '239.192.77.1', port: 4321, count: 20, intervalMs: 10, ttl: 1, maxLoss: 0 },
    tasks: new Map(Object.entries(tasks)),
    handlers: new Map(),
    needsFacts: false,
    ...more,
  };
}

/** A probe report in which every path has the given number of 20 multicast packets. */
export function probeReport(nodes: readonly string[], received: number): ProbeReport {
  const counts = (got: number) => ({
    sent: 20,
    received: got,
    duplicates: 0,
    outOfOrder: 0,
    firstSeq: got === 0 ? null : 0,
    lastSeq: got === 0 ? null : got - 1,
  });
  const paths: ProbePath[] = nodes.flatMap((from) =>
    nodes
      .filter((to) => to !== from)
      .map((to) => ({
        from,
        to,
        unicast: counts(20),
        multicast: counts(received),
        rttMs: 0.1,
        verdict: received === 20 ? ('ok' as const) : received === 0 ? ('unicast-only' as const) : ('lossy' as const),
      })),
  );
  return { group: '239.192.77.1', port: 4321, nodes, paths };
}
