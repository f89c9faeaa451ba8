"""Every stage of the space-time memories, shrunk: it starts from its stage 0 and trains."""

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

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
STAGES = sorted(path.stem for path in CONFIGS.glob("*_stage[0-3].py"))
BOXES = tuple({1: (2, 2 + t, 30, 28 + t), 2: (5, 32, 38, 55 - t)} for t in range(6))
MASKED = {
    "mask_propagation": "memory_encoder/",
    "stcn": "value_encoder/image_encoder/",
    "rde": "value_encoder/image_encoder/",
}
"""What sees the masks."""

COMMON = {"loss", "loss_1", "loss_2", "p", "iou_1", "gradient_norm"}
OF_RDE = {"loss_3", "loss_4", "guidance_2", "guidance_4"}


def system_of(stage):
    return stage.rpartition("_")[0]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """One drawn set under the names of all that the stages read."""
    folder = tmp_path_factory.mktemp("sets")
    drawn(folder / "drawn", DrawnVideo("a", BOXES), DrawnVideo("b", BOXES[::-1]))
    for stage in STAGES:
        for source in load_settings(CONFIGS / f"{stage}.py").data.sources.values():
            link = folder / source.folder
            if not link.exists():
                link.symlink_to(folder / "drawn")
    return folder


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory):
    """The folder with the workdirs of a stage's system, whose stages run when first asked for."""
    made = {}

    def folder(stage, run_python):
        system = system_of(stage)
        if system not in made:
            made[system] = tmp_path_factory.mktemp(system)
            stages = [each for each in STAGES if system_of(each) == system]
            command = ["-m", "tests.tiny_stages", prepared, made[system], "+".join(stages)]
            done = run_python(*command, env=FAST)
            assert done.returncode == 0, done.stderr
        return made[system]

    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_trains(stage, trained, run_python):
    metrics = trained(stage, run_python) / stage / "metrics.jsonl"
    lines = [json.loads(line) for line in metrics.open()]
    later, rde = not stage.endswith("0"), system_of(stage) == "rde"
    assert [line["step"] for line in lines] == [1, 2, 3]
    for line in lines:
        assert COMMON <= set(line) and all(map(math.isfinite, line.values()))
        assert (set(line) >= OF_RDE) == (later and rde)
        assert ("iou_2" in line) == later and ("mask_consistency" in line) == rde
        assert line["gradient_norm"] > 0


@pytest.mark.parametrize("stage", [stage for stage in STAGES if not stage.endswith("0")])
def test_a_later_stage_starts_from_stage_0(stage, trained, run_python):
    """All of it is taken up; masks get one channel more, which is drawn."""
    folder, system = trained(stage, run_python), system_of(stage)
    said = (folder / f"{stage}.txt").read_text().splitlines()
    (widened,) = [line.rpartition(" ")[2] for line in said if "drawn orthogonal" in line]
    assert widened.startswith(MASKED[system])
    assert not [line for line in said if "in it, unused" in line]
    missing = [line for line in said if "not in it" in line]
    assert bool(missing) == (system == "rde") and all("aggregation/" in line for line in missing)
    before, after = (
        flatten(load_params(folder / each)[0])[widened] for each in (f"{system}_stage0", stage)
    )
    assert (before.shape[2], after.shape[2]) == (4, 5)
    moved = np.abs(after[:, :, :4] - before).max()
    assert 0 < moved < 1e-4
