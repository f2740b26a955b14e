import { inspect } from 'node:util';

/** A password or passphrase that prints as `***` wherever it is printed by mistake: text, JSON, `util.inspect`. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself, for the one call that sends it. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '***';
  }

  toJSON(): string {
    return '***';
  }

  [inspect.custom](): string {
    return '***';
  }
}

/** A command line of the user's own, for a message: the password that `sshpass -p` is given is left out. */
export function withoutPassword(command: string): string {
  return command.replace(/(\bsshpass\b.*?\s-p[ \t]*)('[^']*'|"(?:[^"\\]|\\.)*"|(?:\\.|\S)+)/s, '$1***');
}
