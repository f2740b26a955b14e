import { createCipheriv, createHmac, pbkdf2Sync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isVaultText, VaultFault } from '../../../src/config/vault/decrypt.ts';
import { Vault } from '../../../src/config/vault/vault.ts';
import { makeVaultFolder, VAULT_PASSWORD } from '../../support/vault.ts';

const folder = makeVaultFolder();
afterAll(() => folder.remove());

const DEFAULT = { label: 'default', password: Buffer.from(VAULT_PASSWORD) };
const OTHER = { label: 'prod', password: Buffer.from('another one') };
const TEXTS = ['x', 'exactly 16 bytes', 'zwei Zeilen\nmit Ümläuten 💥\n', ` { "json": 1 }\t${'long '.repeat(1000)}`];

/** What the real ansible-vault made of TEXTS, and of the first with the vault id "prod". */
let made: string[] = [];
let labelled = '';
beforeAll(async () => {
  const passwordFile = folder.write('.other', 'another one');
  made = await folder.encryptAll(TEXTS);
  labelled = await folder.encrypt('of prod', { label: 'prod', passwordFile });
}, 60_000);

function refusal(text: string, ...passwords: ConstructorParameters<typeof Vault>[0]): string {
  try {
    return `opened: ${new Vault(passwords).open(text)}`;
  } catch (error) {
    if (!(error instanceof VaultFault)) throw error;
    return `${error.message} | ${error.hint}`;
  }
}

describe('what ansible-vault encrypted', () => {
  it('is opened: short, a whole block, many lines, beyond ASCII, long', () => {
    const vault = new Vault([DEFAULT]);
    expect(made.every(isVaultText)).toBe(true);
    expect(made.map((text) => text.split('\n')[0])).toEqual(TEXTS.map(() => '$ANSIBLE_VAULT;1.1;AES256'));
    expect(made.map((text) => vault.open(text))).toEqual(TEXTS);
  });

  it('with a vault id, by the password of that label or any other', () => {
    expect(labelled).toMatch(/^\$ANSIBLE_VAULT;1\.2;AES256;prod\n/);
    expect(new Vault([DEFAULT, OTHER]).open(labelled)).toBe('of prod');
    expect(new Vault([{ ...OTHER, label: 'dev' }]).open(labelled)).toBe('of prod');
    // Two passwords of one label.
    expect(new Vault([{ ...DEFAULT, label: 'prod' }, OTHER]).open(labelled)).toBe('of prod');
  });

  it('whatever its line ends, blanks around it and letters of its digits', () => {
    const [first = ''] = made;
    const [head, ...body] = first.split('\n');
    const upper = [head, ...body.map((line) => line.toUpperCase())];
    for (const text of [upper.join('\r\n'), `\n${first}\n\n`, first.replace(/^/gm, '   ')])
      expect(new Vault([DEFAULT]).open(text)).toBe('x');
  });

  it('is opened once: the slow derivation is not done again', () => {
    const vault = new Vault([DEFAULT]);
    vault.open(made[0] ?? '');
    const startedAt = performance.now();
    for (let count = 0; count < 1000; count++) vault.open(made[0] ?? '');
    expect(performance.now() - startedAt).toBeLessThan(100);
  });
});

describe('what can not be opened is told with what to do', () => {
  it('no password, the wrong one, several wrong ones', () => {
    const [first = ''] = made;
    expect(refusal(first)).toMatch(
      /^encrypted with ansible-vault, and there is no password for it \| give --vault-pass/,
    );
    expect(refusal(labelled)).toContain('with the vault id "prod", and there is no password');
    expect(refusal(first, OTHER)).toMatch(
      /: the vault password "prod" does not open it \| .*the encrypted text was changed/,
    );
    const third = { label: 'dev', password: Buffer.from('x') };
    expect(refusal(first, OTHER, third)).toContain('none of the vault passwords "prod", "dev" opens it');
  });

  it('each digit counts: nothing that was changed is opened', () => {
    const [head = '', ...body] = (made[0] ?? '').split('\n');
    const digits = body.join('');
    for (let at = 0; at < digits.length; at += 41) {
      const changed = `${digits.slice(0, at)}${digits[at] === '3' ? '4' : '3'}${digits.slice(at + 1)}`;
      expect(refusal(`${head}\n${changed}`, DEFAULT)).toMatch(/does not open it|is damaged/);
    }
  });

  it.each([
    ['plain text', 'an encrypted value begins with "$ANSIBLE_VAULT;1.1;AES256"'],
    ['$ANSIBLE_VAULT;1.0;AES\n3132', 'the vault format "1.0" with the cipher "AES" is not supported'],
    ['$ANSIBLE_VAULT', 'the vault format "" with the cipher "" is not supported'],
    ['$ANSIBLE_VAULT;1.1;AES256', 'the encrypted text is damaged'],
    ['$ANSIBLE_VAULT;1.1;AES256\n313', 'the encrypted text is damaged'],
    ['$ANSIBLE_VAULT;1.1;AES256\nxyz!', 'the encrypted text is damaged'],
    ['$ANSIBLE_VAULT;1.1;AES256\n3132', 'the encrypted text is damaged'],
  ])('%j', (text, message) => expect(refusal(text, DEFAULT)).toContain(message));

  // ansible-vault can't be made to write such texts: they are built by hand, as RFC 8018 and ansible-core have it.
  it.each([
    ['bytes that are no text', Buffer.from([0xff, 0xfe, ...Array(14).fill(14)]), 'is no UTF-8 text'],
    ['a padding that is none', Buffer.from('sixteen bytes!!\x00'), 'is damaged'],
    ['a padding that differs', Buffer.from('sixteen bytes!\x01\x02'), 'is damaged'],
  ])('%s', (_, padded, message) => expect(refusal(sealed(padded), DEFAULT)).toContain(message));
});

function sealed(padded: Buffer): string {
  const salt = Buffer.alloc(32, 7);
  const keys = pbkdf2Sync(DEFAULT.password, salt, 10_000, 80, 'sha256');
  const ciphertext = createCipheriv('aes-256-ctr', keys.subarray(0, 32), keys.subarray(64)).update(padded);
  const mac = createHmac('sha256', keys.subarray(32, 64)).update(ciphertext).digest();
  const inner = [salt, mac, ciphertext].map((part) => part.toString('hex')).join('\n');
  return `$ANSIBLE_VAULT;1.1;AES256\n${Buffer.from(inner).toString('hex')}\n`;
}
