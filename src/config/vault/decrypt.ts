import { createDecipheriv, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';

/** Why a text of ansible-vault can't be opened, as a sentence, and what to do. Holds no secret. */
export class VaultFault extends Error {
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** What is on the outside of a text of ansible-vault. */
export interface Envelope {
  /** The vault id of format 1.2; undefined where it has none. A mere name: it is not protected. */
  readonly label: string | undefined;
  readonly salt: Buffer;
  /** HMAC-SHA256 of `ciphertext`. */
  readonly mac: Buffer;
  readonly ciphertext: Buffer;
}

const HEADER = '$ANSIBLE_VAULT';
const DAMAGED = 'it was changed or cut: take it from a backup, or encrypt the value again';

/** Whether a text says of itself that ansible-vault encrypted it. */
export function isVaultText(text: string): boolean {
  return text.startsWith(HEADER);
}

/**
 * Reads the header and the three parts of a text of ansible-vault, formats 1.1 and 1.2.
 * @throws VaultFault where it is none
 * @see https://docs.ansible.com/ansible/latest/vault_guide/vault_using_encrypted_content.html, "Format of files encrypted with Ansible Vault"
 */
export function readEnvelope(text: string): Envelope {
  const [header = '', ...lines] = text
    .trim()
    .split(/\r?\n/)
    .map((line) => line.trim());
  const [name, version = '', cipher = '', label] = header.split(';').map((part) => part.trim());
  if (name !== HEADER)
    throw new VaultFault(
      `an encrypted value begins with "${HEADER};1.1;AES256", this one does not`,
      'make it with "ansible-vault encrypt_string", and write "!vault |" in front of its lines',
    );
  if (!['1.1', '1.2'].includes(version) || cipher !== 'AES256')
    throw new VaultFault(
      `the vault format "${version}" with the cipher "${cipher}" is not supported`,
      'encrypt it again with a release of ansible-vault of today: "ansible-vault rekey"',
    );
  const parts = unhex(lines.join(''))?.toString('latin1').split('\n') ?? [];
  const [salt, mac, ciphertext] = parts.map(unhex);
  if (parts.length !== 3 || !salt || !mac || !ciphertext || mac.length !== 32 || ciphertext.length === 0)
    throw new VaultFault('the encrypted text is damaged', DAMAGED);
  return { label: label || undefined, salt, mac, ciphertext };
}

/** Bytes written in hexadecimal; null where they are not. */
function unhex(text: string): Buffer | null {
  return /^(?:[0-9a-fA-F]{2})*$/.test(text) ? Buffer.from(text, 'hex') : null;
}

const ROUNDS = 10_000;
const KEY = 32;
const BLOCK = 16;

/**
 * Opens an envelope: PBKDF2-HMAC-SHA256 of 10,000 rounds gives the two keys and the counter, AES-256-CTR the text, PKCS #7 its end
 * (RFC 8018, RFC 5652 section 6.3). Slow on purpose: about 10 ms.
 * @returns null where the password is not the one, or the text was changed: the two can't be told apart
 * @throws VaultFault where what the password opens is no whole text
 */
export function openEnvelope({ salt, mac, ciphertext }: Envelope, password: Buffer): Buffer | null {
  const derived = pbkdf2Sync(password, salt, ROUNDS, 2 * KEY + BLOCK, 'sha256');
  const expected = createHmac('sha256', derived.subarray(KEY, 2 * KEY))
    .update(ciphertext)
    .digest();
  if (!timingSafeEqual(expected, mac)) return null;
  const decipher = createDecipheriv('aes-256-ctr', derived.subarray(0, KEY), derived.subarray(2 * KEY));
  const padded = Buffer.concat([decipher.update(ciphertext), decipher.final()]);
  const padding = padded.at(-1) ?? 0;
  const isPadded = padding >= 1 && padding <= BLOCK && padded.subarray(-padding).every((byte) => byte === padding);
  if (!isPadded) throw new VaultFault('the encrypted text is damaged', DAMAGED);
  return padded.subarray(0, padded.length - padding);
}
