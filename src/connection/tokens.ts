import { createHash } from 'node:crypto';

/** Raised inside this folder where text of a configuration can't be used; turned into a fault with its place. */
export class ConfigProblem extends Error {
  override readonly name = 'ConfigProblem';
}

/** What the percent tokens of ssh_config stand for. */
export interface TokenValues {
  /** `%h`: the name or address that is connected to. */
  readonly hostName: string;
  /** `%n`: the name as given. */
  readonly originalHost: string;
  readonly port: number;
  /** `%r`: the user of the login. */
  readonly remoteUser: string;
  /** `%u`: the user who runs this program. */
  readonly localUser: string;
  readonly localUid: number;
  /** `%l`: this machine's name. */
  readonly localHost: string;
  readonly homeDir: string;
  readonly hostKeyAlias?: string | undefined;
  /** `%j`: the text of ProxyJump. */
  readonly proxyJump?: string | undefined;
}

/** The values of all tokens, by their letter. @see ssh_config(5), TOKENS */
export function tokenTable(values: TokenValues): Readonly<Record<string, string>> {
  const jump = values.proxyJump ?? '';
  const hash = createHash('sha1');
  hash.update(`${values.localHost}${values.hostName}${values.port}${values.remoteUser}${jump}`);
  return {
    '%': '%',
    C: hash.digest('hex'),
    d: values.homeDir,
    h: values.hostName,
    i: String(values.localUid),
    j: jump,
    k: values.hostKeyAlias ?? values.originalHost,
    L: values.localHost.replace(/\..*$/s, ''),
    l: values.localHost,
    n: values.originalHost,
    p: String(values.port),
    r: values.remoteUser,
    u: values.localUser,
  };
}

/**
 * Replaces the percent tokens in `text`.
 * @param allowed the letters that may stand here; each keyword has its own set
 * @throws ConfigProblem for a token that is unknown or not allowed here
 */
export function expandTokens(text: string, table: Readonly<Record<string, string>>, allowed: string): string {
  return text.replaceAll(/%(.?)/gsu, (_whole, letter: string) => {
    const value = allowed.includes(letter) ? table[letter] : undefined;
    if (letter === '' || value === undefined)
      throw new ConfigProblem(`"%${letter}" in "${text}" is not a token that may stand here`);
    return value;
  });
}

/** Tokens of IdentityFile, IdentityAgent, UserKnownHostsFile, Match exec and others. */
export const FILE_TOKENS = '%CdhijkLlnpru';
/** Tokens of ProxyCommand and ProxyJump. */
export const PROXY_TOKENS = '%hnpr';
/** Tokens of HostName. */
export const HOST_TOKENS = '%h';

/**
 * A path from a configuration: `~/` is the home folder, `${NAME}` the environment.
 * @throws ConfigProblem for a variable that is not set, and for `~user`
 */
export function expandPath(text: string, homeDir: string, env: NodeJS.ProcessEnv): string {
  const filled = text.replaceAll(/\$\{([^}]*)\}/g, (_whole, name: string) => {
    const value = env[name];
    if (value === undefined)
      throw new ConfigProblem(`"${text}" names the environment variable "${name}", which is not set`);
    return value;
  });
  if (filled === '~' || filled.startsWith('~/')) return homeDir + filled.slice(1);
  if (filled.startsWith('~'))
    throw new ConfigProblem(`"${text}" names another user's home folder; write the path in full`);
  return filled;
}

/**
 * Whether a host name or user may be put into a command line that a shell reads: no white space, no control character,
 * none that a shell takes specially, no leading `-`. Stricter than the check that OpenSSH makes (ssh.c, since 9.6).
 */
export function isShellSafe(name: string): boolean {
  return /^[^\s\p{Cc}'"`$\\;&<>|(){}*?!#~-][^\s\p{Cc}'"`$\\;&<>|(){}*?!#~]*$/u.test(name);
}
