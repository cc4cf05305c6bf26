#!/bin/sh
# Builds dist/hull-vm, or the file given, and its libraries beside it, when they are older than their sources.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec make --silent -f "$here/Makefile" ${1:+OUT="$1"}
