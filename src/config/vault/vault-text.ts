import { type Fault, InputError } from '../../core/errors.ts';
import { addSecret } from '../../core/secrets.ts';
import { VaultFault } from './decrypt.ts';
import { NO_VAULT, type Vault } from './vault.ts';

/** A value encrypted with ansible-vault (`!vault`). Shows nothing of itself when put into a text. */
export class VaultText {
  readonly ciphertext: string;
  readonly #vault: Vault;
  readonly #faultAt: (message: string, hint: string) => Fault;

  /** @param faultAt makes a fault at the place where the value is written */
  constructor(
    ciphertext: string,
    vault: Vault = NO_VAULT,
    faultAt: (message: string, hint: string) => Fault = (message, hint) => ({ message, hint }),
  ) {
    this.ciphertext = ciphertext;
    this.#vault = vault;
    this.#faultAt = faultAt;
  }

  /**
   * The value, for who uses it: it is hidden in all output from now on. It is text, never a template.
   * @throws InputError with the place where it is written, where it can't be opened
   */
  reveal(): string {
    try {
      const text = this.#vault.open(this.ciphertext);
      addSecret(text);
      return text;
    } catch (error) {
      if (!(error instanceof VaultFault)) throw error;
      throw new InputError([this.#faultAt(error.message, error.hint)]);
    }
  }

  toString(): string {
    return '(encrypted with ansible-vault)';
  }
}

/** What in the name of a variable says that its value is a secret. */
const TELLING = /pass|secret|token|key|cred|auth|psk|pin(?:$|_)/i;

/**
 * Makes known as secrets all texts of a file that was encrypted as a whole, and the numbers under names that say so. Names and
 * addresses may be among them: texts under other names may be arguments of programs.
 * @param value a plain value: maps, lists and scalars
 */
export function addSecretsOf(value: unknown, isTold = false): void {
  if (typeof value === 'string') addSecret(value, !isTold);
  else if (typeof value === 'number' || typeof value === 'bigint') {
    if (isTold) addSecret(String(value));
  } else if (Array.isArray(value)) for (const item of value) addSecretsOf(item, isTold);
  else if (typeof value === 'object' && value !== null && !(value instanceof VaultText))
    for (const [key, inner] of Object.entries(value)) addSecretsOf(inner, isTold || TELLING.test(key));
}

/** A message about a text that is nobody's business: what it quotes is left out. */
export function withoutQuotes(message: string): string {
  return message.replace(/"(?:[^"\\]|\\.)*"/g, '"***"').replace(/\bthe (number|date) \S+/g, 'a $1');
}
