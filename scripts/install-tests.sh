#!/bin/bash
# What the tests and the benchmarks need beside the engine: the other engines to compare with, and tools to look at a host.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

packages=(docker.io docker-compose podman qemu-system-x86 iptables strace jq socat util-linux erofs-utils e2fsprogs attr libcap2-bin zsh openssl)

scripts/install-packages.sh "${packages[@]}"
# Without one that works the tests see to it that hulld says so.
scripts/install-criu.sh || true

# npm leaves out packages that do not suit the Node it runs on, and an old one leaves out the linter: once more with our own.
if ! PATH=$(scripts/node-path.sh):$PATH node_modules/.bin/oxlint --version >/dev/null 2>&1; then
  node=$(mktemp -d)
  trap 'rm -rf "$node"' EXIT
  cp "$(scripts/node-path.sh)/node" "$node/node"
  chmod 755 "$node"
  PATH=$node:$PATH scripts/as-owner.sh npm ci --silent --no-audit --no-fund
fi
