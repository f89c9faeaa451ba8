#!/usr/bin/env bash
#SBATCH --job-name=vos_jax
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120

set -euo pipefail

usage() {
    cat <<'END'
Train on a Slurm cluster: submits itself as a batch job that starts the training command once
per task, and puts the job back into the queue until training is done.

  scripts/launch_slurm.sh [--dry-run] [OPTIONS OF sbatch] -- ARGUMENTS OF vos_jax.train

  scripts/launch_slurm.sh --nodes=4 --ntasks-per-node=8 --gpus-per-node=8 --cpus-per-task=8 \
      --time=24:00:00 -- --config configs/hodor_static.py --workdir /shared/runs/hodor \
      --config.data.root=/shared/prepared/coco

One task for every GPU (JAX gives each task of Slurm one device), or one for every node of a
cluster without GPUs. The checkout with its .venv (scripts/setup), the prepared data and --workdir
must be folders that all nodes see; relative paths start at the checkout. --config.batch counts the
clips of all tasks together, so that a job on other nodes goes on with the same updates.

How it ends:
  Two minutes before the time limit, and when a job is preempted, Slurm sends SIGTERM to the tasks.
  They save, exit with code 75, and the job is requeued under the same number; it goes on from
  that checkpoint. Slurm requeues a job whose node fails by itself. Any other code ends the job:
  2 is an error that would come again, 76 or 134 a task that ended without a word. The log is
  slurm-JOB.out in the checkout. `scancel --signal=TERM JOB` also saves and requeues; a plain
  `scancel JOB` ends it.

--dry-run prints the command and submits nothing.
END
}

# Inside the job; Slurm's environment tells the tasks of each other.
run_job() {
    local code=0
    srun --kill-on-bad-exit=0 .venv/bin/python -u -m vos_jax.train --distributed "$@" || code=$?
    if [ "$code" -eq 75 ]; then
        echo "saved and stopped: job $SLURM_JOB_ID goes back into the queue"
        scontrol requeue "$SLURM_JOB_ID"
    fi
    exit "$code"
}

submit() {
    local options=() dry_run=0 root
    root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    while [ $# -gt 0 ] && [ "$1" != "--" ]; do
        case "$1" in
            --help) usage && exit 0 ;;
            --dry-run) dry_run=1 ;;
            *) options+=("$1") ;;
        esac
        shift
    done
    if [ $# -lt 2 ]; then
        echo "error: no arguments for vos_jax.train behind --; see $0 --help" >&2
        exit 2
    fi
    shift
    set -- sbatch --chdir="$root" ${options[@]+"${options[@]}"} "$root/scripts/launch_slurm.sh" \
        --in-job "$@"
    if [ "$dry_run" -eq 1 ]; then
        printf '%q ' "$@" && echo
    else
        exec "$@"
    fi
}

if [ "${1:-}" = "--in-job" ]; then
    shift
    run_job "$@"
else
    submit "$@"
fi
