"""A tiny DeAOT in the later phase of its training: what moves, what stands still, what is said."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.drawn_sets import DrawnVideo, drawn
from tests.tiny_hodor import FAST
from vos_jax.checkpoints.names import flatten
from vos_jax.checkpoints.store import load_params
from vos_jax.training.configuration import load_settings

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "small_aot.py"
BOXES = tuple({1: (2, 2 + t, 30, 28 + t), 2: (5, 32, 38, 55 - t)} for t in range(6))
TINY = (
    "model.channels=8 model.embedding=32 model.heads=2 model.ffn=32 model.key_channels=8 "
    "model.radius=1 model.group_size=3 steps=2 batch=2 init_from= "
    "accumulate=2 data.canvases=((33,33),) data.slots=3 log.scalars_every=1 checkpoints.every=1 "
    "checkpoints.keep=3 optimiser.frozen=(('identity_*',0),) seed=3"
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """One drawn set under the names that the config reads."""
    folder = tmp_path_factory.mktemp("sets")
    drawn(folder / "drawn", DrawnVideo("a", BOXES), DrawnVideo("b", BOXES[::-1]))
    for name in ("coco", "moving_objects"):
        (folder / name).symlink_to(folder / "drawn")
    return folder


def test_identities_stand_still_while_own_masks_are_remembered(prepared, tmp_path, run_python):
    names = load_settings(f"{CONFIG}:deaot").data.sources
    sources = [f"data.sources.{name}.augmentation.size=33" for name in names]
    sources += [f"data.sources.{name}.split=train" for name in names]
    overrides = [f"--config.{each}" for each in (*TINY.split(), *sources, f"data.root={prepared}")]
    command = ["-m", "vos_jax.train", "--config", f"{CONFIG}:deaot", "--workdir", tmp_path]
    done = run_python(*command, *overrides, env=FAST)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(math.isfinite(value) for line in lines for value in line.values())
    assert all(line["auxiliary"] == 0 < line["gradient_norm"] for line in lines)
    first, second = (flatten(load_params(tmp_path, step)[0]) for step in (1, 2))
    still = {name for name in first if np.array_equal(first[name], second[name])}
    identities = {name for name in first if name.startswith("identity_")}
    assert identities and still == identities
