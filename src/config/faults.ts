import { type Fault, InputError } from '../core/errors.ts';
import { formatSource } from '../core/source.ts';

/** Hosts that a fault names before it only counts them. */
const NAMED_HOSTS = 8;

interface Entry {
  readonly fault: Fault;
  /** null: found in the text alone, so it concerns every host. */
  hosts: Set<string> | null;
}

/** Gathers faults so that all can be reported at once: the same fault of many hosts becomes one that names them. */
export class FaultList {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** @param host the host for which it was found, where it was not found in the text alone */
  add(fault: Fault, host?: string): void {
    const key = `${fault.source ? formatSource(fault.source) : ''}\n${fault.message}`;
    const entry: Entry = this.#entries.get(key) ?? { fault, hosts: new Set() };
    if (host === undefined) entry.hosts = null;
    else entry.hosts?.add(host);
    this.#entries.set(key, entry);
  }

  addAll(faults: readonly Fault[], host?: string): void {
    for (const fault of faults) this.add(fault, host);
  }

  /** Runs something and keeps the faults that it throws; undefined where it did. Other errors pass. */
  collect<Value>(run: () => Value, host?: string): Value | undefined {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      this.addAll(error.faults, host);
      return undefined;
    }
  }

  /** All faults, by file and place. */
  list(): readonly Fault[] {
    const faults = [...this.#entries.values()].map(({ fault, hosts }) => ({
      ...fault,
      message: fault.message + hostsSuffix([...(hosts ?? [])]),
    }));
    return faults.sort(comparePlaces);
  }

  /** @throws InputError with all faults, where there is one */
  throwAny(): void {
    if (this.size > 0) throw new InputError(this.list());
  }
}

function hostsSuffix(hosts: readonly string[]): string {
  if (hosts.length === 0) return '';
  const named = hosts.slice(0, NAMED_HOSTS).join(', ');
  const more = hosts.length > NAMED_HOSTS ? ` and ${hosts.length - NAMED_HOSTS} more` : '';
  return ` (${hosts.length === 1 ? 'host' : 'hosts'} ${named}${more})`;
}

function comparePlaces(a: Fault, b: Fault): number {
  const [left, right] = [a.source, b.source];
  if (left === undefined || right === undefined) return Number(left !== undefined) - Number(right !== undefined);
  return left.file.localeCompare(right.file) || left.line - right.line || left.column - right.column;
}
