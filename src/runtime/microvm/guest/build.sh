#!/bin/sh
# Builds dist/hull-agent, or the file given, when it is older than its sources.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec make --silent -f "$here/Makefile" ${1:+OUT="$1"}
