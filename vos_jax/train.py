"""Command that trains a system: `python -m vos_jax.train --config FILE --workdir FOLDER`."""

import argparse
import sys

from vos_jax.core.commands import run_command
from vos_jax.training.configuration import load_settings
from vos_jax.training.loop import train
from vos_jax.training.processes import EXIT_LOST, run_joined
from vos_jax.training.stopping import EXIT_STOPPED

DESCRIPTION = """\
Train a system, from scratch or from given weights. Running the same command again
resumes from the last checkpoint of the workdir."""

EPILOG = f"""\
settings:
  --config.KEY=VALUE overrides any key of vos_jax/training/settings.py; for instance
    --config.data.root=prepared/coco     the set to train on (python -m data_prep.coco)
    --config.init_from=''                start from scratch; or a workdir to start from, or
                                         several, separated by commas
    --config.steps=200 --config.batch=4  shorter, smaller
    --config.model.dtype=bfloat16        compute in bfloat16 (parameters stay float32)
    --config.mesh.model=4                split large parameters, their moments and average over
                                         groups of 4 devices (all devices share the batch)
    "--config.data.canvases=((128,160),)"  size of the batches
  Unknown keys and values of the wrong type are errors.

workdir:
  config.json, checkpoints/, parameters.txt, metrics.jsonl, tensorboard/
  A workdir keeps its settings; only steps, log, checkpoints, mesh, data.root,
  data.workers and data.max_failed may differ when it is resumed.

exit code:
  0 done, 2 error (one line says which), {EXIT_STOPPED} saved and stopped by
  SIGTERM or Ctrl-C: run the same command again. With --distributed, a signal to one process
  stops all of them; {EXIT_LOST} (or 134, from JAX): another process ended without a word, run all
  of them again.

when something breaks:
  A record that cannot be read is named, counted (scalar `unreadable`) and replaced by the next;
  above the fraction config.data.max_failed of such records training ends (0: at the first). Data
  workers that die are replaced. A full disk, data that vanished or changed, or a loss that is no
  number end the command with code 2. The last complete checkpoint stays in all cases, and after
  a kill at any moment: the same command goes on from it.

several processes:
  Start the same command with --distributed on every host; scripts/launch_tpu_pod.sh,
  scripts/launch_slurm.sh and scripts/jobset_*.yaml do. config.batch counts the clips of all
  processes, and the clips of update n do not depend on their number; a run may go on with
  another number of processes and devices, and with another config.mesh.

example:
  python -m vos_jax.train --config configs/hodor_static.py --workdir runs/hodor \\
      --config.data.root=prepared/coco
"""


def main(argv: list[str] | None = None) -> int:
    """Parses the command line and trains."""
    arguments, overrides = parse(argv)

    def command() -> int:
        return train(load_settings(arguments.config, overrides), arguments.workdir)

    return run_joined(command, arguments.heartbeat) if arguments.distributed else command()


def parse(argv: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """The arguments of the command, and the overrides of the config as they were given."""
    parser = argparse.ArgumentParser(
        prog="python -m vos_jax.train",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="one of configs/")
    parser.add_argument("--workdir", required=True, metavar="FOLDER", help="made if needed")
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="one of several processes: call jax.distributed.initialize() first (TPU pods, Slurm "
        "and Kubernetes are recognised; elsewhere set JAX_COORDINATOR_ADDRESS, "
        "JAX_NUM_PROCESSES and JAX_PROCESS_ID)",
    )
    parser.add_argument(
        "--heartbeat",
        type=int,
        default=100,
        metavar="SECONDS",
        help="with --distributed: a process silent for so long counts as dead, and the others end "
        "(default: %(default)s)",
    )
    return parser.parse_known_args(argv)


if __name__ == "__main__":
    sys.exit(run_command(main))
