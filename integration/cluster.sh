#!/usr/bin/env bash
# A real HDFS and YARN on this machine, each daemon a process of its own, from the Hadoop artifacts on Maven Central.
# This file reads the command line and says what each command does in terms of lib/*.sh.
# shellcheck disable=SC2034 # what is set here is read there
set -u -o pipefail

INTEGRATION_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for library in common tools artifacts ports config process daemons; do
  # shellcheck source=/dev/null
  source "$INTEGRATION_DIR/lib/$library.sh"
done

usage() {
  cat <<'USAGE'
cluster.sh: a real HDFS and YARN on this machine, for development and tests

  cluster.sh start [OPTION…]   start what does not run; returns when HDFS is writable and every NodeManager is RUNNING
      --nodemanagers N         how many NodeManagers, each at its own address 127.0.0.11, .12 … (default 1)
      --resourcemanagers 2     two, at 127.0.0.1 and .2; without ZooKeeper `yarn rmadmin -transitionToActive` chooses
      --zookeepers N           so many ZooKeeper servers (1, 3 or 5; default none), at 127.0.0.6, .7 …
      --nm-memory MB           memory each NodeManager offers (default 8192)
      --nm-vcores N            virtual cores each NodeManager offers (default 8)
      --preemption             a queue below its share takes containers back from one above it, within seconds
      -Dkey=value              a Hadoop property, written to the file it belongs to; may be repeated
      --format                 begin with an empty HDFS
  cluster.sh stop              stop the daemons and whatever containers they left; HDFS's files stay
  cluster.sh status            which daemons live, where; exit status 1 unless all do
  cluster.sh env               shell code to eval: HADOOP_CONF_DIR, YARN_CONF_DIR, KVICK_* addresses
  cluster.sh kill ROLE         kill -9 of namenode, datanode, resourcemanager[2], zookeeperN or nodemanager[N]
  cluster.sh signal SIG ROLE   send another signal, as STOP and CONT to hang and wake a daemon
  cluster.sh restart ROLE      stop ROLE if it lives, start it, wait until it works with the others
  cluster.sh decommission ROLE take nodemanager[N] out of the cluster as soon as its applications have ended, in an hour at the latest
  cluster.sh recommission ROLE let it stay, if it is not out yet
  cluster.sh hdfs ARG…         Hadoop's own tools on this cluster: dfs, dfsadmin, fsck, getconf, haadmin
  cluster.sh yarn ARG…         application, applicationattempt, container, node, queue, logs, rmadmin, top, classpath, version

Environment: HADOOP_VERSION (default 3.4.3), KVICK_CACHE (jars; default ~/.cache/kvick), KVICK_CLUSTER_DIR (configuration,
data, logs, pids; default $KVICK_CACHE/cluster-$HADOOP_VERSION), KVICK_CLUSTER_PORT_BASE (20 ports from there on; default:
free ones, kept from start to start), KVICK_CLUSTER_TIMEOUT (seconds a start may take; default 120).
USAGE
}

# --- start ---

is_number() { [[ $1 =~ ^[1-9][0-9]*$ ]]; }

number_option() {
  is_number "${2:-}" || usage_error "$1 needs a positive number, not '${2:-}'"
  printf '%s' "$2"
}

set_override() {
  local assignment=${1#-D}
  [[ $assignment == ?*=* ]] || usage_error "'$1' is not of the form -Dkey=value"
  OVERRIDES[${assignment%%=*}]=${assignment#*=}
}

parse_start() {
  NODEMANAGERS_ASKED='' RESOURCEMANAGERS_ASKED=1 ZOOKEEPERS_ASKED=0 NM_MEMORY=8192 NM_VCORES=8 PREEMPTION=no FORMAT=no
  START_OPTIONS="$*"
  while [ $# -gt 0 ]; do
    case "$1" in
      --nodemanagers) NODEMANAGERS_ASKED=$(number_option "$1" "${2:-}") || exit; shift ;;
      --resourcemanagers) RESOURCEMANAGERS_ASKED=$(number_option "$1" "${2:-}") || exit; shift ;;
      --zookeepers) ZOOKEEPERS_ASKED=$(number_option "$1" "${2:-}") || exit; shift ;;
      --nm-memory) NM_MEMORY=$(number_option "$1" "${2:-}") || exit; shift ;;
      --nm-vcores) NM_VCORES=$(number_option "$1" "${2:-}") || exit; shift ;;
      --preemption) PREEMPTION=yes ;;
      --format) FORMAT=yes ;;
      -D) set_override "${2:-}"; shift ;;
      -D*) set_override "$1" ;;
      *) usage_error "start does not know '$1'" ;;
    esac
    shift
  done
  [ "${NODEMANAGERS_ASKED:-1}" -le 99 ] || usage_error '--nodemanagers takes at most 99'
  [ "$RESOURCEMANAGERS_ASKED" -le 2 ] || usage_error '--resourcemanagers takes 1 or 2'
  [[ $ZOOKEEPERS_ASKED =~ ^[0135]$ ]] || usage_error '--zookeepers takes 1, 3 or 5'
}

# A cluster that runs keeps its configuration; more NodeManagers may join it.
join_running() {
  local missing='' role
  if [ "${NODEMANAGERS_ASKED:-0}" -gt "$NODEMANAGERS" ]; then
    while [ "$NODEMANAGERS" -lt "$NODEMANAGERS_ASKED" ]; do
      NODEMANAGERS=$((NODEMANAGERS + 1))
      write_nodemanager_site "$NODEMANAGERS"
    done
    save_state
  fi
  for role in $(roles); do role_is_alive "$role" || missing+=" $role"; done
  if [ -z "$missing" ]; then say "already running in $KVICK_CLUSTER_DIR"; else say "already running, except$missing"; fi
  [ -z "$START_OPTIONS" ] || say 'note: a running cluster keeps its configuration; stop it first for other options to count'
}

start_locked() {
  set_java_flags
  if load_state && any_alive; then
    join_running
  else
    NODEMANAGERS=${NODEMANAGERS_ASKED:-1} RESOURCEMANAGERS=$RESOURCEMANAGERS_ASKED ZOOKEEPERS=$ZOOKEEPERS_ASKED
    FRESH_START=yes
    prepare_cluster
  fi
  spawn_missing
  await_all
  make_home
  say "ready after $SECONDS s: hdfs://127.0.0.1:$(port namenode), ResourceManager http://127.0.0.1:$(port resourcemanager-web), $NODEMANAGERS NodeManager(s)"
}

command_start() {
  parse_start "$@"
  ensure_tools
  ensure_artifacts
  mkdir -p "$KVICK_CLUSTER_DIR"
  locked "$KVICK_CLUSTER_DIR/lock" start_locked
}

# --- the other commands ---

need_state() { load_state || die "there is no cluster in $KVICK_CLUSTER_DIR; start one with: cluster.sh start"; }

command_stop() {
  if load_state; then
    locked "$KVICK_CLUSTER_DIR/lock" stop_cluster
    say 'stopped'
  else
    say "nothing to stop: there is no cluster in $KVICK_CLUSTER_DIR"
  fi
}

command_status() {
  local role pid rc=0
  need_state
  for role in $(roles); do
    if pid=$(role_pid "$role"); then
      if role_ready "$role"; then printf '%-16s running, pid %s\n' "$role" "$pid"; else printf '%-16s not ready, pid %s\n' "$role" "$pid"; rc=1; fi
    else
      printf '%-16s not running\n' "$role"
      rc=1
    fi
  done
  return "$rc"
}

export_line() { printf 'export %s=%q\n' "$1" "$2"; }

command_env() {
  need_state
  find_java || true
  export_line HADOOP_CONF_DIR "$CONF_DIR"
  export_line YARN_CONF_DIR "$CONF_DIR"
  [ -n "${JAVA_HOME:-}" ] && export_line JAVA_HOME "$JAVA_HOME"
  export_line HADOOP_VERSION "$HADOOP_VERSION"
  export_line KVICK_CLUSTER_DIR "$KVICK_CLUSTER_DIR"
  export_line KVICK_HADOOP_CLASSPATH "$CONF_DIR:$(hadoop_jars)"
  export_line KVICK_NAMENODE "127.0.0.1:$(port namenode)"
  export_line KVICK_RESOURCEMANAGER "127.0.0.1:$(port resourcemanager)"
  export_line KVICK_RESOURCEMANAGER_WEB "http://127.0.0.1:$(port resourcemanager-web)"
  [ "$ZOOKEEPERS" = 0 ] || export_line KVICK_ZOOKEEPER_QUORUM "$(zookeeper_quorum)"
}

# known_role NAME: prints the role's full name (nodemanager is nodemanager1). As everywhere here, grep reads to the end: one that
# is content with the first match (-q) ends whoever writes to it, and pipefail takes that for a failure.
known_role() {
  local role=${1:-}
  [ "$role" = nodemanager ] && role=nodemanager1
  roles | grep -x -- "$role" > /dev/null || usage_error "there is no '$role' here; there are: $(roles | paste -s -d ' ')"
  printf '%s' "$role"
}

command_signal() {
  local role
  need_state
  role=$(known_role "${2:-}") || exit
  signal_role "$role" "${1:-}" || die "$role does not run, or '${1:-}' is not a signal"
}

command_kill() {
  local role
  need_state
  role=$(known_role "${1:-}") || exit
  signal_role "$role" KILL || die "$role does not run"
  wait_gone 10 "$role" || die "$role cannot be killed"
}

restart_locked() {
  stop_roles "$1"
  set_java_flags
  spawn "$1"
  await_role "$1"
  # The only ResourceManager that lives, or both: without ZooKeeper none of them would ever become active.
  elect
  await_cluster
}

command_restart() {
  local role
  need_state
  role=$(known_role "${1:-}") || exit
  ensure_tools
  locked "$KVICK_CLUSTER_DIR/lock" restart_locked "$role"
}

known_node() {
  local role
  role=$(known_role "${1:-}") || exit
  [[ $role = nodemanager* ]] || usage_error "only NodeManagers are taken out of the cluster, not '$role'"
  nodemanager_host "${role#nodemanager}"
}

# change_nodes COMMAND…: changes the list of the nodes that are to go, and has the ResourceManager read it.
change_nodes() {
  "$@"
  # A child: run_tool replaces the shell, and the lock is this one's.
  (run_tool org.apache.hadoop.yarn.client.cli.RMAdminCLI -refreshNodes -g 3600 -server 9>&-)
}

exclude_node() { grep -x -- "$1" "$EXCLUDE_FILE" >/dev/null || printf '%s\n' "$1" >>"$EXCLUDE_FILE"; }

include_node() { sed -i "/^${1//./\\.}\$/d" "$EXCLUDE_FILE"; }

command_decommission() {
  local host
  need_state
  host=$(known_node "${1:-}") || exit
  locked "$KVICK_CLUSTER_DIR/lock" change_nodes exclude_node "$host"
}

command_recommission() {
  local host
  need_state
  host=$(known_node "${1:-}") || exit
  locked "$KVICK_CLUSTER_DIR/lock" change_nodes include_node "$host"
}

# run_tool CLASS ARG…: one of Hadoop's tools, in place of this script.
run_tool() {
  ensure_tools
  set_java_flags
  export HADOOP_CONF_DIR=$CONF_DIR YARN_CONF_DIR=$CONF_DIR
  exec "$JAVA_HOME/bin/java" "${JAVA_FLAGS[@]}" -Dkvick.log.level=WARN -Xmx256m -cp "$CONF_DIR:$(hadoop_jars)" "$@"
}

command_hdfs() {
  local tool=${1:-}
  need_state
  [ $# -gt 0 ] && shift
  case "$tool" in
    dfs) run_tool org.apache.hadoop.fs.FsShell "$@" ;;
    dfsadmin) run_tool org.apache.hadoop.hdfs.tools.DFSAdmin "$@" ;;
    haadmin) run_tool org.apache.hadoop.hdfs.tools.DFSHAAdmin "$@" ;;
    fsck) run_tool org.apache.hadoop.hdfs.tools.DFSck "$@" ;;
    getconf) run_tool org.apache.hadoop.hdfs.tools.GetConf "$@" ;;
    *) usage_error "hdfs: '$tool' is none of dfs, dfsadmin, haadmin, fsck, getconf" ;;
  esac
}

command_yarn() {
  local tool=${1:-} cli=org.apache.hadoop.yarn.client.cli
  need_state
  [ $# -gt 0 ] && shift
  case "$tool" in
    application | app | applicationattempt | container) run_tool $cli.ApplicationCLI "$tool" "$@" ;;
    node) run_tool $cli.NodeCLI "$@" ;;
    queue) run_tool $cli.QueueCLI "$@" ;;
    logs) run_tool $cli.LogsCLI "$@" ;;
    rmadmin) run_tool $cli.RMAdminCLI "$@" ;;
    top) run_tool $cli.TopCLI "$@" ;;
    version) run_tool org.apache.hadoop.util.VersionInfo "$@" ;;
    classpath) printf '%s\n' "$CONF_DIR:$(hadoop_jars)" ;;
    *) usage_error "yarn: '$tool' is none of application, applicationattempt, container, node, queue, logs, rmadmin, top, classpath, version" ;;
  esac
}

main() {
  local command=${1:-help}
  [ $# -gt 0 ] && shift
  case "$command" in
    start | stop | status | env | kill | signal | restart | decommission | recommission | hdfs | yarn) "command_$command" "$@" ;;
    help | -h | --help) usage ;;
    *) usage_error "there is no command '$command'" ;;
  esac
}

main "$@"
