#!/bin/sh
# Prints the directory of the project's own Node.
here=$(dirname "$(readlink -f "$0")")
exec "$here/node" -p 'require("node:path").dirname(process.execPath)'
