import { inspect } from 'node:util';
import { addSecret } from '../core/secrets.ts';

/** Variables of an inventory host that hold a password, by the order in which they count. */
export const PASSWORD_VARS = {
  login: ['ansible_password', 'ansible_ssh_password', 'ansible_ssh_pass'],
  become: ['ansible_become_password', 'ansible_become_pass', 'ansible_sudo_pass'],
} as const;

/**
 * A password or passphrase that prints as `***` wherever it is printed by mistake: text, JSON, `util.inspect`. Its text is hidden in
 * all output.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    addSecret(value);
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

/** `sshpass -p`, and the password that is given to it. */
const SSHPASS = /(\bsshpass\b.*?\s-p[ \t]*)('[^']*'|"(?:[^"\\]|\\.)*"|(?:\\.|\S)+)/s;

/** Whether a command line of the user's own gives `sshpass -p` a password, which is then hidden in all output. */
export function hasPassword(command: string): boolean {
  const word = SSHPASS.exec(command)?.[2];
  if (word === undefined) return false;
  addSecret(word.startsWith("'") ? word.slice(1, -1) : word.replace(/^"(.*)"$/s, '$1').replace(/\\(.)/gs, '$1'));
  return true;
}

/** A command line of the user's own, for a message: the password that `sshpass -p` is given is left out. */
export function withoutPassword(command: string): string {
  return command.replace(SSHPASS, '$1***');
}
