#!/usr/bin/env bash
# Chaos: a cluster of its own is brought up, a job runs on it, its parts and the cluster's fail at random, and a table tells
# how that was felt and whether the job's output is exact. `integration/chaos.sh --help` names the options.
#
# Environment: KVICK_CHAOS_CLUSTER_DIR (default target/kvick-chaos-cluster), KVICK_PROFILE=dev to build quicker,
# KVICK_CHAOS_KEEP=yes to leave the cluster running, with its logs, for whoever wants to look.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
export KVICK_DIST=$CARGO_TARGET_DIR/kvick-dist
export KVICK_CLUSTER_DIR=${KVICK_CHAOS_CLUSTER_DIR:-$CARGO_TARGET_DIR/kvick-chaos-cluster}
export CARGO_TERM_COLOR=never

step() { printf '== %s (%s s)\n' "$1" "$SECONDS" >&2; }
# shellcheck source=/dev/null
source "$root/integration/lib/product.sh"

# option NAME DEFAULT ARG…: the value that follows a name on the command line.
option() {
    local name=$1 value=$2
    shift 2
    while [ $# -gt 1 ]; do
        [ "$1" = "$name" ] && value=$2
        shift
    done
    printf '%s' "$value"
}

# A small file system for what the last NodeManager's containers write, where this user may mount one.
mount_small_disk() {
    local disk=$KVICK_CLUSTER_DIR/nodemanager2/local
    mkdir -p "$disk"
    if mount -t tmpfs -o size=1g,mode=755 kvick-chaos "$disk" 2> /dev/null; then
        export KVICK_SMALL_DISK=$disk
    fi
}

unmount_small_disk() { [ -z "${KVICK_SMALL_DISK:-}" ] || umount "$KVICK_SMALL_DISK" || umount -l "$KVICK_SMALL_DISK"; }

# What a long-lived cluster has, with time-outs that fit the pauses that are injected.
start_cluster() { # pause store
    local limit=$(($1 * 5000 / 6)) options=(--nodemanagers 2 --resourcemanagers 2 --preemption)
    # The ResourceManager wants more than three times as long as it waits for a silent application master.
    export KVICK_TOKEN_ROLL_SECONDS=$(($1 * 3))
    if [ "$2" = zookeeper ]; then options+=(--zookeepers 3); fi
    mount_small_disk
    "$root/integration/cluster.sh" start "${options[@]}" \
        -Dyarn.resourcemanager.am.max-attempts=1000 \
        "-Dyarn.am.liveness-monitor.expiry-interval-ms=$limit" \
        "-Dyarn.nm.liveness-monitor.expiry-interval-ms=$limit" \
        "-Dyarn.resourcemanager.am-rm-tokens.master-key-rolling-interval-secs=$KVICK_TOKEN_ROLL_SECONDS" \
        -Dyarn.nodemanager.disk-health-checker.interval-ms=2000
    eval "$("$root/integration/cluster.sh" env)"
}

leave() {
    [ "${KVICK_CHAOS_KEEP:-}" = yes ] && return
    "$root/integration/cluster.sh" stop > /dev/null
    unmount_small_disk
}

chaos() { (cd "$root/integration" && cargo run -q --locked --bin chaos -- "$@"); }

case " $* " in
    *" --help "* | *" -h "* | *" --list "*)
        chaos "$@"
        exit
        ;;
esac
build_for_cluster >&2
step "cluster"
trap leave EXIT
start_cluster "$(option --pause 15 "$@")" "$(option --ha filesystem "$@")"
step "chaos"
chaos "$@"
