# shellcheck shell=bash
# One daemon as a process: spawned, known again by pid and start time, signalled, waited for. A pid alone proves
# nothing: after a reboot it may be anybody's, so nothing is signalled whose start time and command line do not fit.

PID_DIR=$KVICK_CLUSTER_DIR/pids
LOG_DIR=$KVICK_CLUSTER_DIR/logs

# --- identity ---

# start_time PID: field 22 of /proc/PID/stat (clock ticks since boot); the command name before it may hold spaces.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

is_role_process() {
  tr '\0' '\n' 2>/dev/null <"/proc/$1/cmdline" | grep -xF -- "-Dkvick.cluster=$KVICK_CLUSTER_DIR:$2" > /dev/null
}

# role_pid ROLE: the pid of the live daemon; fails when there is none.
role_pid() {
  local pid started
  [ -e "$PID_DIR/$1" ] || return 1
  read -r pid started <"$PID_DIR/$1" || return 1
  [ "$(start_time "$pid")" = "$started" ] && is_role_process "$pid" "$1" && printf '%s' "$pid"
}

role_is_alive() { role_pid "$1" >/dev/null; }

# --- Java ---

# Hadoop reaches into these packages; Java 8 has no modules to open.
java_module_flags() {
  local package
  [ "$(java_major "$JAVA_HOME")" = 8 ] && return
  for package in java.lang java.lang.reflect java.util java.util.concurrent java.io java.net java.nio java.math java.text java.time sun.nio.ch; do
    printf '%s\n' --add-opens "java.base/$package=ALL-UNNAMED"
  done
  printf '%s\n' --add-exports java.base/sun.net.dns=ALL-UNNAMED --add-exports java.base/sun.net.util=ALL-UNNAMED
}

heap_of() {
  case "$1" in
    datanode) printf '384m' ;;
    resourcemanager*) printf '768m' ;;
    zookeeper*) printf '128m' ;;
    *) printf '512m' ;;
  esac
}

main_class_of() {
  case "$1" in
    namenode) printf 'org.apache.hadoop.hdfs.server.namenode.NameNode' ;;
    datanode) printf 'org.apache.hadoop.hdfs.server.datanode.DataNode' ;;
    resourcemanager*) printf 'org.apache.hadoop.yarn.server.resourcemanager.ResourceManager' ;;
    nodemanager*) printf 'org.apache.hadoop.yarn.server.nodemanager.NodeManager' ;;
    zookeeper*) printf 'org.apache.zookeeper.server.quorum.QuorumPeerMain' ;;
  esac
}

class_path_of() {
  case "$1" in
    nodemanager*) printf '%s:' "$KVICK_CLUSTER_DIR/$1/conf" ;;
    resourcemanager) printf '%s:' "$KVICK_CLUSTER_DIR/ha/rm1/conf" ;;
    resourcemanager2) printf '%s:' "$KVICK_CLUSTER_DIR/ha/rm2/conf" ;;
  esac
  printf '%s:%s' "$CONF_DIR" "$(hadoop_jars)"
}

# What follows the main class on the command line.
arguments_of() {
  case "$1" in
    zookeeper*) printf '%s\n' "$KVICK_CLUSTER_DIR/$1/zoo.cfg" ;;
  esac
}

# Sets JAVA_FLAGS: small and quick to start, since a cluster is started far more often than it is busy.
set_java_flags() {
  mapfile -t JAVA_FLAGS < <(java_module_flags)
  JAVA_FLAGS+=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -Djava.net.preferIPv4Stack=true
    "-Djdk.net.hosts.file=$CONF_DIR/hosts" -Dkvick.log.level=INFO "-Dhadoop.log.dir=$LOG_DIR")
}

# --- life ---

# The daemons get a small environment of their own: what the caller has exported must not change the cluster.
# USER and HOME are for Hadoop's log-in; JAVA_HOME and HADOOP_CONF_DIR are what a NodeManager hands on to containers.
spawn() {
  local role=$1 pid arguments
  mapfile -t arguments < <(arguments_of "$role")
  mkdir -p "$PID_DIR" "$LOG_DIR"
  [ -e "$LOG_DIR/$role.log" ] && mv "$LOG_DIR/$role.log" "$LOG_DIR/$role.log.1"
  setsid env -i "PATH=$PATH" "HOME=$HOME" "USER=$CLUSTER_USER" "LANG=${LANG:-C.UTF-8}" "JAVA_HOME=$JAVA_HOME" "HADOOP_CONF_DIR=$CONF_DIR" \
    "$JAVA_HOME/bin/java" "-Dkvick.cluster=$KVICK_CLUSTER_DIR:$role" "${JAVA_FLAGS[@]}" "-Xmx$(heap_of "$role")" \
    -cp "$(class_path_of "$role")" "$(main_class_of "$role")" "${arguments[@]}" >"$LOG_DIR/$role.log" 2>&1 </dev/null 9>&- &
  pid=$!
  # Not to be reported on by this shell when it ends.
  # Until the new process has replaced this script's image it cannot be told by its command line.
  while [ -d "/proc/$pid" ] && ! is_role_process "$pid" "$role"; do sleep 0.01; done
  printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$PID_DIR/$role"
  # The daemon outlives this script, which is not to comment on its end.
  disown "$pid" 2>/dev/null || true
}

signal_role() {
  local pid
  pid=$(role_pid "$1") && kill "-$2" "$pid" 2>/dev/null
}

# wait_gone SECONDS ROLE…: fails when one of them still lives after that time.
wait_gone() {
  local tries=$(($1 * 10)) role alive
  shift
  for ((; tries > 0; tries--)); do
    alive=0
    for role in "$@"; do role_is_alive "$role" && alive=1; done
    [ "$alive" = 0 ] && return 0
    sleep 0.1
  done
  return 1
}

# stop_roles ROLE…: politely together, then by force what is left.
stop_roles() {
  local role
  for role in "$@"; do
    signal_role "$role" TERM || true
    # A stopped (SIGSTOP) process cannot act on a SIGTERM.
    signal_role "$role" CONT || true
  done
  if ! wait_gone 10 "$@"; then
    for role in "$@"; do signal_role "$role" KILL && say "$role did not stop within 10 s; killed"; done
    wait_gone 10 "$@" || die "some of $* cannot be killed"
  fi
  for role in "$@"; do rm -f "$PID_DIR/$role"; done
}

# --- containers ---

# Pids of what NodeManagers of this cluster launched and their children, alive or orphaned: LOCAL_DIRS is in the environment of each.
container_pids() {
  grep -lsz "^LOCAL_DIRS=$KVICK_CLUSTER_DIR/" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3
}

# A container may be starting another process while it is killed, so look again until a look finds nothing.
kill_containers() {
  local pids tries
  for ((tries = 50; tries > 0; tries--)); do
    pids=$(container_pids)
    [ -z "$pids" ] && return
    # shellcheck disable=SC2086 # a list of numbers
    kill -9 $pids 2>/dev/null
    sleep 0.1
  done
  say "containers that cannot be killed: $(tr '\n' ' ' <<<"$pids")"
}
