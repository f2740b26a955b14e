import { clusterConf } from './cluster-conf.ts';
import { corosyncConf } from './corosync-conf.ts';
import type { Opened } from './format.ts';
import { interfaces } from './interfaces.ts';
import { iptablesSave } from './iptables-save.ts';
import { sysctlConf } from './sysctl-conf.ts';
import { ethtoolRings, procIgmp } from './tables.ts';

/** The formats of the corpus, in the order of the table. */
export const FORMATS: readonly Opened[] = [
  corosyncConf,
  interfaces('ifupdown'),
  interfaces('ifupdown2'),
  clusterConf,
  sysctlConf,
  iptablesSave,
  ethtoolRings,
  procIgmp,
];
