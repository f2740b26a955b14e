import type { Link } from '../core/connection.ts';
import { needsCertificate } from './host-key-check.ts';
import { login } from './login.ts';
import { opensshLink } from './openssh-link.ts';
import type { ConnectionOptions } from './options.ts';
import { runOf } from './run.ts';
import { sshLink } from './ssh-link.ts';
import type { SshTarget } from './target.ts';

/**
 * Logs in by SSH: with ssh2, or with the system's ssh where the host is known only by a certificate authority.
 * @throws UnreachableError as `connect` does
 */
export async function connectBySsh(target: SshTarget, options: ConnectionOptions): Promise<Link> {
  const run = runOf(options);
  for (const notice of target.notices) run.notice(notice);
  if (needsCertificate(target)) return opensshLink(target, run.where.env);
  return sshLink(target, await login(target, run));
}
