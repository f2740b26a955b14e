import type { Argv, Read } from '../../core/resource.ts';

/** The file that a cluster of Proxmox VE shares (pmxcfs); it copies it to the one that corosync reads. */
export const SHARED_CONF = '/etc/pve/corosync.conf';
/** The file that corosync reads. */
export const LOCAL_CONF = '/etc/corosync/corosync.conf';
/** Where the GUI and pvecm of Proxmox VE draft the next one. */
export const SHARED_DRAFT = '/etc/pve/corosync.conf.new';

export const CMAP: Argv = ['corosync-cmapctl'];
export const QUORUM: Argv = ['corosync-quorumtool', '-s'];
export const NODES: Argv = ['corosync-cfgtool', '-n'];
export const SOCKETS: Argv = ['ss', '-H', '-u', '-a', '-n', '-p'];
export const VERSION: Argv = ['corosync', '-v'];
/** Those of this node only: containers on it may have a corosync too. */
export const PROCESS: Argv = ['pgrep', '-a', '-x', '--ns', '1', '--nslist', 'pid', 'corosync'];
export const ADDRESSES: Argv = ['ip', '-j', 'address', 'show'];
export const HOST_NAME = '/proc/sys/kernel/hostname';
/** There where systemd is process 1: sd_booted(3). */
export const SYSTEMD = '/run/systemd/system';
/** What stops with corosync under systemd, and is not started with it. */
export const DEPENDENTS = ['pacemaker', 'corosync-qdevice', 'dlm', 'sbd'] as const;
export const DEPENDENT_STATES: Argv = ['systemctl', 'is-active', ...DEPENDENTS];

const run = (argv: Argv): Read => ({ read: 'run', argv });
const file = (path: string): Read => ({ read: 'file', path });

/** What tells how a corosync runs. */
export const RUNNING_READS: readonly Read[] = [CMAP, QUORUM, NODES, SOCKETS, PROCESS].map(run);

/** All that a node is asked. */
export const READS: readonly Read[] = [
  file(SHARED_CONF),
  file(LOCAL_CONF),
  file(SHARED_DRAFT),
  ...RUNNING_READS,
  run(VERSION),
  run(ADDRESSES),
  file(HOST_NAME),
  { read: 'dir', path: SYSTEMD, suffix: '.absent' },
  run(DEPENDENT_STATES),
  // Of an IPoIB device: datagram or connected.
  { read: 'dir', path: '/sys/class/net', suffix: 'mode', within: '' },
];
