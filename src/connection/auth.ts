import { type AnyAuthMethod, BaseAgent, type ParsedKey, type SignCallback, type SigningRequestOptions } from 'ssh2';
import { messageOf } from '../core/errors.ts';
import type { Identity, Keyring } from './keyring.ts';
import type { AuthMethod, SshTarget } from './target.ts';

/** The keys to try on a host, and remarks on those that can't be. */
export interface Identities {
  readonly list: readonly Identity[];
  readonly remarks: readonly string[];
}

/**
 * The keys for a host, in the order in which they are tried: those named in the inventory, those of the agent that belong to
 * configured files, the agent's others (unless IdentitiesOnly), the other files. A host cuts the line after a few tries, so
 * the named ones come first.
 */
export async function gatherIdentities(target: SshTarget, keyring: Keyring): Promise<Identities> {
  if (!target.methods.includes('publickey')) return { list: [], remarks: [] };
  const remarks: string[] = [];
  const files = await Promise.all(
    target.keyFiles.map(async ({ path, isNamed }) => ({ path, isNamed, content: await keyring.file(path) })),
  );
  for (const { path, isNamed, content } of files) {
    if (content.problem !== undefined) remarks.push(`key "${path}" can't be used: ${content.problem}`);
    else if (content.identity === undefined && isNamed) remarks.push(`key "${path}" does not exist`);
  }
  const agentKeys = await listAgentKeys(target, keyring, remarks);
  const fileIdentities = files.flatMap(({ content }) => content.identity ?? []);
  const isListed = (key: Identity): boolean => fileIdentities.some((file) => sameKey(file, key));
  const usable = files.filter(({ content }) => content.identity !== undefined && !content.isPublicOnly);
  const named = usable.filter(({ isNamed }) => isNamed).flatMap(({ content }) => content.identity ?? []);
  const others = usable.filter(({ isNamed }) => !isNamed).flatMap(({ content }) => content.identity ?? []);
  const locked = new Set(usable.filter(({ content }) => content.isLocked).map(({ path }) => path));
  const ordered = [
    ...named,
    ...agentKeys.filter(isListed),
    ...(target.identitiesOnly ? [] : agentKeys.filter((key) => !isListed(key))),
    ...others,
  ];
  const list: Identity[] = [];
  for (const key of ordered) {
    if (list.some((earlier) => sameKey(earlier, key))) continue;
    // A key that is locked on disk and open in the agent needs no passphrase.
    const open = locked.has(key.label) ? agentKeys.find((agentKey) => sameKey(agentKey, key)) : undefined;
    list.push(open ?? key);
  }
  return { list, remarks };
}

async function listAgentKeys(target: SshTarget, keyring: Keyring, remarks: string[]): Promise<readonly Identity[]> {
  if (target.agentSocket === undefined) return [];
  try {
    return await keyring.agent(target.agentSocket);
  } catch (error) {
    remarks.push(`the agent at "${target.agentSocket}" can't be used: ${messageOf(error)}`);
    return [];
  }
}

function sameKey(one: Identity, other: Identity): boolean {
  return one.publicKey.getPublicSSH().equals(other.publicKey.getPublicSSH());
}

/** What the ssh2 client asks for keys; the signing is done by whoever holds the key. */
export class IdentityAgent extends BaseAgent<ParsedKey> {
  readonly #identities: readonly Identity[];
  readonly #onSigning: (isBusy: boolean) => void;
  readonly #onProblem: (problem: string) => void;

  /**
   * @param onSigning told before and after each signature, which may take as long as a person needs to type
   * @param onProblem told why a key that the host wanted could not sign
   */
  constructor(
    identities: readonly Identity[],
    onSigning: (isBusy: boolean) => void,
    onProblem: (problem: string) => void,
  ) {
    super();
    this.#identities = identities;
    this.#onSigning = onSigning;
    this.#onProblem = onProblem;
  }

  override getIdentities(callback: (error: Error | undefined, keys?: ParsedKey[]) => void): void {
    callback(
      undefined,
      this.#identities.map((identity) => identity.publicKey),
    );
  }

  override sign(
    key: ParsedKey,
    data: Buffer,
    options?: SigningRequestOptions | SignCallback,
    callback?: SignCallback,
  ): void {
    const done = typeof options === 'function' ? options : callback;
    const hash = typeof options === 'object' ? options.hash : undefined;
    const identity = this.#identities.find((known) => known.publicKey.getPublicSSH().equals(key.getPublicSSH()));
    if (identity === undefined || done === undefined) return;
    this.#onSigning(true);
    identity
      .sign(data, hash)
      .then(
        (signature) => () => done(undefined, signature),
        (error: unknown) => () => {
          this.#onProblem(messageOf(error));
          done(error instanceof Error ? error : new Error(messageOf(error)));
        },
      )
      .then((finish) => {
        this.#onSigning(false);
        finish();
      });
  }
}

/** What has been tried on a host, for the message where all of it failed. */
export interface AuthLog {
  readonly tried: string[];
  /** The methods that the host takes; empty where it has not said. */
  readonly accepted: string[];
}

/**
 * The order of authentication on one host. Each method is tried once; where the host has not said what it takes, `none`
 * makes it say so, for the message.
 * @see RFC 4252, RFC 4256
 */
export function planAuth(
  target: SshTarget,
  identities: Identities,
  agent: IdentityAgent,
  log: AuthLog,
): (left: readonly string[] | null) => AnyAuthMethod | false {
  const username = target.user;
  const password = target.password;
  const make: Readonly<Record<AuthMethod, () => AnyAuthMethod | undefined>> = {
    publickey: () => (identities.list.length === 0 ? undefined : { type: 'agent', username, agent }),
    password: () => password && { type: 'password', username, password: password.reveal() },
    'keyboard-interactive': () => {
      if (password === undefined) return undefined;
      let isAnswered = false;
      return {
        type: 'keyboard-interactive',
        username,
        prompt: (_name, _instructions, _language, prompts, finish) => {
          // Only a single hidden question is for the password, and a second round means that it was wrong.
          const isQuestion = prompts.length === 1 && prompts[0]?.echo !== true && !isAnswered;
          if (isQuestion) isAnswered = true;
          finish(isQuestion ? [password.reveal()] : prompts.map(() => ''));
        },
      };
    },
  };
  const queue = [...target.methods];
  let isListAsked = false;
  return (left) => {
    if (left) log.accepted.splice(0, log.accepted.length, ...left);
    for (let method = queue.shift(); method !== undefined; method = queue.shift()) {
      if (left && !left.includes(method)) continue;
      const attempt = make[method]();
      if (attempt === undefined) continue;
      log.tried.push(...(method === 'publickey' ? identities.list.map(({ label }) => nameOfKey(label)) : [method]));
      return attempt;
    }
    if (log.accepted.length > 0 || isListAsked) return false;
    isListAsked = true;
    return { type: 'none', username };
  };
}

function nameOfKey(label: string): string {
  return label.startsWith('agent key ') ? label : `key "${label}"`;
}
