# shellcheck shell=bash
# The cluster's configuration files: what a real cluster's administrator would have written, and `-Dkey=value` on top.
# Also the cluster's own memory (cluster.state): version, ports, size.

CONF_DIR=$KVICK_CLUSTER_DIR/conf
STATE_FILE=$KVICK_CLUSTER_DIR/cluster.state
# Nodes that are to be taken out of the cluster, one a line.
EXCLUDE_FILE=$CONF_DIR/nodes.exclude
CLUSTER_USER=$(id -un)

# --- cluster.state ---

save_state() {
  cat >"$STATE_FILE" <<STATE
HADOOP_VERSION=$HADOOP_VERSION
PORT_BASE=$PORT_BASE
NODEMANAGERS=$NODEMANAGERS
RESOURCEMANAGERS=$RESOURCEMANAGERS
ZOOKEEPERS=$ZOOKEEPERS
STATE
}

state_value() { sed -n "s/^$1=//p" "$STATE_FILE" 2>/dev/null; }

# Sets PORT_BASE and the numbers of daemons as the cluster was last started; fails when it never was.
load_state() {
  [ -e "$STATE_FILE" ] || return 1
  local version
  version=$(state_value HADOOP_VERSION)
  [ "$version" = "$HADOOP_VERSION" ] ||
    die "the cluster in $KVICK_CLUSTER_DIR is Hadoop $version, not $HADOOP_VERSION; set HADOOP_VERSION=$version or another KVICK_CLUSTER_DIR"
  PORT_BASE=$(state_value PORT_BASE)
  NODEMANAGERS=$(state_value NODEMANAGERS)
  RESOURCEMANAGERS=$(state_value RESOURCEMANAGERS)
  : "${RESOURCEMANAGERS:=1}"
  ZOOKEEPERS=$(state_value ZOOKEEPERS)
  : "${ZOOKEEPERS:=0}"
}

# --- *-site.xml ---

# The file being collected; a later `prop` of the same key wins, so each key is written once.
declare -A PROPS
# -Dkey=value of this start.
declare -A OVERRIDES

prop() { PROPS[$1]=$2; }

xml_escape() {
  local text=${1//&/&amp;}
  text=${text//</&lt;}
  printf '%s' "${text//>/&gt;}"
}

# file_of KEY: which file a Hadoop key belongs to.
file_of() {
  case "$1" in
    yarn.scheduler.capacity.*) printf 'capacity-scheduler.xml' ;;
    yarn.*) printf 'yarn-site.xml' ;;
    dfs.*) printf 'hdfs-site.xml' ;;
    *) printf 'core-site.xml' ;;
  esac
}

apply_overrides() {
  local key
  for key in "${!OVERRIDES[@]}"; do
    [ "$(file_of "$key")" = "$1" ] && prop "$key" "${OVERRIDES[$key]}"
  done
  return 0
}

# write_xml DIR FILE: writes and forgets the collected properties.
write_xml() {
  local key
  mkdir -p "$1"
  apply_overrides "$2"
  {
    printf '<?xml version="1.0" encoding="UTF-8"?>\n<configuration>\n'
    for key in $(printf '%s\n' "${!PROPS[@]}" | sort); do
      printf '  <property><name>%s</name><value>%s</value></property>\n' "$(xml_escape "$key")" "$(xml_escape "${PROPS[$key]}")"
    done
    printf '</configuration>\n'
  } >"$1/$2"
  PROPS=()
}

write_core_site() {
  prop fs.defaultFS "hdfs://127.0.0.1:$(port namenode)"
  prop hadoop.tmp.dir "$KVICK_CLUSTER_DIR/tmp"
  # The web pages and REST act as the user who started the cluster, who may then kill applications through them.
  prop hadoop.http.staticuser.user "$CLUSTER_USER"
  prop "hadoop.proxyuser.$CLUSTER_USER.hosts" '*'
  prop "hadoop.proxyuser.$CLUSTER_USER.groups" '*'
  write_xml "$CONF_DIR" core-site.xml
}

write_hdfs_site() {
  local ip=127.0.0.1
  prop dfs.replication 1
  prop dfs.namenode.name.dir "file://$KVICK_CLUSTER_DIR/namenode"
  prop dfs.namenode.rpc-address "$ip:$(port namenode)"
  prop dfs.namenode.rpc-bind-host "$ip"
  prop dfs.namenode.http-address "$ip:$(port namenode-web)"
  prop dfs.namenode.http-bind-host "$ip"
  # Safe mode ends as soon as the blocks are reported, not 30 s later.
  prop dfs.namenode.safemode.extension 0
  prop dfs.namenode.datanode.registration.ip-hostname-check false
  prop dfs.datanode.data.dir "file://$KVICK_CLUSTER_DIR/datanode"
  prop dfs.datanode.hostname "$ip"
  prop dfs.datanode.address "$ip:$(port datanode)"
  prop dfs.datanode.http.address "$ip:$(port datanode-web)"
  prop dfs.datanode.ipc.address "$ip:$(port datanode-ipc)"
  write_xml "$CONF_DIR" hdfs-site.xml
}

# resourcemanager_addresses HOST SUFFIX: where one ResourceManager listens; the suffix is its id among several.
resourcemanager_addresses() {
  local ip=$1 suffix=$2
  prop "yarn.resourcemanager.hostname$suffix" "$ip"
  prop "yarn.resourcemanager.address$suffix" "$ip:$(port resourcemanager)"
  prop "yarn.resourcemanager.scheduler.address$suffix" "$ip:$(port scheduler)"
  prop "yarn.resourcemanager.resource-tracker.address$suffix" "$ip:$(port tracker)"
  prop "yarn.resourcemanager.admin.address$suffix" "$ip:$(port admin)"
  prop "yarn.resourcemanager.webapp.address$suffix" "$ip:$(port resourcemanager-web)"
}

# Two ResourceManagers: ZooKeeper chooses the active one if there is one, else `rmadmin -transitionToActive` does.
resourcemanager_ha_props() {
  local number
  prop yarn.resourcemanager.ha.enabled true
  prop yarn.resourcemanager.ha.rm-ids rm1,rm2
  prop yarn.resourcemanager.cluster-id kvick
  for number in 1 2; do resourcemanager_addresses "127.0.0.$number" ".rm$number"; done
  if [ "$ZOOKEEPERS" -gt 0 ]; then
    prop hadoop.zk.address "$(zookeeper_quorum)"
    prop yarn.resourcemanager.zk-address "$(zookeeper_quorum)"
    prop yarn.resourcemanager.ha.automatic-failover.enabled true
    prop yarn.resourcemanager.ha.automatic-failover.embedded true
  else
    prop yarn.resourcemanager.ha.automatic-failover.enabled false
  fi
}

# By default a queue gets back a tenth of the cluster a round, which may be less than one container, and a fifth of that.
preemption_props() {
  local policy=yarn.resourcemanager.monitor.capacity.preemption
  prop yarn.resourcemanager.scheduler.monitor.enable true
  prop $policy.monitoring_interval 500
  prop $policy.total_preemption_per_round 1.0
  prop $policy.natural_termination_factor 1.0
}

yarn_resourcemanager_props() {
  if [ "$RESOURCEMANAGERS" = 1 ]; then
    resourcemanager_addresses 127.0.0.1 ''
    prop yarn.resourcemanager.bind-host 127.0.0.1
  else
    resourcemanager_ha_props
  fi
  prop yarn.resourcemanager.scheduler.class org.apache.hadoop.yarn.server.resourcemanager.scheduler.capacity.CapacityScheduler
  prop yarn.resourcemanager.am.max-attempts 4
  # Applications outlive a ResourceManager that is killed.
  prop yarn.resourcemanager.recovery.enabled true
  prop yarn.resourcemanager.store.class org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore
  prop yarn.resourcemanager.fs.state-store.uri "file://$KVICK_CLUSTER_DIR/resourcemanager"
  prop yarn.resourcemanager.nodes.exclude-path "$EXCLUDE_FILE"
  [ "$PREEMPTION" = no ] || preemption_props
  # The smallest container and the step by which requests are rounded up: 800 MB become 1024.
  prop yarn.scheduler.minimum-allocation-mb 256
  prop yarn.scheduler.maximum-allocation-mb "$NM_MEMORY"
  prop yarn.scheduler.maximum-allocation-vcores "$NM_VCORES"
  # What a Java application finds Hadoop by; a native one has no use for it.
  prop yarn.application.classpath "$CONF_DIR,$HADOOP_DIR/lib/*"
}

yarn_nodemanager_props() {
  prop yarn.nodemanager.resource.memory-mb "$NM_MEMORY"
  prop yarn.nodemanager.resource.cpu-vcores "$NM_VCORES"
  prop yarn.nodemanager.container-executor.class org.apache.hadoop.yarn.server.nodemanager.DefaultContainerExecutor
  prop yarn.nodemanager.vmem-check-enabled false
  # A developer's disk is often fuller than the 90 % at which a NodeManager calls itself unhealthy.
  prop yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage 99
  # Containers outlive a NodeManager that is killed or restarted ("supervised": also one that is stopped politely).
  prop yarn.nodemanager.recovery.enabled true
  prop yarn.nodemanager.recovery.supervised true
}

write_yarn_site() {
  yarn_resourcemanager_props
  yarn_nodemanager_props
  write_xml "$CONF_DIR" yarn-site.xml
}

# What differs from NodeManager to NodeManager, in a directory that goes before the common one on its class path.
write_nodemanager_site() {
  local number=$1 dir=$KVICK_CLUSTER_DIR/nodemanager$1 host
  host=$(nodemanager_host "$number")
  yarn_resourcemanager_props
  yarn_nodemanager_props
  prop yarn.nodemanager.hostname "$host"
  prop yarn.nodemanager.bind-host "$host"
  prop yarn.nodemanager.address "$host:$(port nodemanager)"
  prop yarn.nodemanager.localizer.address "$host:$(port localizer)"
  prop yarn.nodemanager.webapp.address "$host:$(port nodemanager-web)"
  prop yarn.nodemanager.collector-service.address "$host:$(port collector)"
  prop yarn.nodemanager.amrmproxy.address "$host:$(port amrm-proxy)"
  prop yarn.nodemanager.local-dirs "$dir/local"
  prop yarn.nodemanager.log-dirs "$dir/logs"
  prop yarn.nodemanager.recovery.dir "$dir/recovery"
  # The default of 30 s would be most of the time that a start takes.
  prop yarn.resourcemanager.connect.retry-interval.ms 500
  write_xml "$dir/conf" yarn-site.xml
}

# Which of two ResourceManagers a process is: both find their own address on this machine, so it must be said.
write_resourcemanager_site() {
  yarn_resourcemanager_props
  yarn_nodemanager_props
  prop yarn.resourcemanager.ha.id "rm$1"
  write_xml "$KVICK_CLUSTER_DIR/ha/rm$1/conf" yarn-site.xml
}

# zookeeper_quorum: the client addresses of all, as `host:port,…`.
zookeeper_quorum() {
  local number all=''
  for ((number = 1; number <= ZOOKEEPERS; number++)); do all+=",$(zookeeper_host "$number"):$(port zookeeper)"; done
  printf '%s' "${all#,}"
}

# A ZooKeeper server's own file; its number is in its data directory.
write_zookeeper_config() {
  local dir=$KVICK_CLUSTER_DIR/zookeeper$1 number
  mkdir -p "$dir/data"
  printf '%s\n' "$1" >"$dir/data/myid"
  {
    printf '%s\n' tickTime=500 initLimit=20 syncLimit=10 admin.enableServer=false '4lw.commands.whitelist=*'
    printf 'dataDir=%s\nclientPortAddress=%s\nclientPort=%s\n' "$dir/data" "$(zookeeper_host "$1")" "$(port zookeeper)"
    for ((number = 1; number <= ZOOKEEPERS; number++)); do
      printf 'server.%s=%s:%s:%s\n' "$number" "$(zookeeper_host "$number")" "$(port zookeeper-peer)" "$(port zookeeper-election)"
    done
  } >"$dir/zoo.cfg"
}

# Two queues, each of which may use the whole cluster, and application masters as many as fit (by default a tenth).
write_capacity_scheduler() {
  local queue
  prop yarn.scheduler.capacity.root.queues default,other
  prop yarn.scheduler.capacity.maximum-am-resource-percent 1.0
  for queue in default other; do
    prop "yarn.scheduler.capacity.root.$queue.capacity" 50
    prop "yarn.scheduler.capacity.root.$queue.maximum-capacity" 100
    prop "yarn.scheduler.capacity.root.$queue.user-limit-factor" 10
  done
  write_xml "$CONF_DIR" capacity-scheduler.xml
}

write_log4j() {
  cat >"$CONF_DIR/log4j.properties" <<'LOG4J'
log4j.rootLogger=${kvick.log.level},console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
LOG4J
}

# The daemons' own hosts file: their addresses resolve, forwards and backwards, whatever the machine's name service says.
write_hosts() {
  local number
  {
    printf '127.0.0.1 localhost\n'
    [ "$(uname -n)" = localhost ] || printf '127.0.0.1 %s\n' "$(uname -n)"
    for number in 2 6 7 8 9 10; do printf '127.0.0.%s 127.0.0.%s\n' "$number" "$number"; done
    for ((number = 1; number <= 99; number++)); do
      printf '%s %s\n' "$(nodemanager_host "$number")" "$(nodemanager_host "$number")"
    done
  } >"$CONF_DIR/hosts"
}

write_config() {
  local number
  mkdir -p "$CONF_DIR"
  : >"$EXCLUDE_FILE"
  write_core_site
  write_hdfs_site
  write_yarn_site
  write_capacity_scheduler
  write_log4j
  write_hosts
  for ((number = 1; number <= NODEMANAGERS; number++)); do
    write_nodemanager_site "$number"
  done
  if [ "$RESOURCEMANAGERS" = 2 ]; then
    for number in 1 2; do write_resourcemanager_site "$number"; done
  fi
  for ((number = 1; number <= ZOOKEEPERS; number++)); do write_zookeeper_config "$number"; done
}
