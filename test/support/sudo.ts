import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder for PATH in which `sudo` is the real one, called by a user who is not root and has the password `PASSWORD`. */
export interface SudoBox {
  readonly dir: string;
  /** Where each call leaves its arguments and environment. */
  calls(): string;
  remove(): void;
}

/** Longer than a word, with what a shell or a terminal could trip over. */
export const PASSWORD = 'corr3ct "horse" $battery\\staple';

/**
 * Makes a `sudo` that runs the machine's own sudo with other sudoers and shadow files, in a mount namespace: as root sudo never
 * asks for a password, and the machine's users are not to be changed.
 * @param rules lines of sudoers about the user nobody
 */
export function makeSudoBox(rules: readonly string[]): SudoBox {
  const dir = mkdtempSync(join(tmpdir(), 'mcastctl-sudo-'));
  const hash = execFileSync('perl', ['-e', 'print crypt($ARGV[0], q($6$saltsalt))', PASSWORD], { encoding: 'utf8' });
  const shadow = readFileSync('/etc/shadow', 'utf8').replace(/^nobody:[^:]*:/m, () => `nobody:${hash}:`);
  writeFileSync(join(dir, 'shadow'), shadow, { mode: 0o640 });
  writeFileSync(join(dir, 'sudoers'), ['Defaults timestamp_timeout=0', ...rules, ''].join('\n'), { mode: 0o440 });
  mkdirSync(join(dir, 'bin'));
  const script = `#!/bin/sh
{ printf '%s\\n' "$@"; env; } >> ${dir}/calls
exec unshare -m sh -c 'mount --bind ${dir}/shadow /etc/shadow && mount --bind ${dir}/sudoers /etc/sudoers &&
  exec setpriv --reuid=nobody --regid=nogroup --clear-groups /usr/bin/sudo "$@"' sh "$@"
`;
  writeFileSync(join(dir, 'bin/sudo'), script);
  chmodSync(join(dir, 'bin/sudo'), 0o755);
  writeFileSync(join(dir, 'calls'), '');
  return {
    dir: join(dir, 'bin'),
    calls: () => readFileSync(join(dir, 'calls'), 'utf8'),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
