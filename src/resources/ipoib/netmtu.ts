import { HostError } from '../../core/errors.ts';
import type { Observations, Read } from '../../core/resource.ts';
import { type CorosyncConf, itemAt, parseCorosyncConf } from '../../formats/corosync-conf.ts';
import type { WantedIpoib } from './wanted.ts';

/** On Proxmox VE the first is the one that counts. */
const CONFIGS = ['/etc/pve/corosync.conf', '/etc/corosync/corosync.conf'] as const;

/** corosync.conf(5), for udp and udpu. */
const DEFAULT_NETMTU = 1500;

/** What must be read to know corosync's netmtu. */
export const COROSYNC_READS: readonly Read[] = CONFIGS.map((path): Read => ({ read: 'file', path }));

/**
 * Whether corosync would send larger multicast packets than the interface takes. It may run over another interface, so this is no error.
 * @param limit largest multicast packet, in bytes
 */
export function netmtuNote(limit: number, { device, netmtu }: WantedIpoib, seen: Observations): string | undefined {
  const config = CONFIGS.map((path) => seen.file(path)).find((file) => file !== null);
  if (config === undefined || config === null) return undefined;
  const conf = parsed(config.text);
  if (conf === undefined) return undefined;
  // knet measures the path itself, and sends no multicast.
  if (!/^udpu?$/.test(itemAt(conf, 'totem', 'transport')?.value ?? 'knet')) return undefined;
  const item = itemAt(conf, 'totem', 'netmtu');
  const now = Number(item?.value ?? DEFAULT_NETMTU);
  const place = item === undefined ? `its default, as ${config.path} names none` : config.path;
  if (now > limit) {
    return `corosync's netmtu is ${now} (${place}), but "${device}" takes multicast packets of ${limit} bytes at most: lower it if corosync uses this interface`;
  }
  return netmtu !== undefined && netmtu !== now
    ? `corosync's netmtu is ${now} (${place}), not ${netmtu}: set it with "corosync"`
    : undefined;
}

/** A file that corosync itself would refuse is a matter for other tasks. */
function parsed(text: string): CorosyncConf | undefined {
  try {
    return parseCorosyncConf(text);
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}
