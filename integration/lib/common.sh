# shellcheck shell=bash
# What every other file here uses: messages, where things live, a little HTTP. Knows nothing of Hadoop's roles.

: "${KVICK_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/kvick}"
: "${HADOOP_VERSION:=3.4.3}"
: "${KVICK_CLUSTER_DIR:=$KVICK_CACHE/cluster-$HADOOP_VERSION}"
: "${KVICK_CLUSTER_TIMEOUT:=120}"

# Progress goes to stderr: stdout belongs to `env`, `hdfs …` and `yarn …`.
say() { printf 'cluster: %s\n' "$*" >&2; }
die() { printf 'cluster: error: %s\n' "$*" >&2; exit 1; }
# A call that cannot be understood ends as usage errors do: exit status 64 (sysexits' EX_USAGE).
usage_error() { printf 'cluster: %s (see cluster.sh help)\n' "$*" >&2; exit 64; }

have() { command -v "$1" >/dev/null 2>&1; }

# http_get URL: the body on stdout; fails when there is no answer within seconds or the answer is an error.
http_get() { curl --silent --fail --noproxy '*' --max-time 5 "$1" 2>/dev/null; }

# json_number KEY: the first number under KEY in the JSON on stdin. Enough for the daemons' own flat reports.
json_number() { grep -o "\"$1\" *: *[0-9]*" | head -n 1 | grep -o '[0-9]*$'; }

# locked FILE COMMAND…: runs COMMAND while holding an exclusive lock; daemons are started with descriptor 9 closed.
locked() {
  local file=$1
  shift
  mkdir -p "$(dirname "$file")"
  { flock 9 && "$@"; } 9>>"$file"
}
