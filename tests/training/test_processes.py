"""Several processes of several devices train as one process of one device does."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.process_groups import run_group
from tests.stored_arrays import everything

STEPS, HALF, BATCH = 10, 5, 8


@dataclass(frozen=True)
class Layout:
    """Processes, devices of each, and devices that share a parameter."""

    processes: int
    devices: int
    model: int = 1

    def train(self, workdir: Path, steps: int = STEPS, **changes) -> str:
        """Trains in a workdir until so many updates are done; returns what process 0 said."""
        settings = {"checkpoints.every": 5, "log.images_every": 5, "mesh.model": self.model}
        settings |= {"steps": steps, **changes}
        pairs = (f"{key}={value!r}" for key, value in settings.items())
        arguments = ("-m", "tests.numbered_training", workdir, *pairs)
        logs = workdir / "logs"
        done = run_group(arguments, logs, processes=self.processes, devices=self.devices)
        assert done.codes == [0] * self.processes, "\n".join(done.texts)
        return done.texts[0]


ONE = Layout(1, 1)
TWO = Layout(2, 4)
LAYOUTS = {
    "two by four": TWO,
    "parameters on two devices": Layout(2, 4, model=2),
    "parameters on all devices of all processes": Layout(2, 4, model=8),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Workdirs of finished runs by layout, made when first asked for."""
    made = {}

    def run(layout: Layout) -> Path:
        if layout not in made:
            made[layout] = tmp_path_factory.mktemp("run")
            layout.train(made[layout])
        return made[layout]

    return run


def losses(workdir: Path) -> np.ndarray:
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").open()]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    return np.array([line["loss"] for line in lines])


def placed(workdir: Path) -> list[dict[int, str]]:
    """Per update, the clip of every row of the global batch, from what all processes noted."""
    files = [path.open() for path in sorted((workdir / "placed").iterdir())]
    updates = []
    for lines in zip(*files, strict=True):
        shares = [json.loads(line) for line in lines]
        rows = {int(row): clip for share in shares for row, clip in share.items()}
        assert len(rows) == sum(map(len, shares)) == BATCH, "a row is on two processes"
        assert len({len(share) for share in shares}) == 1, "shares are not equal"
        updates.append(dict(sorted(rows.items())))
    return updates


def assert_like_one(workdir: Path, one: Path) -> None:
    """Losses within the bounds of issue 3, and parameters close."""
    found, expected = losses(workdir), losses(one)
    assert expected[0] != expected[-1]
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    (found, found_data), (expected, expected_data) = (
        everything(at, STEPS) for at in (workdir, one)
    )
    assert found_data == expected_data and found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_several_processes_equal_one(runs, layout):
    assert_like_one(runs(LAYOUTS[layout]), runs(ONE))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_clip_is_on_one_device_in_the_order_of_one_process(runs, layout):
    expected, found = placed(runs(ONE)), placed(runs(LAYOUTS[layout]))
    assert found == expected
    clips = [clip for update in found for clip in update.values()]
    assert len(clips) == len(set(clips)) == STEPS * BATCH
    shares = [sum(clip[0] == name for clip in clips) for name in "ab"]
    assert shares[1] > 2 * shares[0] > 0


GOING_ON = {
    "two processes to one": (TWO, Layout(1, 1)),
    "two processes to four, copied to split": (TWO, Layout(4, 2, model=4)),
    "eight devices to one, split to copied": (Layout(1, 8, model=4), Layout(1, 1)),
    "split over processes to split in one": (Layout(2, 4, model=8), Layout(1, 4, model=2)),
}


@pytest.mark.parametrize("change", GOING_ON)
def test_a_run_goes_on_with_other_processes_and_devices(runs, tmp_path, change):
    before, after = GOING_ON[change]
    if before in LAYOUTS.values():
        halfway(runs(before), tmp_path)
    else:
        before.train(tmp_path, HALF)
    shutil.rmtree(tmp_path / "placed")
    assert "resuming after update 5 of 10" in after.train(tmp_path)
    assert_like_one(tmp_path, runs(ONE))
    assert placed(tmp_path) == placed(runs(ONE))[HALF:]


def test_several_processes_start_from_another_run(runs, tmp_path):
    said = Layout(2, 1).train(tmp_path, steps=1, init_from=str(runs(ONE)), **{"schedule.rate": 0.0})
    assert f"loaded 2 parameters of {runs(ONE)}, update {STEPS}" in said
    found, expected = everything(tmp_path, 1)[0], everything(runs(ONE), STEPS)[0]
    for name in ("['embed']['kernel']", "['embed']['bias']"):
        np.testing.assert_array_equal(found[f"params{name}"], expected[f"ema{name}"])


def test_all_processes_pass_over_a_damaged_step(runs, tmp_path):
    shutil.copytree(runs(TWO), tmp_path, dirs_exist_ok=True)
    for file in (tmp_path / "checkpoints" / str(STEPS) / "params").rglob("d/*"):
        file.write_bytes(b"")
    assert "resuming after update 5 of 10" in TWO.train(tmp_path)
    assert (tmp_path / "checkpoints" / f"damaged_{STEPS}").is_dir()
    assert_like_one(tmp_path, runs(ONE))


def halfway(workdir: Path, copy: Path) -> None:
    """A copy of a finished run as it was after half of its updates."""
    shutil.copytree(workdir, copy, dirs_exist_ok=True)
    shutil.rmtree(copy / "checkpoints" / str(STEPS))
