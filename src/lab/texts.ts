import {
  CONTROLLER_ADDRESS,
  type LabNode,
  type LabPaths,
  type LabTransport,
  netnsName,
  PREFIX_LENGTH,
  type SwitchKind,
} from './layout.ts';

/**
 * The strict switch forgets a member after 8 s. Timers of the nodes' bridges that fit to it, in seconds, by their name
 * in interfaces(5) of ifupdown2 and in ip-link(8): a real minute passes in two seconds.
 */
const STRICT_TIMERS = [
  ['bridge-mcqi', 'mcast_query_interval', 3],
  ['bridge-mcqri', 'mcast_query_response_interval', 1],
  ['bridge-mcsqi', 'mcast_startup_query_interval', 1],
] as const;

/** Settings of a node's vmbr0 in ip-link(8)'s words: what the node's /etc/network/interfaces asks for. */
export function bridgeOptions(kind: SwitchKind): string[] {
  const timers = STRICT_TIMERS.flatMap(([, option, seconds]) => [option, String(seconds * 100)]);
  const options = ['stp_state', '0', 'forward_delay', '0', 'mcast_snooping', '1', 'mcast_querier', '0'];
  return kind === 'strict' ? [...options, ...timers] : options;
}

/** A node's /etc/network/interfaces, in the shape that the installer of Proxmox VE leaves. */
export function interfacesText(node: LabNode, kind: SwitchKind): string {
  const timers = kind === 'strict' ? STRICT_TIMERS.map(([attribute, , seconds]) => `\t${attribute} ${seconds}`) : [];
  return [
    'auto lo',
    'iface lo inet loopback',
    '',
    'iface eth0 inet manual',
    '',
    'auto vmbr0',
    'iface vmbr0 inet static',
    `\taddress ${node.address}/${PREFIX_LENGTH}`,
    '\tbridge-ports eth0',
    '\tbridge-stp off',
    '\tbridge-fd 0',
    ...timers,
    '',
    'source /etc/network/interfaces.d/*',
    '',
  ].join('\n');
}

/** The /etc/corosync/corosync.conf of every node: a cluster as people make it by hand. Real-time scheduling would hold up this machine. */
export function corosyncText(nodes: readonly LabNode[], transport: LabTransport): string {
  const block = (name: string, lines: readonly string[]) => [`${name} {`, ...lines.map((line) => `\t${line}`), '}', ''];
  return [
    ...block('totem', [
      'version: 2',
      'cluster_name: lab',
      'config_version: 1',
      `transport: ${transport}`,
      'ip_version: ipv4',
      ...(transport === 'udp'
        ? ['interface {', '\tlinknumber: 0', '\tmcastaddr: 239.192.99.7', '\tmcastport: 5405', '}']
        : []),
    ]),
    ...block(
      'nodelist',
      nodes.flatMap(({ name, address }, index) => [
        'node {',
        `\tname: ${name}`,
        `\tnodeid: ${index + 1}`,
        `\tring0_addr: ${address}`,
        '}',
      ]),
    ),
    ...block('quorum', ['provider: corosync_votequorum']),
    ...block('logging', [
      'to_syslog: no',
      'to_stderr: no',
      'to_logfile: yes',
      'logfile: /var/log/corosync/corosync.log',
    ]),
    ...block('system', ['sched_rr: no']),
  ].join('\n');
}

/** The /etc/hosts of every node: all nodes know each other. */
export function hostsText(nodes: readonly LabNode[]): string {
  return [
    '127.0.0.1 localhost.localdomain localhost',
    ...nodes.map((node) => `${node.address} ${node.name}.lab ${node.name}`),
    '',
    '::1 ip6-localhost ip6-loopback',
    'ff02::1 ip6-allnodes',
    'ff02::2 ip6-allrouters',
    '',
  ].join('\n');
}

/** The nodes' sshd_config: Debian's limits, except for MaxStartups, and keys only. */
export function sshdConfigText(maxStartups: string): string {
  return [
    'Port 22',
    'HostKey /etc/ssh/ssh_host_ed25519_key',
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'UseDNS no',
    'PrintMotd no',
    `MaxStartups ${maxStartups}`,
    'AcceptEnv LANG LC_*',
    'Subsystem sftp internal-sftp',
    '',
  ].join('\n');
}

/** The ssh_config of the controller: ssh(1), Ansible and mcastctl reach the nodes with it from this machine. */
export function sshConfigText(lab: string, paths: LabPaths, nodes: readonly LabNode[]): string {
  return [
    ...nodes.flatMap((node) => [`Host ${node.name}`, `  HostName ${node.address}`]),
    'Host *',
    '  User root',
    `  IdentityFile ${paths.key}`,
    '  IdentitiesOnly yes',
    `  UserKnownHostsFile ${paths.knownHosts}`,
    '  GlobalKnownHostsFile /dev/null',
    '  StrictHostKeyChecking yes',
    `  ProxyCommand nsenter --net=/run/netns/${netnsName(lab, 'ctl')} /usr/bin/perl ${paths.relayScript} %h %p`,
    '',
  ].join('\n');
}

/** The inventory of a lab, for mcastctl and Ansible alike. */
export function inventoryText(lab: string, paths: LabPaths, nodes: readonly LabNode[]): string {
  return [
    `# Inventory of the lab "${lab}", gone with "mcastctl lab down"`,
    'all:',
    '  children:',
    '    cluster:',
    '      hosts:',
    ...nodes.flatMap((node) => [`        ${node.name}:`, `          ansible_host: ${node.address}`]),
    '      vars:',
    '        cluster_bridge: vmbr0',
    '        cluster_nic: eth0',
    '        ansible_user: root',
    `        ansible_ssh_private_key_file: ${paths.key}`,
    `        ansible_ssh_common_args: -F ${paths.sshConfig}`,
    '        ansible_python_interpreter: /usr/bin/python3',
    '',
  ].join('\n');
}

/** Lines of known_hosts. `keys`: the public key of each node, "ssh-ed25519 AAAA…". */
export function knownHostsText(nodes: readonly LabNode[], keys: readonly string[]): string {
  return nodes.map((node, index) => `${node.address},${node.name} ${keys[index] ?? ''}\n`).join('');
}

/**
 * What the strict switch may not send, in ebtables(8)'s words: queries of its own. As a querier its bridge never goes back
 * to flooding unregistered groups, which a Linux bridge does where it knows no querier; mute, it keeps nobody's membership
 * alive and takes part in no election.
 */
export const MUTE_QUERIER: readonly (readonly string[])[] = [
  ['-A', 'OUTPUT', '-p', 'IPv4', '--ip-proto', '2', '-j', 'DROP'],
  ['-A', 'OUTPUT', '-p', 'IPv6', '--ip6-proto', 'ipv6-icmp', '--ip6-icmp-type', '130', '-j', 'DROP'],
];

/** Batch for `ip` in the switch's namespace: the bridge and the controller's cable. */
export function switchBatch(lab: string, kind: SwitchKind): string {
  // A member, and a port behind which a querier was heard, are forgotten after 8 s.
  const snooping =
    kind === 'strict'
      ? 'mcast_snooping 1 mcast_querier 1 mcast_membership_interval 800 mcast_querier_interval 800 mcast_query_interval 200 mcast_startup_query_interval 100'
      : 'mcast_snooping 0';
  return [
    `link add name switch type bridge stp_state 0 forward_delay 0 ${snooping}`,
    // For MLD it is a querier only with an address, and gives way only to a lower one: it gets the highest.
    'link set dev switch addrgenmode none',
    'addr add fe80::ffff:ffff:ffff:fffe/64 dev switch nodad',
    'link set dev switch up',
    `link add name ctl type veth peer name eth0 netns ${netnsName(lab, 'ctl')}`,
    ...portLines('ctl'),
    '',
  ].join('\n');
}

/** Batch for `ip` in the switch's namespace: the nodes' cables. */
export function portsBatch(nodes: readonly LabNode[]): string {
  const lines = nodes.flatMap((node) => [
    `link add name ${node.name} type veth peer name eth0 netns ${node.netns}`,
    ...portLines(node.name),
  ]);
  return `${lines.join('\n')}\n`;
}

function portLines(port: string): string[] {
  return [`link set dev ${port} master switch`, `link set dev ${port} up`];
}

/** Batch for `ip` in the controller's namespace. */
export function controllerBatch(): string {
  return `link set dev lo up\naddr add ${CONTROLLER_ADDRESS}/${PREFIX_LENGTH} dev eth0\nlink set dev eth0 up\n`;
}
