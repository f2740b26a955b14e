import type * as z from 'zod';

/** Where a value lives: in force now, or given by the next boot. */
export type Layer = 'runtime' | 'persistent';

/** `sysctl[net.core.rmem_max]`: the one way in which a managed thing is named to people. */
export type ResourceId = `${string}[${string}]`;

/** A program and its arguments. Started directly on the node, never through a shell. */
export type Argv = readonly [string, ...string[]];

/** One question to a node. Asking never changes anything. */
export type Read =
  /** Content and metadata of one file. */
  | { readonly read: 'file'; readonly path: string }
  /**
   * All regular files (links followed) directly in a directory, with content, whose name ends in `suffix`. With `within`:
   * those in its subdirectories whose name ends so, such as the drop-ins of `x.netdev.d`.
   */
  | { readonly read: 'dir'; readonly path: string; readonly suffix: string; readonly within?: string }
  /** Output of a command that only looks. */
  | { readonly read: 'run'; readonly argv: Argv };

/** A file as it was found on a node. */
export interface FileState {
  readonly path: string;
  /** UTF-8 text, or where the bytes are no UTF-8 one character a byte (`encoding` tells): written back, both give the same bytes. */
  readonly text: string;
  readonly encoding: 'utf8' | 'latin1';
  /** Permission bits, such as 0o644. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Where the path is a symbolic link: what it holds. */
  readonly target: string | null;
}

/** What a command printed and how it ended. `code` is null where a signal ended it; 127 where it does not exist. */
export interface RunResult {
  readonly argv: Argv;
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The answers to the reads of a node. Asking for what was not read is a bug and throws. */
export interface Observations {
  /** null: there is no such file. Throws HostError where it can't be read. */
  file(path: string): FileState | null;
  /** Sorted by path; null: there is no such directory. Throws HostError where it can't be read. */
  dir(path: string, suffix: string, within?: string): readonly FileState[] | null;
  run(argv: Argv): RunResult;
}

/** One property that differs in one layer. */
export interface Change {
  readonly layer: Layer;
  readonly property: string;
  /** null: absent. */
  readonly from: unknown;
  readonly to: unknown;
  /** The file that gives, or has to give, the value. */
  readonly file?: string;
  /** The line of `file` that gives it now (1-based). */
  readonly line?: number;
  /** What a person must know of this change: who overrides it, what it replaces. */
  readonly note?: string;
}

/** One thing done to a node. */
export type Step =
  /** Starts a program. Any exit code but 0 is a failure. */
  | { readonly do: 'run'; readonly argv: Argv }
  /** Writes to a file of /proc or /sys: opened, written in one piece, closed, each error reported. */
  | { readonly do: 'set'; readonly path: string; readonly value: string }
  /**
   * Replaces a file atomically with what `edit` makes of its text (null: no file; returning null removes it).
   * Owner and mode are kept; a new file gets `mode`, 0o644 by default. Equal text: nothing is done.
   * Edits of one file by several resources are applied one after the other.
   */
  | {
      readonly do: 'edit';
      readonly path: string;
      readonly edit: (text: string | null) => string | null;
      readonly mode?: number;
    };

/** What a resource wants on a node. Without changes the resource is as desired. */
export interface ResourcePlan {
  readonly changes: readonly Change[];
  /** Makes the runtime layer right. */
  readonly try: readonly Step[];
  /** Takes `try` back: puts the observed running values in place. */
  readonly undo: readonly Step[];
  /** Makes the persistent layer right. Only file edits, whose undo the engine knows. */
  readonly keep: readonly Step[];
  /** Why `keep` can't make the persistent layer right (a later file overrides ours…): the task fails before anything is tried. */
  readonly blocked?: string;
}

/** One managed thing on one host, its parameters bound. Pure: no I/O. */
export interface Resource {
  readonly id: ResourceId;
  readonly reads: readonly Read[];
  /**
   * The desired value of each property, as in `Change.to`. Tasks that want one property of one resource to be different things
   * would undo each other for ever: that is a fault before anything is tried. Left out: not compared.
   */
  readonly wants?: Readonly<Record<string, unknown>>;
  /**
   * Compares what was observed with what is desired. Called again after `try` and after `keep`: then the changes of
   * that layer must be gone. Never compares by truthiness.
   * @throws HostError where the node can't be brought there: missing device, wrong kind, output not understood
   */
  plan(seen: Observations): ResourcePlan;
}

/** A kind of managed thing: data in, data out. */
export interface ResourceType<Schema extends z.ZodType = z.ZodType> {
  /** The key of a task in a playbook. */
  readonly type: string;
  /** One sentence for the reference page. */
  readonly summary: string;
  /** Strict: an unknown key is a fault. Every parameter carries `.describe()`, units and range included. */
  readonly schema: Schema;
  /** A task as a user would write it, in YAML. */
  readonly example: string;
  /** The resources that one task stands for. */
  resources(params: z.output<Schema>): readonly Resource[];
}
