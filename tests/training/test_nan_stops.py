"""A loss that is no number stops the run; what was saved before stays."""

import numpy as np
import pytest

from tests.toy_training import register, toy_settings, train_toy
from vos_jax.checkpoints.store import Store, load_params
from vos_jax.core.errors import DivergedError


@pytest.mark.parametrize("update, last_good", [(1, None), (2, None), (3, 2), (5, 4), (6, 4)])
def test_the_update_is_named_and_the_last_good_checkpoint_stays(tmp_path, update, last_good):
    register()
    settings = toy_settings(steps=6, **{"model.nan_at": update - 1})
    with pytest.raises(DivergedError, match=f"update {update}: loss is nan"):
        train_toy(settings, tmp_path)
    assert Store(tmp_path).latest_step() == last_good
    if last_good:
        params, step = load_params(tmp_path)
        assert step == last_good and np.isfinite(params["embed"]["kernel"]).all()


def test_the_command_ends_with_one_line_and_code_2(run_python, tmp_path):
    done = run_python("-m", "tests.toy_training", tmp_path, "model.nan_at=2")
    assert done.returncode == 2
    assert "error: update 3: loss is nan" in done.stderr
    assert "Traceback" not in done.stderr
