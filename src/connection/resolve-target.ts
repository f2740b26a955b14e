import { type Fault, InputError } from '../core/errors.ts';
import { type ConfigQuery, type ConfigSettings, evaluateConfig, includeFolder } from './config-eval.ts';
import { type ConfigLine, readConfigFile, unreadable } from './config-file.ts';
import { cacheByFile } from './file-cache.ts';
import { HostVars } from './host-vars.ts';
import { type ConnectionOptions, type Surroundings, surroundings } from './options.ts';
import { PASSWORD_VARS, Secret } from './secret.ts';
import { parseSshArguments } from './ssh-args.ts';
import type { Become, SshTarget, Target } from './target.ts';
import { buildSshTarget, type Explicit } from './target-build.ts';
import { expandPath } from './tokens.ts';

const cachedConfig = cacheByFile(readConfigFile);
const execResults = new Map<string, boolean>();

/**
 * Decides how a host is reached: the inventory's variables first, then flags, then `ansible_ssh_*_args`, then ssh_config,
 * then OpenSSH's defaults. Nothing is contacted. ConnectTimeout of ssh_config outranks the flag, which is only a default.
 * @param host the name in the inventory
 * @param vars the host's variables; texts may hold templates that `options.render` renders
 * @throws InputError with everything that is wrong with the variables and the configuration files
 */
export function resolveTarget(host: string, vars: Record<string, unknown>, options: ConnectionOptions): Target {
  const reader = new HostVars(host, vars, options.render ?? ((value) => value));
  const kind = readConnection(reader);
  const become = readBecome(reader, options);
  const target: Target =
    kind === 'local' ? { kind, host, become, notices: [] } : resolveSsh(host, reader, options, become);
  if (reader.faults.length > 0) throw new InputError(reader.faults);
  return target;
}

function readConnection(vars: HostVars): 'ssh' | 'local' {
  const name = vars.text('ansible_connection') ?? 'ssh';
  if (name === 'local' || name === 'ansible.builtin.local') return 'local';
  if (!/^(?:ansible\.builtin\.)?(?:ssh|smart|paramiko|paramiko_ssh)$/.test(name)) {
    vars.fault(`ansible_connection "${name}" is not supported`, 'use "ssh" or "local"');
  }
  return 'ssh';
}

function readBecome(vars: HostVars, options: ConnectionOptions): Become | undefined {
  const isWanted = vars.flag('ansible_become', 'ansible_sudo') ?? options.become ?? false;
  const user = vars.text('ansible_become_user', 'ansible_sudo_user') ?? options.becomeUser ?? 'root';
  const method = vars.text('ansible_become_method') ?? 'sudo';
  const password = vars.secret(...PASSWORD_VARS.become) ?? options.becomePassword;
  if (!isWanted) return undefined;
  if (!/^(?:ansible\.builtin\.|community\.general\.)?sudo$/.test(method)) {
    vars.fault(`ansible_become_method "${method}" is not supported`, 'use "sudo"');
  }
  if (/\0/.test(user)) vars.fault('ansible_become_user holds a NUL character');
  return { user, password: password === undefined ? undefined : new Secret(password) };
}

function resolveSsh(host: string, vars: HostVars, options: ConnectionOptions, become: Become | undefined): SshTarget {
  const where = surroundings(options);
  const args = readArguments(vars);
  const configFile = args.configFile ?? options.sshConfigFile;
  const files = configFiles(vars, options, where, configFile);
  const explicit = readExplicit(host, vars, options, where);
  const lookUp = (name: string, presets: readonly ConfigLine[]): ConfigSettings => {
    const settings = evaluateConfig({ ...where, host: name, presets, files, execResults, readFile: cachedConfig });
    for (const fault of settings.faults) addFault(vars.faults, fault);
    return settings;
  };
  const presets = [...explicit.presets, ...args.lines];
  const target = buildSshTarget({ ...explicit, presets, become, configFile }, { where, options, lookUp, vars });
  return target;
}

function readArguments(vars: HostVars): { configFile: string | undefined; lines: readonly ConfigLine[] } {
  const lines: ConfigLine[] = [];
  let configFile: string | undefined;
  for (const name of ['ansible_ssh_args', 'ansible_ssh_common_args', 'ansible_ssh_extra_args']) {
    const text = vars.text(name);
    if (text === undefined) continue;
    const parsed = parseSshArguments(text);
    for (const problem of parsed.problems) {
      vars.fault(`${name}: ${problem}`, 'supported are -F, -i, -J, -p, -l, -4, -6 and -o with a keyword of ssh_config');
    }
    lines.push(...parsed.lines);
    configFile ??= parsed.configFile;
  }
  return { configFile, lines };
}

function readExplicit(host: string, vars: HostVars, options: ConnectionOptions, where: Surroundings): Explicit {
  const presets: ConfigLine[] = [];
  const preset = (keyword: string, value: string): void => {
    presets.push({ keyword, words: [value], raw: value });
  };
  const port = vars.port('ansible_port', 'ansible_ssh_port');
  if (port !== undefined) preset('port', String(port));
  const user = vars.text('ansible_user', 'ansible_ssh_user') ?? options.user;
  if (user !== undefined) preset('user', user);
  const keyFile = vars.text('ansible_ssh_private_key_file', 'ansible_private_key_file');
  const namedKeys = [...(keyFile === undefined ? [] : [keyFile]), ...(options.privateKeys ?? [])];
  const password = vars.secret(...PASSWORD_VARS.login) ?? options.askedPassword;
  return {
    host,
    originalHost: vars.text('ansible_host', 'ansible_ssh_host') ?? host,
    presets,
    namedKeys: namedKeys.map((path) => (path.startsWith('~/') ? where.homeDir + path.slice(1) : path)),
    password: password === undefined ? undefined : new Secret(password),
    connectTimeoutMs: vars.secondsAsMs('ansible_ssh_timeout', 'ansible_timeout'),
  };
}

function configFiles(
  vars: HostVars,
  options: ConnectionOptions,
  where: Surroundings,
  chosen: string | undefined,
): ConfigQuery['files'] {
  if (chosen?.toLowerCase() === 'none') return [];
  const candidates =
    chosen === undefined
      ? [
          { path: `${where.homeDir}/.ssh/config`, isUserFile: true },
          { path: options.systemConfigFile ?? '/etc/ssh/ssh_config', isUserFile: false },
        ]
      : [{ path: chosen, isUserFile: true }];
  return candidates.flatMap(({ path, isUserFile }) => {
    try {
      const file = cachedConfig(chosen === undefined ? path : expandPath(path, where.homeDir, where.env));
      if (file !== undefined) return [{ file, includeDir: includeFolder(path, where.homeDir, isUserFile) }];
      if (chosen !== undefined) vars.fault(`the ssh configuration file "${path}" does not exist`);
    } catch (error) {
      addFault(vars.faults, unreadable(path, error));
    }
    return [];
  });
}

function addFault(faults: Fault[], fault: Fault): void {
  if (!faults.includes(fault)) faults.push(fault);
}
