# shellcheck shell=bash
# The programs a cluster needs beside Hadoop: a Java runtime, Maven, curl. Finds them, or installs them with apt-get
# where it may. Sets JAVA_HOME.

# Hadoop 3.3 and 3.4 run on 8, 11 and 17; releases after 21 lack the security manager calls that they make.
readonly JAVA_WANTED='8, 11, 17 or 21'

java_major() {
  "$1/bin/java" -version 2>&1 | sed -n 's/.*version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1
}

java_fits() {
  [ -x "$1/bin/java" ] || return 1
  case "$(java_major "$1")" in 8 | 11 | 17 | 21) return 0 ;; *) return 1 ;; esac
}

java_candidates() {
  [ -n "${JAVA_HOME:-}" ] && printf '%s\n' "$JAVA_HOME"
  have java && dirname "$(dirname "$(readlink -f "$(command -v java)")")"
  printf '%s\n' /usr/lib/jvm/*
}

find_java() {
  local home
  while IFS= read -r home; do
    if java_fits "$home"; then
      export JAVA_HOME=$home
      return 0
    fi
  done < <(java_candidates)
  return 1
}

# apt_install WHAT PACKAGE…: installs the first PACKAGE that the distribution has, or says what a person must do.
apt_install() {
  local what=$1 package sudo=()
  shift
  [ "$(id -u)" = 0 ] || sudo=(sudo -n)
  if ! have apt-get || ! "${sudo[@]}" true 2>/dev/null; then
    die "$what is missing and cannot be installed from here; install it (on Debian or Ubuntu: apt-get install $1) and run this again"
  fi
  say "installing $what"
  "${sudo[@]}" apt-get update -qq >/dev/null 2>&1 || true
  for package in "$@"; do
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 && return 0
  done
  die "$what is missing and apt-get install $* failed; install it and run this again"
}

ensure_java() {
  find_java && return
  apt_install "a Java runtime ($JAVA_WANTED)" openjdk-17-jre-headless openjdk-21-jre-headless openjdk-11-jre-headless
  find_java || die "no Java runtime of version $JAVA_WANTED found; install one or point JAVA_HOME at it"
}

ensure_command() { have "$1" || apt_install "$1" "$2"; }

ensure_tools() {
  ensure_command curl curl
  ensure_command flock util-linux
  ensure_java
}
