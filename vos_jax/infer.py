"""Segments a benchmark or anybody's video with a trained or converted system."""

import argparse
import json
import logging
import sys
import textwrap
from pathlib import Path
from typing import Any

from vos_jax.core.commands import run_command
from vos_jax.core.compilation import enable_cache
from vos_jax.core.errors import ConfigError
from vos_jax.inference.benchmark_videos import PROMPTED, benchmark_videos
from vos_jax.inference.benchmarks import BenchmarkRun
from vos_jax.inference.loading import Loaded, load_system
from vos_jax.inference.own_videos import CODES, MASKS, OVERLAY, segment_video
from vos_jax.io.prompts import read_prompts
from vos_jax.io.videos import open_video

EXAMPLES = """
examples:
  a benchmark, results in W/results/davis_val/<sequence>/<frame>.png
    python -m vos_jax.infer --workdir W --dataset davis_val --data_root DAVIS \\
        --temporal_window 7 --min_image_dim 512
  your own video; first.png holds object ids (palette or grey) of the first frame
    python -m vos_jax.infer --workdir W --video clip.mp4 --masks first.png --output out
  a folder of frames, masks on any of them (called like their frame or its number)
    python -m vos_jax.infer --workdir W --video frames/ --masks masks/ --output out

Any further --NAME VALUE changes a setting of the system for this run, for instance
--temporal_window 7 of HODOR. The workdir is made by vos_jax.train or vos_jax.convert.
Scores: python -m vos_jax.evaluate --help
"""


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        prog="python -m vos_jax.infer",
        description=__doc__,
        epilog=textwrap.dedent(EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--workdir", required=True, help="folder with config.json and checkpoints")
    add("--step", type=int, help="checkpoint to take (default: the last)")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--dataset", choices=PROMPTED, help="a benchmark")
    what.add_argument("--video", help="a video file, a folder of frames or a glob")
    add("--data_root", help="the benchmark's official folder, or a prepared set (TFRecords)")
    add("--masks", help="of --video: PNG of the first frame, or folder of PNGs for any frames")
    add(
        "--output",
        help="folder for results (default: WORKDIR/results/DATASET, needed with --video)",
    )
    add("--no_overlay", action="store_true", help="of --video: write no overlay.mp4")
    add("--min_image_dim", type=int, help="short side of frames in the network, in pixels")
    add("--memory_frames", type=int, help="bounds a memory that grows with the video")
    add("--encode_batch", type=int, default=1, help="frames encoded at once (accelerators: 8)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = build_parser()
    flags, rest = parser.parse_known_args(argv)
    changes = _settings(rest)
    if flags.video is not None and (flags.masks is None or flags.output is None):
        raise ConfigError("--video needs --masks (where the objects are) and --output (a folder)")
    if flags.encode_batch < 1:
        raise ConfigError(f"--encode_batch {flags.encode_batch}: must be at least 1")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    enable_cache()
    loaded = load_system(flags.workdir, flags.step, changes, flags.min_image_dim)
    print(f"{loaded.facts['system']} of {flags.workdir}, step {loaded.facts['step']}")
    if flags.video is not None:
        _own_video(flags, loaded)
    else:
        _benchmark(flags, loaded)
    return 0


def _own_video(flags: argparse.Namespace, loaded: Loaded) -> None:
    video = open_video(flags.video)
    masks = read_prompts(flags.masks, video)
    output = Path(flags.output)
    timing = segment_video(
        loaded.system,
        loaded.params,
        video,
        masks,
        output,
        overlay=not flags.no_overlay,
        memory=flags.memory_frames,
        encode_batch=flags.encode_batch,
    )
    print(timing.line())
    made = [f"{MASKS}/", CODES] + ([] if flags.no_overlay else [OVERLAY])
    print("written:", *(str(output / name) for name in made))


def _benchmark(flags: argparse.Namespace, loaded: Loaded) -> None:
    videos = benchmark_videos(flags.dataset, flags.data_root)
    output = Path(flags.output or Path(flags.workdir) / "results" / flags.dataset)
    run = BenchmarkRun(
        loaded.system,
        loaded.params,
        output,
        made_by=loaded.facts | {"memory_frames": flags.memory_frames},
        dataset=flags.dataset,
        memory=flags.memory_frames,
        encode_batch=flags.encode_batch,
    )
    print(run.run(videos).line())
    print(f"written: {output}")


def _settings(rest: list[str]) -> dict[str, Any]:
    """Pairs of --name value, or --name=value, as settings; values are JSON or plain text."""
    changes, words = {}, list(rest)
    while words:
        flag, separator, value = words.pop(0).partition("=")
        if not flag.startswith("--") or (not separator and not words):
            raise ConfigError(f"unexpected argument {flag!r}; see --help")
        if not separator:
            value = words.pop(0)
        try:
            changes[flag[2:]] = json.loads(value)
        except ValueError:
            changes[flag[2:]] = value
    return changes


if __name__ == "__main__":
    sys.exit(run_command(main))
