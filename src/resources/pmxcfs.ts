import type { Observations, Read } from '../core/resource.ts';

/** The cluster file system of Proxmox tells here who is in the cluster and whether the node is in its quorum. */
const MEMBERS = '/etc/pve/.members';

export const QUORUM_READ: Read = { read: 'file', path: MEMBERS };

/**
 * Why /etc/pve can't be written now, or null: without quorum it is read-only.
 * @param seen with the answer to `QUORUM_READ`
 */
export function quorumFault(seen: Observations): string | null {
  const quorate = /"quorate"\s*:\s*(?<value>\d)/.exec(seen.file(MEMBERS)?.text ?? '')?.groups?.value;
  if (quorate !== '0') return null;
  return `the node is not in the quorum of its cluster ("${MEMBERS}" says so): /etc/pve can only be read; see "pvecm status"`;
}
