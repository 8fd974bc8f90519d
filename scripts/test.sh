#!/usr/bin/env bash
# All the set-up for the tests, and the tests: style, unit, property and state-machine tests, then the whole product
# end to end on a real HDFS and YARN.
#
#   scripts/test.sh [fast]      fast: without the cluster
#   scripts/test.sh plugins     only the plugins, which are built where they are not (RocksDB takes long, once)
#   scripts/test.sh e2e [NAME…] only what is tested end to end; NAME: only these files of integration/tests
#
# Needs Rust; a cluster needs a JDK and Maven, which integration/cluster.sh installs where it may.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
export KVICK_DIST=$CARGO_TARGET_DIR/kvick-dist
export CARGO_TERM_COLOR=never
cd "$root"

step() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }
# shellcheck source=/dev/null
source "$root/integration/lib/product.sh"

require() { # command what-to-install
    command -v "$1" > /dev/null && return
    echo "$1 is missing: install $2" >&2
    exit 1
}

without_cluster() {
    step "format"
    cargo fmt --all --check
    step "lints"
    cargo clippy --workspace --all-targets --locked -q -- -D warnings
    step "documentation"
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked -q
    step "format and lints of the end-to-end tests and the benchmarks"
    for workspace in integration integration/bench; do
        (cd "$workspace" && cargo clippy --workspace --all-targets --locked -q -- -D warnings)
    done
    rustfmt --edition 2024 --check integration/src/lib.rs integration/src/bin/*.rs integration/tests/*.rs integration/jobs/src/bin/*.rs \
        integration/bench/*/src/main.rs
    step "house rules"
    cargo xtask check
    step "unit, property and state-machine tests"
    cargo test --workspace --locked -q
    (cd integration/bench && cargo test --workspace --locked -q)
}

# RocksDB is compiled once; its directory outlives the sources.
plugins() {
    step "plugins"
    KVICK_PLUGINS_DIR=$(scripts/build-plugins.sh)
    export KVICK_PLUGINS_DIR
    (
        cd plugins/state-rocksdb
        cargo fmt --check
        # With the profile that RocksDB was compiled for.
        CARGO_TARGET_DIR=$KVICK_PLUGINS_DIR/.. cargo clippy --release --locked -q -- -D warnings
    )
    step "state in RocksDB"
    cargo clippy -p kvick-runtime --features plugin-tests --test rocksdb --locked -q -- -D warnings
    cargo test -p kvick-runtime --features plugin-tests --test rocksdb --locked -q
    KVICK_TEST_STATE_BACKEND=rocksdb cargo test -p kvick --test checkpoints --locked -q -- exactly_once any_parallelism \
        damaged_checkpoint local_copies
    KVICK_TEST_STATE_BACKEND=rocksdb cargo test -p kvick --test windows_restored --test keyed_state --locked -q
}

# A cluster of the tests' own, so that a person's cluster is left alone. It is stopped however the tests end.
start_cluster() {
    export KVICK_CLUSTER_DIR=${KVICK_TEST_CLUSTER_DIR:-$CARGO_TARGET_DIR/kvick-test-cluster}
    trap '"$root/integration/cluster.sh" stop > /dev/null' EXIT
    "$root/integration/cluster.sh" start --nodemanagers 2 --preemption
    eval "$("$root/integration/cluster.sh" env)"
}

end_to_end() { # names of test files; all if none
    local name names=()
    for name in "$@"; do names+=(--test "$name"); done
    step "end to end"
    (cd integration && cargo test --locked -q "${names[@]}" -- --test-threads 1)
}

on_a_cluster() {
    build_for_cluster
    step "cluster"
    start_cluster
    step "libraries against the cluster"
    KVICK_LIVE=1 cargo test --locked -q -p kvick-yarn -p kvick-filesystem --test live -- --test-threads 1
    step "the client against the cluster"
    KVICK_LIVE=1 cargo test --locked -q -p kvick-client --test live
    end_to_end
}

require cargo "Rust 1.95 or newer"
case "${1:-}" in
    fast) without_cluster ;;
    plugins) plugins ;;
    e2e)
        build_for_cluster
        start_cluster
        end_to_end "${@:2}"
        ;;
    '')
        without_cluster
        plugins
        on_a_cluster
        ;;
    *)
        echo "scripts/test.sh: what is \"$1\"? (nothing, fast, plugins, or e2e)" >&2
        exit 64
        ;;
esac
step "all tests passed"
