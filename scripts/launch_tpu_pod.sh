#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'END'
Train on a slice of Cloud TPU VMs, from any machine with gcloud: creates the slice or takes the one
of that name, installs this checkout on every worker, starts the same command on all of them,
shows the log of worker 0, and begins anew after a preemption until training is done.

  scripts/launch_tpu_pod.sh --name NAME --zone ZONE [OPTIONS] -- ARGUMENTS OF vos_jax.train

  scripts/launch_tpu_pod.sh --name hodor --zone us-west4-a --type v5litepod-16 \
      --runtime v2-alpha-tpuv5-lite --spot \
      --prepare 'mountpoint -q /mnt || sudo mount 10.0.0.2:/share /mnt' -- \
      --config configs/hodor_static.py --workdir /mnt/runs/hodor \
      --config.data.root=/mnt/prepared/coco

options:
  --name NAME         of the slice, and of the queued resource that creates it
  --zone ZONE         of both
  --project PROJECT   default: that of gcloud's configuration
  --type TYPE         accelerator type, needed where there is no slice yet
  --runtime VERSION   software of the TPU VM that goes with it
  --spot              a slice that may be preempted
  --prepare COMMAND   run in the checkout on every worker before each start, for instance to
                      mount storage; a failure ends the start
  --restarts N        give up after so many new starts (default 100)
  --stop              save and end the run on the slice, start nothing
  --delete            delete the slice and its queued resource
  --dry-run           print the commands for a new slice, run none

Before: `gcloud auth login`, and `ssh-add ~/.ssh/google_compute_engine`, without which gcloud cannot
reach several workers. Prepared data, --workdir and --config.init_from must be on storage that all
workers see as a folder (Filestore over NFS, for instance). On the workers, the checkout is
~/vos_jax; ~/vos_jax_run holds log, process number and exit code of the run, which goes on when this
script or its connection ends: the same command follows it again.

How it ends:
  0 training is done; 1 or 2 it met an error that would come again, see the log. All else
  (75 saved after SIGTERM, a worker that is gone, a slice that is preempted) leads to a new start
  from the last checkpoint. A slice in state PREEMPTED or TERMINATED and a queued resource in state
  SUSPENDED or FAILED are deleted and created again.
END
}

die() {
    echo "error: $*" >&2
    exit 2
}

note() { echo "launch: $*" >&2; }

name="" zone="" project="" type="" runtime="" spot="" prepare="" restarts=100 dry_run="" verb=train
while [ $# -gt 0 ]; do
    case "$1" in
        --help) usage && exit 0 ;;
        --name | --zone | --project | --type | --runtime | --prepare | --restarts)
            [ $# -ge 2 ] || die "$1 needs a value"
            printf -v "${1#--}" '%s' "$2"
            shift
            ;;
        --spot) spot=--spot ;;
        --stop | --delete) verb="${1#--}" ;;
        --dry-run) dry_run=1 ;;
        --) shift && break ;;
        *) die "unknown option $1; see $0 --help" ;;
    esac
    shift
done
[ -n "$name" ] && [ -n "$zone" ] || die "--name and --zone are needed; see $0 --help"
[ "$verb" != train ] || [ $# -gt 0 ] || die "no arguments for vos_jax.train behind --"

place=(--zone="$zone" ${project:+"--project=$project"})
pause=${LAUNCH_PAUSE_S:-30}
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

exec 3>&1

tpu() {
    set -- gcloud compute tpus "$@" "${place[@]}"
    if [ -n "$dry_run" ]; then
        { printf '%q ' "$@" && echo; } >&3
    else
        "$@"
    fi
}

on_workers() { tpu tpu-vm ssh "$name" --worker="$1" --command="$2"; }

# States of the slice and of its queued resource; empty where there is none.
slice_state() { tpu tpu-vm describe "$name" --format="value(state)" 2>/dev/null || true; }
queue_state() {
    tpu queued-resources describe "$name" --format="value(state.state)" 2>/dev/null || true
}

create() {
    [ -n "$type" ] && [ -n "$runtime" ] || die "there is no slice $name: --type and --runtime are needed"
    note "asking for a slice $name of type $type"
    tpu queued-resources create "$name" --node-id="$name" --accelerator-type="$type" \
        --runtime-version="$runtime" ${spot:+"$spot"}
}

remove() {
    if [ -n "$(queue_state)" ] || [ -n "$dry_run" ]; then
        tpu queued-resources delete "$name" --force --quiet
    else
        tpu tpu-vm delete "$name" --quiet
    fi
}

# Returns when the slice is there; deletes one that cannot come back, creates one where needed.
have_slice() {
    local slice queue said=""
    while :; do
        slice="$(slice_state)" queue="$(queue_state)"
        [ "$slice,$queue" = "$said" ] || note "slice: ${slice:-none}, queued resource: ${queue:-none}"
        said="$slice,$queue"
        case "$slice,$queue" in
            READY,*) return ;;
            PREEMPTED,* | TERMINATED,* | *,SUSPENDED | *,FAILED) remove ;;
            STOPPED,*) die "slice $name is stopped: start it, or delete it with --delete" ;;
            ,) create ;;
        esac
        [ -z "$dry_run" ] || return 0
        sleep "$pause"
    done
}

# The files of the checkout that git does not ignore, as they are now.
files() {
    local file
    git -C "$root" ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do
            if [ -e "$root/$file" ]; then printf '%s\0' "$file"; fi
        done
}

# What a worker runs to start training, unless it trains: gcloud repeats a command whose connection
# broke. The run outlives the connection; a shell waits for it to write down its exit code.
start_script() {
    local training
    printf -v training '%q ' .venv/bin/python -u -m vos_jax.train --distributed "$@"
    cat <<END
cd ~/vos_jax
run=~/vos_jax_run
if [ "\${1:-}" = run ]; then
    trap : TERM
    code=0
    $training || code=\$?
    echo "\$code" >"\$run/exit_code"
elif ! kill -0 "\$(cat "\$run/pid" 2>/dev/null)" 2>/dev/null; then
    set -e
    ${prepare:-:}
    rm -f "\$run/exit_code"
    nohup setsid bash ~/vos_jax_start run >>"\$run/log" 2>&1 </dev/null &
    echo "\$!" >"\$run/pid"
fi
END
}

ON_INSTALL='set -e
mkdir -p ~/vos_jax ~/vos_jax_run
tar -xzf ~/vos_jax.tar.gz -C ~/vos_jax
python3 -c "import sys; sys.exit(sys.version_info < (3, 11))" || command -v python3.11 >/dev/null ||
    { sudo apt-get update -qq && sudo apt-get install -y -qq python3.11-venv; }
EXTRAS=tpu ~/vos_jax/scripts/setup'
ON_START='bash ~/vos_jax_start'
ON_FOLLOW='tail -n 20 -F --pid="$(cat ~/vos_jax_run/pid)" ~/vos_jax_run/log'
ON_STOP='pkill -TERM -P "$(cat ~/vos_jax_run/pid)" || echo "nothing runs here"'
ON_STATE='if kill -0 "$(cat ~/vos_jax_run/pid)"; then echo code=running
else echo "code=$(cat ~/vos_jax_run/exit_code || echo none)"; fi'

# Copies and installs the checkout, then starts training, on every worker; fails where it cannot.
start() {
    local folder done=1
    folder="$(mktemp -d)"
    [ -n "$dry_run" ] || files | tar -C "$root" --null -czf "$folder/vos_jax.tar.gz" -T -
    start_script "$@" >"$folder/vos_jax_start"
    note "installing the checkout on every worker"
    tpu tpu-vm scp "$folder/vos_jax.tar.gz" "$folder/vos_jax_start" "$name:" --worker=all &&
        on_workers all "$ON_INSTALL" && on_workers all "$ON_START" && done=0
    rm -r "$folder"
    return "$done"
}

# How the run stands: the exit code of all workers, an error's where there is one, else "running"
# where one still does, else the codes of all.
run_state() {
    local codes
    codes="$(on_workers all "$ON_STATE" 2>/dev/null | sed -n 's/^code=//p' | sort -u)"
    case $'\n'"$codes"$'\n' in
        *$'\n2\n'*) echo 2 ;;
        *$'\n1\n'*) echo 1 ;;
        *$'\nrunning\n'*) echo running ;;
        *) echo "${codes//$'\n'/ }" ;;
    esac
}

train() {
    local state starts
    for ((starts = 0; starts <= restarts; starts++)); do
        have_slice
        state="$(run_state)"
        if [ "$state" = running ]; then
            note "a run is under way"
        elif start "$@"; then
            state=running
        else
            state="not started on all workers"
        fi
        while [ "$state" = running ]; do
            on_workers 0 "$ON_FOLLOW" || true
            state="$(run_state)"
            [ -z "$dry_run" ] || return 0
            [ "$state" != running ] || sleep "$pause"
        done
        case "$state" in
            0) note "training is done" && return 0 ;;
            1 | 2) note "training met an error, code $state" && return "$state" ;;
        esac
        note "the run ended (${state:-no worker answers}); starting it again"
        sleep "$pause"
    done
    note "given up after $restarts new starts"
    return 75
}

case "$verb" in
    train) train "$@" ;;
    stop) on_workers all "$ON_STOP" ;;
    delete) remove ;;
esac
