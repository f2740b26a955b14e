import type { PlannedResource } from './plan.ts';
import type { Layer, ResourceId } from './resource.ts';

/** One change that was reviewed. */
export interface SavedChange {
  readonly layer: Layer;
  readonly property: string;
  readonly file?: string | undefined;
  /** For people; what is compared is the hash. */
  readonly from: unknown;
  readonly to: unknown;
  /** SHA-256 of resource, layer, property, file, values and when it takes effect. Notes and line numbers don't count. */
  readonly hash: string;
}

export interface SavedResource {
  readonly resource: ResourceId;
  readonly status: PlannedResource['status'];
  readonly changes: readonly SavedChange[];
  /** Why it could not be compared; null: it could. */
  readonly error: string | null;
}

/** A file as it was and as it is to be: SHA-256 of its text, null where there is no file. */
export interface SavedFile {
  readonly path: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** A program or a value of /proc or /sys, for people; what is compared is the hash, which has its standard input too. */
export interface SavedStep {
  readonly text: string;
  readonly hash: string;
}

/** What a task of a host wants, and nothing of the host. */
export interface SavedWish {
  readonly name: string;
  /** SHA-256 of its parameters, and of the texts of the files that they name. */
  readonly desired: string;
}

/** A task of a host as it was compared. */
export interface SavedTask extends SavedWish {
  readonly resources: readonly SavedResource[];
  readonly steps: readonly SavedStep[];
  readonly files: readonly SavedFile[];
  /** SHA-256 of what the task made of its observations: status, changes, steps, files. */
  readonly observed: string;
}

export interface SavedHost {
  /** Why it could not be read; null: it could. */
  readonly error: string | null;
  readonly tasks: readonly SavedTask[];
  /** Run where a task that changes something notifies them; not compared before. */
  readonly handlers: readonly SavedWish[];
}

/** A file of the controller, and the SHA-256 of its bytes. */
export interface SavedSource {
  readonly path: string;
  readonly hash: string;
}

/** What `plan --out` writes and `apply` takes: version 1. */
export interface SavedPlan {
  readonly format: 'mcastctl plan';
  readonly version: 1;
  /** ISO 8601, UTC. */
  readonly madeAt: string;
  /** Such as `alice@laptop`. */
  readonly who: string;
  readonly inventory: SavedSource;
  readonly playbook: SavedSource;
  readonly options: {
    readonly limit?: string | undefined;
    readonly tags?: readonly string[] | undefined;
    readonly skipTags?: readonly string[] | undefined;
    /** Names of the variables of `-e`. Their values may be secret: they have to be given again. */
    readonly extraVars: readonly string[];
  };
  /** How the hosts were logged in to; no secrets. */
  readonly login: {
    readonly user?: string | undefined;
    readonly privateKey?: string | undefined;
    readonly become?: boolean | undefined;
    readonly becomeUser?: string | undefined;
  };
  /** SHA-256 of hosts, batches and probe of each play. */
  readonly plays: readonly { readonly name: string; readonly desired: string }[];
  readonly hosts: Readonly<Record<string, SavedHost>>;
}
