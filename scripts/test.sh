#!/usr/bin/env bash
# All the set-up for the tests, and the tests: style, unit, property and state-machine tests, then the whole product
# end to end on a real HDFS and YARN.
#
#   scripts/test.sh [fast]      fast: without the cluster
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
export KVICK_DIST=$CARGO_TARGET_DIR/kvick-dist
export CARGO_TERM_COLOR=never
cd "$root"

step() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

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
    step "house rules"
    cargo xtask check
    step "unit, property and state-machine tests"
    cargo test --workspace --locked -q
}

# A cluster of the tests' own, so that a person's cluster is left alone. It is stopped however the tests end.
start_cluster() {
    export KVICK_CLUSTER_DIR=${KVICK_TEST_CLUSTER_DIR:-$CARGO_TARGET_DIR/kvick-test-cluster}
    trap '"$root/integration/cluster.sh" stop > /dev/null' EXIT
    "$root/integration/cluster.sh" start --nodemanagers 2
    eval "$("$root/integration/cluster.sh" env)"
}

on_a_cluster() {
    step "distribution"
    scripts/build-dist.sh "$KVICK_DIST"
    cargo build --release --locked -q -p kvick-filesystem --example fs
    export KVICK_FS=$CARGO_TARGET_DIR/release/examples/fs
    step "cluster"
    start_cluster
    step "libraries against the cluster"
    KVICK_LIVE=1 cargo test --locked -q -p kvick-yarn -p kvick-filesystem --test live -- --test-threads 1
    step "end to end"
    (cd integration && cargo test --locked -q -- --test-threads 1)
}

require cargo "Rust 1.95 or newer"
without_cluster
if [ "${1:-}" != fast ]; then
    on_a_cluster
fi
step "all tests passed"
