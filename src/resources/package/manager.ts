import type { Argv, Observations, Read, Step } from '../../core/resource.ts';

/** What a task wants of its packages; all of them share state and version. */
export interface WantedPackages {
  readonly names: readonly string[];
  readonly state: 'present' | 'absent' | 'latest';
  readonly version: string | undefined;
  /** Whether the lists of packages are fetched before something is installed. */
  readonly updateCache: boolean;
  /** How long a step may take. */
  readonly seconds: number;
}

/** The packages of a node. */
export interface PackageManager {
  /** The version of a package that is installed; null: it is not. */
  installed(name: string): string | null;
  /** The newest version that the node's lists have; null: none. Throws HostError where that can't be told. */
  candidate(name: string): string | null;
  /** Installs packages in one go, in the versions given. */
  install(packages: readonly { readonly name: string; readonly version: string | null }[]): readonly Step[];
  /** Removes packages; refuses where others need them. */
  remove(names: readonly string[]): readonly Step[];
  /** Puts the packages of the node back to what they were when they were read. */
  restore(changed: readonly string[]): readonly Step[];
}

export const runRead = (argv: Argv): Read => ({ read: 'run', argv });

/** What makes a manager of what was read; null: the node does not have it. */
export type OpenManager = (seen: Observations, wanted: WantedPackages) => PackageManager | null;
