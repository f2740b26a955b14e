import { InputError } from '../core/errors.ts';

/** How the lab's switch treats groups that nobody asked for: like hardware that snoops, or like a hub. */
export type SwitchKind = 'strict' | 'flood';

/** The transport of the corosync that a lab starts. */
export type LabTransport = 'udp' | 'knet';

/** What a lab is to be made of. */
export interface LabSpec {
  /** Small letters, digits and hyphens, at most 32. Several labs may exist at once, each with its own name. */
  readonly name: string;
  /** 1 to 200. */
  readonly nodes: number;
  readonly switch: SwitchKind;
  /** sshd's MaxStartups on every node: a number or "start:rate:full", as in sshd_config(5). */
  readonly maxStartups: string;
  /** Absolute paths of folders laid over the root of every node, the first on top. */
  readonly layers: readonly string[];
  /** Debian's corosync on every node, one cluster of all; left out: none. */
  readonly corosync?: LabTransport | undefined;
}

/** One node of a lab. */
export interface LabNode {
  readonly name: string;
  readonly address: string;
  /** The name of its network namespace, as `ip netns` lists it. */
  readonly netns: string;
  /** Its folder: log, pid and the upper layer of its root. */
  readonly dir: string;
}

/** Where everything of a lab lives. */
export interface LabPaths {
  readonly dir: string;
  readonly lock: string;
  readonly state: string;
  readonly inventory: string;
  readonly key: string;
  readonly knownHosts: string;
  readonly sshConfig: string;
  readonly base: string;
  readonly nodes: string;
  readonly layers: string;
  readonly nodeScript: string;
  readonly relayScript: string;
}

export const DEFAULT_NAME = 'lab';
export const MAX_NODES = 200;
/** Enough for everybody at once: a rehearsal is not about sshd's limits. */
export const DEFAULT_MAX_STARTUPS = '500';
/** RFC 2544, appendix C.2.2: for tests between networks, routed nowhere. */
export const PREFIX_LENGTH = 15;
export const CONTROLLER_ADDRESS = '198.18.0.1';
/** The folder of all labs. */
export const LABS_DIR = '/run/mcastctl-lab';
/** Where `ip netns` keeps its names. */
export const NETNS_DIR = '/run/netns';

/** @throws InputError where `name` can't be the name of a lab */
export function checkName(name: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(name)) return name;
  throw new InputError([
    {
      message: `"${name}" can't be the name of a lab`,
      hint: 'use small letters, digits and hyphens, at most 32, the first no hyphen',
    },
  ]);
}

/** The lab that is meant: by option, by the environment variable MCASTCTL_LAB, or "lab". */
export function labName(option: string | undefined, environment: NodeJS.ProcessEnv = process.env): string {
  return checkName(option ?? (environment['MCASTCTL_LAB'] || DEFAULT_NAME));
}

/** All paths of the lab `name`. */
export function labPaths(name: string): LabPaths {
  const dir = `${LABS_DIR}/${name}`;
  return {
    dir,
    lock: `${LABS_DIR}/${name}.lock`,
    state: `${dir}/lab.json`,
    inventory: `${dir}/inventory.yml`,
    key: `${dir}/id_ed25519`,
    knownHosts: `${dir}/known_hosts`,
    sshConfig: `${dir}/ssh_config`,
    base: `${dir}/base`,
    nodes: `${dir}/nodes`,
    layers: `${dir}/layers`,
    nodeScript: `${dir}/node.sh`,
    relayScript: `${dir}/relay.pl`,
  };
}

/** The network namespace of one part of a lab: "switch", "ctl" or a node. */
export function netnsName(lab: string, part: string): string {
  return `mcastctl-${lab}-${part}`;
}

/** Whether `netns` is a namespace of the lab `lab`, whatever its number of nodes. */
export function isNetnsOf(lab: string, netns: string): boolean {
  const prefix = netnsName(lab, '');
  return netns.startsWith(prefix) && /^(?:switch|ctl|pve[0-9]+)$/.test(netns.slice(prefix.length));
}

/** The address of node `number` (from 1): 198.18.0.11 and up. */
export function nodeAddress(number: number): string {
  const host = 10 + number;
  return `198.18.${host >> 8}.${host & 255}`;
}

/** The nodes of a lab, pve1 first. */
export function labNodes(name: string, count: number): LabNode[] {
  return Array.from({ length: count }, (_, index) => {
    const node = `pve${index + 1}`;
    return {
      name: node,
      address: nodeAddress(index + 1),
      netns: netnsName(name, node),
      dir: `${labPaths(name).nodes}/${node}`,
    };
  });
}
