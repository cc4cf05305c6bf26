#!/bin/bash
# A CRIU that knows this host's kernel, for checkpoints: Debian's own, and where that is too old for the kernel a newer release's,
# in a directory of its own with the libraries that it needs. hulld finds it when the directory is on its PATH.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

directory=/usr/local/lib/hull-criu
release=forky

# works PROGRAM: whether it can write down a process that listens on a port.
works() {
  local images pid status=0
  "$1" check >/dev/null 2>&1 || return 1
  images=$(mktemp -d)
  setsid busybox nc -l -p 0 </dev/null >/dev/null 2>&1 &
  pid=$!
  sleep 0.3
  "$1" dump --tree $pid --images-dir "$images" --leave-running >/dev/null 2>&1 || status=$?
  kill $pid 2>/dev/null || true
  wait $pid 2>/dev/null || true
  rm -rf "$images"
  return $status
}

scripts/install-packages.sh criu mmdebstrap debian-archive-keyring busybox-static
if works criu || works "$directory/criu"; then exit; fi

rm -rf "$directory"
mkdir -p "$directory"
trap 'rm -rf "$directory"' ERR
# A mirror that stands still for a while still has the signed packages of a release that moves on.
mmdebstrap --quiet --variant=extract --include=criu --aptopt='Acquire::Check-Valid-Until "false"' "$release" "$directory/root" >/dev/null
loader=$(echo "$directory"/root/usr/lib*/ld-linux-*.so.*)
libraries=$(dirname "$(find "$directory/root/usr/lib" -name 'libc.so.6' | head -1)")
cat >"$directory/criu" <<END
#!/bin/sh
exec $loader --argv0 criu --library-path $libraries $directory/root/usr/sbin/criu "\$@"
END
chmod 755 "$directory/criu"
echo "installed: CRIU of Debian $release in $directory"
