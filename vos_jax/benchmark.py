"""Measures speed and memory, beside the original programs where their checkouts are at hand."""

import argparse
import sys

from vos_jax.core.commands import run_command, setting

EPILOG = """
Both programs run on one thread each, in turn, on the same random weights ("untrained": the masks
mean nothing) and the same frames. Processor time is reported, the median of the repeats; take
ratios, since absolute times depend on the machine and on what else it does.

examples:
  python -m vos_jax.benchmark --what inference --system hodor
  python -m vos_jax.benchmark --what inference --system hodor --official ~/HODOR \\
      --official_python ~/torch/bin/python
  python -m vos_jax.benchmark --what inference --system rde --objects 1 2 5 --frames 25 \\
      --official ~/RDE_VOS --official_python ~/torch/bin/python
  python -m vos_jax.benchmark --what read --system mask_propagation --memory_frames 20 \\
      --objects 1 --settings sigma=5.6 --official ~/Mask-Propagation \\
      --official_python ~/torch/bin/python
  python -m vos_jax.benchmark --what memory --size 120 216 --frames 1000 --objects 3
  python -m vos_jax.benchmark --what memory --system stcn --memory_frames 10 --size 120 216 \\
      --frames 2000 --objects 2 --settings memory_every=2
  python -m vos_jax.benchmark --what evaluation --official ~/vos-benchmark \\
      --data_root DAVIS --results results/davis_val
  python -m vos_jax.benchmark --what input --recipe hodor_stills --data_root prepared/coco \\
      --official ~/HODOR --official_python ~/torch/bin/python
  python -m vos_jax.benchmark --what training --minutes 15 --workdir runs/memory \\
      --data_root prepared/moving_objects --settings data.workers=2
"""


def main(argv: list[str] | None = None) -> None:
    """Runs one benchmark and prints its table."""
    arguments = _parser().parse_args(argv)
    BENCHMARKS[arguments.what](arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vos_jax.benchmark",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--what", choices=list(BENCHMARKS), default="inference")
    add("--official", metavar="FOLDER", help="checkout of the original program")
    add(
        "--official_python",
        default=sys.executable,
        metavar="FILE",
        help="a Python that has what the original needs (torch), default: this one",
    )
    add("--repeats", type=int, default=5, help="runs of each program")
    add(
        "--data_root",
        metavar="FOLDER",
        help="evaluation: DAVIS folder; input, training: a prepared set",
    )
    settings = "of the model (inference, memory, read) or of the configuration (training)"
    add("--settings", nargs="+", default=[], metavar="KEY=VALUE", help=settings)
    for add_group in (_add_inference, _add_evaluation, _add_input, _add_training):
        add_group(parser)
    return parser


def _add_inference(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("inference, memory, read").add_argument
    add("--system", default="hodor", help="name of the system")
    add("--size", type=int, nargs=2, default=(480, 854), help="height width")
    add("--objects", type=int, nargs="+", default=[1, 3, 5])
    add("--frames", type=int, default=10, help="of each video")
    frames = "memory: keep this many frames, not all; read: frames that are read (20)"
    add("--memory_frames", type=int, metavar="N", help=frames)


def _add_evaluation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("evaluation").add_argument
    add("--results", metavar="FOLDER", help="masks to score")
    add("--annotations", default="Annotations", help="its folder of masks")
    add("--processes", type=int, default=2)


def _add_input(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("input", "decoding and augmenting the clips of training")
    recipes = "hodor_stills (default), hodor_videos, aot_stills or aot_videos"
    group.add_argument("--recipe", default="hodor_stills", help=recipes)
    group.add_argument("--split", default="train", help="of the prepared set")
    group.add_argument("--clips", type=int, default=60, help="of each run")


def _add_training(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training", "memory of vos_jax.train and its workers")
    group.add_argument("--config", default="configs/quickstart.py", metavar="FILE")
    group.add_argument("--workdir", default="training_memory", metavar="FOLDER")
    group.add_argument("--minutes", type=float, default=15.0)


def _inference(arguments: argparse.Namespace) -> None:
    from vos_jax.benchmarking.inference import compare

    comparisons = compare(
        arguments.system,
        arguments.official,
        size=tuple(arguments.size),
        objects=tuple(arguments.objects),
        frames=arguments.frames,
        repeats=arguments.repeats,
        settings=dict(map(setting, arguments.settings)),
        official_python=arguments.official_python,
    )
    print(f"{arguments.system}, untrained, {arguments.size[0]}x{arguments.size[1]}, one thread")
    for comparison in comparisons:
        print("\n".join(comparison.lines()), flush=True)


def _read(arguments: argparse.Namespace) -> None:
    from vos_jax.benchmarking.read import compare_reads

    size, memory = tuple(arguments.size), arguments.memory_frames or 20
    for objects in arguments.objects:
        result = compare_reads(
            arguments.system,
            arguments.official,
            size=size,
            memory=memory,
            objects=objects,
            repeats=arguments.repeats,
            settings=dict(map(setting, arguments.settings)),
            official_python=arguments.official_python,
        )
        heading = f"{arguments.system}, {size[0]}x{size[1]}, {memory} frames, {objects} objects"
        print("\n".join([heading, *result.lines()]), flush=True)


def _memory(arguments: argparse.Namespace) -> None:
    from vos_jax.benchmarking.memory import measure_memory

    size = tuple(arguments.size)
    for objects in arguments.objects:
        curve = measure_memory(
            arguments.system,
            size=size,
            frames=arguments.frames,
            objects=objects,
            memory=arguments.memory_frames,
            settings=dict(map(setting, arguments.settings)),
        )
        print(f"{arguments.system}, untrained, {size[0]}x{size[1]}, {objects} objects")
        print("\n".join(curve.lines()), flush=True)


def _evaluation(arguments: argparse.Namespace) -> None:
    from vos_jax.benchmarking.evaluation import benchmark_evaluation

    result = benchmark_evaluation(
        arguments.official,
        arguments.data_root,
        arguments.results,
        repeats=arguments.repeats,
        processes=arguments.processes,
        annotations=arguments.annotations,
        official_python=arguments.official_python,
    )
    print("\n".join(result.lines()))


def _input(arguments: argparse.Namespace) -> None:
    from vos_jax.benchmarking.input import compare_input

    result = compare_input(
        arguments.recipe,
        arguments.data_root,
        arguments.official,
        split=arguments.split,
        clips=arguments.clips,
        repeats=arguments.repeats,
        official_python=arguments.official_python,
    )
    print(f"{arguments.recipe}, {arguments.data_root} ({arguments.split}), one thread")
    print("\n".join(result.lines()))


def _training(arguments: argparse.Namespace) -> None:
    from vos_jax.benchmarking.training_memory import measure_training_memory

    settings = [f"steps={10**9}", f"data.root={arguments.data_root}", *arguments.settings]
    options = ["--config", arguments.config, "--workdir", str(arguments.workdir)]
    options += [f"--config.{each}" for each in settings]
    found = measure_training_memory(options, arguments.minutes)
    print("megabytes (proportional set size), and the slope after minute 3")
    print("\n".join(found.lines()))


BENCHMARKS = {
    "inference": _inference,
    "read": _read,
    "memory": _memory,
    "evaluation": _evaluation,
    "input": _input,
    "training": _training,
}

if __name__ == "__main__":
    sys.exit(run_command(main))
