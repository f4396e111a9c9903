#!/usr/bin/env bash
# Fetch what the tests run against: PostgreSQL, MariaDB and Chromium (or those of the dialects named); `infra` names what
# reads the estate's files, and what its servers have that a small machine has not; `drill` what the drill builds both
# regions from, beside the databases.
#
#   scripts/test-deps.sh [sqlite|postgresql|mysql|browser|infra|drill]...
#
# On Debian, as root or with sudo, apt installs what is missing and no service or database cluster of
# the system's own appears. Elsewhere this only names what is missing: the tests then say NOT RUN.
set -euo pipefail

postgres() {
  # -P looks for programs alone: this very function is called postgres, too.
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || type -P postgres >/dev/null
}

mariadb() {
  PATH=$PATH:/usr/sbin:/usr/local/sbin type -P mariadbd >/dev/null
}

browser() {
  type -P chromium >/dev/null || type -P chromium-browser >/dev/null || type -P google-chrome >/dev/null
}

infra() {
  local need program
  for need in shellcheck groovy cloud-init systemd-analyze=systemd jq ip=iproute2 useradd=passwd openssl gpg gpg-agent curl git; do
    program=${need%=*}
    type -P "$program" >/dev/null || echo "${need#*=}"
  done
}

drill() {
  local need program
  for need in haproxy ip=iproute2 ping=iputils-ping setpriv=util-linux mount; do
    program=${need%=*}
    PATH=$PATH:/usr/sbin:/sbin type -P "$program" >/dev/null || echo "${need#*=}"
  done
  # It has no program of its own: it is put before another one's libraries.
  compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || echo libfaketime
}

missing_packages() {
  local what
  for what in "$@"; do
    case $what in
      sqlite) ;;
      postgresql) postgres || echo postgresql ;;
      mysql)
        mariadb || echo mariadb-server-core
        # Backups are made by the client's tool.
        type -P mariadb-dump >/dev/null || type -P mysqldump >/dev/null || echo mariadb-client
        ;;
      browser) browser || echo chromium ;;
      infra) infra ;;
      drill) drill ;;
      *) echo "unknown: $what" >&2 && exit 2 ;;
    esac
  done
}

# --- As root -----------------------------------------------------------------------------------------

readonly policy=/usr/sbin/policy-rc.d
readonly cluster_conf=/etc/postgresql-common/createcluster.conf
made_policy=
kept_conf=

restore() {
  if [[ -n $made_policy ]]; then rm -f "$policy"; fi
  if [[ -n $kept_conf ]]; then
    # Into the same file, so that its owner and mode stay what they were.
    cat "$kept_conf" >"$cluster_conf"
    rm -f "$kept_conf"
  fi
}

forbid_services() {
  [[ ! -e $policy ]] || return 0
  made_policy=yes
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

# The server's package makes a cluster called "main" when it is configured, unless this file says no.
forbid_main_cluster() {
  apt_install postgresql-common
  [[ -e $cluster_conf ]] || return 0
  kept_conf=$(mktemp)
  cat "$cluster_conf" >"$kept_conf"
  printf '\ncreate_main_cluster = false\n' >>"$cluster_conf"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

install_as_root() {
  trap restore EXIT
  trap 'exit 130' INT TERM HUP
  apt-get update --quiet=2
  forbid_services
  if [[ " $* " == *" postgresql "* ]]; then forbid_main_cluster; fi
  apt_install "$@"
}

# --- As anyone ---------------------------------------------------------------------------------------

may_sudo() {
  command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }
}

main() {
  if [[ ${1-} == --as-root ]]; then
    shift
    install_as_root "$@"
    return
  fi
  [[ $# -gt 0 ]] || set -- postgresql mysql browser

  local found packages=()
  found=$(missing_packages "$@")
  [[ -n $found ]] || return 0
  mapfile -t packages <<<"$found"

  if ! command -v apt-get >/dev/null; then
    echo "Missing for some tests, and no apt-get to fetch it: ${packages[*]}" >&2
  elif [[ $EUID -eq 0 ]]; then
    fetch bash "$0" --as-root "${packages[@]}"
  elif may_sudo; then
    fetch sudo bash "$0" --as-root "${packages[@]}"
  else
    echo "Missing for some tests; as root: apt-get install --no-install-recommends ${packages[*]}" >&2
  fi
}

# A failure is not ours to end on: the tests that can run should, and the others say why they did not.
fetch() {
  echo "Installing for the tests: ${packages[*]} ..."
  "$@" || echo "apt could not install everything; some tests will say NOT RUN." >&2
}

main "$@"
