#!/usr/bin/env bash
# Starts a session on YARN, or attaches to one: flink yarn-session under the name that Flink's users know.
exec "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/flink" yarn-session "$@"
