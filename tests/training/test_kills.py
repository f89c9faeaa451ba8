"""SIGKILL at random moments, and during a save and a deletion: training goes on to the bit.

`scripts/kill_test` does the same fifty times.
"""

from collections import Counter

import numpy as np
import pytest

from tests.kill_runs import Kill, check_resumption, plan, run, went_on_from


def test_four_kills_change_nothing(tmp_path):
    rows = run(tmp_path, kills=4, seed=0, workers=0)
    assert Counter(row.aim for row in rows) == {"random": 2, "save": 1, "delete": 1}
    assert all(row.phase != "start-up" for row in rows if row.aim != "random")
    assert rows[-1].resumed == rows[-1].checkpoint > 0


@pytest.mark.parametrize("kills, random", [(1, 0), (4, 2), (50, 26)])
def test_half_of_the_kills_come_at_random_times(kills, random):
    aims = plan(kills, np.random.default_rng(0))
    assert len(aims) == kills and aims.count("random") == random


@pytest.mark.parametrize(
    "said, found",
    [
        ("", None),
        ("config.init_from is '': training from scratch\n", 0),
        ("resuming after update 12 of 50\n", 12),
    ],
)
def test_what_a_start_says_is_understood(tmp_path, said, found):
    path = tmp_path / "said"
    path.write_text(said)
    assert went_on_from(path) == found


@pytest.mark.parametrize("said", ["resuming after update 2 of 9", "training from scratch"])
def test_going_on_from_an_older_checkpoint_is_noticed(tmp_path, said):
    path = tmp_path / "said"
    path.write_text(said)
    with pytest.raises(AssertionError, match="not 3"):
        check_resumption(Kill(1, "save", 1.0, "save", 4, 3), path)
