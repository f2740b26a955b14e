import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { matchesPatternList } from './patterns.ts';

/** One line of a known_hosts file. */
export interface KnownHostEntry {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly marker: 'plain' | 'cert-authority' | 'revoked';
  /** As written: `ssh-ed25519` and so on. */
  readonly keyType: string;
  /** The key in SSH's wire form; undefined where the line holds none that can be read. */
  readonly key: Buffer | undefined;
  /** `SHA256:…`, or `''` without a key. */
  readonly fingerprint: string;
  /** Whether the line is about a host, named `host` or `[host]:port`; in lower case, as ssh records names. */
  matches(name: string): boolean;
}

/**
 * Reads a known_hosts file. Lines that make no sense are left out, as OpenSSH does.
 * @see sshd(8), SSH_KNOWN_HOSTS FILE FORMAT
 */
export function parseKnownHosts(file: string, text: string): readonly KnownHostEntry[] {
  return text.split('\n').flatMap((line, index) => {
    const entry = parseLine(file, line.trim(), index + 1);
    return entry === undefined ? [] : [entry];
  });
}

function parseLine(file: string, text: string, line: number): KnownHostEntry | undefined {
  if (text === '' || text.startsWith('#')) return undefined;
  const words = text.split(/[ \t]+/);
  let marker: KnownHostEntry['marker'] = 'plain';
  if (text.startsWith('@')) {
    const word = words.shift();
    if (word === '@cert-authority') marker = 'cert-authority';
    else if (word === '@revoked') marker = 'revoked';
    else return undefined;
  }
  const [hosts, keyType, base64] = words;
  if (hosts === undefined || keyType === undefined || base64 === undefined) return undefined;
  if (!/^(?:ssh-|ecdsa-sha2-|sk-ssh-|sk-ecdsa-)/.test(keyType)) return undefined;
  const key = decodeKey(keyType, base64);
  const fingerprint = key === undefined ? '' : fingerprintOf(key);
  return { file, line, marker, keyType, key, fingerprint, matches: hostMatcher(hosts) };
}

function hostMatcher(hosts: string): (name: string) => boolean {
  if (hosts.startsWith('|1|')) return hashedMatcher(hosts);
  const patterns = hosts.toLowerCase().split(',');
  const isLiteral = !/[*?!]/.test(hosts);
  return (name) =>
    isLiteral ? patterns.includes(name.toLowerCase()) : matchesPatternList(patterns, name.toLowerCase());
}

/** `|1|salt|hash`: HMAC-SHA1 of the name, so that the file does not tell which hosts it knows. */
function hashedMatcher(hosts: string): (name: string) => boolean {
  const [, , salt, hash] = hosts.split('|');
  const saltBytes = Buffer.from(salt ?? '', 'base64');
  const hashBytes = Buffer.from(hash ?? '', 'base64');
  return (name) => {
    const digest = createHmac('sha1', saltBytes).update(name).digest();
    return digest.length === hashBytes.length && timingSafeEqual(digest, hashBytes);
  };
}

function decodeKey(keyType: string, base64: string): Buffer | undefined {
  const blob = Buffer.from(base64, 'base64');
  if (blob.toString('base64') !== base64) return undefined;
  return blobType(blob) === keyType && isWholeBlob(blob) ? blob : undefined;
}

/** The key type that a blob in SSH's wire form names; undefined where it is no such blob. */
export function blobType(blob: Buffer): string | undefined {
  if (blob.length < 4) return undefined;
  const length = blob.readUInt32BE(0);
  return length > 0 && length <= 64 && 4 + length <= blob.length ? blob.toString('latin1', 4, 4 + length) : undefined;
}

function isWholeBlob(blob: Buffer): boolean {
  let at = 0;
  while (at + 4 <= blob.length) at += 4 + blob.readUInt32BE(at);
  return at === blob.length;
}

/** The fingerprint of a key in SSH's wire form, as `ssh-keygen -l` prints it: `SHA256:` and base64 without padding. */
export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** What known_hosts says about a key that a host has shown. */
export type HostKeyVerdict =
  | { readonly kind: 'known' }
  | { readonly kind: 'revoked'; readonly entry: KnownHostEntry }
  | { readonly kind: 'changed'; readonly entry: KnownHostEntry }
  /** Only certificates of an authority are known for the host. */
  | { readonly kind: 'authority'; readonly entry: KnownHostEntry }
  | { readonly kind: 'unknown' };

/**
 * Judges a key by the lines about its host. A host that is known by any key and shows another one has changed, also where the
 * other is of another type: the known types were offered first, so the host no longer has them.
 * @param plainName a name that counts where `name` is not listed: for ports other than 22, the host without the port
 */
export function judgeHostKey(
  entries: readonly KnownHostEntry[],
  key: Buffer,
  name: string,
  plainName: string | undefined,
): HostKeyVerdict {
  const lines = entries.filter((entry) => entry.matches(name));
  const plainLines = plainName === undefined ? [] : entries.filter((entry) => entry.matches(plainName));
  const isSame = (entry: KnownHostEntry): boolean => entry.key?.equals(key) === true;
  const revoked = [...lines, ...plainLines].find((entry) => entry.marker === 'revoked' && isSame(entry));
  if (revoked) return { kind: 'revoked', entry: revoked };
  const keys = lines.filter((entry) => entry.marker === 'plain' && entry.key !== undefined);
  if (keys.some(isSame)) return { kind: 'known' };
  const type = blobType(key);
  const other = keys.find((entry) => entry.keyType === type) ?? keys[0];
  if (other) return { kind: 'changed', entry: other };
  if (plainLines.some((entry) => entry.marker === 'plain' && isSame(entry))) return { kind: 'known' };
  const authority = [...lines, ...plainLines].find((entry) => entry.marker === 'cert-authority');
  return authority ? { kind: 'authority', entry: authority } : { kind: 'unknown' };
}

/**
 * The types of the keys that are known for a host, to be asked for first: else a host with several keys would show one that
 * is not known.
 */
export function knownKeyTypes(
  entries: readonly KnownHostEntry[],
  name: string,
  plainName: string | undefined,
): ReadonlySet<string> {
  const typesFor = (wanted: string): string[] =>
    entries
      .filter((entry) => entry.marker === 'plain' && entry.key !== undefined && entry.matches(wanted))
      .map((entry) => entry.keyType);
  const types = typesFor(name);
  return new Set(types.length > 0 || plainName === undefined ? types : typesFor(plainName));
}

/** Whether a host is known by the key of a certificate authority and by no key of its own. */
export function isKnownByAuthorityOnly(
  entries: readonly KnownHostEntry[],
  name: string,
  plainName: string | undefined,
): boolean {
  if (knownKeyTypes(entries, name, plainName).size > 0) return false;
  const names = plainName === undefined ? [name] : [name, plainName];
  return entries.some((entry) => entry.marker === 'cert-authority' && names.some((each) => entry.matches(each)));
}
