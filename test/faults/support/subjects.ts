import { ETHTOOL_STAND_IN } from '../../support/ethtool-stand-in.ts';

/** A resource with both of its states, as the node's own tools show them. */
export interface Subject {
  readonly name: string;
  /** Tasks (YAML, list items without indentation). */
  readonly tasks: string;
  /** Shell: done once on a node. */
  readonly prepare?: string;
  /** Shell: makes the old state, whatever was before. */
  readonly reset: string;
  /** Shell that prints a layer, by its name. */
  readonly layers: Readonly<Record<string, string>>;
  /** Folders in which files are written. */
  readonly folders: readonly string[];
  /** What stays different after apply until a boot. */
  readonly isPending?: boolean;
}

const DROP_IN = '/etc/sysctl.d/99-zz-mcastctl.conf';
const INTERFACES = '/etc/network/interfaces';
const STANZA = 'auto vmbr0\niface vmbr0 inet static\n\taddress 198.18.0.11/15\n\tbridge-ports eth0\n';
const bridgeValue = (name: string) => `cat /sys/class/net/vmbr0/bridge/${name}`;
const file = (path: string) => `if [ -e ${path} ]; then stat -c '%a %u %g' ${path}; cat ${path}; else echo none; fi`;

const put = (path: string, text: string, mode = '644') =>
  `mkdir -p $(dirname ${path}); rm -f ${path}; printf '%s' '${text.replaceAll("'", "'\\''")}' >${path}; chmod ${mode} ${path}\n`;

const IPTABLES_RULES = `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -s 192.0.2.0/24 -j DROP
-A INPUT -d 233.252.0.0/24 -j DROP
COMMIT
`;
const NFT_RULES = `#!/usr/sbin/nft -f
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		iif "lo" accept
		tcp dport 22 accept
		ip saddr 192.0.2.0/24 drop
	}
}
`;
const NO_FIREWALL = `nft flush ruleset; rm -rf /etc/nftables.conf /etc/iptables\n`;
const NFT_RESET = `${NO_FIREWALL}${put('/etc/nftables.conf', NFT_RULES)}nft -f /etc/nftables.conf\n`;
const IPTABLES_LAYERS = {
  runtime: 'iptables -S; ip6tables -S',
  persistent: `${file('/etc/iptables/rules.v4')}; ${file('/etc/iptables/rules.v6')}`,
};
const NFT_LAYERS = { runtime: 'nft -s list ruleset', persistent: file('/etc/nftables.conf') };

const DAEMON = `use POSIX; my $pid = fork; exit 0 if $pid; POSIX::setsid(); open STDIN, "</dev/null"; open STDOUT, ">/dev/null"; open STDERR, ">/dev/null"; $0 = "mcast-toy"; open my $c, ">", "/proc/self/comm"; syswrite $c, "mcast-toy"; close $c; sleep 1 while 1;`;
const INIT = `#!/bin/sh
### BEGIN INIT INFO
# Provides: mcast-toy
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
case $1 in
  start) pidof mcast-toy >/dev/null || perl /usr/local/lib/toy.pl ;;
  stop) pkill -x mcast-toy; exit 0 ;;
  status) pidof mcast-toy >/dev/null || exit 3 ;;
esac
`;
const GRUB_PROBE = `#!/bin/sh
case "$*" in
  *target=device*) echo /dev/sda1 ;;
  *target=fs_uuid*) echo 00000000-1111-2222-3333-444444444444 ;;
  *target=fs*) echo ext2 ;;
esac
`;
/** A stand-in that does what update-grub does here: the real one takes a second. */
const UPDATE_GRUB = `#!/bin/sh
set -e
. /etc/default/grub
printf "menuentry 'Debian' {\\n\\tlinux /boot/vmlinuz-6.1.0-1-amd64 root=/dev/sda1 ro %s %s\\n}\\n" "$GRUB_CMDLINE_LINUX" "$GRUB_CMDLINE_LINUX_DEFAULT" >/boot/grub/grub.cfg.new
mv /boot/grub/grub.cfg.new /boot/grub/grub.cfg
`;

const PACKAGES = `
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/test
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/* /srv/repo /var/lib/apt/lists/*
mkdir -p /srv/repo /srv/build/DEBIAN /srv/build/usr/share/mcast-toy
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list
cd /srv
printf 'Package: mcast-toy\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: x <x@example.com>\\nDescription: x\\n' >build/DEBIAN/control
echo 1 >build/usr/share/mcast-toy/version
dpkg-deb -Znone -b build repo/toy.deb >/dev/null
cat build/DEBIAN/control >repo/Packages
printf 'Filename: ./toy.deb\\nSize: %s\\nSHA256: %s\\n\\n' "$(stat -c %s repo/toy.deb)" "$(sha256sum repo/toy.deb | cut -d' ' -f1)" >>repo/Packages
apt-get -q update >/dev/null
`;

/** Kinds of managed things in states that are easily told apart, each with the files and running values that it has. */
export const SUBJECTS: readonly Subject[] = [
  {
    name: 'sysctl',
    tasks: '- sysctl: { net.ipv4.conf.default.rp_filter: 2, net.ipv4.igmp_max_memberships: 77 }\n',
    reset: `sysctl -qw net.ipv4.conf.default.rp_filter=0 net.ipv4.igmp_max_memberships=20\n${put(DROP_IN, '# ours\nnet.ipv4.igmp_qrv = 2\n', '640')}`,
    layers: {
      runtime: 'sysctl net.ipv4.conf.default.rp_filter net.ipv4.igmp_max_memberships',
      persistent: file(DROP_IN),
    },
    folders: ['/etc/sysctl.d'],
  },
  {
    name: 'sysctl, new file',
    tasks: '- sysctl: { net.ipv4.conf.default.rp_filter: 1 }\n',
    reset: `sysctl -qw net.ipv4.conf.default.rp_filter=0; rm -f ${DROP_IN}`,
    layers: { runtime: 'sysctl net.ipv4.conf.default.rp_filter', persistent: file(DROP_IN) },
    folders: ['/etc/sysctl.d'],
  },
  {
    name: 'bridge',
    tasks: '- bridge: { name: vmbr0, multicast_querier: true, multicast_startup_query_count: 7 }\n',
    reset: `ip link set vmbr0 type bridge mcast_querier 0 mcast_startup_query_count 2; \n${put(INTERFACES, STANZA)}`,
    layers: {
      runtime: `${bridgeValue('multicast_querier')}; ${bridgeValue('multicast_startup_query_count')}`,
      persistent: file(INTERFACES),
    },
    folders: ['/etc/network'],
  },
  {
    name: 'igmp',
    tasks: '- igmp: { interface: vmbr0, version: 2, max_memberships: 64 }\n',
    reset: `sysctl -qw net.ipv4.conf.vmbr0.force_igmp_version=0 net.ipv4.igmp_max_memberships=20; rm -f ${DROP_IN}`,
    layers: {
      runtime: 'sysctl net.ipv4.conf.vmbr0.force_igmp_version net.ipv4.igmp_max_memberships',
      persistent: file(DROP_IN),
    },
    folders: ['/etc/sysctl.d'],
  },
  {
    name: 'hosts_entry',
    tasks: '- hosts_entry: { address: 198.18.0.77, names: [pve77.example.com, pve77] }\n',
    prepare: 'cp /etc/hosts /root/hosts',
    reset: 'cat /root/hosts >/etc/hosts',
    layers: { runtime: 'getent hosts pve77 || true', persistent: file('/etc/hosts') },
    folders: [],
  },
  {
    name: 'file',
    tasks: '- file: { path: /etc/mcast/x.conf, content: "new\\n", owner: daemon, mode: "0600" }\n',
    reset: put('/etc/mcast/x.conf', 'old\n', '644'),
    layers: { persistent: file('/etc/mcast/x.conf') },
    folders: ['/etc/mcast'],
  },
  {
    name: 'file, removed',
    tasks: '- file: { path: /etc/mcast/x.conf, state: absent }\n',
    reset: put('/etc/mcast/x.conf', 'old\n', '640'),
    layers: { persistent: file('/etc/mcast/x.conf') },
    folders: ['/etc/mcast'],
  },
  {
    name: 'file, checked',
    tasks:
      '- file: { path: /etc/mcast/y.conf, content: "MaxAuthTries 3\\n", validate: [/usr/sbin/sshd, -t, -h, /etc/ssh/ssh_host_ed25519_key, -f, "%s"] }\n',
    reset: 'mkdir -p /etc/mcast; rm -f /etc/mcast/y.conf',
    layers: { persistent: file('/etc/mcast/y.conf') },
    folders: ['/etc/mcast'],
  },
  {
    name: 'template',
    tasks:
      '- template: { src: corosync-restart.conf.hbs, path: /etc/systemd/system/corosync.service.d/50-mcastctl.conf }\n  vars: { corosync_restart_seconds: 7 }\n',
    reset: put('/etc/systemd/system/corosync.service.d/50-mcastctl.conf', '[Service]\n'),
    layers: { persistent: file('/etc/systemd/system/corosync.service.d/50-mcastctl.conf') },
    folders: ['/etc/systemd/system/corosync.service.d'],
  },
  {
    name: 'command',
    tasks: '- command: { argv: [cp, /etc/os-release, /srv/made], creates: /srv/made, undo: [rm, -f, /srv/made] }\n',
    reset: 'rm -f /srv/made',
    layers: { runtime: file('/srv/made') },
    folders: [],
  },
  {
    name: 'iptables',
    tasks: '- iptables: { chain: INPUT, match: addrtype, dst_type: MULTICAST, jump: ACCEPT }\n',
    reset: `${NO_FIREWALL}${put('/etc/iptables/rules.v4', IPTABLES_RULES)}${put('/etc/iptables/rules.v6', IPTABLES_RULES.replace('192.0.2.0/24', '2001:db8::/32').replace('233.252.0.0/24', 'ff02::77/128'))}iptables-restore /etc/iptables/rules.v4; ip6tables-restore /etc/iptables/rules.v6`,
    layers: IPTABLES_LAYERS,
    folders: ['/etc/iptables'],
  },
  {
    name: 'nftables',
    tasks: '- nftables: { accept: [multicast, corosync, igmp] }\n',
    reset: NFT_RESET,
    layers: NFT_LAYERS,
    folders: [],
  },
  {
    name: 'firewall',
    tasks: '- firewall: { accept: [multicast, corosync] }\n',
    reset: NFT_RESET,
    layers: NFT_LAYERS,
    folders: [],
  },
  {
    name: 'ring',
    tasks: '- ring: { device: ens4, rx: 2048, tx: 1024 }\n',
    prepare: `ip link add ens4 type veth peer name ens4p\n${put('/usr/local/sbin/ethtool', ETHTOOL_STAND_IN, '755')}`,
    reset: `rm -f /run/ethtool-stand-in\n${put(INTERFACES, 'auto ens4\niface ens4 inet manual\n')}`,
    layers: { runtime: '/usr/local/sbin/ethtool -g ens4', persistent: file(INTERFACES) },
    folders: ['/etc/network'],
  },
  {
    name: 'service',
    tasks: '- service: { name: mcast-toy, state: started, enabled: true }\n',
    prepare: `${put('/usr/local/lib/toy.pl', DAEMON)}${put('/etc/init.d/mcast-toy', INIT, '755')}`,
    reset: 'pkill -x mcast-toy || true; update-rc.d -f mcast-toy remove >/dev/null',
    layers: {
      runtime: 'pidof mcast-toy >/dev/null && echo up || echo down',
      persistent: 'ls /etc/rc?.d | grep mcast-toy || true',
    },
    folders: [],
  },
  {
    name: 'kernel_cmdline',
    tasks: '- kernel_cmdline: { present: [mitigations=off] }\n',
    prepare: `mkdir -p /boot/grub /etc/default/grub.d; rm -f /boot/vmlinuz-* /boot/initrd.img-*; touch /boot/vmlinuz-6.1.0-1-amd64 /boot/initrd.img-6.1.0-1-amd64
${put('/usr/sbin/grub-probe', GRUB_PROBE, '755')}${put('/usr/sbin/update-grub', UPDATE_GRUB, '755')}echo 'root=/dev/sda1 ro quiet' >/run/cmdline; mount --bind /run/cmdline /proc/cmdline`,
    reset: `${put('/etc/default/grub', 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n')}update-grub`,
    layers: { persistent: `${file('/etc/default/grub')}; ${file('/boot/grub/grub.cfg')}` },
    folders: ['/etc/default'],
    isPending: true,
  },
  {
    name: 'package',
    tasks: '- package: { name: mcast-toy }\n',
    prepare: PACKAGES,
    reset: 'dpkg --purge mcast-toy >/dev/null 2>&1; dpkg --configure -a',
    layers: { persistent: 'dpkg-query -s mcast-toy 2>/dev/null | grep ^Status || true' },
    folders: [],
  },
];
