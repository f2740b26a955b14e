import { spawn } from 'node:child_process';
import { constants, existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { parse, resolve } from 'node:path';
import { isVaultText, VaultFault } from '../config/vault/decrypt.ts';
import { Vault, type VaultPassword } from '../config/vault/vault.ts';
import { type Fault, InputError, messageOf } from '../core/errors.ts';
import { addSecret } from '../core/secrets.ts';
import { askSecret } from '../ui/prompt.ts';
import type { VaultOptions } from './options.ts';

const DEFAULT_LABEL = 'default';
/** Bytes that a program may print: a password is shorter. */
const MAX_OUTPUT = 64 << 10;

interface Source {
  readonly label: string;
  /** A path; null: a person is asked. */
  readonly file: string | null;
  readonly question: string;
}

/**
 * The passwords of ansible-vault that options and environment name, in Ansible's order. Files are read and programs run at once, once.
 * @param env ANSIBLE_VAULT_PASSWORD_FILE and ANSIBLE_VAULT_IDENTITY_LIST count, as for Ansible
 * @throws InputError with everything that is wrong with them
 */
export async function openVault(options: VaultOptions, env: NodeJS.ProcessEnv = process.env): Promise<Vault> {
  const passwords: VaultPassword[] = [];
  const faults: Fault[] = [];
  for (const source of sourcesOf(options, env)) {
    try {
      const password = await passwordOf(source, new Vault(passwords));
      addSecret(password.toString('utf8'));
      passwords.push({ label: source.label, password });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      faults.push(...error.faults);
    }
  }
  if (faults.length > 0) throw new InputError(faults);
  return new Vault(passwords);
}

function sourcesOf(options: VaultOptions, env: NodeJS.ProcessEnv): readonly Source[] {
  const listed = (env['ANSIBLE_VAULT_IDENTITY_LIST'] ?? '').split(',').map((word) => word.trim());
  const ids = [...listed.filter((word) => word !== ''), ...(options.vaultId ?? [])];
  const fromEnv = env['ANSIBLE_VAULT_PASSWORD_FILE'] ?? '';
  const files = [...(options.vaultPasswordFile ?? []), ...(fromEnv === '' ? [] : [fromEnv])];
  const asked = { label: DEFAULT_LABEL, file: null, question: 'Vault password' };
  return [
    ...ids.map(sourceOfId),
    ...files.map((file) => ({ label: DEFAULT_LABEL, file, question: '' })),
    ...(options.askVaultPass ? [asked] : []),
  ];
}

function sourceOfId(id: string): Source {
  const at = id.indexOf('@');
  const label = (at < 0 ? '' : id.slice(0, at)) || DEFAULT_LABEL;
  const from = id.slice(at + 1);
  const isAsked = from === 'prompt' || from === 'prompt_ask_vault_pass';
  return { label, file: isAsked ? null : from, question: `Vault password (${label})` };
}

async function passwordOf({ label, file, question }: Source, known: Vault): Promise<Buffer> {
  const answer = file === null ? Buffer.from(await askSecret(question)) : await passwordOfFile(file, label, known);
  if (answer.length > 0) return answer;
  const message = file === null ? 'the vault password is empty' : `the vault password in "${file}" is empty`;
  throw new InputError([{ message, hint: 'ansible-vault takes no empty password' }]);
}

async function passwordOfFile(file: string, label: string, known: Vault): Promise<Buffer> {
  const path = resolve(file.replace(/^~(?=\/|$)/, homedir()));
  const refuse = (message: string, hint: string): InputError =>
    new InputError([{ message: `the vault password file "${file}" ${message}`, hint }]);
  if (!existsSync(path)) throw refuse('does not exist', 'check the path, or use --ask-vault-pass');
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
    const isProgram = (statSync(path).mode & (constants.S_IXUSR | constants.S_IXGRP | constants.S_IXOTH)) !== 0;
    if (isProgram) {
      // Left to itself, the system would have a shell run the password.
      if (!bytes.subarray(0, 2).equals(Buffer.from('#!')) && !bytes.subarray(0, 4).equals(Buffer.from('\x7fELF')))
        throw refuse('is executable, but no program', `where it holds the password itself: chmod -x ${file}`);
      return stripped(await outputOf(path, file, label));
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw refuse(`can't be read: ${messageOf(error)}`, 'let your user read it, and nobody else');
  }
  const text = bytes.toString('latin1').trim();
  if (!isVaultText(text)) return Buffer.from(text, 'latin1');
  try {
    return stripped(Buffer.from(known.open(text)));
  } catch (error) {
    if (error instanceof VaultFault) throw refuse(`is ${error.message}`, 'name the password that opens it before it');
    throw error;
  }
}

/** Without line ends around it, as Ansible takes it. */
function stripped(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/^[\r\n]+|[\r\n]+$/g, ''), 'latin1');
}

/**
 * What a program prints. It is started without a shell, may ask on the terminal, and is given the vault id where its name ends in
 * `-client`, as Ansible does.
 */
function outputOf(path: string, shown: string, label: string): Promise<Buffer> {
  const args = parse(path).name.endsWith('-client') ? ['--vault-id', label] : [];
  return new Promise((done, fail) => {
    const refuse = (message: string): void =>
      fail(
        new InputError([
          { message: `the vault password program "${shown}" ${message}`, hint: 'run it by hand to see why' },
        ]),
      );
    const child = spawn(path, args, { stdio: ['inherit', 'pipe', 'inherit'] });
    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_OUTPUT) child.kill();
      else chunks.push(chunk);
    });
    child.once('error', (error) => refuse(`can't be started: ${messageOf(error)}`));
    child.once('close', (code, signal) => {
      if (size > MAX_OUTPUT) refuse(`prints more than ${MAX_OUTPUT} bytes`);
      else if (code !== 0) refuse(code === null ? `was ended by signal ${signal}` : `ended with exit code ${code}`);
      else done(Buffer.concat(chunks));
    });
  });
}
