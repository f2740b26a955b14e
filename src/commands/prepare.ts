import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AgentSession, type ReadSession, type SessionOptions } from '../agent/session.ts';
import { type Inventory, loadInventory, parseExtraVars, VaultText } from '../config/inventory/index.ts';
import { type CompileOptions, compilePlaybookFile, loadPlaybook } from '../config/playbook/index.ts';
import { renderValue } from '../config/vars.ts';
import type { Vault } from '../config/vault/vault.ts';
import { type ConnectionOptions, connect, PASSWORD_VARS, resolveTarget, type Target } from '../connection/index.ts';
import type { Link } from '../core/connection.ts';
import { type Fault, formatFault, InputError } from '../core/errors.ts';
import { addSecret } from '../core/secrets.ts';
import type { CompiledPlay } from '../core/task.ts';
import { hostsOf, type OpenedSession, type OpenSession, readsOf } from '../engine/fleet.ts';
import { packageFile } from '../paths.ts';
import { resourceTypes } from '../resources/index.ts';
import type { Io } from '../ui/io.ts';
import { askSecret } from '../ui/prompt.ts';
import type { CommonOptions, PlaybookOptions } from './options.ts';
import { openVault } from './vault.ts';

/** A checked inventory and playbook: everything that can be known before a host is contacted. */
export interface Prepared {
  readonly inventory: Inventory;
  readonly playbookFile: string;
  readonly plays: readonly CompiledPlay[];
  /** Names of the variables of `-e`, sorted. */
  readonly extraVars: readonly string[];
}

/**
 * The playbook of an inventory: `-p`, or its neighbour `playbooks/site.yml` or `site.yml`, or the one that ships.
 */
export function playbookOf(inventoryFile: string, chosen: string | undefined): string {
  if (chosen !== undefined) return chosen;
  const folder = dirname(inventoryFile);
  const neighbours = [join(folder, 'playbooks/site.yml'), join(folder, 'site.yml')];
  return neighbours.find((path) => existsSync(path)) ?? packageFile('playbooks/cluster.yml');
}

/** Reads an inventory and prints its warnings. Throws InputError with all faults. */
export function readInventory(
  file: string,
  options: Pick<CommonOptions, 'extraVars'>,
  io: Pick<Io, 'err'>,
  vault: Vault,
): Inventory {
  const inventory = loadInventory(file, { extraVars: options.extraVars ?? [], vault });
  for (const warning of inventory.warnings) io.err(`warning: ${formatFault(warning)}\n`);
  return inventory;
}

/** Reads inventory and playbook; asks for the vault password where that was wished. Throws InputError with every fault of both. */
export async function prepare(inventoryFile: string, options: PlaybookOptions, io: Pick<Io, 'err'>): Promise<Prepared> {
  const vault = await openVault(options);
  const faults: Fault[] = [];
  const playbookFile = playbookOf(inventoryFile, options.playbook);
  const inventory = collect(faults, () => readInventory(inventoryFile, options, io, vault));
  if (!inventory) {
    // The playbook's hosts and templates can't be judged without an inventory; its own faults can.
    collect(faults, () => loadPlaybook(playbookFile, resourceTypes, vault));
    throw new InputError(faults);
  }
  const compile: CompileOptions = {
    registry: resourceTypes,
    extraVars: parseExtraVars(options.extraVars ?? [], vault),
    vault,
    templates: packageFile('templates'),
    ...(options.limit === undefined ? {} : { limit: options.limit }),
    ...(options.tags === undefined ? {} : { tags: options.tags }),
    ...(options.skipTags === undefined ? {} : { skipTags: options.skipTags }),
  };
  collect(faults, () => knowPasswords(inventory, options.limit));
  const plays = collect(faults, () => compilePlaybookFile(playbookFile, inventory, compile));
  if (faults.length > 0 || !plays) throw new InputError(told(faults));
  // A check of nothing would be silent and look like good news.
  if (plays.every((play) => play.hosts.length === 0)) throw new InputError([noHosts(playbookFile, options.limit)]);
  return { inventory, playbookFile, plays, extraVars: Object.keys(compile.extraVars ?? {}).toSorted() };
}

/** Faults that the playbook has too, which names the hosts, are told once. */
function told(faults: readonly Fault[]): Fault[] {
  const places = faults.map(({ source, message }) => ({ place: JSON.stringify(source), message }));
  return distinct(faults).filter(({ source, message }) => {
    const place = JSON.stringify(source);
    return !places.some((other) => other.place === place && other.message.startsWith(`${message} (host`));
  });
}

/**
 * Makes the passwords of hosts known as secrets before anything is told of a host.
 * @throws InputError with the faults of those that are encrypted and can't be opened
 */
export function knowPasswords(inventory: Inventory, limit: string | undefined): void {
  const faults: Fault[] = [];
  for (const host of collect([], () => inventory.select('all', limit === undefined ? {} : { limit })) ?? []) {
    const vars = inventory.vars(host);
    for (const name of [...PASSWORD_VARS.login, ...PASSWORD_VARS.become]) {
      const value = vars[name];
      if (value instanceof VaultText) collect(faults, () => value.reveal());
      else if (typeof value === 'string' && !/\{[{%]/.test(value)) addSecret(value);
      else if (typeof value === 'number') addSecret(String(value));
    }
  }
  if (faults.length > 0) throw new InputError(distinct(faults));
}

function noHosts(playbookFile: string, limit: string | undefined): Fault {
  const message = `no host is left to work on: the plays of ${playbookFile} match none`;
  if (limit === undefined) return { message, hint: 'the groups that they name are empty in this inventory' };
  return { message: `${message} within --limit "${limit}"`, hint: '"mcastctl inventory" shows the hosts' };
}

function collect<T>(faults: Fault[], work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    faults.push(...error.faults);
    return null;
  }
}

/** Logs in to a host, as inventory, ssh config and flags say. */
type Login = (host: string) => Promise<Link>;

/** How to work on each host. Faults as `logins`. */
export async function connector(
  hosts: readonly string[],
  inventory: Inventory,
  options: CommonOptions,
  io: Io,
): Promise<OpenSession> {
  const login = await logins(hosts, inventory, options, io);
  return (host) => openSession(login, host, (link) => AgentSession.open(link, sessionOptions(options)));
}

/** How to look at each host of plays: its session answers what the tasks ask, and can do nothing else. Faults as `logins`. */
export async function readConnector(
  plays: readonly CompiledPlay[],
  inventory: Inventory,
  options: CommonOptions,
  io: Io,
): Promise<OpenSession<ReadSession>> {
  const login = await logins(hostsOf(plays), inventory, options, io);
  return (host) =>
    openSession(login, host, (link) => AgentSession.openToRead(link, readsOf(plays, host), sessionOptions(options)));
}

function sessionOptions(options: CommonOptions): SessionOptions {
  return { commandTimeoutMs: options.commandTimeout * 1000 };
}

/**
 * How to reach each host: connection variables, ssh config, flags. Asks for the passwords that were wished, once.
 * @throws InputError with the faults of all hosts
 */
async function logins(hosts: readonly string[], inventory: Inventory, options: CommonOptions, io: Io): Promise<Login> {
  const secrets = {
    ...(options.askPass ? { askedPassword: await askSecret('SSH password') } : {}),
    ...(options.askBecomePass ? { becomePassword: await askSecret('sudo password') } : {}),
  };
  const connection: ConnectionOptions = {
    ...secrets,
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.privateKey === undefined ? {} : { privateKeys: [options.privateKey] }),
    ...(options.becomeUser === undefined ? {} : { becomeUser: options.becomeUser }),
    become: options.become ?? false,
    acceptNew: options.acceptNew ?? false,
    connectTimeoutMs: options.timeout * 1000,
    notice: (text) => io.err(`${text}\n`),
    ...(process.stderr.isTTY ? { askPassphrase: (file: string) => askSecret(`Passphrase of ${file}`) } : {}),
  };
  const faults: Fault[] = [];
  const targets = new Map<string, Target>();
  for (const host of hosts) {
    const vars = inventory.vars(host);
    const render = (value: unknown) => renderValue(value, vars);
    const target = collect(faults, () => resolveTarget(host, vars, { ...connection, render }));
    if (target) targets.set(host, target);
  }
  if (faults.length > 0) throw new InputError(distinct(faults));
  return (host) => {
    const target = targets.get(host);
    if (!target) throw new Error(`no target for ${host}`);
    return connect(target, connection);
  };
}

/** A fault in a file that all hosts share, such as ssh_config, is told once. */
function distinct(faults: readonly Fault[]): Fault[] {
  return [...new Map(faults.map((fault) => [formatFault(fault), fault])).values()];
}

async function openSession<Session extends ReadSession>(
  login: Login,
  host: string,
  open: (link: Link) => Promise<Session>,
): Promise<OpenedSession<Session>> {
  const link = await login(host);
  try {
    const session = await open(link);
    return {
      session,
      async close() {
        session.close();
        await link.close();
      },
    };
  } catch (error) {
    await link.close();
    throw error;
  }
}
