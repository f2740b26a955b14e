import { Keyring } from './keyring.ts';
import type { JumpLogin } from './login.ts';
import { type ConnectionOptions, type Surroundings, surroundings } from './options.ts';
import type { SshTarget } from './target.ts';

/** What the connections of one run share: keys, passphrases, logins on jump hosts, notices given. */
export interface Run {
  readonly where: Surroundings;
  readonly keyring: Keyring;
  readonly acceptNew: boolean;
  /** Logins on jump hosts, by `jumpKey`. */
  readonly jumps: Map<string, Promise<JumpLogin>>;
  /** Gives a notice to the user, each text once. */
  readonly notice: (text: string) => void;
}

const runs = new WeakMap<ConnectionOptions, Run>();

/** What is shared by everything that is connected with the same options object. */
export function runOf(options: ConnectionOptions): Run {
  let run = runs.get(options);
  if (run === undefined) {
    const given = new Set<string>();
    run = {
      where: surroundings(options),
      keyring: new Keyring(options.askPassphrase),
      acceptNew: options.acceptNew ?? false,
      jumps: new Map(),
      notice: (text) => {
        if (!given.has(text)) options.notice?.(text);
        given.add(text);
      },
    };
    runs.set(options, run);
  }
  return run;
}

/** Equal for targets that one login on a jump host can serve. */
export function jumpKey(target: SshTarget): string {
  const { address, port, user, hostKeys, keyFiles, proxy } = target;
  const before = proxy?.kind === 'jump' ? jumpKey(proxy.via) : proxy?.command;
  return JSON.stringify([address, port, user, hostKeys, keyFiles, before]);
}
