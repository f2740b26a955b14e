import type { ResourceType } from '../core/resource.ts';
import { bridge } from './bridge.ts';
import { bridgeVlan } from './bridge-vlan.ts';
import { cman } from './cman.ts';
import { command } from './command.ts';
import { corosync } from './corosync.ts';
import { file } from './file.ts';
import { firewall } from './firewall.ts';
import { firewalld } from './firewalld.ts';
import { hostsEntry } from './hosts-entry.ts';
import { igmp } from './igmp.ts';
import { ipoib } from './ipoib.ts';
import { iptables } from './iptables.ts';
import { kernelCmdline } from './kernel-cmdline.ts';
import { nftables } from './nftables.ts';
import { packages } from './package.ts';
import { pveFirewall } from './pve-firewall.ts';
import { ring } from './ring.ts';
import { service } from './service.ts';
import { sysctl } from './sysctl.ts';
import { template } from './template.ts';

const ALL: readonly ResourceType[] = [
  bridge,
  bridgeVlan,
  cman,
  command,
  corosync,
  file,
  firewall,
  firewalld,
  hostsEntry,
  igmp,
  ipoib,
  iptables,
  kernelCmdline,
  nftables,
  packages,
  pveFirewall,
  ring,
  service,
  sysctl,
  template,
];

/** All kinds of managed things by the key under which a task names them. A new kind is one file and one line here. */
export const resourceTypes: ReadonlyMap<string, ResourceType> = new Map(ALL.map((type) => [type.type, type]));
