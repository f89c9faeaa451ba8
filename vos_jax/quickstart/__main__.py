"""Command: makes a data set, trains on it, segments, scores, and shows it all on one page."""

import argparse
import sys
from pathlib import Path

from vos_jax.core.commands import run_command
from vos_jax.core.errors import ConfigError
from vos_jax.quickstart.clips import copy_first_masks, held_out, read_clip
from vos_jax.quickstart.journal import Journal, total_seconds
from vos_jax.quickstart.page import write_page
from vos_jax.quickstart.pictures import read_metrics, sheet, write_curve, write_video
from vos_jax.quickstart.scores import machine, read_scores

DESCRIPTION = """\
Makes a small data set of moving objects over photographs on the spot, trains a small HODOR on
it for a few minutes, segments held-out videos, scores them beside copying the first mask, and
writes masks, an overlay video, a training curve and REPORT, all into one folder. Running the
same command again goes on where it stopped."""

REPORT = "report.html"
SHOWN = 6


def main(argv: list[str] | None = None) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        prog="scripts/quickstart", description=DESCRIPTION.replace("REPORT", REPORT)
    )
    parser.add_argument("--output", type=Path, default=Path("quickstart_output"))
    parser.add_argument("--seed", type=int, default=0, help="of data, weights and training")
    parser.add_argument("--steps", type=int, default=500, help="updates (default: %(default)s)")
    parser.add_argument("--videos", type=int, default=200, help="to train on (%(default)s)")
    parser.add_argument("--held_out", type=int, default=20, help="to score (%(default)s)")
    parser.add_argument("--setup_seconds", type=float, default=0, help=argparse.SUPPRESS)
    arguments = vars(parser.parse_args(argv))
    output, setup_seconds = arguments.pop("output").resolve(), arguments.pop("setup_seconds")
    if min(arguments["steps"], arguments["videos"], arguments["held_out"]) < 1:
        raise ConfigError("--steps, --videos and --held_out must be 1 or more")
    journal = Journal(output, arguments)
    if not journal.steps:
        journal.note("set up the environment", setup_seconds, "scripts/setup")
    run_steps(journal)
    show(journal)
    return 0


def run_steps(journal: Journal) -> None:
    """From nothing to scored masks.

    Raises:
        VosError: a command failed.
    """
    output, settings = journal.output, journal.settings
    records, davis, workdir = (output / name for name in ("records", "davis", "workdir"))
    generate = ("data_prep.moving_objects", "--output", records, "--seed", settings["seed"])
    journal.run(
        "make training videos", *generate, "--split", "train", "--videos", settings["videos"]
    )
    journal.run(
        "make held-out videos",
        *(*generate, "--split", "val", "--videos", settings["held_out"]),
        *("--davis_layout", davis),
    )
    journal.run(
        "train",
        *("vos_jax.train", "--config", "configs/quickstart.py", "--workdir", workdir),
        f"--config.data.root={records}",
        f"--config.seed={settings['seed']}",
        f"--config.steps={settings['steps']}",
        f"--config.schedule.length={max(settings['steps'], 51)}",
    )
    there = ("--dataset", "davis_val", "--data_root", davis)
    results, copied = output / "results", output / "copied"
    journal.run(
        "segment held-out videos",
        *("vos_jax.infer", "--workdir", workdir, *there, "--output", results),
    )
    journal.do("copy first masks", lambda: copy_first_masks(davis, copied))
    journal.run("score the trained model", "vos_jax.evaluate", *there, "--results", results)
    journal.run("score the copies", "vos_jax.evaluate", *there, "--results", copied)


def show(journal: Journal) -> None:
    """Draws the pictures, writes the page and prints the outcome."""
    output = journal.output
    folders = {"copied": output / "copied", "trained": output / "results"}
    copied, trained = (read_scores(folder) for folder in folders.values())
    clips = [read_clip(video, folders) for video in held_out(output / "davis")[:SHOWN]]
    write_video(output / "overlay.mp4", clips)
    write_curve(output / "training_curve.png", read_metrics(output / "workdir"))
    write_page(
        output / REPORT,
        settings=journal.settings,
        copied=copied,
        trained=trained,
        sheets={f"{clip.name}, first to last frame": sheet(clip) for clip in clips},
        video=output / "overlay.mp4",
        curve=output / "training_curve.png",
        steps=journal.steps,
        machine=machine(),
    )
    print(f"\nJ&F of copying the first mask: {copied.overall['J&F']:.1f}")
    print(f"J&F of the trained model:      {trained.overall['J&F']:.1f}")
    print(f"all steps: {total_seconds(journal.steps) / 60:.1f} minutes")
    print(f"report: {output / REPORT}")


if __name__ == "__main__":
    sys.exit(run_command(main))
