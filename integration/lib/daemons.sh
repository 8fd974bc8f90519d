# shellcheck shell=bash
# The cluster as a whole: which daemons there are, in what order they come and go, when each is ready.
# Works on PORT_BASE and the numbers of daemons, set by the caller through load_state or pick_port_base.

roles() {
  local number
  printf '%s\n' namenode datanode
  # shellcheck disable=SC2153 # set by load_state
  for ((number = 1; number <= ZOOKEEPERS; number++)); do printf 'zookeeper%s\n' "$number"; done
  printf '%s\n' resourcemanager
  # shellcheck disable=SC2153
  if [ "$RESOURCEMANAGERS" = 2 ]; then printf '%s\n' resourcemanager2; fi
  # shellcheck disable=SC2153
  for ((number = 1; number <= NODEMANAGERS; number++)); do printf 'nodemanager%s\n' "$number"; done
}

any_alive() {
  local role
  for role in $(roles); do role_is_alive "$role" && return 0; done
  return 1
}

# --- readiness: asked of the daemon itself ---

jmx() { http_get "http://127.0.0.1:$(port "$1")/jmx?qry=Hadoop:service=$2"; }

namenode_ready() { jmx namenode-web NameNode,name=NameNodeInfo | grep '"Safemode" *: *""' > /dev/null; }

datanode_ready() { jmx datanode-web DataNode,name=DataNodeInfo | grep 'ActorState[\\" :]*RUNNING' > /dev/null; }

# resourcemanager_info ROLE: what one ResourceManager says of itself; a standby says this much, too.
resourcemanager_info() { http_get "http://$(resourcemanager_host "$1"):$(port resourcemanager-web)/ws/v1/cluster/info"; }

resourcemanager_host() { if [ "$1" = resourcemanager2 ]; then printf 127.0.0.2; else printf 127.0.0.1; fi; }

resourcemanager_ready() { resourcemanager_info "$1" | grep '"state" *: *"STARTED"' > /dev/null; }

zookeeper_ready() {
  local number=${1#zookeeper} answer
  # shellcheck disable=SC3025 # bash's own
  { exec 8<>"/dev/tcp/$(zookeeper_host "$number")/$(port zookeeper)"; } 2>/dev/null || return 1
  printf 'srvr' >&8
  answer=$(timeout 5 cat <&8)
  exec 8<&- 8>&-
  grep -q 'Mode: ' <<<"$answer"
}

# The ResourceManager believes in a killed NodeManager for ten minutes, so ask the new process (its log is its own).
nodemanager_ready() { grep -qs 'Registered with ResourceManager as' "$LOG_DIR/$1.log"; }

role_ready() {
  case "$1" in
    nodemanager*) nodemanager_ready "$1" ;;
    resourcemanager*) resourcemanager_ready "$1" ;;
    zookeeper*) zookeeper_ready "$1" ;;
    *) "${1}_ready" ;;
  esac
}

# A NameNode without a DataNode is in safe mode only if it has blocks, so leaving safe mode is not enough to write. Nor is
# a registered DataNode: until its first heartbeat the NameNode thinks that it has no space.
live_datanodes() {
  local state
  state=$(jmx namenode-web NameNode,name=FSNamesystemState)
  if at_least "$(json_number CapacityRemaining <<<"$state")" 1; then json_number NumLiveDataNodes <<<"$state"; else printf 0; fi
}

# active_resourcemanager: the role of the one that is active; fails when none is.
active_resourcemanager() {
  local role
  for role in resourcemanager resourcemanager2; do
    [ "$role" = resourcemanager2 ] && [ "$RESOURCEMANAGERS" = 1 ] && continue
    resourcemanager_info "$role" | grep '"haState" *: *"ACTIVE"' > /dev/null && printf '%s' "$role" && return
  done
  return 1
}

active_nodes() {
  local role
  role=$(active_resourcemanager) || return 0
  http_get "http://$(resourcemanager_host "$role"):$(port resourcemanager-web)/ws/v1/cluster/metrics" | json_number activeNodes
}

# alive_of PREFIX: how many daemons whose role begins so live.
alive_of() {
  local role count=0
  for role in $(roles); do
    [[ $role = "$1"* ]] && role_is_alive "$role" && count=$((count + 1))
  done
  printf '%s' "$count"
}

# at_least REPORTED WANTED; a daemon that does not answer has reported nothing.
at_least() { [ "${1:-0}" -ge "$2" ]; }

# Whether the masters that live know of all the workers that live: only then can files be written and containers run.
cluster_ready() {
  if role_is_alive namenode; then at_least "$(live_datanodes)" "$(alive_of datanode)" || return 1; fi
  if [ "$(alive_of resourcemanager)" -gt 0 ]; then at_least "$(active_nodes)" "$(alive_of nodemanager)" || return 1; fi
}

fail_role() {
  say "$1 $2; the end of its log ($LOG_DIR/$1.log):"
  tail -n 25 "$LOG_DIR/$1.log" >&2
  give_up
}

# A start from nothing that fails leaves nothing behind; a daemon that failed to rejoin leaves the others alone.
give_up() {
  [ "${FRESH_START:-no}" = no ] || stop_cluster
  exit 1
}

# await_role ROLE: until it is ready; a daemon that died or takes too long ends the script with its log.
await_role() {
  while ! role_ready "$1"; do
    role_is_alive "$1" || fail_role "$1" 'ended while starting'
    [ "$SECONDS" -lt "$KVICK_CLUSTER_TIMEOUT" ] || fail_role "$1" "was not ready after $KVICK_CLUSTER_TIMEOUT s"
    sleep 0.2
  done
}

await_cluster() {
  while ! cluster_ready; do
    if [ "$SECONDS" -ge "$KVICK_CLUSTER_TIMEOUT" ]; then
      say "error: after $KVICK_CLUSTER_TIMEOUT s only $(live_datanodes) of $(alive_of datanode) DataNodes and $(active_nodes) of $(alive_of nodemanager) NodeManagers are registered"
      give_up
    fi
    sleep 0.2
  done
}

# --- HDFS's first life ---

format_namenode() {
  say 'formatting HDFS'
  rm -rf "$KVICK_CLUSTER_DIR/namenode" "$KVICK_CLUSTER_DIR/datanode"
  mkdir -p "$LOG_DIR"
  env -u HADOOP_USER_NAME "$JAVA_HOME/bin/java" "${JAVA_FLAGS[@]}" -cp "$CONF_DIR:$(hadoop_jars)" "$(main_class_of namenode)" \
    -format -nonInteractive -force >"$LOG_DIR/format.log" 2>&1 9>&- || fail_role format 'failed'
}

# make_directory PATH MODE, through WebHDFS: a Java tool would take two seconds to start.
make_directory() {
  curl --silent --fail --noproxy '*' --max-time 20 --output /dev/null -X PUT \
    "http://127.0.0.1:$(port namenode-web)/webhdfs/v1$1?op=MKDIRS&permission=$2&user.name=$CLUSTER_USER" ||
    say "could not create $1 in HDFS; create it by: cluster.sh hdfs dfs -mkdir -p $1"
}

# The home directory belongs to whoever creates it: the user the daemons run as, who is HDFS's superuser.
make_home() {
  make_directory "/user/$CLUSTER_USER" 755
  make_directory /tmp 1777
}

# --- start and stop ---

# YARN's leftovers of an earlier life: its applications ended when the cluster was stopped.
forget_yarn() {
  local dir
  rm -rf "$KVICK_CLUSTER_DIR/resourcemanager"
  for dir in "$KVICK_CLUSTER_DIR"/zookeeper*; do
    # Leaders and state of ResourceManagers that are no more; the server's number is written anew.
    [ -d "$dir" ] && rm -rf "$dir/data"
  done
  for dir in "$KVICK_CLUSTER_DIR"/nodemanager*; do
    # A file system that somebody mounted there stays, empty.
    [ -d "$dir" ] && rm -rf "$dir/local" "$dir/recovery" 2>/dev/null
  done
  return 0
}

# Everything that `start` does to a cluster of which nothing runs, before the daemons.
prepare_cluster() {
  kill_containers
  pick_port_base
  forget_yarn
  rm -rf "$KVICK_CLUSTER_DIR/ha"
  write_config
  save_state
  if [ "$FORMAT" = yes ] || [ ! -e "$KVICK_CLUSTER_DIR/namenode/current/VERSION" ]; then format_namenode; fi
}

# Starts the roles that do not live, all at once: each waits for the others it needs.
spawn_missing() {
  local role
  for role in $(roles); do role_is_alive "$role" || spawn "$role"; done
}

# With two ResourceManagers and no ZooKeeper to choose, a person makes one of them active.
elect() {
  [ "$RESOURCEMANAGERS" = 2 ] && [ "$ZOOKEEPERS" = 0 ] || return 0
  active_resourcemanager >/dev/null || (run_tool org.apache.hadoop.yarn.client.cli.RMAdminCLI -transitionToActive rm1 >/dev/null 2>&1)
}

await_all() {
  local role
  for role in $(roles); do
    # A NodeManager registers with the active ResourceManager only.
    [ "$role" != nodemanager1 ] || elect
    await_role "$role"
  done
  await_cluster
}

stop_cluster() {
  local role yarn=() rest=()
  for role in $(roles); do
    case "$role" in
      nodemanager* | resourcemanager*) yarn+=("$role") ;;
      *) rest+=("$role") ;;
    esac
  done
  # First YARN, so that nothing starts a container again; then the containers; what they write to last.
  stop_roles "${yarn[@]}"
  kill_containers
  stop_roles "${rest[@]}"
}
