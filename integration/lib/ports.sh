# shellcheck shell=bash
# Which ports a cluster uses: one block of consecutive ones, so that many clusters can live on one machine.
# The block is remembered in the cluster's directory and used again as long as it is free.

readonly PORT_BLOCK=20
# Blocks lie below Linux's usual ephemeral range (32768…), so that no client socket takes a daemon's port.
readonly PORT_FIRST=20000 PORT_BLOCKS=600

# Ports with a socket, decimal, one a line. Those in TIME_WAIT (06) do not hinder a daemon from listening.
used_ports() {
  local hex
  awk 'FNR > 1 && $4 != "06" { split($2, address, ":"); print address[2] }' /proc/net/tcp /proc/net/tcp6 2>/dev/null | sort -u |
    while read -r hex; do printf '%d\n' "0x$hex"; done
}

# block_is_free BASE USED
block_is_free() {
  local port
  for ((port = $1; port < $1 + PORT_BLOCK; port++)); do
    grep -qx "$port" <<<"$2" && return 1
  done
  return 0
}

# The first block tried follows from the directory's name: two clusters that start at once rarely meet.
choose_port_base() {
  local used=$1 start block base
  start=$(cksum <<<"$KVICK_CLUSTER_DIR" | cut -d ' ' -f 1)
  for ((block = 0; block < PORT_BLOCKS; block++)); do
    base=$((PORT_FIRST + (start + block) % PORT_BLOCKS * PORT_BLOCK))
    if block_is_free "$base" "$used"; then
      printf '%s' "$base"
      return
    fi
  done
  return 1
}

# Sets PORT_BASE for a cluster of which nothing runs yet.
pick_port_base() {
  local used
  used=$(used_ports)
  if [ -n "${KVICK_CLUSTER_PORT_BASE:-}" ]; then
    PORT_BASE=$KVICK_CLUSTER_PORT_BASE
    block_is_free "$PORT_BASE" "$used" ||
      die "some port of $PORT_BASE…$((PORT_BASE + PORT_BLOCK - 1)) is taken (ss -ltnp tells by whom); set another KVICK_CLUSTER_PORT_BASE"
  elif [ -z "${PORT_BASE:-}" ] || ! block_is_free "$PORT_BASE" "$used"; then
    PORT_BASE=$(choose_port_base "$used") || die "no $PORT_BLOCK consecutive free ports found; set KVICK_CLUSTER_PORT_BASE"
  fi
}

# port NAME: the one place that says which port of the block is whose. Daemons of one kind share numbers: each has its own address.
port() {
  local offset
  case "$1" in
    namenode) offset=0 ;; namenode-web) offset=1 ;;
    datanode) offset=2 ;; datanode-web) offset=3 ;; datanode-ipc) offset=4 ;;
    resourcemanager) offset=5 ;; scheduler) offset=6 ;; tracker) offset=7 ;; admin) offset=8 ;; resourcemanager-web) offset=9 ;;
    nodemanager) offset=10 ;; localizer) offset=11 ;; nodemanager-web) offset=12 ;; collector) offset=13 ;; amrm-proxy) offset=14 ;;
    zookeeper) offset=15 ;; zookeeper-peer) offset=16 ;; zookeeper-election) offset=17 ;;
    *) die "no port is called $1" ;;
  esac
  printf '%s' $((PORT_BASE + offset))
}

# 127.0.0.11 is the first NodeManager's. Lower ones are often given to the machine's own name, which would then show in node ids.
nodemanager_host() { printf '127.0.0.%s' $((10 + $1)); }

# Between the ResourceManagers (127.0.0.1 and .2) and the NodeManagers.
zookeeper_host() { printf '127.0.0.%s' $((5 + $1)); }
