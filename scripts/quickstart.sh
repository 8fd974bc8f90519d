#!/usr/bin/env bash
# All the set-up for the main job: a real HDFS and YARN (unless HADOOP_CONF_DIR names one), a build, and
# `flink run -m yarn-cluster` on WordCount, with its counts read back from HDFS.
#
#   scripts/quickstart.sh [--keep]     --keep: leave the cluster that was started running
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dist=$root/target/dist
started=no
keep=${1:-}

stop_cluster() {
    if [ "$started" = yes ] && [ "$keep" != --keep ]; then
        "$root/integration/cluster.sh" stop
    fi
}
trap stop_cluster EXIT

if ! command -v cargo > /dev/null; then
    echo "cargo is missing: install Rust 1.95 or newer (rustup toolchain install stable)" >&2
    exit 1
fi
if [ -z "${HADOOP_CONF_DIR:-}" ]; then
    echo "HADOOP_CONF_DIR is not set: starting a single-node HDFS and YARN"
    if ! "$root/integration/cluster.sh" status > /dev/null 2>&1; then
        started=yes
    fi
    "$root/integration/cluster.sh" start
    eval "$("$root/integration/cluster.sh" env)"
fi

"$root/scripts/build-dist.sh" "$dist"
(cd "$root" && cargo build --release --locked -q -p kvick-filesystem --example fs)
fs=${CARGO_TARGET_DIR:-$root/target}/release/examples/fs

dir=kvick-quickstart-$$
poem=$(mktemp)
printf 'to be or not to be\nthat is the question\n' > "$poem"
"$fs" put "$poem" "$dir/poem.txt"
rm -f "$poem"
input=$("$fs" uri "$dir/poem.txt")
output=$("$fs" uri "$dir/counts")

echo "\$ flink run -m yarn-cluster examples/batch/WordCount.jar --input $input --output $output"
"$dist/bin/flink" run -m yarn-cluster "$dist/examples/batch/WordCount.jar" --input "$input" --output "$output"

echo
echo "the counts, read back from HDFS:"
"$fs" cat "$output"
"$fs" rm "$dir"
