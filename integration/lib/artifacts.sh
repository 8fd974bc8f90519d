# shellcheck shell=bash
# Hadoop's jars: resolved once for a version by Maven into the cache, outside the clone, and complete or absent.

HADOOP_DIR=$KVICK_CACHE/hadoop-$HADOOP_VERSION

resolve_artifacts() {
  [ -e "$HADOOP_DIR/lib" ] && return
  local partial=$HADOOP_DIR.partial.$$ log=$KVICK_CACHE/hadoop-$HADOOP_VERSION.maven.log attempt
  ensure_command mvn maven
  say "resolving Hadoop $HADOOP_VERSION from Maven Central into $HADOOP_DIR"
  for attempt in 1 2 3; do
    rm -rf "$partial"
    if mvn -B -q -U -f "$INTEGRATION_DIR/hadoop/pom.xml" "-Dhadoop.version=$HADOOP_VERSION" "-Dkvick.out=$partial" \
      process-resources >"$log" 2>&1 9>&-; then
      rm -rf "$partial/maven"
      mv "$partial" "$HADOOP_DIR"
      return
    fi
    say "attempt $attempt failed"
  done
  rm -rf "$partial"
  tail -n 20 "$log" >&2
  die "could not resolve Hadoop $HADOOP_VERSION; is the version on Maven Central, and the network there? (whole log: $log)"
}

# The lock keeps two clusters that start at once from downloading the same version twice.
ensure_artifacts() {
  [ -e "$HADOOP_DIR/lib" ] || locked "$KVICK_CACHE/hadoop-$HADOOP_VERSION.lock" resolve_artifacts
}

# The class path behind a configuration directory; Java expands the star.
hadoop_jars() { printf '%s' "$HADOOP_DIR/web:$HADOOP_DIR/lib/*"; }
