#!/bin/bash
# A CRIU that knows this host's kernel, for checkpoints: Debian's own, and where that is too old for the kernel the next release's,
# in a directory of its own with the libraries that it needs. hulld finds it when the directory is on its PATH.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

directory=/usr/local/lib/hull-criu
release=trixie

scripts/install-packages.sh criu mmdebstrap debian-archive-keyring
if criu check >/dev/null 2>&1 || "$directory/criu" check >/dev/null 2>&1; then exit; fi

rm -rf "$directory"
mkdir -p "$directory"
trap 'rm -rf "$directory"' ERR
mmdebstrap --quiet --variant=extract --include=criu "$release" "$directory/root" >/dev/null
loader=$(echo "$directory"/root/usr/lib*/ld-linux-*.so.*)
libraries=$(dirname "$(find "$directory/root/usr/lib" -name 'libc.so.6' | head -1)")
cat >"$directory/criu" <<END
#!/bin/sh
exec $loader --argv0 criu --library-path $libraries $directory/root/usr/sbin/criu "\$@"
END
chmod 755 "$directory/criu"
echo "installed: CRIU of Debian $release in $directory"
