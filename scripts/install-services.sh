#!/usr/bin/env bash
# Finds the services that the tests talk to, and installs the missing ones from Debian's packages where that is allowed.
# Nothing is left running: the tests start their own, each on its own port. Exit code 0 in any case; tests say what they miss.
set -euo pipefail
PATH=$PATH:/usr/sbin:/usr/local/sbin

declare -A package=([mosquitto]=mosquitto [influxd]=influxdb [victoria-metrics]=victoria-metrics [systemd-analyze]=systemd
  [prometheus-alertmanager]=prometheus-alertmanager [faketime]=faketime)
missing=()
for program in mosquitto influxd victoria-metrics systemd-analyze prometheus-alertmanager faketime; do
  command -v "$program" >/dev/null || missing+=("$program")
done
[ ${#missing[@]} -eq 0 ] && exit 0

explain() {
  for program in "${missing[@]}"; do
    command -v "$program" >/dev/null && continue
    echo ">>> $program is missing: the tests that need it are skipped." >&2
    case "$(uname)" in
      Darwin) [ "$program" = systemd-analyze ] || echo "    brew install ${package[$program]/influxdb/influxdb@1}" | sed 's/victoria-metrics/victoriametrics/; s/prometheus-alertmanager/alertmanager/; s/faketime/libfaketime/' >&2 ;;
      *) echo "    apt-get install ${package[$program]}" >&2 ;;
    esac
  done
  exit 0
}

command -v apt-get >/dev/null || explain
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || explain
  as_root=(sudo -n)
fi

# Debian starts a daemon when it installs one, unless this file forbids it.
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$guard" >/dev/null
  "${as_root[@]}" chmod 755 "$guard"
  trap '"${as_root[@]}" rm -f "$guard"' EXIT
fi

echo "installing: ${missing[*]}"
"${as_root[@]}" apt-get update -qq || true
for program in "${missing[@]}"; do
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${package[$program]}" \
    >/dev/null || echo "could not install ${package[$program]}" >&2
done
explain
