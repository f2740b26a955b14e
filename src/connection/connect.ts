import type { Link } from '../core/connection.ts';
import { localLink } from './local-link.ts';
import { type ConnectionOptions, surroundings } from './options.ts';
import type { Target } from './target.ts';

/**
 * Connects to a host. Everything that is connected with the same `options` object shares keys, passphrases and the logins on
 * jump hosts.
 * @returns one login, to be kept for the whole run and closed after it
 * @throws UnreachableError for a name that can't be resolved, a refusal, a timeout, a host key that is not the known one, a
 *   login that is refused, a proxy that fails
 */
export async function connect(target: Target, options: ConnectionOptions): Promise<Link> {
  if (target.kind === 'local') return localLink(target, surroundings(options).env);
  // The SSH library takes its time to load; commands that contact nobody do without it.
  const { connectBySsh } = await import('./connect-ssh.ts');
  return connectBySsh(target, options);
}
