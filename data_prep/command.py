"""The flags that every data_prep command shares, and what it does with them."""

import argparse
import os

from data_prep.write import LOCAL, SplitPlan, write_split


def add_writing_flags(parser: argparse.ArgumentParser) -> None:
    """Adds --output, --shards, --processes, --runner and --beam_options."""
    parser.add_argument("--output", required=True, help="the folder to write; may exist")
    parser.add_argument("--shards", type=int, help="TFRecord files (default: 1 per 1000 frames)")
    parser.add_argument(
        "--processes",
        type=int,
        default=os.cpu_count() or 1,
        help="worker processes of this machine (default: %(default)s); the bytes do not depend on "
        "them, nor on the runner",
    )
    parser.add_argument(
        "--runner",
        default=LOCAL,
        help="local (default): processes of this machine; or a runner of Apache Beam: FlinkRunner, "
        "SparkRunner, DataflowRunner, FnApiRunner (this machine)... Inputs and --output must then "
        "be folders that all workers see under the same paths (a network file system or a mounted "
        "bucket), and workers need vos_jax installed. Needs `pip install 'vos_jax[beam]'`",
    )
    parser.add_argument(
        "--beam_options",
        default="",
        metavar="OPTIONS",
        help="the runner's own options as one argument, such as "
        "'--flink_master=host:8081 --parallelism=64'",
    )


def write_and_report(plan: SplitPlan, arguments: argparse.Namespace) -> int:
    """Writes a split as the flags say and prints the report."""
    report = write_split(
        plan,
        arguments.output,
        arguments.shards,
        arguments.processes,
        arguments.runner,
        arguments.beam_options,
    )
    print(report.text())
    print(f"prepared set: {arguments.output} (report-{plan.split}.json has every rejection)")
    return 0
