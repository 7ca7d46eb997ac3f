#!/bin/sh
# Start a Docker engine where none answers; does nothing where one does.
#
# A machine without one needs root. Without a bridge and without rules of the firewall the engine also starts inside
# another container; builds and runs then use the network of the machine.
set -eu
docker info >/dev/null 2>&1 && exit 0
[ "$(id -u)" = 0 ] || { echo "error: no Docker engine answers; start one, or run this as root" >&2; exit 1; }
if ! command -v dockerd >/dev/null; then
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends docker.io >/dev/null
fi
log=${TMPDIR:-/tmp}/dockerd.log
nohup dockerd --iptables=false --ip6tables=false --bridge=none >"$log" 2>&1 &
for _ in $(seq 60); do
    docker info >/dev/null 2>&1 && exit 0
    sleep 0.5
done
echo "error: the Docker engine does not start: $(tail -n 1 "$log"); see $log" >&2
exit 1
