"""Memory of training: slopes, the table, and processes that are watched for real."""

import subprocess
import sys

import numpy as np
import pytest

from vos_jax.benchmark import main
from vos_jax.benchmarking import training_memory
from vos_jax.benchmarking.training_memory import TrainingMemory, measure_training_memory, watch
from vos_jax.core.errors import VosError

GROWING = """
import multiprocessing, time
def hold():
    kept = bytearray(b"x" * 30_000_000)
    time.sleep(600)
if __name__ == "__main__":
    worker = multiprocessing.get_context("spawn").Process(target=hold, daemon=True)
    worker.start()
    kept = bytearray(b"x" * 60_000_000)
    print("there", flush=True)
    while True:
        kept += bytearray(b"x" * 1_000_000)
        time.sleep(0.05)
"""


def samples(slope=0.0, early=0.0, minutes=15.0):
    times = np.arange(0, minutes, 1 / 6)
    sizes = 100 + slope * times + early * np.minimum(times, 3.0)
    return TrainingMemory(
        times, {"training": sizes, "worker_1": 0 * times + 50, "other": 0 * times}
    )


@pytest.mark.parametrize("slope", [0.0, 2.5, -1.0])
@pytest.mark.parametrize("early", [0.0, 40.0])
def test_the_slope_leaves_out_the_minutes_of_settling(slope, early):
    found = samples(slope, early)
    assert found.slope(found.total) == pytest.approx(slope, abs=1e-9)
    assert found.slope(found.megabytes["worker_1"]) == pytest.approx(0, abs=1e-9)


def test_a_short_run_has_no_slope():
    assert np.isnan(samples(minutes=2.0).slope(samples(minutes=2.0).total))


def test_the_table_has_a_row_for_each_minute_and_the_slopes():
    head, *rows, last = samples(2.0).lines()
    assert head.split() == ["minute", "training", "worker_1", "other", "all"]
    assert [row.split()[0] for row in rows] == [str(minute) for minute in range(15)]
    assert rows[10].split()[1:] == ["120.0", "50.0", "0.0", "170.0"]
    name, *slopes = last.split()
    assert name == "MB/min"
    np.testing.assert_allclose(list(map(float, slopes)), [2, 0, 0, 2], atol=1e-9)
    assert len({len(line) for line in (head, *rows, last)}) == 1


def test_a_growing_process_and_its_worker_are_seen(tmp_path):
    script = tmp_path / "growing.py"
    script.write_text(GROWING)
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "there\n"
        found = watch(process.pid, 3 / 60, 0.2, lambda: process.poll() is None)
    finally:
        process.kill()
        process.wait()
    assert set(found.megabytes) == {"training", "worker_1", "other"}
    assert found.megabytes["training"][-1] > found.megabytes["training"][0] + 5
    assert found.megabytes["worker_1"][-1] > 30 > found.megabytes["other"].max()
    assert found.minutes[-1] >= 3 / 60


def test_watching_ends_with_the_process():
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    found = watch(process.pid, 5.0, 0.01, iter([True, True, False]).__next__)
    assert len(found.minutes) == 2 and found.total.max() == 0


def test_the_command_trains_with_the_settings_it_is_given(monkeypatch, capsys):
    calls = []

    def measure(arguments, minutes):
        calls.append((arguments, minutes))
        return samples()

    monkeypatch.setattr(training_memory, "measure_training_memory", measure)
    main("--what training --minutes 2 --workdir w --data_root d --settings batch=2".split())
    ((arguments, minutes),) = calls
    assert minutes == 2.0
    assert arguments[:4] == ["--config", "configs/quickstart.py", "--workdir", "w"]
    assert set(arguments[5:]) == {"--config.data.root=d", "--config.batch=2"}
    assert "MB/min" in capsys.readouterr().out


def test_a_run_that_fails_is_an_error():
    with pytest.raises(VosError, match="ended with 2 within 1 minutes"):
        measure_training_memory(["--config", "none.py", "--workdir", "nowhere"], 1, every=0.1)
