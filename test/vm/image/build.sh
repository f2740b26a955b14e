#!/bin/sh
# build.sh FOLDER DEBS: makes in FOLDER what the virtual machines start from: disk.ext4 (Debian 12, never written to again),
# vmlinux, initrd.img, grub.img, and the keys of client and machines. DEBS keeps downloaded packages for the next build.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
debs=$2
root=$folder/root

include=systemd,systemd-sysv,udev,dbus,openssh-server,perl-base,procps,kmod,netbase,iproute2,iputils-ping,tcpdump
include=$include,linux-image-amd64,initramfs-tools,grub-pc-bin,grub-common,grub2-common
include=$include,ifupdown2,bridge-utils,ethtool,corosync,iptables,netfilter-persistent,iptables-persistent,nftables
# Not installed, but there to be installed: the machines have no way out, this is their whole mirror.
spare='ifupdown tree'

say() { echo "image: $*" >&2; }

mkdir -p "$root" "$debs" "$folder/hostkeys"

# Modules that no machine here can use; they would be half of the disk.
without=
for part in sound net/bluetooth net/mac80211 net/wireless net/ceph net/sunrpc net/tipc net/batman-adv net/rxrpc net/nfc \
  drivers/gpu drivers/media drivers/infiniband drivers/staging drivers/iio drivers/isdn drivers/hwmon drivers/input drivers/usb \
  drivers/scsi drivers/mtd drivers/comedi drivers/platform drivers/firewire drivers/bluetooth drivers/mmc drivers/ata drivers/nvme \
  drivers/leds drivers/power drivers/thermal drivers/video drivers/misc drivers/net/wireless drivers/net/can drivers/net/usb \
  drivers/net/wwan fs/btrfs fs/xfs fs/ocfs2 fs/gfs2 fs/jfs fs/reiserfs fs/nfs fs/nfsd fs/cifs fs/ceph fs/f2fs fs/afs fs/ubifs; do
  without="$without --dpkgopt=path-exclude=/lib/modules/*/kernel/$part/*"
done

say 'installing Debian 12'
# INITRD=No: the kernel's own initrd would take a minute and is not used.
# shellcheck disable=SC2086 # a list of options without blanks
set -f
INITRD=No mmdebstrap --mode=root --variant=minbase --include="$include" \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io $without \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --skip=download/empty --skip=essential/unlink --skip=cleanup/apt/cache \
  --setup-hook="mkdir -p \"\$1/var/cache/apt/archives\" && find '$debs' -name '*.deb' -exec cp {} \"\$1/var/cache/apt/archives/\" \\;" \
  --customize-hook="find \"\$1/var/cache/apt/archives\" -name '*.deb' -exec cp -n {} '$debs/' \\;" \
  --customize-hook="rm -f \"\$1\"/var/cache/apt/archives/*.deb" \
  --customize-hook="mkdir -p \"\$1/opt/debs\" && chroot \"\$1\" sh -c 'cd /opt/debs && apt-get -q -o APT::Sandbox::User=root download $spare'" \
  bookworm "$root" >"$folder/mmdebstrap.log" 2>&1 || { tail -n 20 "$folder/mmdebstrap.log" >&2; say 'mmdebstrap failed'; exit 1; }
set +f

# The spare packages as a repository of their own.
(
  cd "$root/opt/debs"
  for deb in *.deb; do
    dpkg-deb -f "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d ' ' -f 1)"
  done >Packages
)
rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* "$root"/var/lib/apt/lists/*
echo 'deb [trusted=yes] file:/opt/debs ./' >"$root/etc/apt/sources.list"
chroot "$root" apt-get -q -o APT::Sandbox::User=root update >>"$folder/mmdebstrap.log"

say 'keys and settings'
ssh-keygen -q -t ed25519 -N '' -C vm -f "$folder/id_ed25519"
install -d -m 700 "$root/root/.ssh" "$root/etc/first-boot"
install -m 600 "$folder/id_ed25519.pub" "$root/root/.ssh/authorized_keys"
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/hostname" "$root/etc/resolv.conf"
for i in 1 2 3; do
  ssh-keygen -q -t ed25519 -N '' -C "root@vm$i" -f "$folder/hostkeys/vm$i"
  cp "$folder/hostkeys/vm$i" "$folder/hostkeys/vm$i.pub" "$root/etc/first-boot/"
done
: >"$root/etc/machine-id"
# Nobody waits at the menu, and root logs in on the serial console without a password: for debugging.
printf 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="console=ttyS0"\nGRUB_TERMINAL=console\n' >"$root/etc/default/grub"
mkdir -p "$root/boot/grub"
sed -i 's/^root:[^:]*:/root::/' "$root/etc/shadow"
# What Debian enables, but a machine with no state of its own should not have: cluster and firewall are for the tests to start.
chroot "$root" systemctl -q disable corosync.service nftables.service netfilter-persistent.service getty@tty1.service \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer e2scrub_reap.service
# Each program started costs a tenth of a second in an emulated machine: what no test looks at is left out of the boot.
for unit in systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-pstore.service ldconfig.service \
  systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-journal-flush.service systemd-binfmt.service \
  systemd-machine-id-commit.service proc-sys-fs-binfmt_misc.automount dev-hugepages.mount dev-mqueue.mount \
  sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
  modprobe@drm.service modprobe@efi_pstore.service modprobe@configfs.service modprobe@fuse.service; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
mkdir -p "$root/etc/systemd/system-generators"
for generator in cryptsetup gpt-auto hibernate-resume integritysetup veritysetup system-update; do
  ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$generator-generator"
done

say 'kernel and initrd'
version=$(basename "$root"/lib/modules/*)
kernel=$root/boot/vmlinuz-$version
# Unpacked here, so that the emulated processor need not: Documentation/arch/x86/boot.rst of the kernel tells where the packed
# kernel lies (setup_sects, payload_offset, payload_length; the last four bytes are its unpacked size).
field() { od -A n -t "u$2" -j "$1" -N "$2" "$kernel" | tr -d ' '; }
start=$((($(field 0x1f1 1) + 1) * 512 + $(field 0x248 4)))
dd if="$kernel" iflag=skip_bytes,count_bytes bs=1M skip="$start" count="$(($(field 0x24c 4) - 4))" status=none |
  xz -dc --single-stream >"$folder/vmlinux"

initrd=$folder/initrd
mkdir -p "$initrd/bin" "$initrd/modules" "$initrd/proc" "$initrd/sys" "$initrd/dev" "$initrd/root"
cp /bin/busybox "$initrd/bin/"
install -m 755 "$here/init.sh" "$initrd/init"
for module in virtio_pci virtio_blk crc32c_generic ext4; do
  modprobe -d "$root" -S "$version" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' | while read -r file; do
  cp "$file" "$initrd/modules/"
  basename "$file" >>"$initrd/modules/order"
done
(cd "$initrd" && find . | cpio -o -H newc --quiet) >"$folder/initrd.img"
# GRUB of the machine looks for it beside the kernel.
cp "$folder/initrd.img" "$root/boot/initrd.img-$version"

# A GRUB that QEMU starts as if it were a kernel, and that then reads the machine's own grub.cfg: no partition table is needed.
printf 'set root=(hd0)\nset prefix=(hd0)/boot/grub\nconfigfile (hd0)/boot/grub/grub.cfg\n' >"$root/tmp/early.cfg"
chroot "$root" grub-mkimage -O i386-pc -p '(hd0)/boot/grub' -c /tmp/early.cfg -o /tmp/core.img \
  biosdisk ext2 configfile linux normal test search search_fs_uuid echo minicmd gzio xzio part_msdos part_gpt terminal serial all_video
cat "$root/usr/lib/grub/i386-pc/lnxboot.img" "$root/tmp/core.img" >"$folder/grub.img"
rm -f "$root/tmp/early.cfg" "$root/tmp/core.img"

say 'disk'
size=$(($(du -s -m "$root" | cut -f 1) + 600))
mke2fs -q -t ext4 -O ^metadata_csum,^64bit -E lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0 -J size=8 -m 0 -d "$root" \
  "$folder/disk.ext4" "${size}M" >/dev/null
chmod 444 "$folder/disk.ext4"
rm -rf "$root" "$initrd"
