#!/bin/sh
# Makes a fresh Debian machine ready for "npm test", "npm run demo" and "npm run bench": Debian packages, npm packages,
# and the layer that gives the lab's nodes ifupdown2. With the argument "vm" also for "npm run test:vm". Does only what is
# missing, and says what it does.
set -eu
cd "$(dirname "$0")/.."

packages='iproute2 openssh-server openssh-client perl-base procps util-linux mount iptables ethtool nftables python3 sudo ansible-core corosync'
vm_packages='qemu-system-x86 qemu-utils mmdebstrap busybox-static cpio xz-utils e2fsprogs kmod'
# What stands in for pmxcfs, and what firewalld needs to run on the lab's nodes.
packages="$packages bindfs dbus-daemon polkitd python3-firewall python3-nftables"
[ "${1-}" != vm ] || packages="$packages $vm_packages"
layers=.cache/layers
has_lists=

say() { echo "setup: $*" >&2; }

# The package lists are fetched once, and only when a package is missing.
update_lists() {
  [ -z "$has_lists" ] || return 0
  say 'apt-get update'
  apt-get -q update >&2
  has_lists=yes
}

# Debian starts a service as soon as it is installed; this machine's sshd is nobody's wish here.
without_services() {
  if [ -e /usr/sbin/policy-rc.d ]; then
    "$@"
    return
  fi
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
  "$@"
  rm -f /usr/sbin/policy-rc.d
  trap - EXIT INT TERM HUP
}

install_packages() {
  # shellcheck disable=SC2086 # a list of words
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null | sed -n 's/ installed$//p')
  missing=
  for package in $packages; do
    echo "$installed" | grep -qx "$package" || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    say "these Debian packages are missing, and installing them needs root:$missing"
    exit 3
  fi
  update_lists
  say "apt-get install$missing"
  # shellcheck disable=SC2086
  without_services env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing >&2
  case $missing in
    *openssh-server*) say 'openssh-server came without its service being started; "systemctl disable ssh" keeps it so' ;;
  esac
}

install_modules() {
  if [ -e node_modules/.package-lock.json ] && [ -z "$(find package-lock.json -newer node_modules/.package-lock.json)" ]; then
    return 0
  fi
  say 'npm ci'
  npm ci >&2
}

# ifupdown2 would replace the machine's own ifupdown, firewalld would close its ports at the next boot, iptables-persistent would load
# rules, GRUB is nobody's boot loader here: they are unpacked for the lab's nodes, not installed.
# Its name, and the packages it has where it is not one of that name.
unpack() {
  package=$1
  contents=${2-$1}
  layer=$layers/$package
  [ ! -d "$layer" ] || return 0
  say "unpacking $package to $layer"
  rm -rf "$layer.new"
  mkdir -p "$layer.new/root"
  download || { [ "$(id -u)" -eq 0 ] && update_lists && download; } || { say "$package can not be downloaded"; exit 1; }
  for file in "$layer.new"/*.deb; do
    dpkg -x "$file" "$layer.new/root"
  done
  # In a node / a folder named sbin would hide the link of that name.
  for folder in bin sbin lib; do
    [ -d "$layer.new/root/$folder" ] || continue
    mkdir -p "$layer.new/root/usr/$folder"
    cp -a "$layer.new/root/$folder/." "$layer.new/root/usr/$folder/"
    rm -rf "$layer.new/root/$folder"
  done
  case $package in
    ifupdown2) prepare_ifupdown2 "$layer.new/root" ;;
    firewalld) prepare_firewalld "$layer.new/root" ;;
  esac
  mv "$layer.new/root" "$layer"
  rm -rf "$layer.new"
}

download() {
  # shellcheck disable=SC2086 # a list of words
  (cd "$layer.new" && apt-get -q -o APT::Sandbox::User=root download $contents >&2)
}

prepare_ifupdown2() {
  # It keeps its VRF tables here; iproute2 of Debian 13 does not bring the folder any more.
  mkdir -p "$1/etc/iproute2/rt_tables.d"
  # Its postinst does this.
  chmod +x "$1/usr/share/ifupdown2/__main__.py"
}

prepare_firewalld() {
  # Its postinst does this: without, root itself is refused.
  policy=$1/usr/share/polkit-1/actions/org.fedoraproject.FirewallD1
  cp "$policy.server.policy.choice" "$policy.policy"
}

command -v dpkg-query >/dev/null || { say 'this needs Debian 12 or 13'; exit 3; }
install_packages
install_modules
unpack ifupdown2
unpack firewalld
unpack iptables-persistent 'iptables-persistent netfilter-persistent'
unpack grub 'grub-common grub2-common libdevmapper1.02.1'
