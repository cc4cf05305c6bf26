#!/bin/bash
# Builds a guest in the directory given, which must not exist yet: vmlinuz, initramfs, and root.ext4 with a Debian 12 that has
# what Hull needs to run, with systemd but also without. Debian's cloud kernel, because most users run that or its sibling.
set -euo pipefail
target=$1
work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root

packages=(
  busybox-static crun runc libnftables1 nftables iproute2 procps tini kmod libatomic1 libstdc++6
  systemd-sysv dbus util-linux erofs-utils attr
)
# The kernel without what its package depends on: Debian's initramfs takes ten times as long to boot as ours.
# shellcheck disable=SC2016 # mmdebstrap runs it with the new root as $1
kernel='export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG && cd "$1/boot" &&
  package=$(apt-cache depends linux-image-cloud-amd64 | sed -n "s/^  Depends: //p") && apt-get -qq download "$package" &&
  dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x --keep-directory-symlink -C "$1" && rm "$package"_*.deb &&
  chroot "$1" /sbin/depmod "${package#linux-image-}"'
mmdebstrap --quiet --variant=essential --include="$(IFS=,; echo "${packages[*]}")" \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --customize-hook="$kernel" bookworm "$root"
mkdir "$root/hull"
cat >"$root/etc/systemd/system/checks.service" <<'UNIT'
[Unit]
After=basic.target dbus.service
Wants=dbus.service
[Service]
Type=oneshot
ExecStart=/hull/tests/guest/run-checks
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=infinity
UNIT

# Only what mounts the root: the checks have the kernel load the rest, as on a user's machine.
initramfs=$work/initramfs.d
mkdir -p "$initramfs"/{bin,dev,lib,proc,root}
cp "$root/bin/busybox" "$initramfs/bin/"
modules=(virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_console)
for module in "${modules[@]}"; do
  find "$root/lib/modules/" -name "$module.ko" -exec cp {} "$initramfs/lib/" \;
done
cat >"$initramfs/init" <<INIT
#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
for module in ${modules[*]}; do insmod /lib/\$module.ko; done
mount -t ext4 /dev/vda /root
mount -t ext4 -o ro /dev/vdb /root/hull
mount --move /dev /root/dev
init=\$(sed -n 's/.*guest\.init=\([^ ]*\).*/\1/p' /proc/cmdline)
umount /proc
exec switch_root /root \$init
INIT
chmod 755 "$initramfs/init"
(cd "$initramfs" && find . | busybox cpio -o -H newc 2>/dev/null) >"$work/initramfs"

mv "$root"/boot/vmlinuz-* "$work/vmlinuz"
rm -r "$root"/boot/* "$initramfs"
mke2fs -q -t ext4 -d "$root" "$work/root.ext4" 2G
rm -r --one-file-system "$root"
mv "$work" "$target"
