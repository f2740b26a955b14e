import { openEnvelope, readEnvelope, VaultFault } from './decrypt.ts';

/** A password of ansible-vault with the vault id under which it was given. */
export interface VaultPassword {
  /** `default` where it was given without one. */
  readonly label: string;
  readonly password: Buffer;
}

const OPTIONS = '--vault-password-file FILE, --vault-id LABEL@FILE or --ask-vault-pass';

/** The passwords of a run, and what they have opened: each text is opened once, when it is needed. */
export class Vault {
  readonly #passwords: readonly VaultPassword[];
  readonly #opened = new Map<string, string | VaultFault>();

  /** @param passwords tried in this order; that with the label of the text comes first */
  constructor(passwords: readonly VaultPassword[]) {
    this.#passwords = passwords;
  }

  /**
   * The text in a text of ansible-vault.
   * @throws VaultFault where no password opens it, or it is none
   */
  open(text: string): string {
    const key = text.trim();
    let result = this.#opened.get(key);
    if (result === undefined) {
      result = attempt(() => this.#decrypt(key));
      this.#opened.set(key, result);
    }
    if (typeof result !== 'string') throw result;
    return result;
  }

  #decrypt(text: string): string {
    const envelope = readEnvelope(text);
    const isNamed = ({ label }: VaultPassword): boolean => label === (envelope.label ?? 'default');
    const candidates = [...this.#passwords.filter(isNamed), ...this.#passwords.filter((each) => !isNamed(each))];
    for (const { password } of candidates) {
      const bytes = openEnvelope(envelope, password);
      if (bytes !== null) return decoded(bytes);
    }
    throw this.#refusal(envelope.label);
  }

  #refusal(label: string | undefined): VaultFault {
    const id = label === undefined ? '' : ` with the vault id "${label}"`;
    const labels = [...new Set(this.#passwords.map((each) => `"${each.label}"`))];
    if (labels.length === 0)
      return new VaultFault(`encrypted with ansible-vault${id}, and there is no password for it`, `give ${OPTIONS}`);
    const given = `${labels.length === 1 ? 'the vault password' : 'none of the vault passwords'} ${labels.join(', ')}`;
    return new VaultFault(
      `encrypted with ansible-vault${id}: ${given} ${labels.length === 1 ? 'does not open' : 'opens'} it`,
      `give the password that it was encrypted with by ${OPTIONS}; if that is right, the encrypted text was changed`,
    );
  }
}

/** No password was given. */
export const NO_VAULT = new Vault([]);

function attempt(open: () => string): string | VaultFault {
  try {
    return open();
  } catch (error) {
    if (error instanceof VaultFault) return error;
    throw error;
  }
}

function decoded(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new VaultFault('what is encrypted is no UTF-8 text', 'encrypt text, not bytes');
  }
}
