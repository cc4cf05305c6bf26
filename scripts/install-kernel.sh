#!/bin/bash
# The kernel of microVMs: Debian's cloud kernel with the modules that a guest needs, taken from its package into dist/vm.
# Nothing happens when it is there. Another kernel: put the same files into a directory and name it with hulld's --vm-kernel.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
export PATH=$PATH:/usr/sbin:/sbin

target=dist/vm
[ ! -e $target/modules/order ] || exit 0

# In the order in which a guest uses them; modprobe adds what each needs.
modules=(
  virtio_pci virtio_console virtio_balloon virtio-rng
  virtio_blk erofs overlay virtio_net virtiofs
)
case $(dpkg --print-architecture) in
  amd64) flavour=cloud-amd64 ;;
  *) echo "microVMs are for x86-64 so far"; exit 0 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# apt drops its privileges to download, and must be able to write there.
chmod 755 "$work"
mkdir -m 777 "$work/package"
# The package that the flavour's name stands for, as apt's lists have it.
kernel_package() {
  apt-cache depends "linux-image-$flavour" 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }'
}
download() {
  package=$(kernel_package)
  [ -n "$package" ] && (cd "$work/package" && apt-get download -qq "$package")
}
# The lists may be missing, or older than what the mirror has.
download 2>/dev/null || { apt-get update -qq && download; } || { echo "Cannot download linux-image-$flavour from Debian's mirror" >&2; exit 1; }
dpkg-deb -x "$work"/package/*.deb "$work/root"
release=${package#linux-image-}

mkdir -p "$work/vm/modules"
echo "$release" >"$work/vm/release"
scripts/node scripts/extract-kernel.ts "$work/root/boot/vmlinuz-$release" "$work/vm/vmlinux"
depmod -b "$work/root" "$release"
for module in "${modules[@]}"; do
  modprobe -d "$work/root" -S "$release" --ignore-install --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r file; do
  # What is left is what the kernel loads: a guest has no use for debugging information.
  strip -g -o "$work/vm/modules/$(basename "$file")" "$file"
  basename "$file" >>"$work/vm/modules/order"
done
scripts/as-owner.sh mkdir -p dist
rm -rf $target
mv "$work/vm" $target
chown -R --reference=dist $target
echo "microVM kernel: $release"
