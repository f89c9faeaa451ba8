"""Command: `python -m tests.parity PATH.json [PATH.json ...] [--data DIR]`."""

import argparse
import sys
from pathlib import Path

from tests.parity.runner import find_adapters, is_reference_data, run_case

DEFAULT_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def main(argv: list[str] | None = None) -> int:
    """Runs the named cases, prints a line per output and the count; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.parity", description="Hold our results against recorded ones."
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH.json", help="case files")
    parser.add_argument(
        "--data", type=Path, default=DEFAULT_DATA, help="folder of real images (%(default)s)"
    )
    arguments = parser.parse_args(argv)
    adapters = find_adapters()
    passed = failed = 0
    for path in arguments.paths:
        if is_reference_data(path):
            print(f"note {path}  reference data, not a case")
            continue
        result = run_case(path, arguments.data, adapters)
        print(*result.lines, sep="\n", flush=True)
        passed, failed = passed + result.passed, failed + (not result.passed)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
