/**
 * The programs that run inside a lab. Constant text: what differs from node to node arrives as arguments. Perl without
 * modules starts in 2 ms and is on every Debian (perl-base is Essential).
 */

/** What root in a node may not do, in setpriv(1)'s words: it would be done to this machine. */
export const DROPPED_CAPABILITIES = '-sys_time,-sys_module,-sys_rawio';

/**
 * Process 1 of a node, until sshd takes its place. Arguments: folder of the node, host name, address/length, lower
 * layers, the settings of the bridge. The old root is thrown off altogether (not only changed by chroot), or a node
 * would keep alive every mount that the machine had when the node started. What belongs to the machine, not to the node,
 * can't be written: devices, /sys without the network, sysctls outside net. The limits of socket buffers, which the kernel
 * has once for all namespaces and shows read-only, are copies: a playbook that sets them can be rehearsed, no socket heeds them.
 */
export const NODE_SCRIPT = `#!/bin/sh
set -eu
dir=$1 name=$2 address=$3 lower=$4
shift 4
read -r pid rest </proc/self/stat
echo "$pid" >"$dir/pid"
mount --make-rprivate /
hostname "$name"
printf '%s\\n' 'link set dev lo up' "link add name vmbr0 type bridge $*" 'link set dev eth0 master vmbr0 up' \\
  "addr add $address dev vmbr0" 'link set dev vmbr0 up' | ip -batch -
cd "$dir/root"
mount -t overlay -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work" overlay .
cd "$dir/root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,rw proc/sys/net
mkdir "$dir/sysctl"
for file in proc/sys/net/core/*; do
  [ ! -w "$file" ] && cat "$file" >"$dir/sysctl/\${file##*/}" && mount --bind "$dir/sysctl/\${file##*/}" "$file"
done
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount --bind sys/devices/virtual/net sys/devices/virtual/net
mount -o remount,bind,ro sys
mount -t devpts -o newinstance,gid=5,mode=620,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs dev/shm
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs run
mount -t tmpfs -o nosuid,nodev tmpfs tmp
mount --bind "$dir/home" root
mkdir -p run/sshd run/lock run/network
pivot_root . mnt
cd /
umount -l /mnt
exec setpriv --bounding-set=${DROPPED_CAPABILITIES} /usr/sbin/sshd -D -e
`;

/** Makes the device files of all nodes in the folder given. */
export const DEVICES_SCRIPT = `#!/bin/sh
set -eu
cd "$1"
umask 0
mknod null c 1 3
mknod zero c 1 5
mknod full c 1 7
mknod random c 1 8
mknod urandom c 1 9
mknod tty c 5 0
ln -s pts/ptmx ptmx
ln -s /proc/self/fd fd
ln -s /proc/self/fd/0 stdin
ln -s /proc/self/fd/1 stdout
ln -s /proc/self/fd/2 stderr
`;

/** Tries what the lab needs of the kernel, in namespaces of its own, and names the first thing that is refused. */
export const PREFLIGHT_SCRIPT = `
try() { what=$1; shift; "$@" >/dev/null 2>&1 || { echo "$what"; exit 1; }; }
try 'private mounts' mount --make-rprivate /
try 'tmpfs' mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
try 'overlay file systems on tmpfs' mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
try 'device files' mknod /mnt/null c 1 3
try 'veth devices' ip link add name va type veth peer name vb
try 'bridges with IGMP snooping' ip link add name br type bridge mcast_snooping 1
`;

/** Joins standard input and output to a TCP port: the ssh_config's ProxyCommand. Arguments: IPv4 address, port. */
export const RELAY_SCRIPT = `my ($host, $port) = @ARGV;
socket(my $net, 2, 1, 6) or die "socket: $!\\n";
connect($net, pack('S n C4 x8', 2, $port, split /\\./, $host)) or die "$host port $port: $!\\n";
setsockopt($net, 6, 1, 1);
my ($in, $bits) = (1, '');
sub copy {
    my ($from, $to) = @_;
    my $size = sysread($from, my $data, 65536) or return 0;
    for (my $done = 0; $done < $size;) {
        my $part = syswrite($to, $data, $size - $done, $done);
        exit 1 unless defined $part;
        $done += $part;
    }
    return 1;
}
while (1) {
    vec(my $read = '', fileno($net), 1) = 1;
    vec($read, 0, 1) = 1 if $in;
    select($read, undef, undef, undef) >= 0 or next;
    if (vec($read, fileno($net), 1)) { copy($net, *STDOUT) or exit 0 }
    if ($in && vec($read, 0, 1) && !copy(*STDIN, $net)) { $in = 0; shutdown($net, 1) }
}
`;

/** Waits until port 22 of every address given accepts a connection. Asks for a
 * node that is not there yet 30 times a second instead of once (ARP). Arguments: seconds to wait at most, addresses. */
export const WAIT_SCRIPT = `sub retry_ms {
    open(my $file, '>', '/proc/sys/net/ipv4/neigh/eth0/retrans_time_ms') or return;
    syswrite($file, shift);
}
my $end = time + shift;
retry_ms(30);
for my $host (@ARGV) {
    while (1) {
        socket(my $net, 2, 1, 6) or die "socket: $!\\n";
        fcntl($net, 4, 2048);
        connect($net, pack('S n C4 x8', 2, 22, split /\\./, $host));
        vec(my $write = '', fileno($net), 1) = 1;
        my $ready = select(undef, $write, undef, 0.25);
        last if $ready > 0 && !unpack('i', getsockopt($net, 1, 4));
        die "$host\\n" if time > $end;
        select(undef, undef, undef, 0.02);
    }
}
retry_ms(1000);
`;
