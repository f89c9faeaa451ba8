"""The training command itself with --distributed: a small HODOR, two processes against one."""

import json
from pathlib import Path

import numpy as np

from tests.process_groups import run_group
from tests.tiny_hodor import one_image_set, train_command

SETTINGS = ("steps=2", "log.scalars_every=1", "log.images_every=0")


def losses(root: Path, name: str, *more: str, processes: int = 1) -> list[float]:
    """Trains two updates; returns their losses."""
    command = [*train_command(root / "prepared", root / name, *SETTINGS), *more]
    done = run_group(command, root / name / "logs", processes=processes)
    assert done.codes == [0] * processes, "\n".join(done.texts)
    assert "updates done" in done.texts[0] and "updates done" not in "".join(done.texts[1:])
    return [json.loads(line)["loss"] for line in (root / name / "metrics.jsonl").open()]


def test_two_processes_of_the_command_equal_one(tmp_path):
    one_image_set(tmp_path)
    one = losses(tmp_path, "one")
    two = losses(tmp_path, "two", "--distributed", processes=2)
    assert len(one) == 2 and one[0] != one[1]
    np.testing.assert_allclose(two, one, rtol=1e-5)
