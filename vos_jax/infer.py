"""Segments a benchmark or anybody's video with a trained or converted system."""

import argparse
import functools
import json
import logging
import sys
import textwrap
from pathlib import Path
from typing import Any

from vos_jax.core.classes import YOUTUBE_VIS_2019, YOUTUBE_VIS_2021
from vos_jax.core.commands import run_command
from vos_jax.core.compilation import enable_cache
from vos_jax.core.errors import ConfigError
from vos_jax.inference.augmentation import View, scaled_views
from vos_jax.inference.benchmark_videos import (
    BenchmarkVideo,
    benchmark_videos,
    listed_only,
    named_only,
)
from vos_jax.inference.benchmarks import BenchmarkRun
from vos_jax.inference.instance_runs import RESULTS, InstanceRun, find_in_video
from vos_jax.inference.loading import Loaded, load_system
from vos_jax.inference.own_videos import CODES, MASKS, OVERLAY, segment_video
from vos_jax.inference.session import check_memory
from vos_jax.inference.upload import write_upload
from vos_jax.io.named_sets import NAMED_SETS, named_set
from vos_jax.io.prompts import read_prompts
from vos_jax.io.videos import open_video

EXAMPLES = """
examples:
  a benchmark, results in W/results/davis_val/<sequence>/<frame>.png
    python -m vos_jax.infer --workdir W --dataset davis_val --data_root DAVIS \\
        --temporal_window 7 --min_image_dim 512
  an upload for the YouTube-VOS server, W/results/youtube_vos.zip
    python -m vos_jax.infer --workdir W --dataset youtube_vos --data_root YouTubeVOS \\
        --all_frames --required_only --zip
  the mean of two sizes and their mirror images (aot)
    python -m vos_jax.infer --workdir W --dataset davis_val --scales 1.0,1.3 --flip
  your own video; first.png holds object ids (palette or grey) of the first frame
    python -m vos_jax.infer --workdir W --video clip.mp4 --masks first.png --output out
  a folder of frames, masks on any of them (called like their frame or its number)
    python -m vos_jax.infer --workdir W --video frames/ --masks masks/ --output out
  stem_seg and vishv find the objects themselves; an upload for the YouTube-VIS server
    python -m vos_jax.infer --workdir W --video clip.mp4 --output out
    python -m vos_jax.infer --workdir W --dataset ytvis21_val --data_root YouTubeVIS2021 \\
        --save_vis --max_tracks 10 --min_seediness 0.8

Any further --NAME VALUE changes a setting of the system for this run, for instance
--temporal_window 7 of HODOR, --sigma 5.6 (kernelised reads) of Mask-Propagation, or
--memory_every 4 --top_k 20 of RDE. The workdir is made by vos_jax.train or vos_jax.convert.
Scores: python -m vos_jax.evaluate --help
"""


CLASS_NAMES = {"ytvis19_val": YOUTUBE_VIS_2019, "ytvis21_val": YOUTUBE_VIS_2021}
OF_DATASET = ("all_frames", "required_only", "zip", "save_vis", "seqs")


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
    what.add_argument(
        "--dataset",
        choices=NAMED_SETS,
        metavar="NAME",
        help="a benchmark; where masks are given, its videos begin with the first: "
        + ", ".join(NAMED_SETS),
    )
    what.add_argument("--video", help="a video file, a folder of frames or a glob")
    add("--data_root", help="the benchmark's official folder, or a prepared set (TFRecords)")
    add(
        "--masks",
        help="of --video: PNG of the first frame, or folder of PNGs for any frames; none for "
        "systems that find objects themselves",
    )
    add(
        "--output",
        help="folder for results (default: WORKDIR/results/DATASET, needed with --video)",
    )
    add("--no_overlay", action="store_true", help="of --video: write no overlay.mp4")
    add("--min_image_dim", type=int, help="short side of frames in the network, in pixels")
    _add_prompted_flags(parser)
    _add_benchmark_flags(parser)
    return parser


def _add_prompted_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("of systems that take masks").add_argument
    add(
        "--memory_frames",
        type=int,
        help="bounds a memory that grows with the video, for long ones: a video's first frame and "
        "those with masks stay, then the oldest leaves (default: all are kept; at most 100 where "
        "the video's length is unknown)",
    )
    add(
        "--scales",
        default="1.0",
        help="test-time augmentation: sizes of the views that are averaged, such as 1.0,1.3 (aot)",
    )
    add("--flip", action="store_true", help="and the mirror image of every view")
    add("--encode_batch", type=int, default=1, help="frames encoded at once (accelerators: 8)")


def _add_benchmark_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("of --dataset")
    add = functools.partial(group.add_argument, action="store_true")
    add("--all_frames", help="YouTube-VOS: use its all_frames release")
    add(
        "--required_only",
        help="YouTube-VOS: results of the frames in meta.json alone; systems that can (rde, stcn) "
        "skip others",
    )
    add(
        "--zip",
        help="also write OUTPUT.zip for the benchmark's server; with --all_frames, every "
        "frame in OUTPUT_dense.zip too",
    )
    add(
        "--save_vis",
        help="of systems that find objects themselves: overlays with boxes and classes in "
        "OUTPUT/vis",
    )
    group.add_argument("--seqs", nargs="+", metavar="NAME", help="these videos only")
    group.add_argument(
        "--resolution",
        default="480p",
        help="DAVIS: folder of the frames, 480p or Full-Resolution (aot: with --output_height 480)",
    )


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = build_parser()
    flags, rest = parser.parse_known_args(argv)
    changes = _settings(rest)
    _check(flags)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    enable_cache()
    loaded = load_system(flags.workdir, flags.step, changes, flags.min_image_dim)
    (_check_prompted if loaded.system.spec.prompted else _check_promptless)(flags)
    if flags.memory_frames is not None:
        check_memory(loaded.system, flags.memory_frames)
    print(f"{loaded.facts['system']} of {flags.workdir}, step {loaded.facts['step']}")
    if flags.memory_frames is not None:
        print(f"memory bounded to {flags.memory_frames} frames of each video")
    if not loaded.system.spec.prompted:
        _find_instances(flags, loaded)
        return 0
    views = _views(flags, loaded)
    if flags.video is not None:
        _own_video(flags, loaded, views)
    else:
        _benchmark(flags, loaded, views)
    return 0


def _check(flags: argparse.Namespace) -> None:
    if flags.video is not None and flags.output is None:
        raise ConfigError("--video needs --output (a folder)")
    if flags.video is not None and any(getattr(flags, name) for name in OF_DATASET):
        raise ConfigError(f"--{', --'.join(OF_DATASET)} are for --dataset")
    if flags.encode_batch < 1:
        raise ConfigError(f"--encode_batch {flags.encode_batch}: must be at least 1")


def _check_prompted(flags: argparse.Namespace) -> None:
    if flags.video is not None and flags.masks is None:
        raise ConfigError("--video needs --masks (where the objects are) with this system")
    if flags.save_vis:
        raise ConfigError("--save_vis is for systems that find objects themselves")


def _check_promptless(flags: argparse.Namespace) -> None:
    usual = {"masks": None, "memory_frames": None, "scales": "1.0", "flip": False}
    usual |= {"encode_batch": 1, "all_frames": False, "required_only": False}
    named = [f"--{name}" for name, value in usual.items() if getattr(flags, name) != value]
    if named:
        raise ConfigError(
            f"{', '.join(named)}: not with this system, which finds objects itself in clips"
        )


def _views(flags: argparse.Namespace, loaded: Loaded) -> tuple[View, ...]:
    """The views of test-time augmentation; none for a video that is looked at once."""
    try:
        scales = tuple(float(scale) for scale in flags.scales.split(","))
    except ValueError:
        raise ConfigError(f"--scales {flags.scales}: write numbers as 1.0,1.3") from None
    if scales == (1.0,) and not flags.flip:
        return ()
    if flags.encode_batch > 1:
        raise ConfigError("--encode_batch is for a video looked at once, without --scales, --flip")
    return scaled_views(loaded.system, scales, flags.flip)


def _own_video(flags: argparse.Namespace, loaded: Loaded, views: tuple[View, ...]) -> None:
    if getattr(loaded.system, "output_height", 0):
        raise ConfigError(
            "--output_height is for benchmarks: masks of your own video fit its frames"
        )
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
        views=views,
    )
    print(timing.line())
    made = [f"{MASKS}/", CODES] + ([] if flags.no_overlay else [OVERLAY])
    print("written:", *(str(output / name) for name in made))


def _videos(flags: argparse.Namespace, prompted: bool) -> list[BenchmarkVideo]:
    videos = benchmark_videos(
        flags.dataset,
        flags.data_root,
        resolution=flags.resolution,
        all_frames=flags.all_frames,
        prompted=prompted,
    )
    return named_only(videos, flags.seqs) if flags.seqs else videos


def _benchmark(flags: argparse.Namespace, loaded: Loaded, views: tuple[View, ...]) -> None:
    videos = _videos(flags, prompted=True)
    if flags.required_only:
        videos = listed_only(videos)
    output = Path(flags.output or Path(flags.workdir) / "results" / flags.dataset)
    run = BenchmarkRun(
        loaded.system,
        loaded.params,
        output,
        made_by=loaded.facts
        | {"memory_frames": flags.memory_frames}
        | {name: True for name in ("all_frames", "required_only", "flip") if getattr(flags, name)}
        | {
            name: getattr(flags, name)
            for name, usual in (("scales", "1.0"), ("resolution", "480p"))
            if getattr(flags, name) != usual
        },
        dataset=flags.dataset,
        memory=flags.memory_frames,
        encode_batch=flags.encode_batch,
        views=views,
    )
    print(run.run(videos).line())
    print(f"written: {output}")
    if flags.zip:
        print(f"to upload: {write_upload(output, videos, flags.dataset)}")
    if flags.zip and flags.all_frames and not flags.required_only:
        print(f"all frames: {write_upload(output, videos, flags.dataset, dense=True)}")


def _find_instances(flags: argparse.Namespace, loaded: Loaded) -> None:
    class_names = loaded.class_names or CLASS_NAMES.get(flags.dataset, ())
    if flags.video is not None:
        output = Path(flags.output)
        timing, captions = find_in_video(
            loaded.system,
            loaded.params,
            open_video(flags.video),
            output,
            class_names=class_names,
            overlay=not flags.no_overlay,
        )
        print(f"{timing.line()}\n{len(captions)} instances: {', '.join(captions)}")
        made = [f"{MASKS}/", RESULTS] + ([] if flags.no_overlay else [OVERLAY])
        print("written:", *(str(output / name) for name in made))
        return
    videos = _videos(flags, prompted=False)
    output = Path(flags.output or Path(flags.workdir) / "results" / flags.dataset)
    run = InstanceRun(
        loaded.system,
        loaded.params,
        output,
        made_by=loaded.facts | {"resolution": flags.resolution},
        dataset=flags.dataset,
        class_names=class_names,
        save_vis=flags.save_vis,
    )
    print(run.run(videos).line())
    print(f"written: {output}")
    if flags.zip and named_set(flags.dataset).layout != "youtube_vis":
        print(f"to upload: {write_upload(output, videos, flags.dataset)}")


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
