import { type Fault, InputError, messageOf } from '../core/errors.ts';

/** Reads the connection variables of one host, collecting what is wrong with them. */
export class HostVars {
  readonly faults: Fault[] = [];
  readonly #host: string;
  readonly #vars: Record<string, unknown>;
  readonly #render: (value: unknown) => unknown;

  constructor(host: string, vars: Record<string, unknown>, render: (value: unknown) => unknown) {
    this.#host = host;
    this.#vars = vars;
    this.#render = render;
  }

  /** Adds a fault about this host. */
  fault(message: string, hint?: string): void {
    this.faults.push({ message: `host "${this.#host}": ${message}`, hint });
  }

  /** The first of `names` that has a value, rendered. An empty text is a value only where `isEmptyKept`. */
  #value(names: readonly string[]): { name: string; value: unknown } | undefined {
    for (const name of names) {
      const raw = this.#vars[name];
      if (raw === undefined || raw === null) continue;
      const value = typeof raw === 'string' || typeof raw === 'object' ? this.#rendered(name, raw) : raw;
      if (value !== undefined && value !== null && value !== '') return { name, value };
    }
    return undefined;
  }

  /** Text may hold a template; an object may be an encrypted value. */
  #rendered(name: string, raw: unknown): unknown {
    try {
      return this.#render(raw);
    } catch (error) {
      if (error instanceof InputError) this.faults.push(...error.faults);
      else this.fault(`${name} can't be rendered: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Text, or a number written plainly. */
  text(...names: string[]): string | undefined {
    const found = this.#value(names);
    if (found === undefined) return undefined;
    if (typeof found.value === 'string') return found.value;
    if (typeof found.value === 'number' && Number.isFinite(found.value)) return String(found.value);
    this.fault(`${found.name} must be text, not ${describe(found.value)}`);
    return undefined;
  }

  /** A password: like text, but its value is in no message. */
  secret(...names: string[]): string | undefined {
    const found = this.#value(names);
    if (found === undefined) return undefined;
    if (typeof found.value === 'string' || typeof found.value === 'number') return String(found.value);
    this.fault(`${found.name} must be text`, 'write it as text, or encrypted: "!vault |"');
    return undefined;
  }

  /** A TCP port. */
  port(...names: string[]): number | undefined {
    const found = this.#value(names);
    if (found === undefined) return undefined;
    const number = wholeNumber(found.value);
    if (number !== undefined && number >= 1 && number <= 65535) return number;
    this.fault(`${found.name} must be a port number, 1 to 65535, not ${describe(found.value)}`);
    return undefined;
  }

  /** A time in seconds, as milliseconds. */
  secondsAsMs(...names: string[]): number | undefined {
    const found = this.#value(names);
    if (found === undefined) return undefined;
    const number = wholeNumber(found.value);
    if (number !== undefined && number >= 1 && number <= 86_400) return number * 1000;
    this.fault(`${found.name} must be a number of seconds, 1 to 86400, not ${describe(found.value)}`);
    return undefined;
  }

  /** A truth value, with the words that Ansible takes. */
  flag(...names: string[]): boolean | undefined {
    const found = this.#value(names);
    if (found === undefined) return undefined;
    if (typeof found.value === 'boolean') return found.value;
    const word = String(found.value).toLowerCase();
    if (/^(?:y|yes|true|on|1|t)$/.test(word)) return true;
    if (/^(?:n|no|false|off|0|f)$/.test(word)) return false;
    this.fault(`${found.name} must be true or false, not ${describe(found.value)}`);
    return undefined;
  }
}

function wholeNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isInteger(value) ? value : undefined;
  return typeof value === 'string' && /^\s*\d{1,9}\s*$/.test(value) ? Number(value) : undefined;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : `"${String(value)}"`;
}
