#!/usr/bin/env bash
# Counts the words of a large file on HDFS with parallelism 4, over two task executors on two NodeManagers, and compares
# every count with awk's; then the batch jobs of the tests over as much. Minutes rather than seconds, which is why
# scripts/test.sh does the same with 20 MB only.
#
#   scripts/test-large.sh [MEGABYTES]      default 300
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export KVICK_TEST_MEGABYTES=${1:-300}
exec "$root/scripts/test.sh" e2e scale batch
