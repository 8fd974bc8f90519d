#!/usr/bin/env bash
# Puts an Apache Flink distribution together for the benchmarks to compare with, in the cache outside the clone, and
# prints its directory:
#
#   export FLINK_HOME=$(integration/bench/flink.sh)
#
# The pieces are Flink's own: lib/, opt/ and plugins/ of the source archive of PyPI's apache-flink-libraries, bin/ and
# conf/ of the wheel of apache-flink, the streaming examples and the gateway inside the SQL client from Maven Central.
# About 236 MB are downloaded, once.
#
# Environment: FLINK_VERSION (default 1.20.5), KVICK_CACHE (default ~/.cache/kvick).
set -euo pipefail

version=${FLINK_VERSION:-1.20.5}
# Maven Central has these pieces of the first release of a line only.
first=${version%.*}.0
cache=${KVICK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kvick}
home=$cache/flink-$version

say() { printf 'flink: %s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

require() { command -v "$1" > /dev/null || die "$1 is missing: install $2"; }

central() { # artifact directory
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
        -Dartifact="org.apache.flink:$1:$first" -DoutputDirectory="$2" >&2
}

fetch() { # directory
    say "downloading Flink $version from PyPI, its examples from Maven Central"
    python3 -m pip download -q --no-deps --no-binary :all: -d "$1" "apache-flink-libraries==$version" >&2
    python3 -m pip download -q --no-deps --only-binary :all: --implementation cp --python-version 311 --abi cp311 \
        --platform manylinux2014_x86_64 --platform manylinux1_x86_64 -d "$1" "apache-flink==$version" >&2
    central flink-examples-streaming "$1"
}

assemble() { # downloads distribution
    mkdir -p "$2/examples" "$2/log"
    tar -xzf "$1"/apache_flink_libraries-*.tar.gz -C "$1"
    mv "$1"/apache_flink_libraries-*/deps/* "$2/"
    python3 -m zipfile -e "$1"/apache_flink-*.whl "$1/wheel"
    mv "$1/wheel/pyflink/conf" "$2/conf"
    # bin/ comes in two parts: the scripts, and one jar that they call.
    mkdir -p "$2/bin"
    mv "$1"/wheel/pyflink/bin/* "$2/bin/"
    chmod +x "$2"/bin/*
    mv "$1"/flink-examples-streaming-*.jar "$2/examples/"
}

if [ ! -x "$home/bin/flink" ]; then
    require python3 "Python 3 with pip"
    require mvn maven
    mkdir -p "$cache"
    partial=$(mktemp -d "$cache/flink-$version.partial.XXXXXX")
    trap 'rm -rf "$partial"' EXIT
    fetch "$partial/downloads"
    assemble "$partial/downloads" "$partial/flink"
    mv "$partial/flink" "$home"
fi
# PyPI's archive has the SQL client, but not the gateway that it runs inside itself.
if [ -z "$(find "$home/opt" -name 'flink-sql-gateway-*.jar')" ]; then
    require mvn maven
    say "downloading the SQL gateway from Maven Central"
    central flink-sql-gateway "$home/opt"
fi
echo "$home"
