import { clusterAddress } from './layout.ts';

export type Transport = 'knet' | 'udp' | 'udpu';

/**
 * A drop-in that makes corosync find its network at boot. Debian's corosync.service waits for network-online.target, but
 * networking.service of ifupdown2 3.0.0 says nowhere that this is reached only after it: corosync ends with 15, no address.
 */
export const ONLINE_DROP_IN = {
  path: '/etc/systemd/system/networking.service.d/online.conf',
  text: '[Unit]\nBefore=network-online.target\n',
} as const;

/** A corosync.conf for these machines on the cluster network, as a person would write it. */
export function corosyncConf(indexes: readonly number[], transport: Transport): string {
  const multicast = [
    '  interface {',
    '    linknumber: 0',
    '    bindnetaddr: 198.19.0.0',
    '    mcastaddr: 239.192.77.1',
  ];
  return [
    'totem {',
    '  version: 2',
    '  config_version: 1',
    '  cluster_name: vms',
    `  transport: ${transport}`,
    '  ip_version: ipv4',
    '  secauth: off',
    ...(transport === 'udp' ? [...multicast, '    mcastport: 5405', '  }'] : []),
    '}',
    'nodelist {',
    ...indexes.flatMap((id) => [
      '  node {',
      `    name: vm${id}`,
      `    nodeid: ${id}`,
      `    ring0_addr: ${clusterAddress(id)}`,
      '  }',
    ]),
    '}',
    'quorum {',
    '  provider: corosync_votequorum',
    '}',
    'logging {',
    '  to_syslog: yes',
    '}',
    '',
  ].join('\n');
}
