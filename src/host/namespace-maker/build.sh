#!/bin/sh
# Builds dist/hull-namespaces, or the file given, when it is older than its source. Static and small, as it is started for every
# container that has a user namespace.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../../dist/hull-namespaces}
[ "$out" -nt "$here/hull-namespaces.c" ] && [ "$out" -nt "$here/build.sh" ] && exit 0
mkdir -p "$(dirname "$out")"
musl-gcc -std=c11 -Os -Wall -Wextra -Werror -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
	-ffunction-sections -fdata-sections -static -s -Wl,--gc-sections -Wl,--build-id=none \
	-o "$out.$$" "$here/hull-namespaces.c"
mv "$out.$$" "$out"
