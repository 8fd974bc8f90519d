#!/usr/bin/env bash
# Measures Nexmark's queries on Kvick, on Flink and on Renoir, in one run over the same files:
#
#   integration/bench/nexmark/run.sh [--events N] [--runs N] [--queries q0,q5,…] [--check-only]    (--help tells more)
#
# Every result is compared with an independent computation first. Flink takes part if FLINK_HOME names a distribution
# (integration/bench/flink.sh puts one together); a cluster of its own is started on free ports and ended afterwards.
#
# NEXMARK_PROFILE=dev builds without optimising: to see whether everything works, not how fast.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/bench
profile=${NEXMARK_PROFILE:-release}
built=$target/$([ "$profile" = dev ] && echo debug || echo "$profile")

(cd "$here/.." && cargo build --profile "$profile" --locked -q --target-dir "$target" \
    -p kvick-nexmark -p kvick-nexmark-jobs -p kvick-nexmark-renoir)

export NEXMARK_KVICK=$built/nexmark-kvick
export NEXMARK_RENOIR=$built/nexmark-renoir
export NEXMARK_SQL=$here/flink
# Not /tmp, which may be memory.
export NEXMARK_WORK=${NEXMARK_WORK:-$target/nexmark}

case " $* " in
    *' --help '* | *' -h '*) exec "$built/nexmark" measure --help ;;
esac
printf '# Nexmark, %s\n\n' "$(date -u '+%Y-%m-%d %H:%M UTC')"
printf '%s cores, %s MB of memory, load %s; Kvick %s%s\n\n' "$(nproc)" \
    "$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)" "$(cut -d ' ' -f 1-3 /proc/loadavg)" \
    "$(git -C "$root" rev-parse --short HEAD 2> /dev/null || echo '?')" "${FLINK_HOME:+; Flink $(basename "$FLINK_HOME")}"
"$built/nexmark" measure "$@"
