#!/bin/bash
# Trains on the digits from start to end: daemon, upload, job, prediction. Called by `./dev demo` with the build folder.
set -euo pipefail

build=$(readlink -f "${1:?usage: demo.sh BUILD-FOLDER}")
root=$(dirname "$(dirname "$(readlink -f "$0")")")
millrace=$build/client/millrace
folder=$(mktemp -d "${TMPDIR:-/tmp}/millrace-demo.XXXXXX")
daemon=

finish() {
    local status=$?
    trap - EXIT INT TERM
    if [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null; then
        "$millrace" shutdown --quiet 2>/dev/null || kill -TERM "$daemon" 2>/dev/null || true
        wait "$daemon" || true
    fi
    if [ "$status" -ne 0 ] && [ -f "$folder/log" ]; then
        echo "demo: failed with status $status; the daemon's last lines:" >&2
        tail -n 15 "$folder/log" >&2
    fi
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT INT TERM

say() {
    printf '\n\033[1m%s\033[0m\n' "$*" | if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi
}

start=$(date +%s)
mkdir -m 700 "$folder/run" "$folder/state"
export MILLRACE_SOCKET=$folder/run
"$build/daemon/millraced" --run-dir="$folder/run" --state-dir="$folder/state" 2>"$folder/log" &
daemon=$!
for _ in $(seq 200); do
    [ -S "$folder/run/control.sock" ] && break
    kill -0 "$daemon" 2>/dev/null || exit 1
    sleep 0.05
done

say "\$ millrace status"
"$millrace" status
say "\$ millrace dataset put digits examples/digits"
"$millrace" dataset put digits "$root/examples/digits"
say "\$ millrace summary examples/digits.yaml"
"$millrace" summary "$root/examples/digits.yaml"
say "\$ millrace run examples/digits.yaml"
"$millrace" run "$root/examples/digits.yaml"
say "\$ millrace predict digits --rows=0,250,700,1100,1999"
"$millrace" predict digits --rows=0,250,700,1100,1999

# The run-time folder goes; the model stays.
mkdir -p "$build/demo"
"$millrace" show digits --json >"$build/demo/job.json"
read -r model accuracy url < <(python3 - "$build/demo/job.json" <(exec "$millrace" status --json) <<'END'
import json
import sys

job = json.load(open(sys.argv[1], encoding="utf-8"))
status = json.load(open(sys.argv[2], encoding="utf-8"))
metrics = job["history"][-1]["metrics"]
print(job["model"], "%.4f" % metrics["val_accuracy"], status.get("status_url") or "-")
END
)
cp "$model" "$build/demo/digits.keras"
say "Done in $(($(date +%s) - start)) s"
echo "validation accuracy  $accuracy on 2,000 digits"
echo "model                $build/demo/digits.keras"
echo "status endpoint      $url (while the daemon ran)"
