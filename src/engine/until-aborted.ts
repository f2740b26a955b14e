import { HostError } from '../core/errors.ts';

/** The user's Ctrl-C, where something was waited for. */
export class Interrupted extends HostError {
  constructor() {
    super('interrupted');
  }
}

/**
 * Waits for `work`, but no longer than until the signal is aborted.
 * @throws Interrupted then; `work` goes on, and what becomes of it is left to its owner
 */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {});
  if (signal.aborted) throw new Interrupted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(new Interrupted());
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
  }
}
