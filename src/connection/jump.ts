import { ConfigProblem } from './tokens.ts';

/** One host of a ProxyJump list. */
export interface Jump {
  readonly host: string;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
}

/**
 * Reads a ProxyJump list: `[user@]host[:port]` or `ssh://[user@]host[:port]`, separated by commas; IPv6 addresses with a port
 * in brackets.
 * @throws ConfigProblem where a part is none of these
 * @see ssh_config(5), ProxyJump
 */
export function parseJumps(text: string): readonly Jump[] {
  return text.split(',').map((part) => {
    const plain = part
      .trim()
      .replace(/^ssh:\/\//i, '')
      .replace(/\/$/, '');
    const at = plain.lastIndexOf('@');
    const user = at > 0 ? plain.slice(0, at) : undefined;
    const { host, port } = splitPort(plain.slice(at + 1));
    if (host === '' || host.startsWith('-') || at === 0 || (port !== undefined && (port < 1 || port > 65535))) {
      throw new ConfigProblem(`"${part.trim()}" in ProxyJump is not of the form user@host:port`);
    }
    return { host, user, port };
  });
}

function splitPort(text: string): { host: string; port: number | undefined } {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text);
  if (bracketed)
    return { host: bracketed[1] ?? '', port: bracketed[2] === undefined ? undefined : Number(bracketed[2]) };
  const colons = text.split(':').length - 1;
  // More than one colon without brackets is an IPv6 address.
  const match = colons === 1 ? /^([^:]+):(\d+)$/.exec(text) : null;
  if (match) return { host: match[1] ?? '', port: Number(match[2]) };
  return { host: colons === 1 ? '' : text, port: undefined };
}
