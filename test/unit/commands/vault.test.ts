import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openVault } from '../../../src/commands/vault.ts';
import { InputError } from '../../../src/core/errors.ts';
import { redact } from '../../../src/core/secrets.ts';
import { makeVaultFolder, VAULT_PASSWORD } from '../../support/vault.ts';

const folder = makeVaultFolder();
afterAll(() => folder.remove());

const PROD = 'the password of prod';
let ofDefault = '';
let ofProd = '';
beforeAll(async () => {
  const passwordFile = folder.write('.prod', PROD);
  [ofDefault, ofProd] = await Promise.all([
    folder.encrypt('of default'),
    folder.encrypt('of prod', { label: 'prod', passwordFile }),
  ]);
}, 60_000);

async function opened(options: Parameters<typeof openVault>[0], env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const vault = await openVault(options, env);
  return [ofDefault, ofProd].map((text) => {
    try {
      return vault.open(text);
    } catch {
      return '-';
    }
  });
}

async function refusals(options: Parameters<typeof openVault>[0], env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const error: unknown = await openVault(options, env).catch((thrown: unknown) => thrown);
  if (!(error instanceof InputError)) throw error;
  return error.faults.map(({ message, hint }) => `${message} | ${hint}`);
}

describe('passwords come from', () => {
  it('a file, its line end apart', async () => {
    expect(await opened({ vaultPasswordFile: [folder.passwordFile] })).toEqual(['of default', '-']);
    expect(redact(`<${VAULT_PASSWORD}>`)).toBe('<***>');
  });

  it('several vault ids, with and without label', async () => {
    const vaultId = [`prod@${folder.dir}/.prod`, folder.passwordFile];
    expect(await opened({ vaultId })).toEqual(['of default', 'of prod']);
  });

  it('the environment, as for Ansible', async () => {
    expect(await opened({}, { ANSIBLE_VAULT_PASSWORD_FILE: folder.passwordFile })).toEqual(['of default', '-']);
    const list = `prod@${folder.dir}/.prod, dev@${folder.passwordFile}`;
    expect(await opened({}, { ANSIBLE_VAULT_IDENTITY_LIST: list })).toEqual(['of default', 'of prod']);
    expect(await opened({}, { ANSIBLE_VAULT_PASSWORD_FILE: '' })).toEqual(['-', '-']);
  });

  it('the home', async () => {
    const path = `~/../..${folder.passwordFile}`;
    expect((await refusals({ vaultPasswordFile: [`${path}-none`] }))[0]).toContain('does not exist');
    expect(await opened({ vaultPasswordFile: [path] })).toEqual(['of default', '-']);
  });

  it('a program, which is no shell command', async () => {
    const program = folder.write('print; touch pwned', `#!/bin/sh\nprintf '\\n%s\\n' '${VAULT_PASSWORD}'\n`, 0o700);
    expect(await opened({ vaultPasswordFile: [program] })).toEqual(['of default', '-']);
  });

  it('a program named "-client", which is told the vault id', async () => {
    const script = `#!/bin/sh\n[ "$*" = "--vault-id prod" ] && echo '${PROD}' || echo '${VAULT_PASSWORD}'\n`;
    const client = folder.write('my-client.sh', script, 0o700);
    expect(await opened({ vaultId: [`prod@${client}`] })).toEqual(['-', 'of prod']);
    expect(await opened({ vaultPasswordFile: [client] })).toEqual(['of default', '-']);
  });

  it('a file that is itself encrypted, with a password before it', async () => {
    const encrypted = folder.write('.encrypted', await folder.encrypt(`${PROD}\n`));
    expect(await opened({ vaultId: [folder.passwordFile, `prod@${encrypted}`] })).toEqual(['of default', 'of prod']);
    expect((await refusals({ vaultId: [encrypted] }))[0]).toMatch(/encrypted with ansible-vault, and there is no pass/);
  });

  it('a file that is not UTF-8', async () => {
    const path = folder.write('.bytes', '');
    writeFileSync(path, Buffer.from([0xff, 0xfe, 0x21, 0x22, 0x0a]));
    const text = await folder.encrypt('of bytes', { label: 'bytes', passwordFile: path });
    expect((await openVault({ vaultPasswordFile: [path] }, {})).open(text)).toBe('of bytes');
  });
});

it('what is wrong is told all at once, with what to do', async () => {
  const notes = folder.write('notes', VAULT_PASSWORD, 0o755);
  const failing = folder.write('failing', '#!/bin/sh\nexit 7\n', 0o700);
  const endless = folder.write('endless', '#!/bin/sh\nexec yes\n', 0o700);
  const broken = folder.write('broken', '#!/no/such/program\n', 0o700);
  const vaultPasswordFile = [join(folder.dir, 'none'), folder.write('empty', '\n'), folder.dir, notes];
  const found = await refusals({ vaultPasswordFile: [...vaultPasswordFile, failing, endless, broken] });
  const shown = found.map((fault) => fault.replaceAll(`${folder.dir}/`, '').replaceAll(folder.dir, 'FOLDER'));
  expect(shown).toEqual([
    'the vault password file "none" does not exist | check the path, or use --ask-vault-pass',
    'the vault password in "empty" is empty | ansible-vault takes no empty password',
    expect.stringMatching(/^the vault password file "FOLDER" can't be read: EISDIR/),
    'the vault password file "notes" is executable, but no program | where it holds the password itself: chmod -x notes',
    'the vault password program "failing" ended with exit code 7 | run it by hand to see why',
    'the vault password program "endless" prints more than 65536 bytes | run it by hand to see why',
    expect.stringMatching(/^the vault password program "broken" can't be started: .*ENOENT/),
  ]);
});
