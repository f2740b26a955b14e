import { homedir, hostname, userInfo } from 'node:os';

/** What a run says about connections: flags, prompts, and the surroundings, which tests replace. */
export interface ConnectionOptions {
  /** `-u`: holds where the inventory names no user. */
  readonly user?: string | undefined;
  /** `--private-key`, in addition to the inventory's. */
  readonly privateKeys?: readonly string[] | undefined;
  /** `-k`: holds where the inventory has no password. */
  readonly askedPassword?: string | undefined;
  /** `-K`: holds where the inventory has no password for sudo. */
  readonly becomePassword?: string | undefined;
  /** `-b`. */
  readonly become?: boolean | undefined;
  /** `--become-user`; root without. */
  readonly becomeUser?: string | undefined;
  /** `--accept-new`: a host that is not known yet has its key recorded. A changed key is refused all the same. */
  readonly acceptNew?: boolean | undefined;
  /** `-F`: read instead of `~/.ssh/config` and the system's file; `none` for no file at all. */
  readonly sshConfigFile?: string | undefined;
  /** Time for each of: the TCP connection, the key exchange, the authentication. 10 s without. */
  readonly connectTimeoutMs?: number | undefined;
  /** Time between questions to a silent host; after three without an answer it counts as gone. 15 s without. */
  readonly keepaliveMs?: number | undefined;
  /** Gives the value of a text that may hold a template, or of an encrypted value. Without it the text is the value. */
  readonly render?: ((value: unknown) => unknown) | undefined;
  /** Asks for the passphrase of a key file: once per file and run. Leave it out where nobody can answer. */
  readonly askPassphrase?: ((keyFile: string) => Promise<string | undefined>) | undefined;
  /** Takes a line that the user should see: a new host key recorded, a setting not followed. */
  readonly notice?: ((text: string) => void) | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly homeDir?: string | undefined;
  /** `/etc/ssh/ssh_config` without. */
  readonly systemConfigFile?: string | undefined;
}

/** The surroundings of a run, with the defaults filled in. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly homeDir: string;
  readonly localUser: string;
  readonly localUid: number;
  readonly localHost: string;
}

/** The user, home and environment that options name, or those of this process. */
export function surroundings(options: ConnectionOptions): Surroundings {
  const me = localIdentity();
  return {
    env: options.env ?? process.env,
    homeDir: options.homeDir ?? me.homeDir,
    localUser: me.name,
    localUid: me.uid,
    localHost: hostname(),
  };
}

function localIdentity(): { name: string; uid: number; homeDir: string } {
  try {
    const { username, uid, homedir: home } = userInfo();
    return { name: username, uid, homeDir: home };
  } catch {
    // A uid without an entry in the user database, as in some containers.
    const uid = process.getuid?.() ?? 0;
    return { name: process.env['USER'] ?? String(uid), uid, homeDir: homedir() };
  }
}
