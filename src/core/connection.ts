import type { Readable, Writable } from 'node:stream';

/** A program that runs on a host. */
export interface RemoteProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when the program has ended; rejects with UnreachableError where the connection broke first. */
  readonly exit: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** Ends the program (closes the channel, or kills the child of a local host). */
  kill(): void;
}

/** A login on one host, kept for the whole run. */
export interface Link {
  readonly host: string;
  /**
   * Starts a program, as the target's become user where one is set. Every argument arrives as it is: quoted in one place.
   * @throws UnreachableError where the connection is gone, HostError where becoming the user fails
   */
  start(argv: readonly [string, ...string[]]): Promise<RemoteProcess>;
  /** Settles when the connection has ended, by `close` or by itself; never rejects. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}
