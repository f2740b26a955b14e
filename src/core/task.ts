import type { Made } from './journal.ts';
import type { Resource, ResourceId } from './resource.ts';
import type { SourceRef } from './source.ts';

/** What a host tells about itself; the `facts` of a `when` expression. */
export interface Facts {
  /** Network devices by name. `driver` is "" where the device has none (bridge, veth). */
  readonly nics: Readonly<Record<string, { readonly driver: string; readonly mac: string; readonly mtu: number }>>;
  readonly hostname: string;
  /** `uname -r`. */
  readonly kernel: string;
  /** `uname -m`. */
  readonly arch: string;
  /** ID and VERSION_ID of /etc/os-release, "" where missing. */
  readonly os: { readonly id: string; readonly version: string };
}

/** How the changes of a play are proved; what `mcastctl probe` takes. */
export interface ProbeParams {
  /** IPv4 or IPv6 multicast address. */
  readonly group: string;
  /** UDP port, 1 to 65535. */
  readonly port: number;
  /** Packets to each peer and to the group. */
  readonly count: number;
  /** Milliseconds between two packets. */
  readonly intervalMs: number;
  /** IP TTL or hop limit of the multicast packets, 1 to 255. */
  readonly ttl: number;
  /** Loss in percent that a path may have and still be ok, 0 to 100. */
  readonly maxLoss: number;
}

/** One task on one host, templates rendered, parameters checked. */
export interface HostTask {
  readonly host: string;
  readonly name: string;
  /** The task's type, such as "bridge", and where it stands in the playbook. */
  readonly type: string;
  readonly source: SourceRef;
  /** One entry for each loop item whose resources are managed together; without `loop` just one. */
  readonly items: readonly TaskItem[];
  readonly ignoreErrors: boolean;
  /** Nothing of it is shown but its name, its type, and whether it is as desired. */
  readonly noLog?: boolean;
  /** Names of the handlers to run when this task changed something. */
  readonly notify: readonly string[];
}

export interface TaskItem {
  readonly resources: readonly Resource[];
  /** The `when` of the task with this item's variables bound; always true without `when`. Throws HostError where it can't be evaluated. */
  when(facts: Facts): boolean;
  /** false: `when` looks at the facts. */
  readonly isConstant?: boolean;
  /** What the resources were made of; left out where they were not made of parameters. */
  readonly made?: Made;
}

/** Facts for those that don't look at them. */
export const NO_FACTS: Facts = { nics: {}, hostname: '', kernel: '', arch: '', os: { id: '', version: '' } };

/** A play made concrete: which hosts, in which batches, doing what. */
export interface CompiledPlay {
  readonly name: string;
  readonly source: SourceRef;
  /** All hosts of the play, in inventory order, after `--limit`. */
  readonly hosts: readonly string[];
  /** `hosts` cut up by `serial`. */
  readonly batches: readonly (readonly string[])[];
  /** The device on which each host joins the group; hosts that name none are absent: the device that carries the SSH connection. */
  readonly probeInterfaces: ReadonlyMap<string, string>;
  readonly probe: ProbeParams;
  /** Tasks of each host, in order. */
  readonly tasks: ReadonlyMap<string, readonly HostTask[]>;
  /** Handlers of each host, in order; run at the end of the play where notified. */
  readonly handlers: ReadonlyMap<string, readonly HostTask[]>;
  /** Whether a `when` mentions `facts`: only then they are read. */
  readonly needsFacts: boolean;
}

/** All resources of a task, whatever its `when` says. */
export function resourcesOf(task: HostTask): readonly Resource[] {
  return task.items.flatMap((item) => item.resources);
}

export type { ResourceId };
