import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A vault id: format 1.2. */
export interface VaultId {
  readonly label: string;
  readonly passwordFile: string;
}

/** A folder with a vault password, and the real ansible-vault. */
export interface VaultFolder {
  readonly dir: string;
  /** Path of the file with the password. */
  readonly passwordFile: string;
  /** What the real ansible-vault makes of a text: the lines from `$ANSIBLE_VAULT` on. */
  encrypt(text: string, id?: VaultId): Promise<string>;
  /** The same for several: the program is started once. */
  encryptAll(texts: readonly string[], id?: VaultId): Promise<string[]>;
  /** Writes a file below the folder and gives its path. */
  write(path: string, text: string, mode?: number): string;
  /** Runs a program of ansible-core in the folder and gives its standard output. */
  ansible(program: string, ...args: readonly string[]): Promise<string>;
  remove(): void;
}

export const VAULT_PASSWORD = 'vault-pässword "1"';

export function makeVaultFolder(): VaultFolder {
  const dir = mkdtempSync(join(tmpdir(), 'mcastctl-vault-'));
  const write = (path: string, text: string, mode = 0o600): string => {
    const full = join(dir, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text, { mode });
    return full;
  };
  const passwordFile = write('.password', `${VAULT_PASSWORD}\n`);
  const env = {
    ...process.env,
    ANSIBLE_CONFIG: write('ansible.cfg', ''),
    ANSIBLE_NOCOLOR: '1',
    LC_ALL: 'C.UTF-8',
    ANSIBLE_VAULT_PASSWORD_FILE: '',
  };
  const ansible = async (program: string, ...args: readonly string[]): Promise<string> =>
    (await run(program, args, { cwd: dir, env })).stdout;
  let count = 0;
  const encryptAll: VaultFolder['encryptAll'] = async (texts, id) => {
    const files = texts.map((text) => write(`.plain-${++count}`, text));
    const secret = id === undefined ? `default@${passwordFile}` : `${id.label}@${id.passwordFile}`;
    const which = ['--vault-id', secret, '--encrypt-vault-id', id?.label ?? 'default'];
    await ansible('ansible-vault', 'encrypt', ...which, ...files);
    return files.map((file) => readFileSync(file, 'utf8').trimEnd());
  };
  return {
    dir,
    passwordFile,
    write,
    ansible,
    encryptAll,
    encrypt: async (text, id) => (await encryptAll([text], id))[0] ?? '',
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** An encrypted value as it stands in YAML, after the colon. */
export function vaultYaml(ciphertext: string, indent = '    '): string {
  return `!vault |\n${ciphertext.replace(/^/gm, indent)}`;
}
