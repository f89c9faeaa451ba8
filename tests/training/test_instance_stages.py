"""Every published stage of STEm-Seg and VIShv, shrunk: what trains in it, when, and from where."""

import fnmatch
import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.clip_sets import pair_set
from tests.tiny_hodor import FAST
from vos_jax.checkpoints.names import flatten
from vos_jax.checkpoints.store import load_params
from vos_jax.training.configuration import load_settings

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
STARTS = {
    "stem_seg_davis_1": "",
    "stem_seg_davis_2": "stem_seg_davis_1",
    "stem_seg_kitti_mots_1": "",
    "stem_seg_kitti_mots_2": "stem_seg_kitti_mots_1",
    "stem_seg_youtube_vis": "",
    "vishv_davis_1": "",
    "vishv_davis_2": "vishv_davis_1",
    "vishv_youtube_vis": "",
}
"""The stage that a stage starts from."""

STILL = ("time_scale", "flow/*/mixing/permutation", "flow/*/mixing/sign")
DECAYING = 1e-6
"""Share of its value that a parameter without gradient loses in an update, at most."""

EMBEDDING = {"embedding", "lovasz", "smoothness", "seediness"}
CLASSES = {"foreground", "semantic"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, run_python):
    """The folder with the workdirs of all stages."""
    prepared, folder = tmp_path_factory.mktemp("sets"), tmp_path_factory.mktemp("runs")
    for stage in STARTS:
        for source in load_settings(CONFIGS / f"{stage}.py").data.sources.values():
            length = 1 if source.augmentation["recipe"] == "stem_seg_stills" else 18
            if not (prepared / source.folder).exists():
                pair_set(prepared / source.folder, source.folder, length)
    rows = [f"{start}+{stage}" for stage, start in STARTS.items() if start]
    rows += [stage for stage, start in STARTS.items() if not start and stage not in str(rows)]
    done = run_python("-m", "tests.tiny_stages", prepared, folder, *rows, env=FAST)
    assert done.returncode == 0, done.stderr
    return folder


def parameters(workdir, step):
    return flatten(load_params(workdir, step)[0])


def moved(before, after):
    """Names of what changed by more than the decay of weights."""
    changes = {name: np.abs(after[name] - before[name]).max() for name in before}
    return {n for n, each in changes.items() if each > DECAYING * np.abs(before[n]).max()}


def matching(names, *patterns):
    return {n for n in names if any(fnmatch.fnmatchcase(n, pattern) for pattern in patterns)}


@pytest.mark.parametrize("stage", STARTS)
def test_a_stage_has_its_losses(stage, trained):
    lines = [json.loads(line) for line in (trained / stage / "metrics.jsonl").open()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    of_flow = {"flow"} if stage.startswith("vishv") else set()
    of_classes = set() if "davis" in stage else CLASSES
    warms_up = bool(of_flow) and not STARTS[stage]
    for line in lines:
        assert all(map(math.isfinite, line.values())) and line["gradient_norm"] > 0
        alone = warms_up and line["step"] < 3
        expected = of_flow if alone else EMBEDDING | of_flow | of_classes
        assert set(line) & (EMBEDDING | CLASSES | {"flow"}) == expected
    assert warms_up or lines[-1]["loss"] < lines[0]["loss"]


@pytest.mark.parametrize("stage", STARTS)
def test_what_a_stage_trains(stage, trained):
    """In the last update: all but constants, the appearance and, in DAVIS' second, the encoder.

    What lies before a last layer of the flow, which is zero at first, hardly moves as yet.
    """
    before, after = (parameters(trained / stage, step) for step in (2, 3))
    frozen = ("encoder/*",) if stage.endswith("davis_2") else ()
    still = matching(before, *STILL, *frozen)
    assert len(still) >= 1 + 2 * len(frozen)
    assert all(np.array_equal(before[name], after[name]) for name in still)
    flow, found = matching(before, "flow/*"), moved(before, after)
    learning = set(before) - still - matching(before, "appearance_decoder/*")
    assert learning - flow <= found <= learning
    assert bool(found & flow) == stage.startswith("vishv")


@pytest.mark.parametrize("stage", ["vishv_davis_1", "vishv_youtube_vis"])
def test_the_flow_warms_up_alone(stage, trained):
    """Other parameters do no more than decay."""
    before, after = (parameters(trained / stage, step) for step in (1, 2))
    found = moved(before, after)
    assert found and found <= matching(before, "flow/*")


@pytest.mark.parametrize("stage", [stage for stage, start in STARTS.items() if start])
def test_a_second_step_goes_on_from_the_first(stage, trained):
    start = STARTS[stage]
    assert Path(load_settings(CONFIGS / f"{stage}.py").init_from).name == start
    said = (trained / f"{stage}.txt").read_text()
    assert f"{start}, update 3" in said
    assert "not in it" not in said and "in it, unused" not in said
    first, second = parameters(trained / start, 3), parameters(trained / stage, 1)
    largest = max(np.abs(second[name] - first[name]).max() for name in first)
    assert 0 < largest < 0.05
