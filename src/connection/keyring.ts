import { readFileSync } from 'node:fs';
import { createAgent, type ParsedKey, default as ssh2 } from 'ssh2';
import { messageOf } from '../core/errors.ts';
import { isMissing } from './config-file.ts';
import { Secret } from './secret.ts';

/** A key that a login may be tried with. */
export interface Identity {
  readonly publicKey: ParsedKey;
  /** For messages: the file, or the agent. */
  readonly label: string;
  /** Where it comes from. */
  readonly origin: 'file' | 'agent';
  /** @throws where the key can't sign: a passphrase is missing or wrong, the agent refused */
  sign(data: Buffer, hash: string | undefined): Promise<Buffer>;
}

/** What is in a key file: an identity, or why there is none. A public key alone has an identity that can't sign. */
export interface KeyFileContent {
  readonly identity?: Identity | undefined;
  readonly isLocked: boolean;
  readonly isPublicOnly: boolean;
  /** Why it can't be used; undefined for a missing file too. */
  readonly problem?: string | undefined;
}

const NOTHING: KeyFileContent = { isLocked: false, isPublicOnly: false };

/** The keys of a run: every file is read, parsed and, where it must be, unlocked once for all hosts; an agent is listed once. */
export class Keyring {
  readonly #ask: ((keyFile: string) => Promise<string | undefined>) | undefined;
  readonly #files = new Map<string, Promise<KeyFileContent>>();
  readonly #agents = new Map<string, Promise<readonly Identity[]>>();
  #asking: Promise<unknown> = Promise.resolve();

  constructor(ask: ((keyFile: string) => Promise<string | undefined>) | undefined) {
    this.#ask = ask;
  }

  /** The key in a file. Never rejects. */
  file(path: string): Promise<KeyFileContent> {
    let content = this.#files.get(path);
    if (content === undefined) {
      content = this.#readFile(path);
      this.#files.set(path, content);
    }
    return content;
  }

  /**
   * The keys of an agent.
   * @throws where the agent can't be reached
   */
  agent(socket: string): Promise<readonly Identity[]> {
    let identities = this.#agents.get(socket);
    if (identities === undefined) {
      identities = listAgent(socket);
      this.#agents.set(socket, identities);
    }
    return identities;
  }

  async #readFile(path: string): Promise<KeyFileContent> {
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      return isMissing(error) ? NOTHING : { ...NOTHING, problem: messageOf(error) };
    }
    const parsed = parseKey(bytes);
    if (!(parsed instanceof Error)) {
      if (!parsed.isPrivateKey()) return { identity: publicOnly(path, parsed), isLocked: false, isPublicOnly: true };
      return { identity: ready(path, parsed), isLocked: false, isPublicOnly: false };
    }
    if (!/encrypted/i.test(parsed.message)) return { ...NOTHING, problem: parsed.message };
    return this.#locked(path, bytes);
  }

  /** An encrypted key: its public half shows whether the host wants it; the passphrase is asked for only then. */
  async #locked(path: string, bytes: Buffer): Promise<KeyFileContent> {
    let unlocking: Promise<ParsedKey> | undefined;
    const unlock = (): Promise<ParsedKey> => {
      unlocking ??= this.#unlock(path, bytes);
      return unlocking;
    };
    const publicKey = publicHalf(path, bytes);
    if (publicKey === undefined) {
      try {
        return { identity: ready(path, await unlock()), isLocked: false, isPublicOnly: false };
      } catch (error) {
        return { ...NOTHING, problem: messageOf(error) };
      }
    }
    const sign = async (data: Buffer, hash: string | undefined): Promise<Buffer> =>
      signWith(await unlock(), data, hash);
    return { identity: { publicKey, label: path, origin: 'file', sign }, isLocked: true, isPublicOnly: false };
  }

  async #unlock(path: string, bytes: Buffer): Promise<ParsedKey> {
    const ask = this.#ask;
    if (ask === undefined) throw new Error(`key "${path}" has a passphrase and nobody can be asked for it`);
    // One question at a time: two prompts on one terminal can't be told apart.
    const answer = this.#asking.then(() => ask(path));
    this.#asking = answer.catch(() => undefined);
    const passphrase = await answer;
    if (passphrase === undefined || passphrase === '') throw new Error(`no passphrase was given for key "${path}"`);
    const parsed = parseKey(bytes, new Secret(passphrase));
    if (parsed instanceof Error) throw new Error(`the passphrase given for key "${path}" is wrong`);
    return parsed;
  }
}

function parseKey(bytes: Buffer | string, passphrase?: Secret): ParsedKey | Error {
  const parsed = ssh2.utils.parseKey(bytes, passphrase?.reveal());
  return Array.isArray(parsed) ? (parsed[0] ?? new Error('the file holds no key')) : parsed;
}

function ready(path: string, key: ParsedKey): Identity {
  return { publicKey: key, label: path, origin: 'file', sign: async (data, hash) => signWith(key, data, hash) };
}

function publicOnly(path: string, publicKey: ParsedKey): Identity {
  const sign = async (): Promise<Buffer> => {
    throw new Error(`"${path}" holds a public key only`);
  };
  return { publicKey, label: path, origin: 'file', sign };
}

function signWith(key: ParsedKey, data: Buffer, hash: string | undefined): Buffer {
  const signature = key.sign(data, hash) as Buffer | Error;
  if (signature instanceof Error) throw signature;
  return signature;
}

/** The public half of an encrypted key: from OpenSSH's own format, which keeps it in the clear, or from the `.pub` file. */
function publicHalf(path: string, bytes: Buffer): ParsedKey | undefined {
  const blob = publicBlob(bytes.toString('latin1'));
  const type = blob?.toString('latin1', 4, 4 + blob.readUInt32BE(0));
  let source: Buffer | string | undefined = blob && `${type} ${blob.toString('base64')}`;
  if (source === undefined) {
    try {
      source = readFileSync(`${path}.pub`);
    } catch {
      return undefined;
    }
  }
  const parsed = parseKey(source);
  return parsed instanceof Error ? undefined : parsed;
}

/** @see OpenSSH's PROTOCOL.key: magic, cipher, kdf, kdf options, number of keys, public key */
function publicBlob(pem: string): Buffer | undefined {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END/.exec(pem)?.[1];
  if (body === undefined) return undefined;
  const bytes = Buffer.from(body, 'base64');
  let at = Buffer.byteLength('openssh-key-v1\0');
  const readString = (): Buffer => {
    const start = at + 4;
    at = start + bytes.readUInt32BE(at);
    return bytes.subarray(start, at);
  };
  try {
    for (let skipped = 0; skipped < 3; skipped++) readString();
    at += 4;
    const blob = readString();
    return blob.length > 4 ? blob : undefined;
  } catch {
    return undefined; // cut short
  }
}

async function listAgent(socket: string): Promise<readonly Identity[]> {
  const agent = createAgent(socket);
  const keys = await new Promise<readonly ParsedKey[]>((resolve, reject) => {
    agent.getIdentities((error, found) => {
      if (error) reject(error);
      else resolve((found ?? []).flatMap((key) => toParsedKey(key)));
    });
  });
  return keys.map((publicKey) => ({
    publicKey,
    label: `agent key ${publicKey.comment || publicKey.type}`,
    origin: 'agent' as const,
    sign: (data, hash) =>
      new Promise<Buffer>((resolve, reject) => {
        const done = (error: Error | null | undefined, signature?: Buffer): void => {
          if (signature === undefined) reject(error ?? new Error('the agent gave no signature'));
          else resolve(signature);
        };
        if (hash === 'sha256' || hash === 'sha512') agent.sign(publicKey, data, { hash }, done);
        else agent.sign(publicKey, data, {}, done);
      }),
  }));
}

function toParsedKey(key: unknown): ParsedKey[] {
  const source = typeof key === 'object' && key !== null && 'pubKey' in key ? key.pubKey : key;
  const parsed = ssh2.utils.parseKey(source as Buffer);
  return parsed instanceof Error ? [] : [parsed].flat();
}
