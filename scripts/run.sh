#!/usr/bin/env bash
# Serve the bank on this machine: keys, schema and demo data are made the first time and kept.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly bin=.venv/bin
readonly keys=var/keys.env
PORT=${PORT:-8000}

refuse() {
  echo "$*" >&2
  exit 1
}

check_port() {
  if [[ ! $PORT =~ ^[1-9][0-9]{0,4}$ ]] || ((PORT > 65535)); then
    refuse "PORT must be a number from 1 to 65535, not \"$PORT\"."
  fi
  "$bin/python" - "$PORT" <<'PYTHON' || exit 1
import socket, sys

port = int(sys.argv[1])
with socket.socket() as listener:
    # As gunicorn does, or connections of a server just stopped would look like a server.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except PermissionError:
        sys.exit(f"Port {port} needs root. Choose one above 1023: make run PORT=8001")
    except OSError:
        sys.exit(f"Port {port} is taken by another program. Choose another: make run PORT={port % 65535 + 1}")
PYTHON
}

# Without its keys the data is unreadable, so they are made once and never written over.
make_keys() {
  [[ ! -e $keys ]] || return 0
  (
    umask 077
    "$bin/bank" keys new >"$keys.new"
    mv "$keys.new" "$keys"
  )
}

# What is set already wins.
export_keys() {
  local line name
  while IFS= read -r line; do
    if [[ $line =~ ^([A-Z_]+)= ]] && name=${BASH_REMATCH[1]} && [[ -z ${!name-} ]]; then
      # shellcheck disable=SC2163  # the line is the assignment
      export "$line"
    fi
  done <"$keys"
}

check_port
mkdir -p var
make_keys
export_keys
export BANK_ENV=development
export DATABASE_URL=${DATABASE_URL:-sqlite:///$PWD/var/bank.sqlite}

"$bin/bank" db upgrade
"$bin/bank" demo load --if-empty

echo
echo "The bank is open: http://localhost:$PORT  (Ctrl-C closes it)"
echo
"$bin/bank" demo logins
echo
exec "$bin/gunicorn" --config bank/gunicorn_conf.py --bind "127.0.0.1:$PORT"
