"""The flags that every data_prep command shares, and what it does with them."""

import argparse
import os

from data_prep.write import SplitPlan, write_split


def add_writing_flags(parser: argparse.ArgumentParser) -> None:
    """Adds --output, --shards and --processes."""
    parser.add_argument("--output", required=True, help="the folder to write; may exist")
    parser.add_argument("--shards", type=int, help="TFRecord files (default: 1 per 1000 frames)")
    parser.add_argument(
        "--processes",
        type=int,
        default=os.cpu_count() or 1,
        help="worker processes (default: %(default)s); the bytes do not depend on it",
    )


def write_and_report(plan: SplitPlan, arguments: argparse.Namespace) -> int:
    """Writes a split as the flags say and prints the report."""
    report = write_split(plan, arguments.output, arguments.shards, arguments.processes)
    print(report.text())
    print(f"prepared set: {arguments.output} (report-{plan.split}.json has every rejection)")
    return 0
