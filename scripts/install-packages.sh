#!/bin/bash
# Installs the Debian packages named as arguments that are not there yet; asks the mirror for its lists only then.
# Packages of other engines bring services that start at once: they are kept from starting, for a test owns its daemons.
set -euo pipefail

missing=()
for package in "$@"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
  trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
# Quiet unless it fails: then all of it is worth reading.
run() {
  local output
  output=$("$@" 2>&1) || { echo "$output" >&2; exit 1; }
}
run apt-get update -qq
run apt-get install -y -qq --no-install-recommends "${missing[@]}"
echo "installed: ${missing[*]}"
