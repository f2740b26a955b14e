import type { Secret } from './secret.ts';

/** Whom to become by sudo after the login. */
export interface Become {
  readonly user: string;
  /** undefined: sudo must not ask. */
  readonly password?: Secret | undefined;
}

/** A key file that may be tried. */
export interface KeyFile {
  readonly path: string;
  /** Named in the inventory or by a flag: tried first, and worth a word where it can't be used. */
  readonly isNamed: boolean;
}

/** Where the host keys of a target are looked up. */
export interface HostKeyPolicy {
  /** The name in known_hosts: `host`, or `[host]:port` where the port is not 22. */
  readonly name: string;
  /** A second name that counts where the first is not listed at all: the host without its port. */
  readonly plainName?: string | undefined;
  /** New keys are recorded in the first of these. */
  readonly userFiles: readonly string[];
  readonly globalFiles: readonly string[];
  readonly revokedFile?: string | undefined;
  /** Whether recorded names are hashed. */
  readonly isHashing: boolean;
}

/** The way to a target that is not a plain TCP connection. */
export type ProxyRoute =
  | { readonly kind: 'command'; readonly command: string }
  /** Through a login on `via`, which may itself be reached through another. */
  | { readonly kind: 'jump'; readonly via: SshTarget };

/** A method of user authentication of RFC 4252 and RFC 4256. */
export type AuthMethod = 'publickey' | 'password' | 'keyboard-interactive';

/** How to log in to one host by SSH: everything is decided, nothing is looked up any more. */
export interface SshTarget {
  readonly kind: 'ssh';
  /** The name in the inventory. */
  readonly host: string;
  /** The name given to ssh_config: `ansible_host` or `host`. */
  readonly originalHost: string;
  /** What is connected to: a name or an address. */
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly family: 0 | 4 | 6;
  readonly keyFiles: readonly KeyFile[];
  readonly agentSocket?: string | undefined;
  /** Whether only keys that belong to `keyFiles` may be used from the agent. */
  readonly identitiesOnly: boolean;
  readonly password?: Secret | undefined;
  /** In the order in which they are tried. */
  readonly methods: readonly AuthMethod[];
  readonly hostKeys: HostKeyPolicy;
  readonly proxy?: ProxyRoute | undefined;
  readonly connectTimeoutMs: number;
  /** Time between questions to a silent peer; after `keepaliveCount` without an answer it counts as gone. */
  readonly keepaliveMs: number;
  readonly keepaliveCount: number;
  readonly become?: Become | undefined;
  /** What the user should know about settings that are not followed. */
  readonly notices: readonly string[];
  /** `-F`, where one was given; for hosts that only the system's ssh can verify. */
  readonly configFile?: string | undefined;
}

/** This machine, without SSH. */
export interface LocalTarget {
  readonly kind: 'local';
  readonly host: string;
  readonly become?: Become | undefined;
  readonly notices: readonly string[];
}

/** How to reach one host. */
export type Target = SshTarget | LocalTarget;
