import { createHmac, randomBytes } from 'node:crypto';
import { appendFileSync, closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, UnreachableError } from '../core/errors.ts';
import { isMissing } from './config-file.ts';
import { cacheByFile } from './file-cache.ts';
import {
  blobType,
  fingerprintOf,
  isKnownByAuthorityOnly,
  judgeHostKey,
  type KnownHostEntry,
  knownKeyTypes,
  parseKnownHosts,
} from './known-hosts.ts';
import { quoteArgv } from './quote.ts';
import type { SshTarget } from './target.ts';

const cachedKnownHosts = cacheByFile((path) => {
  try {
    return parseKnownHosts(path, readFileSync(path, 'utf8'));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
});

const linesByName = new WeakMap<readonly KnownHostEntry[], Map<string, readonly KnownHostEntry[]>>();

/** The lines of one file about a name. Remembered: a hashed file costs a hash for every line. */
function linesAbout(entries: readonly KnownHostEntry[], name: string): readonly KnownHostEntry[] {
  const known = linesByName.get(entries) ?? new Map<string, readonly KnownHostEntry[]>();
  linesByName.set(entries, known);
  const lines = known.get(name) ?? entries.filter((entry) => entry.matches(name));
  known.set(name, lines);
  return lines;
}

/** The lines of all known_hosts files about a target, the user's files first. */
function knownHosts(target: SshTarget): readonly KnownHostEntry[] {
  const { userFiles, globalFiles, name, plainName } = target.hostKeys;
  return [...userFiles, ...globalFiles].flatMap((path) => {
    try {
      const entries = cachedKnownHosts(path);
      const plain = plainName === undefined ? [] : linesAbout(entries, plainName);
      return [...new Set([...linesAbout(entries, name), ...plain])];
    } catch (error) {
      const message = `"${path}", a list of known host keys, can't be read: ${messageOf(error)}`;
      throw new UnreachableError(target.host, message, { hint: 'check the permissions of the file' });
    }
  });
}

const HOST_KEY_ALGORITHMS = [
  { name: 'ssh-ed25519', keyType: 'ssh-ed25519' },
  { name: 'ecdsa-sha2-nistp256', keyType: 'ecdsa-sha2-nistp256' },
  { name: 'ecdsa-sha2-nistp384', keyType: 'ecdsa-sha2-nistp384' },
  { name: 'ecdsa-sha2-nistp521', keyType: 'ecdsa-sha2-nistp521' },
  { name: 'rsa-sha2-512', keyType: 'ssh-rsa' },
  { name: 'rsa-sha2-256', keyType: 'ssh-rsa' },
  { name: 'ssh-rsa', keyType: 'ssh-rsa' },
] as const;

/** A name of a host key algorithm. */
export type HostKeyAlgorithm = (typeof HOST_KEY_ALGORITHMS)[number]['name'];

/**
 * The host key algorithms to offer: first those of the keys that are known for the host, the cheapest first among equals.
 * @throws UnreachableError where a known_hosts file can't be read
 */
export function hostKeyAlgorithms(target: SshTarget): HostKeyAlgorithm[] {
  const { name, plainName } = target.hostKeys;
  const known = knownKeyTypes(knownHosts(target), name, plainName);
  const first = HOST_KEY_ALGORITHMS.filter(({ keyType }) => known.has(keyType));
  const rest = HOST_KEY_ALGORITHMS.filter(({ keyType }) => !known.has(keyType));
  return [...first, ...rest].map((algorithm) => algorithm.name);
}

/** Whether the host can be verified only by a certificate, which ssh2 does not ask for. */
export function needsCertificate(target: SshTarget): boolean {
  return isKnownByAuthorityOnly(knownHosts(target), target.hostKeys.name, target.hostKeys.plainName);
}

/** Which relaxation is allowed, and who hears of a key that was recorded. */
export interface HostKeyOptions {
  readonly acceptNew: boolean;
  readonly notice: (text: string) => void;
}

/**
 * Verifies the key that a host has shown, before anything is sent to it. With `acceptNew` the key of a host that is not known
 * at all is recorded.
 * @param key in SSH's wire form
 * @returns why the host is refused, or undefined where it is the right one
 */
export function checkHostKey(target: SshTarget, key: Buffer, options: HostKeyOptions): UnreachableError | undefined {
  try {
    return refusal(target, key, options);
  } catch (error) {
    if (error instanceof UnreachableError) return error;
    throw error;
  }
}

function refusal(target: SshTarget, key: Buffer, options: HostKeyOptions): UnreachableError | undefined {
  const { name, plainName, revokedFile } = target.hostKeys;
  const shown = `${keyName(blobType(key) ?? 'unknown')} key ${fingerprintOf(key)}`;
  const who = named(target);
  const refuse = (message: string, hint: string): UnreachableError =>
    new UnreachableError(target.host, message, { hint });
  if (revokedFile !== undefined) checkRevokedFile(target, revokedFile, key, shown);
  const verdict = judgeHostKey(knownHosts(target), key, name, plainName);
  switch (verdict.kind) {
    case 'known':
      return undefined;
    case 'revoked':
      return refuse(
        `${who} shows the ${shown}, which is marked as revoked at ${placeOf(verdict.entry)}; nothing was sent`,
        'the key was withdrawn: give the host a new one, or find out who answers in its place',
      );
    case 'changed':
      return refuse(changedMessage(who, shown, verdict.entry), changedHint(name, verdict.entry));
    case 'authority':
      return refuse(
        `${who} is known only by the certificate authority at ${placeOf(verdict.entry)}, and its certificate can't be checked here`,
        "add the host's own key to known_hosts",
      );
    case 'unknown':
      return options.acceptNew ? record(target, key, shown, options) : refuse(...unknownText(target, who, shown));
  }
}

function changedMessage(who: string, shown: string, entry: KnownHostEntry): string {
  const known = `${keyName(entry.keyType)} key ${entry.fingerprint}`;
  return `the host key of ${who} has changed: known is the ${known} (${placeOf(entry)}), shown is the ${shown}; nothing was sent`;
}

function changedHint(name: string, entry: KnownHostEntry): string {
  const command = quoteArgv(['ssh-keygen', '-f', entry.file, '-R', name]);
  return `if the host was reinstalled, remove the old key with: ${command}; if not, somebody else may be answering in its place`;
}

function unknownText(target: SshTarget, who: string, shown: string): [string, string] {
  const files = [...target.hostKeys.userFiles, ...target.hostKeys.globalFiles].join(', ') || 'no file at all';
  return [
    `${who} is not known: it shows the ${shown}, and "${target.hostKeys.name}" is in none of ${files}; nothing was sent`,
    'compare the fingerprint with what "ssh-keygen -lf" says on the host, then connect once with ssh or with --accept-new',
  ];
}

function record(target: SshTarget, key: Buffer, shown: string, options: HostKeyOptions): UnreachableError | undefined {
  const { userFiles, name, isHashing } = target.hostKeys;
  const file = userFiles[0];
  if (file === undefined || file === '/dev/null') {
    return new UnreachableError(
      target.host,
      `the new key of ${named(target)} can't be recorded: UserKnownHostsFile names no file`,
      {
        hint: 'set UserKnownHostsFile to a file that keeps the keys',
      },
    );
  }
  try {
    appendLine(file, `${isHashing ? hashName(name) : name} ${blobType(key)} ${key.toString('base64')}`);
  } catch (error) {
    return new UnreachableError(
      target.host,
      `the new key of ${named(target)} can't be recorded in "${file}": ${messageOf(error)}`,
      {
        hint: 'check the permissions of the file, or add the key by hand',
      },
    );
  }
  options.notice(`${named(target)} is new: its ${shown} was added to ${file}`);
  return undefined;
}

function appendLine(path: string, line: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const file = openSync(path, 'a+', 0o600);
  try {
    const { size } = fstatSync(file);
    const last = Buffer.alloc(1);
    if (size > 0) readSync(file, last, 0, 1, size - 1);
    const isOpenEnded = size > 0 && last[0] !== 0x0a;
    // One write at the end: other programs may append at the same time.
    appendFileSync(file, `${isOpenEnded ? '\n' : ''}${line}\n`);
  } finally {
    closeSync(file);
  }
}

function hashName(name: string): string {
  const salt = randomBytes(20);
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
}

/** RevokedHostKeys in its plain form, one public key a line. @throws UnreachableError for a revoked key and an unreadable file */
function checkRevokedFile(target: SshTarget, path: string, key: Buffer, shown: string): void {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    throw new UnreachableError(
      target.host,
      `RevokedHostKeys "${path}" can't be read: ${messageOf(error)}; nothing was sent`,
    );
  }
  if (text.startsWith('SSHKRL')) {
    throw new UnreachableError(
      target.host,
      `RevokedHostKeys "${path}" is a binary revocation list, which can't be read here`,
      {
        hint: 'list the revoked public keys as text, one a line',
      },
    );
  }
  if (text.split(/\s+/).includes(key.toString('base64'))) {
    throw new UnreachableError(
      target.host,
      `${named(target)} shows the ${shown}, which is revoked by "${path}"; nothing was sent`,
    );
  }
}

function named(target: SshTarget): string {
  const place = target.hostKeys.name;
  return place === target.host.toLowerCase() ? `"${target.host}"` : `"${target.host}" (${place})`;
}

function placeOf(entry: KnownHostEntry): string {
  return `${entry.file}:${entry.line}`;
}

/** The short name that OpenSSH prints for a key type. */
function keyName(keyType: string): string {
  if (keyType.startsWith('ecdsa-')) return 'ECDSA';
  return keyType.replace(/^ssh-/, '').toUpperCase();
}
