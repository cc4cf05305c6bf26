#!/bin/bash
# Runs a command as the user whom the checkout belongs to, so that what root installs and builds in it stays theirs.
set -euo pipefail
owner=$(stat -c %U "$(dirname "$(readlink -f "$0")")/..")
if [ "$owner" = "$(id -un)" ] || [ "$owner" = UNKNOWN ]; then exec "$@"; fi
home=$(getent passwd "$owner" | cut -d: -f6)
exec runuser -u "$owner" -- env PATH="$PATH" HOME="$home" "$@"
