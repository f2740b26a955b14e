import type { ConfigSettings } from './config-eval.ts';
import type { ConfigLine } from './config-file.ts';
import { parseTimeMs } from './config-keywords.ts';
import type { HostVars } from './host-vars.ts';
import { parseJumps } from './jump.ts';
import type { ConnectionOptions, Surroundings } from './options.ts';
import { hasPassword, type Secret } from './secret.ts';
import type { AuthMethod, Become, HostKeyPolicy, KeyFile, ProxyRoute, SshTarget } from './target.ts';
import {
  ConfigProblem,
  expandPath,
  expandTokens,
  FILE_TOKENS,
  HOST_TOKENS,
  isShellSafe,
  PROXY_TOKENS,
  tokenTable,
} from './tokens.ts';

/** What was said about one host outside ssh_config. */
export interface Explicit {
  readonly host: string;
  readonly originalHost: string;
  readonly presets: readonly ConfigLine[];
  readonly namedKeys: readonly string[];
  readonly password?: Secret | undefined;
  readonly connectTimeoutMs?: number | undefined;
  readonly become?: Become | undefined;
  readonly configFile?: string | undefined;
}

/** What the building of a target, and of the hosts it jumps through, needs. */
export interface BuildContext {
  readonly where: Surroundings;
  readonly options: ConnectionOptions;
  readonly lookUp: (host: string, presets: readonly ConfigLine[]) => ConfigSettings;
  readonly vars: HostVars;
}

const MAX_JUMPS = 8;
const DEFAULT_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa', 'id_dsa'];
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
const DEFAULT_KEEPALIVE_MS = 15_000;
const DEFAULT_KEEPALIVE_COUNT = 3;

/** Turns settings into a target; what is wrong goes to `context.vars`. */
export function buildSshTarget(explicit: Explicit, context: BuildContext, jumps = 0): SshTarget {
  const { where, options } = context;
  const settings = context.lookUp(explicit.originalHost, explicit.presets);
  const attempt = <T>(fallback: T, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof ConfigProblem)) throw error;
      context.vars.fault(`ssh_config: ${error.message}`);
      return fallback;
    }
  };
  const port = Number(settings.word('port') ?? 22);
  const user = settings.word('user') ?? where.localUser;
  const named = settings.word('hostname') ?? explicit.originalHost;
  const hostTokens = { '%': '%', h: explicit.originalHost };
  const isGiven = settings.word('hostname') === undefined;
  const address = attempt(named, () => (isGiven ? named : expandTokens(named, hostTokens, HOST_TOKENS))).toLowerCase();
  const alias = settings.word('hostkeyalias');
  const table = tokenTable({
    ...where,
    hostName: address,
    originalHost: explicit.originalHost,
    port,
    remoteUser: user,
    hostKeyAlias: alias,
    proxyJump: settings.word('proxyjump'),
  });
  const path = (text: string): string => expandPath(expandTokens(text, table, FILE_TOKENS), where.homeDir, where.env);
  const aliveMs = parseTimeMs(settings.word('serveraliveinterval') ?? '0');
  return {
    kind: 'ssh',
    host: explicit.host,
    originalHost: explicit.originalHost,
    address,
    port,
    user,
    family: { inet: 4 as const, inet6: 6 as const }[settings.word('addressfamily')?.toLowerCase() ?? ''] ?? 0,
    keyFiles: attempt([], () => keyFiles(explicit, settings, path, where)),
    agentSocket: attempt(undefined, () => agentSocket(settings, path, where)),
    identitiesOnly: isYes(settings, 'identitiesonly', false),
    password: explicit.password,
    methods: authMethods(settings),
    hostKeys: attempt(hostKeyNames(address, port, alias), () => ({
      ...hostKeyNames(address, port, alias),
      ...hostKeyFiles(settings, path, where),
    })),
    proxy: attempt(undefined, () => proxyOf(explicit, settings, table, context, jumps)),
    connectTimeoutMs:
      explicit.connectTimeoutMs ??
      parseTimeMs(settings.word('connecttimeout') ?? '0') ??
      options.connectTimeoutMs ??
      DEFAULT_CONNECT_TIMEOUT_MS,
    keepaliveMs: aliveMs ?? options.keepaliveMs ?? DEFAULT_KEEPALIVE_MS,
    keepaliveCount: aliveMs === undefined ? DEFAULT_KEEPALIVE_COUNT : Number(settings.word('serveralivecountmax') ?? 3),
    become: explicit.become,
    notices: notices(settings, options),
    configFile: explicit.configFile,
  };
}

function isYes(settings: ConfigSettings, keyword: string, otherwise: boolean): boolean {
  const word = settings.word(keyword);
  return word === undefined ? otherwise : !/^(?:no|false)$/i.test(word);
}

function keyFiles(
  explicit: Explicit,
  settings: ConfigSettings,
  path: (text: string) => string,
  where: Surroundings,
): readonly KeyFile[] {
  const named = explicit.namedKeys.map((file): KeyFile => ({ path: file, isNamed: true }));
  const configured = settings.identityFiles
    .filter((file) => file.toLowerCase() !== 'none')
    .map((file): KeyFile => ({ path: path(file), isNamed: false }));
  if (settings.identityFiles.length > 0) return [...named, ...configured];
  return [...named, ...DEFAULT_KEYS.map((name) => ({ path: `${where.homeDir}/.ssh/${name}`, isNamed: false }))];
}

function agentSocket(
  settings: ConfigSettings,
  path: (text: string) => string,
  where: Surroundings,
): string | undefined {
  const word = settings.word('identityagent');
  if (word === undefined || word === 'SSH_AUTH_SOCK') return where.env['SSH_AUTH_SOCK'] || undefined;
  if (word.toLowerCase() === 'none') return undefined;
  const variable = /^\$(\w+)$/.exec(word)?.[1];
  return variable === undefined ? path(word) : where.env[variable] || undefined;
}

function authMethods(settings: ConfigSettings): readonly AuthMethod[] {
  const isKeyboardOn = isYes(
    settings,
    'kbdinteractiveauthentication',
    isYes(settings, 'challengeresponseauthentication', true),
  );
  const allowed: Readonly<Record<AuthMethod, boolean>> = {
    publickey: isYes(settings, 'pubkeyauthentication', true),
    password: isYes(settings, 'passwordauthentication', true),
    'keyboard-interactive': isKeyboardOn,
  };
  const order = settings.word('preferredauthentications')?.split(',') ?? Object.keys(allowed);
  return order.filter((name): name is AuthMethod => name in allowed && allowed[name as AuthMethod]);
}

function hostKeyNames(address: string, port: number, alias: string | undefined): HostKeyPolicy {
  const files = { userFiles: [], globalFiles: [], isHashing: false };
  if (alias !== undefined) return { ...files, name: alias.toLowerCase() };
  return port === 22 ? { ...files, name: address } : { ...files, name: `[${address}]:${port}`, plainName: address };
}

function hostKeyFiles(
  settings: ConfigSettings,
  path: (text: string) => string,
  where: Surroundings,
): Pick<HostKeyPolicy, 'userFiles' | 'globalFiles' | 'revokedFile' | 'isHashing'> {
  const read = (keyword: string, defaults: readonly string[]): readonly string[] => {
    const words = settings.words(keyword);
    return words === undefined ? defaults : words.filter((word) => word.toLowerCase() !== 'none').map(path);
  };
  const revoked = settings.word('revokedhostkeys');
  const folder = `${where.homeDir}/.ssh`;
  return {
    userFiles: read('userknownhostsfile', [`${folder}/known_hosts`, `${folder}/known_hosts2`]),
    globalFiles: read('globalknownhostsfile', ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2']),
    revokedFile: revoked === undefined || revoked.toLowerCase() === 'none' ? undefined : path(revoked),
    isHashing: isYes(settings, 'hashknownhosts', false),
  };
}

function proxyOf(
  explicit: Explicit,
  settings: ConfigSettings,
  table: Readonly<Record<string, string>>,
  context: BuildContext,
  jumps: number,
): ProxyRoute | undefined {
  const command = settings.word('proxycommand');
  if (command !== undefined && command.toLowerCase() !== 'none') {
    const parts = { 'host name': table['h'], user: table['r'], name: table['n'] };
    for (const [what, value] of Object.entries(parts)) {
      if (value === undefined || isShellSafe(value)) continue;
      throw new ConfigProblem(
        `the ${what} "${value}" can't be used with ProxyCommand: a shell would interpret some of it`,
      );
    }
    const expanded = expandTokens(command, table, PROXY_TOKENS);
    hasPassword(expanded);
    return { kind: 'command', command: expanded };
  }
  const jump = settings.word('proxyjump');
  if (jump === undefined || jump.toLowerCase() === 'none') return undefined;
  if (jumps >= MAX_JUMPS)
    throw new ConfigProblem(
      `ProxyJump "${jump}" leads in a circle; exclude the jump host itself, as in "Host * !${jump}"`,
    );
  let via: SshTarget | undefined;
  for (const hop of parseJumps(expandTokens(jump, table, PROXY_TOKENS))) {
    const presets: ConfigLine[] = [];
    if (hop.user !== undefined) presets.push({ keyword: 'user', words: [hop.user], raw: hop.user });
    if (hop.port !== undefined) presets.push({ keyword: 'port', words: [String(hop.port)], raw: String(hop.port) });
    // Only the first of a chain is reached as its own configuration says; the others through the one before.
    if (via !== undefined) presets.push({ keyword: 'proxyjump', words: ['none'], raw: 'none' });
    const built = buildSshTarget(
      { host: explicit.host, originalHost: hop.host, presets, namedKeys: [] },
      context,
      jumps + 1,
    );
    via = via === undefined ? built : { ...built, proxy: { kind: 'jump', via } };
  }
  return via === undefined ? undefined : { kind: 'jump', via };
}

function notices(settings: ConfigSettings, options: ConnectionOptions): readonly string[] {
  const found: string[] = [];
  const strict = settings.word('stricthostkeychecking')?.toLowerCase() ?? 'ask';
  const isOff = ['no', 'off', 'false'].includes(strict);
  if (isOff || (strict === 'accept-new' && options.acceptNew !== true)) {
    found.push(
      `StrictHostKeyChecking "${strict}" is not followed: host keys are always verified; --accept-new records those of new hosts`,
    );
  }
  if (isYes(settings, 'nohostauthenticationforlocalhost', false)) {
    found.push('NoHostAuthenticationForLocalhost is not followed: host keys are always verified');
  }
  if (hasPassword(settings.word('proxycommand') ?? '')) {
    found.push(
      '"sshpass -p" shows its password in the list of processes of this machine: use "sshpass -f FILE" or a key',
    );
  }
  return found;
}
