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
  /**
   * When a running value becomes right, where `try` can't make it so. keep: as soon as `keep` is done, since it is read from the
   * file or reloaded there; it is proved then. reboot: only at the next boot; once the persistent layer is right this is all that
   * is left, a state of its own: pending. Left out: by `try`.
   */
  readonly after?: 'keep' | 'reboot';
  /** Done each time it is asked for (a restart in a handler): not compared afterwards. */
  readonly isAction?: boolean;
}

/**
 * What a change costs while it is made, from nothing to most. reload: a daemon reads its configuration again; link-down: a network
 * device loses its carrier for a moment; restart-node: a daemon of the cluster is started anew, node by node; restart-cluster: on all
 * nodes at once, so that there is no quorum for a moment; reboot: it takes effect at the next boot.
 */
export type ImpactKind = 'none' | 'reload' | 'link-down' | 'restart-node' | 'restart-cluster' | 'reboot';

export interface Impact {
  readonly kind: ImpactKind;
  /** A sentence for the plan, such as `needs a restart of the whole cluster: netmtu is refused at run time`. */
  readonly text: string;
}

/** One thing done to a node. */
export type Step =
  /** Starts a program. Any exit code but 0 is a failure. `stdin`: what it reads there; `seconds`: its time limit, 60 by default. */
  | { readonly do: 'run'; readonly argv: Argv; readonly stdin?: string; readonly seconds?: number }
  /** Writes to a file of /proc or /sys: opened, written in one piece, closed, each error reported. */
  | { readonly do: 'set'; readonly path: string; readonly value: string }
  /**
   * Replaces a file atomically with what `edit` makes of its text (null: no file; returning null removes it).
   * Owner and mode are kept, other than `attributes` says; a new file gets `mode`, 0o644 by default. Equal text and attributes:
   * nothing is done. Edits of one file by several resources are applied one after the other.
   * `validate`: a program that must end with 0 before the file is replaced; an argument `%s` is the new file's temporary path.
   */
  | {
      readonly do: 'edit';
      readonly path: string;
      readonly edit: (text: string | null) => string | null;
      readonly mode?: number;
      readonly attributes?: FileAttributes;
      readonly validate?: Argv;
      /** The text is nobody's business: it is shown in no diff. */
      readonly isSecret?: boolean;
    };

/** What a file has beside its text; what is left out stays as it is. The file has it from its first instant on. */
export interface FileAttributes {
  /** Permission bits, 0 to 0o7777. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** What a resource wants on a node. Without changes the resource is as desired. */
export interface ResourcePlan {
  readonly changes: readonly Change[];
  /** Makes the runtime layer right. */
  readonly try: readonly Step[];
  /** Takes `try` back: puts the observed running values in place. */
  readonly undo: readonly Step[];
  /**
   * Makes the persistent layer right: file edits, whose undo the engine knows, and programs that follow from them or that keep state
   * of their own (update-grub, systemctl enable). All edits of a task come first, then its programs, in order; a program that several
   * resources of the task ask for with the same arguments is run once, in the last of its places.
   */
  readonly keep: readonly Step[];
  /**
   * Takes back what the programs of `keep` did; run after the files are put back, whichever of the programs were begun: each must
   * also succeed where there is nothing to take back. Equal ones are run once.
   */
  readonly unkeep?: readonly Step[];
  /** What the change costs while it is made; left out: nothing. */
  readonly impact?: Impact;
  /** Where desired values are worked out on the node: from which inputs and how, a sentence each. */
  readonly explain?: readonly string[];
  /** Why `keep` can't make the persistent layer right (a later file overrides ours…): the task fails before anything is tried. */
  readonly blocked?: string;
  /** What a person who asks should know although it is no difference: a value that the driver rounded, a timer that runs out by itself. */
  readonly note?: string;
  /** Why the thing is left alone as it is, such as a device without rings: the task is skipped there. Comes without changes and steps. */
  readonly skipped?: string;
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
  /** Something that is done each time it is asked for, such as a restart: what only a handler may ask for. */
  readonly isAction?: boolean;
  /**
   * Compares what was observed with what is desired. Called again after `try` and after `keep`: then the changes of
   * that layer must be gone. Never compares by truthiness.
   * @throws HostError where the node can't be brought there: missing device, wrong kind, output not understood
   */
  plan(seen: Observations): ResourcePlan;
  /**
   * Where the nodes of a play can only be changed together, such as those of one corosync cluster: how. The engine then waits until
   * all hosts are at this task; `try`, `undo` and `keep` of `plan` are only shown.
   */
  readonly together?: Together;
}

/** How nodes are changed together. */
export interface Together {
  /**
   * @param seen what was observed on each host of the play whose task is not skipped, by host, in order
   * @throws HostError where they can't be brought there together
   */
  plan(seen: ReadonlyMap<string, Observations>): TogetherPlan;
}

/** What is done to several nodes, one stage after the other. Data: it can be shown before it is done. */
export interface TogetherPlan {
  readonly stages: readonly Stage[];
  /** Why it can't be done (a node of the cluster is not in this run…): it fails before anything is tried. */
  readonly blocked?: string;
  readonly impact?: Impact;
  /** What hosts do by themselves where they hear nothing any more; left out: they can do nothing that helps. */
  readonly unattended?: Unattended;
  /**
   * What takes back the stages that were begun.
   * @param begun how many of `stages` were begun, 1 or more; the last of them failed, or what came after it
   * @param seen what the hosts are like now; a host that can't be read any more is missing
   */
  undo(begun: number, seen: ReadonlyMap<string, Observations>): TogetherUndo;
}

/** How hosts take a change back that their controller has left in the middle: each for itself, all at about the same time. */
export interface Unattended {
  /** Index of the first stage that changes more than files. Before it the files alone are put back. */
  readonly from: number;
  /** What a host runs after its files are as they were. */
  readonly steps: ReadonlyMap<string, readonly Step[]>;
}

export interface TogetherUndo {
  readonly stages: readonly Stage[];
  /** What a person has to do, where it is safer to leave the nodes as they are; then the hosts count as half done. */
  readonly advice?: string;
}

/** Something that is done on one or more hosts at once. */
export interface Stage {
  /** What people see while it runs, such as `restart corosync on pve2`. */
  readonly name: string;
  /** Must hold before the steps are begun. */
  readonly guard?: Condition;
  /** The steps of each host, in order; the hosts don't wait for each other. */
  readonly steps: ReadonlyMap<string, readonly Step[]>;
  /** Must hold afterwards before the next stage is begun. */
  readonly until?: Condition;
}

/** Something that must become true on some hosts within a time. */
export interface Condition {
  readonly hosts: readonly string[];
  readonly reads: readonly Read[];
  /** How long it may take, in seconds; 0: asked once. */
  readonly seconds: number;
  /** How long it has to hold without a break before it counts, in seconds; within `seconds`. Default: one look is enough. */
  readonly steadySeconds?: number;
  /**
   * What is not yet as it must be, as a sentence; null: it holds.
   * @throws HostError where it will not come to hold by itself: not waited for any longer
   */
  problem(seen: ReadonlyMap<string, Observations>): string | null;
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
  /**
   * Parameters that name a file of the controller, relative to the playbook. `file`: its text is taken as it is; `template`: it is a
   * Handlebars text, filled in with the variables of the host. What can't be read or filled in is a fault of the playbook.
   */
  readonly sources?: Readonly<Record<string, 'file' | 'template'>>;
  /**
   * The resources that one task stands for.
   * @param texts the texts of the files that `sources` names, by parameter, where the task has it
   */
  resources(params: z.output<Schema>, texts?: Readonly<Record<string, string>>): readonly Resource[];
}
