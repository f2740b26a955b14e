import type { CorosyncConf } from '../../formats/corosync-conf.ts';
import { blocksAt, itemAt } from '../../formats/corosync-conf.ts';
import { type ClusterNode, tokenOf, versionOf } from './node.ts';
import type { Running } from './running.ts';

/** What stands behind the values of a node: the file, how its corosync was seen to run, and what follows from both; a sentence each. */
export function explainNode(node: ClusterNode): readonly string[] {
  const { conf, running, isShared } = node;
  if (conf === null || running === null) return [];
  const copied = isShared ? ', which Proxmox VE copies to /etc/corosync/corosync.conf' : '';
  return [
    `this host is node "${node.name}" of ${conf.file}${copied}`,
    transportText(running),
    tokenText(conf, running),
    versionText(conf, running),
  ];
}

function transportText({ transport, group, netmtu }: Running): string {
  const mtu = netmtu === null ? '' : `, netmtu ${netmtu} by "corosync-cfgtool -n"`;
  if (group !== null)
    return `it runs with transport ${transport}, by its socket ${group.address} port ${group.port}${mtu}`;
  return `it runs with transport ${transport}, as it has no socket for a group${mtu}`;
}

function tokenText(conf: CorosyncConf, { cmap }: Running): string {
  const nodes = blocksAt(conf, 'nodelist.node').length;
  const of = (key: string, byDefault: number) => itemAt(conf, 'totem', key)?.value ?? `${byDefault} (default)`;
  const more = nodes > 2 ? ` + (${nodes} - 2) × token_coefficient ${of('token_coefficient', 650)}` : '';
  const inForce = cmap.get('runtime.config.totem.token') ?? 'unknown';
  return `the token time of ${nodes} nodes is token ${of('token', 3000)}${more} = ${tokenOf(conf)} ms (corosync.conf(5)); in force: ${inForce} ms`;
}

function versionText(conf: CorosyncConf, running: Running): string {
  const own = versionOf(conf);
  const next = Math.max(own, running.highestVersion) + 1;
  return `config_version is ${own} in the file, ${running.version} in the daemon, at most ${running.highestVersion} in the cluster: a change makes it ${next}`;
}
