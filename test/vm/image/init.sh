#!/bin/busybox sh
# First program of a machine: finds the disk, and on its first boot gives the machine the identity that its number
# (vm=N on the kernel command line) stands for. Later boots run what the disk says.
box=/bin/busybox
$box mount -t proc proc /proc
$box mount -t sysfs sys /sys
$box mount -t devtmpfs dev /dev
while read -r module; do $box insmod "/modules/$module"; done </modules/order
tries=0
until [ -b /dev/vda ] || [ $tries -ge 200 ]; do
  $box sleep 0.05
  tries=$((tries + 1))
done
$box mount -t ext4 -o rw,noatime /dev/vda /root || { echo 'no disk'; exec $box sh; }

if [ -d /root/etc/first-boot ]; then
  for word in $($box cat /proc/cmdline); do
    case $word in vm=*) n=${word#vm=} ;; esac
  done
  echo "vm$n" >/root/etc/hostname
  printf '127.0.0.1 localhost\n198.19.0.%s vm%s\n' "$n" "$n" >/root/etc/hosts
  $box tr -d - </proc/sys/kernel/random/uuid >/root/etc/machine-id
  $box cp "/root/etc/first-boot/vm$n" /root/etc/ssh/ssh_host_ed25519_key
  $box cp "/root/etc/first-boot/vm$n.pub" /root/etc/ssh/ssh_host_ed25519_key.pub
  $box chmod 600 /root/etc/ssh/ssh_host_ed25519_key
  # As the installer of Proxmox VE leaves it, with a NIC for management beside.
  $box cat >/root/etc/network/interfaces <<E
auto lo
iface lo inet loopback

auto ens3
iface ens3 inet static
	address 198.18.0.$n/24

iface ens4 inet manual

auto vmbr0
iface vmbr0 inet static
	address 198.19.0.$n/24
	bridge-ports ens4
	bridge-stp off
	bridge-fd 0
E
  $box rm -rf /root/etc/first-boot
fi

$box umount /proc
$box umount /sys
$box mount -o move /dev /root/dev
exec $box switch_root /root /sbin/init
