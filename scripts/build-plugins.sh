#!/usr/bin/env bash
# Builds the plugins of a distribution: the RocksDB state backend. The first time takes long (RocksDB is compiled: about 20
# minutes on 2 cores), later ones seconds; what is built is kept outside of the sources, for all of them.
#
#   scripts/build-plugins.sh [--cached]    prints the directory with the plugins
#
# --cached: only where RocksDB was compiled before; prints nothing where it was not.
# KVICK_PLUGINS_TARGET names the directory to build in; target-rocksdb in KVICK_CACHE (default ~/.cache/kvick) otherwise.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${KVICK_PLUGINS_TARGET:-${KVICK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kvick}/target-rocksdb}
plugins=$target/plugins

# RocksDB's bindings are made by libclang.
has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return
    compgen -G '/usr/lib/llvm*/lib/libclang*.so*' > /dev/null || ldconfig -p | grep -q 'libclang[-.0-9]*\.so'
}

need_libclang() {
    has_libclang && return
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        apt-get install -y -qq libclang-dev g++ > /dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq libclang-dev g++; } >&2
    fi
    has_libclang && return
    echo "libclang is missing: install libclang-dev (Debian, Ubuntu) or clang-devel (Fedora), or set LIBCLANG_PATH" >&2
    exit 1
}

if [ "${1:-}" = --cached ] && ! compgen -G "$target/release/libkvick_state_rocksdb.so" > /dev/null; then
    echo "no plugins: scripts/build-plugins.sh builds the RocksDB state backend" >&2
    exit 0
fi
need_libclang
(cd "$root/plugins/state-rocksdb" && CARGO_TARGET_DIR=$target cargo build --release --locked >&2)
# A program may have the plugin open: it is replaced, not written into.
install -D -m 755 "$target/release/libkvick_state_rocksdb.so" "$plugins/.new.$$"
mv -f "$plugins/.new.$$" "$plugins/libkvick_state_rocksdb.so"
echo "$plugins"
