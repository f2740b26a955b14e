import type { Link } from '../core/connection.ts';
import { needsCertificate } from './host-key-check.ts';
import { localLink } from './local-link.ts';
import { login } from './login.ts';
import { opensshLink } from './openssh-link.ts';
import type { ConnectionOptions } from './options.ts';
import { runOf } from './run.ts';
import { sshLink } from './ssh-link.ts';
import type { Target } from './target.ts';

/**
 * Connects to a host. Everything that is connected with the same `options` object shares keys, passphrases and the logins on
 * jump hosts.
 * @returns one login, to be kept for the whole run and closed after it
 * @throws UnreachableError for a name that can't be resolved, a refusal, a timeout, a host key that is not the known one, a
 *   login that is refused, a proxy that fails
 */
export async function connect(target: Target, options: ConnectionOptions): Promise<Link> {
  const run = runOf(options);
  for (const notice of target.notices) run.notice(notice);
  if (target.kind === 'local') return localLink(target, run.where.env);
  if (needsCertificate(target)) return opensshLink(target, run.where.env);
  return sshLink(target, await login(target, run));
}
