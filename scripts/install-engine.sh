#!/bin/bash
# What Hull needs to be built and to run, from Debian and npm; nothing happens when all of it is there.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

packages=(
  crun runc                  # the OCI runtimes
  tini                       # --init
  nftables libnftables1      # published ports and NAT
  mmdebstrap debian-archive-keyring busybox-static  # images made from Debian's own packages
  gcc make libc6-dev musl-tools linux-libc-dev  # the monitor is a small static C program
  qemu-system-x86 kmod lz4   # microVMs, and their kernel's modules
  iproute2 curl ca-certificates bzip2 xz-utils zstd procps
)
command -v npm >/dev/null || packages+=(npm)
scripts/install-packages.sh "${packages[@]}"

npm ls >/dev/null 2>&1 || scripts/as-owner.sh npm ci --silent --no-audit --no-fund
scripts/install-kernel.sh
