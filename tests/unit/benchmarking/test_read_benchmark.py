"""Measurements of the memory read: what is sent, what comes back, what is refused."""

import json

import numpy as np
import pytest

from vos_jax.benchmark import main
from vos_jax.benchmarking import read, read_worker
from vos_jax.benchmarking.read import ReadComparison, compare_reads
from vos_jax.core.errors import ConfigError

SMALL = {"key_channels": 4, "value_channels": 3, "top_k": 5}
SIZE = (32, 40)


class InProcess:
    """Stands in for a worker's process: answers where it is asked, as the program named says."""

    asked = []

    def __init__(self, command, folder):
        self.official = command[-1] in read.OFFICIAL

    def ask(self, request):
        InProcess.asked.append((self.official, request))
        seconds = read_worker.answer(request)["seconds"]
        return {"seconds": 8.0 if self.official else seconds}

    def close(self):
        InProcess.asked.append("closed")


@pytest.fixture(autouse=True)
def in_process(monkeypatch):
    InProcess.asked = []
    monkeypatch.setattr(read, "Worker", InProcess)


def plain(arrays, objects, top_k, similarity):
    """Readouts in float64: the best k tokens of every query."""
    readouts = []
    for number in range(objects):
        query, keys, values = (
            np.asarray(x, np.float64)
            for x in (arrays["query"], arrays["keys"][number], arrays["values"][number])
        )
        keys, values = keys.reshape(-1, keys.shape[-1]), values.reshape(-1, values.shape[-1])
        logits = query @ keys.T / 2
        if similarity == "l2":
            logits = 2 * logits - np.square(keys).sum(-1) / 2
        weights = np.exp(logits - logits.max(1, keepdims=True))
        weights[logits < np.sort(logits, 1)[:, -top_k, None]] = 0
        readouts.append(weights / weights.sum(1, keepdims=True) @ values)
    return np.stack(readouts)


@pytest.mark.parametrize("system", read.OFFICIAL)
@pytest.mark.parametrize("objects", [1, 2])
def test_the_workers_read_is_the_systems(system, objects, tmp_path):
    module = read.registry.build(system, **SMALL)
    shared = system != "mask_propagation"
    arrays = read._arrays(module, 6, 3, objects, shared, tmp_path)
    similarity = "l2" if shared else "dot"
    request = {
        "arrays": arrays,
        "reading": {"grid": (2, 3), "similarity": similarity, "top_k": 5},
        "shared": shared,
        "readout": str(tmp_path / "readout.npy"),
    }
    assert read_worker.answer(request)["seconds"] > 0
    with np.load(arrays) as held:
        same = (held["keys"] == held["keys"][:1]).all()
        expected = plain(held, objects, 5, similarity)
    assert same == (shared or objects == 1)
    np.testing.assert_allclose(np.load(request["readout"]), expected, atol=1e-5)


@pytest.mark.parametrize("system", read.OFFICIAL)
def test_both_programs_get_the_same_requests_in_turn(system, tmp_path):
    found = compare_reads(
        system, str(tmp_path), size=SIZE, memory=2, objects=2, repeats=3, settings=SMALL
    )
    *asked, first_closed, second_closed = InProcess.asked
    assert first_closed == second_closed == "closed"
    assert [official for official, _ in asked] == 3 * [False, True]
    contents = [{**request, "readout": None} for _, request in asked]
    assert all(request == contents[0] for request in contents)
    reading = contents[0]["reading"]
    assert reading["grid"] == (2, 3) and reading["top_k"] == 5
    assert reading["similarity"] == ("dot" if system == "mask_propagation" else "l2")
    assert json.loads(json.dumps(reading))
    assert found.difference == 0 and found.official == (8.0, 8.0, 8.0) and len(found.ours) == 3


def test_the_kernel_is_a_setting_of_mask_propagation():
    settings = SMALL | {"sigma": 1.5}
    found = compare_reads(
        "mask_propagation", None, size=SIZE, memory=1, repeats=1, settings=settings
    )
    assert InProcess.asked[0][1]["reading"]["sigma"] == 1.5
    assert found.official == () and found.difference is None


def test_a_result_as_text():
    both = ReadComparison(ours=(0.1, 0.2, 0.3), official=(0.9, 1.0, 0.8), difference=1e-6)
    (line,) = both.lines()
    assert "ours 200 ms" in line and "official 900 ms, ratio 4.50" in line and "1.0e-06" in line
    assert ReadComparison((0.1,), (), None).lines() == ["ours 100 ms"]


@pytest.mark.parametrize("system", ["hodor", "nothing"])
def test_systems_without_such_a_memory_are_refused(system):
    with pytest.raises(ConfigError, match=f"--system {system}.*mask_propagation"):
        compare_reads(system, None)


def test_the_command_prints_a_line_for_every_number_of_objects(capsys):
    arguments = ["--what", "read", "--system", "stcn", "--size", "32", "40", "--repeats", "1"]
    settings = [f"{name}={value}" for name, value in SMALL.items()]
    main([*arguments, "--objects", "1", "2", "--memory_frames", "3", "--settings", *settings])
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("stcn, 32x40, 3 frames") for line in lines] == [True, False] * 2
    assert "2 objects" in lines[2] and "ours" in lines[3]
