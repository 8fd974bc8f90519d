#!/usr/bin/env bash
# Measures Kvick beside Flink, beside YARN's floor, beside Renoir and a hand-written loop, in one run on one cluster:
#
#   integration/bench/run.sh [--runs N] [--flink-runs N] [--megabytes N] [--only PART,…]      (--help tells more)
#
# Uses the cluster that HADOOP_CONF_DIR and cluster.sh's other variables name, or starts one of two NodeManagers and
# stops it at the end. Builds the distribution unless KVICK_DIST names one. Flink takes part if FLINK_HOME names a
# distribution; integration/bench/flink.sh puts one together.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cluster=$root/integration/cluster.sh
started=no

cleanup() {
    if [ -n "${KVICK_BENCH_STAGING:-}" ] && [ -x "${KVICK_FS:-}" ]; then
        "$KVICK_FS" rm "$KVICK_BENCH_STAGING" > /dev/null 2>&1 || true
    fi
    [ -z "${KVICK_BENCH_DIR:-}" ] || rm -rf "$KVICK_BENCH_DIR"
    [ "$started" = no ] || "$cluster" stop
}

build() {
    (cd "$here" && cargo build --release --locked -q --target-dir "$target/bench")
    (cd "$root" && cargo build --release --locked -q -p kvick-yarn --example distributed_shell \
        -p kvick-filesystem --example fs)
    if [ -z "${KVICK_DIST:-}" ]; then
        export KVICK_DIST=$target/kvick-dist
        "$root/scripts/build-dist.sh" "$KVICK_DIST" >&2
        build_jobs
    fi
}

# The jobs that are timed, optimised across crates as those beside them are, and as `cargo kvick new` has it for a job.
build_jobs() {
    local mode
    for mode in batch streaming; do
        CARGO_PROFILE_RELEASE_LTO=thin CARGO_PROFILE_RELEASE_CODEGEN_UNITS=4 CARGO_TARGET_DIR=$target/bench-jobs \
            "$KVICK_DIST/bin/cargo-kvick" kvick jar --manifest-path "$root/examples/Cargo.toml" \
            --bin "$mode-wordcount" --entry "$mode-wordcount=WordCount" --out "$KVICK_DIST/examples/$mode/WordCount.jar" >&2
    done
}

# A cluster of the benchmark's own, so that nothing else runs on it.
use_cluster() {
    [ -n "${HADOOP_CONF_DIR:-}" ] && [ -n "${KVICK_RESOURCEMANAGER_WEB:-}" ] && return
    export KVICK_CLUSTER_DIR=$target/kvick-bench-cluster
    started=yes
    "$cluster" start --nodemanagers 2 --nm-memory 12288
    eval "$("$cluster" env)"
}

environment() {
    export KVICK_FS=$target/release/examples/fs
    export KVICK_BENCH_FLOOR=$target/release/examples/distributed_shell
    export KVICK_BENCH_WORDS=$target/bench/release/words
    export KVICK_BENCH_RENOIR=$target/bench/release/renoir-wordcount
    KVICK_BENCH_DIR=$(mktemp -d "$target/kvick-bench.XXXXXX")
    export KVICK_BENCH_DIR
    # A directory that no earlier run has filled.
    export KVICK_BENCH_STAGING=/kvick-bench-$$
}

describe() {
    printf '# %s\n\n' "$(date -u '+%Y-%m-%d %H:%M UTC')"
    printf '%s cores, %s MB of memory, load %s; Hadoop %s; Kvick %s%s\n\n' "$(nproc)" \
        "$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)" "$(cut -d ' ' -f 1-3 /proc/loadavg)" \
        "${HADOOP_VERSION:-?}" "$(git -C "$root" rev-parse --short HEAD 2> /dev/null || echo '?')" \
        "${FLINK_HOME:+; Flink $(basename "$FLINK_HOME")}"
}

case " $* " in
    *' --help '* | *' -h '*) cd "$here" && exec cargo run --release --locked -q --target-dir "$target/bench" -p kvick-bench -- --help ;;
esac
trap cleanup EXIT
build
use_cluster
environment
describe
"$target/bench/release/kvick-bench" "$@"
