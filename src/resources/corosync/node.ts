import { HostError } from '../../core/errors.ts';
import type { FileState, Observations } from '../../core/resource.ts';
import { blocksAt, type CorosyncConf, itemAt, itemIn, parseCorosyncConf } from '../../formats/corosync-conf.ts';
import type { CorosyncParams } from './params.ts';
import { ADDRESSES, DEPENDENT_STATES, DEPENDENTS, HOST_NAME, LOCAL_CONF, SHARED_CONF, SYSTEMD } from './reads.ts';
import { processOf, type Running, runningOf } from './running.ts';

/** What a host is to the cluster once the task is done. */
export type Role = 'member' | 'joining' | 'leaving';

/** A device with its addresses. */
export interface Device {
  readonly name: string;
  readonly mtu: number;
  readonly isInfiniband: boolean;
  readonly addresses: readonly string[];
}

/** One host as a node of the cluster. */
export interface ClusterNode {
  readonly role: Role;
  /** As in the nodelist; its host name where that has none. */
  readonly name: string;
  /** The file that people edit; null: there is none yet. */
  readonly file: FileState | null;
  readonly conf: CorosyncConf | null;
  /** Whether that file is shared by all nodes (Proxmox VE). */
  readonly isShared: boolean;
  /** The file that corosync reads. */
  readonly local: FileState | null;
  readonly running: Running | null;
  /** The arguments that it was started with, where no systemd starts it. */
  readonly words: readonly string[];
  readonly hasSystemd: boolean;
  /** Units that stop with corosync and have to be started again. */
  readonly dependents: readonly string[];
  readonly devices: readonly Device[];
}

/**
 * What a host is to the cluster, and how it is there.
 * @throws HostError where it has no part in it, or can't be understood
 */
export function nodeOf(params: CorosyncParams, seen: Observations): ClusterNode {
  const shared = seen.file(SHARED_CONF);
  const local = seen.file(LOCAL_CONF);
  const file = shared ?? local;
  const conf = file === null ? null : parseCorosyncConf(file.text, file.path, file.encoding);
  const devices = devicesOf(seen);
  const hostName = seen.file(HOST_NAME)?.text.trim() ?? '';
  const running = runningOf(seen);
  const listed = conf === null ? null : nodeNameIn(conf, hostName, devices);
  const { role, name } = roleOf(params, hostName, listed, conf);
  return {
    role,
    name,
    file,
    conf,
    isShared: shared !== null,
    local,
    running,
    words: processOf(seen)?.words ?? [],
    hasSystemd: seen.dir(SYSTEMD, '.absent') !== null,
    dependents: dependentsOf(seen),
    devices,
  };
}

function roleOf(
  params: CorosyncParams,
  hostName: string,
  listed: string | null,
  conf: CorosyncConf | null,
): { role: Role; name: string } {
  const leaving = params.absent.find((name) => name === listed || isSameHost(name, hostName));
  if (leaving !== undefined) return { role: 'leaving', name: leaving };
  if (listed !== null) return { role: 'member', name: listed };
  const joining = params.nodes.find(({ name }) => isSameHost(name, hostName));
  if (joining !== undefined) return { role: 'joining', name: joining.name };
  // Without a nodelist udp finds its nodes by the group.
  if (conf !== null && blocksAt(conf, 'nodelist.node').length === 0) return { role: 'member', name: hostName };
  const place =
    conf === null ? `there is no ${LOCAL_CONF}` : `the nodelist of ${conf.file} has neither its name nor its address`;
  throw new HostError(`"${hostName}" is no node of a cluster: ${place}`, {
    hint: `to add it, name it below "nodelist.nodes", with ring0_addr and nodeid; else leave it out of the play`,
  });
}

function isSameHost(name: string, hostName: string): boolean {
  return name === hostName || shortName(name) === shortName(hostName);
}

function shortName(name: string): string {
  return name.split('.')[0] ?? name;
}

/** Which node of a file a host is, by corosync's own rules (corosync.conf(5), "name"): by host name, else by address. */
function nodeNameIn(conf: CorosyncConf, hostName: string, devices: readonly Device[]): string | null {
  const nodes = blocksAt(conf, 'nodelist.node').map((block) => ({
    name: itemIn(block, 'name')?.value ?? null,
    address: itemIn(block, 'ring0_addr')?.value ?? '',
  }));
  const own = new Set(devices.flatMap(({ addresses }) => addresses));
  const node =
    nodes.find(({ name }) => name === hostName) ??
    nodes.find(({ name }) => name !== null && isSameHost(name, hostName)) ??
    nodes.find(({ name, address }) => own.has(address) || (name === null && isSameHost(address, hostName)));
  return node === undefined ? null : (node.name ?? node.address);
}

interface IpAddress {
  readonly ifname?: string;
  readonly mtu?: number;
  readonly link_type?: string;
  readonly addr_info?: readonly { readonly local?: string }[];
}

function devicesOf(seen: Observations): Device[] {
  const { stdout } = seen.run(ADDRESSES);
  let list: unknown;
  try {
    list = JSON.parse(stdout === '' ? '[]' : stdout);
  } catch (cause) {
    throw new HostError('"ip -j address show" printed something else than JSON', { cause, hint: 'update iproute2' });
  }
  return (list as readonly IpAddress[])
    .filter((each) => each.link_type !== 'loopback')
    .map((each) => ({
      name: each.ifname ?? '',
      mtu: each.mtu ?? 0,
      isInfiniband: each.link_type === 'infiniband',
      addresses: (each.addr_info ?? []).flatMap(({ local }) => (local === undefined ? [] : [local])),
    }));
}

function dependentsOf(seen: Observations): readonly string[] {
  const states = seen.run(DEPENDENT_STATES).stdout.split('\n');
  return DEPENDENTS.filter((_, index) => states[index] === 'active');
}

/** The device that carries link 0 of a node; undefined where its address is a name that can't be told from here. */
export function linkDevice(node: ClusterNode, address: string | undefined): Device | undefined {
  const running = node.running?.cmap.get('totem.interface.0.bindnetaddr');
  return (
    node.devices.find(({ addresses }) => address !== undefined && addresses.includes(address)) ??
    node.devices.find(({ addresses }) => running !== undefined && addresses.includes(running))
  );
}

/** config_version of a file; 0 where it has none. */
export function versionOf(conf: CorosyncConf): number {
  const text = itemAt(conf, 'totem', 'config_version')?.value ?? '0';
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new HostError(`config_version of ${conf.file} is "${text}", which is no whole number`, {
    hint: 'correct it by hand, to the same number on all nodes',
  });
}

/** The token time that a file gives, in ms: it grows with the number of nodes (corosync.conf(5), "token_coefficient"). */
export function tokenOf(conf: CorosyncConf): number {
  const of = (key: string, byDefault: number) => Number(itemAt(conf, 'totem', key)?.value ?? byDefault);
  const nodes = blocksAt(conf, 'nodelist.node').length;
  return of('token', 3000) + Math.max(0, nodes - 2) * of('token_coefficient', 650);
}

/** The command that starts corosync on a node, for messages. */
export function startCommand({ hasSystemd }: ClusterNode): string {
  return hasSystemd ? 'systemctl start corosync' : 'corosync';
}
