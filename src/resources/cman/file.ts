import { HostError } from '../../core/errors.ts';
import type { Change, Observations, Read } from '../../core/resource.ts';
import {
  attributeAt,
  attributeOf,
  type ClusterConf,
  elementsAt,
  parseClusterConf,
  printClusterConf,
  withAttribute,
  withoutAttribute,
  withoutElement,
} from '../../formats/cluster-conf.ts';
import { QUORUM_READ, quorumFault } from '../pmxcfs.ts';
import type { Wanted } from './params.ts';

/** Proxmox VE up to 3, where all nodes see one file; and everybody else, where each node has its own. */
export const SHARED = '/etc/pve/cluster.conf';
const OWN = '/etc/cluster/cluster.conf';
/** What the GUI of Proxmox has not activated yet. */
const DRAFT = '/etc/pve/cluster.conf.new';
/** It is read only to see whether it is there. */
const VALIDATOR = '/usr/sbin/ccs_config_validate';

export const FILE_READS: readonly Read[] = [
  ...[SHARED, OWN, DRAFT, VALIDATOR].map((path): Read => ({ read: 'file', path })),
  QUORUM_READ,
];

export interface ConfFile {
  readonly path: string;
  readonly text: string;
  /** Whether cman's own checker is at hand. */
  readonly hasValidator: boolean;
  /** Why it can't be changed now, or null. */
  readonly fault: string | null;
}

/** @throws HostError where the node has no cluster.conf */
export function confFile(seen: Observations): ConfFile {
  const file = seen.file(SHARED) ?? seen.file(OWN);
  if (file === null)
    throw new HostError(`there is no "${OWN}" and no "${SHARED}": this node has no cman`, {
      hint: 'corosync 2 and later have corosync.conf: use the resource "corosync"',
    });
  return {
    path: file.path,
    text: file.text,
    hasValidator: seen.file(VALIDATOR) !== null,
    fault: file.path === SHARED ? sharedFault(seen) : null,
  };
}

function sharedFault(seen: Observations): string | null {
  return seen.file(DRAFT) === null
    ? quorumFault(seen)
    : `"${DRAFT}" holds changes that nobody has activated yet: activate or remove them in the GUI of Proxmox (Datacenter, HA) first`;
}

/** @throws HostError where the file has no usable config_version */
export function versionOf(conf: ClusterConf): number {
  const text = attributeAt(conf, 'cluster', 'config_version');
  if (text !== undefined && /^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new HostError(
    `${conf.file}: config_version is ${text === undefined ? 'missing' : `"${text}"`}, but must be a number from 1`,
    { hint: 'cman loads no file without it: correct the attribute of "cluster"' },
  );
}

export function nodeNames(conf: ClusterConf): readonly string[] {
  return elementsAt(conf, 'cluster/clusternodes/clusternode').flatMap((node) => attributeOf(node, 'name')?.value ?? []);
}

const attributeValue = (conf: ClusterConf, { property }: Wanted): string | null =>
  attributeAt(conf, property.path, property.attribute) ?? null;

/** Whether the file says what is wanted. What is cman's default needs not be said. */
function isRight(conf: ClusterConf, wanted: Wanted): boolean {
  const now = attributeValue(conf, wanted);
  return now === wanted.value || (now === null && wanted.value === wanted.property.byDefault);
}

function withWanted(conf: ClusterConf, wanted: Wanted): ClusterConf {
  const { property, value } = wanted;
  if (isRight(conf, wanted)) return conf;
  if (value !== null) return withAttribute(conf, property.path, property.attribute, value);
  const [element] = elementsAt(conf, property.path);
  // An element "multicast" without an address is an error to cman.
  const isOnly = property.name === 'multicast' && element?.attributes.length === 1 && element.children.length === 0;
  return isOnly ? withoutElement(conf, property.path) : withoutAttribute(conf, property.path, property.attribute);
}

/**
 * The file as wanted, with a config_version that is higher by one; the same text where it is right already.
 * @throws FormatError, HostError where it can't be read
 */
export function editConf(text: string, file: string, wanted: readonly Wanted[]): string {
  const before = parseClusterConf(text, file);
  const after = wanted.reduce(withWanted, before);
  if (printClusterConf(after) === text) return text;
  return printClusterConf(withAttribute(after, 'cluster', 'config_version', String(versionOf(before) + 1)));
}

/** A value as reports show it: numbers as numbers. */
function reported(value: string | null): string | number | null {
  return value !== null && /^(0|[1-9]\d{0,14})$/.test(value) ? Number(value) : value;
}

/** What is not as wanted in the file, config_version last. */
export function fileChanges(text: string, file: string, wanted: readonly Wanted[]): readonly Change[] {
  const conf = parseClusterConf(text, file);
  const lineOf = (path: string, attribute: string): number | undefined => {
    const [element] = elementsAt(conf, path);
    const at = element && (attributeOf(element, attribute)?.start ?? element.start);
    return at === undefined ? undefined : text.slice(0, at).split('\n').length;
  };
  const change = (property: string, path: string, attribute: string, from: unknown, to: unknown): Change => {
    const line = lineOf(path, attribute);
    return { layer: 'persistent', property, from, to, file, ...(line !== undefined && { line }) };
  };
  const wrong = wanted.filter((each) => !isRight(conf, each));
  if (wrong.length === 0) return [];
  const version = versionOf(conf);
  return [
    ...wrong.map((each) => {
      const { name, path, attribute } = each.property;
      const to = each.value === null ? 'absent' : reported(each.value);
      return change(name, path, attribute, reported(attributeValue(conf, each)), to);
    }),
    change('config_version', 'cluster', 'config_version', version, version + 1),
  ];
}
