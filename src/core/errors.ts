import { formatSource, type SourceRef } from './source.ts';

/** Exit codes of the command line. Fixed: people script against them. */
export const EXIT = { ok: 0, failed: 1, difference: 2, input: 3, unreachable: 4, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** One thing that is wrong with what the user gave us. */
export interface Fault {
  /** What is wrong: a sentence without a full stop, values in double quotes. */
  readonly message: string;
  readonly source?: SourceRef | undefined;
  /** What to do about it. */
  readonly hint?: string | undefined;
  /** The lines around `source`, from `codeFrame`. */
  readonly frame?: string | undefined;
}

/** Text of a fault: place, message, code frame, hint. No trailing newline. */
export function formatFault(fault: Fault): string {
  const head = fault.source ? `${formatSource(fault.source)}: ${fault.message}` : fault.message;
  return [head, fault.frame, fault.hint && `hint: ${fault.hint}`].filter(Boolean).join('\n');
}

/** The user's input is wrong (usage, inventory, playbook, template): all faults at once, no host contacted. Exit 3. */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly faults: readonly Fault[];
  constructor(faults: readonly Fault[]) {
    super(faults.map(formatFault).join('\n\n'));
    this.faults = faults;
  }
}

/** A host can't be reached, refused the login or showed the wrong key. Exit 4. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
  readonly host: string;
  readonly hint: string | undefined;
  constructor(host: string, message: string, options: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.host = host;
    this.hint = options.hint;
  }
}

/** Something on a reachable host is not as it must be: a missing tool, output not understood, a step that failed. Exit 1. */
export class HostError extends Error {
  override readonly name = 'HostError';
  readonly hint: string | undefined;
  constructor(message: string, options: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
