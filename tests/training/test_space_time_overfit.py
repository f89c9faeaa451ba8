"""Small space-time memories learn by heart which of two moving squares they were given."""

import json

import pytest

from tests.tiny_hodor import FAST
from tests.tiny_overfit import FRAMES

UPDATES = {"mask_propagation": 60, "stcn": 60, "rde": 120}


@pytest.mark.parametrize("name", UPDATES)
def test_which_square_was_given_is_learnt(name, run_python):
    done = run_python("-m", "tests.tiny_overfit", name, UPDATES[name], env=FAST)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == UPDATES[name]
    for frame in range(1, FRAMES[name]):
        assert lines[-1][f"loss_{frame}"] < 0.25 * lines[0][f"loss_{frame}"]
    for slot in (1, 2):
        assert lines[0][f"iou_{slot}"] < 0.6 < 0.8 < lines[-1][f"iou_{slot}"]
