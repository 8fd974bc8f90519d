#!/usr/bin/env bash
# Builds a distribution in Flink's layout: bin/ lib/ conf/ examples/ log/, and plugins/ where scripts/build-plugins.sh has
# built any before.
#
#   scripts/build-dist.sh [DIR]        DIR defaults to target/dist
#
# KVICK_PROFILE=dev builds in a fraction of the time what runs slower; the default is release.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
dist=${1:-$root/target/dist}
case "${KVICK_PROFILE:-release}" in
    release) built=$target/release packing=--release ;;
    dev) built=$target/debug packing=--debug ;;
    *) echo "scripts/build-dist.sh: KVICK_PROFILE is release or dev, not $KVICK_PROFILE" >&2 && exit 64 ;;
esac

# The examples apart from the rest: a job's dependencies have fewer features alone, which is how `cargo kvick jar` builds it.
build() {
    cd "$root"
    cargo build --profile "${KVICK_PROFILE:-release}" --locked -p kvick-client -p kvick-appmaster -p kvick-taskexecutor
    cargo build --profile "${KVICK_PROFILE:-release}" --locked --manifest-path examples/Cargo.toml
}

# Installs a file so that a program that is being run is replaced, not written into.
install_file() { # mode from to
    install -D -m "$1" "$2" "$3.new.$$" && mv -f "$3.new.$$" "$3"
}

install_programs() {
    install_file 755 "$built/flink" "$dist/bin/flink"
    install_file 755 "$built/cargo-kvick" "$dist/bin/cargo-kvick"
    install_file 755 "$built/kvick-appmaster" "$dist/lib/kvick-appmaster"
    install_file 755 "$built/kvick-taskexecutor" "$dist/lib/kvick-taskexecutor"
    for script in "$root"/scripts/bin/*; do
        install_file 755 "$script" "$dist/bin/$(basename "$script")"
    done
}

install_files() {
    for file in "$root"/conf/*; do
        # What a user changed in an installed configuration stays.
        [ -e "$dist/conf/$(basename "$file")" ] || install_file 644 "$file" "$dist/conf/$(basename "$file")"
    done
    for file in README.md LICENSE; do
        install_file 644 "$root/$file" "$dist/$file"
    done
    mkdir -p "$dist/log"
}

install_plugins() {
    local plugins file
    plugins=$("$root/scripts/build-plugins.sh" --cached)
    [ -n "$plugins" ] || return 0
    for file in "$plugins"/*.so; do
        install_file 755 "$file" "$dist/plugins/$(basename "$file")"
    done
}

pack_example() { # program entry jar
    "$built/cargo-kvick" kvick jar "$packing" --manifest-path "$root/examples/Cargo.toml" \
        --bin "$1" --entry "$1=$2" --out "$dist/examples/$3"
}

pack_examples() {
    mkdir -p "$dist/examples/batch" "$dist/examples/streaming"
    pack_example batch-wordcount WordCount batch/WordCount.jar
    pack_example streaming-wordcount WordCount streaming/WordCount.jar
    pack_example socket-window-wordcount SocketWindowWordCount streaming/SocketWindowWordCount.jar
    pack_example top-speed-windowing TopSpeedWindowing streaming/TopSpeedWindowing.jar
    pack_example state-machine StateMachineExample streaming/StateMachineExample.jar
    pack_example window-join WindowJoin streaming/WindowJoin.jar
    pack_example session-windowing SessionWindowing streaming/SessionWindowing.jar
    pack_example side-output SideOutputExample streaming/SideOutput.jar
    pack_example fraud-detection FraudDetection streaming/FraudDetection.jar
}

(build)
install_programs
install_files
install_plugins
pack_examples
echo "distribution: $dist"
