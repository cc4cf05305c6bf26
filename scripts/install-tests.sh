#!/bin/bash
# What the tests and the benchmarks need beside the engine: the other engines to compare with, and tools to look at a host.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

packages=(docker.io podman iptables strace jq socat util-linux erofs-utils attr libcap2-bin)

scripts/install-packages.sh "${packages[@]}"
