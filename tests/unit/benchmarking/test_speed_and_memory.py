"""Measurements of inference: the protocol of the workers, and the memory of a video."""

import sys

import pytest

from vos_jax.benchmark import main
from vos_jax.benchmarking import inference
from vos_jax.benchmarking.inference import Comparison, Worker, compare
from vos_jax.benchmarking.memory import MemoryCurve, measure_memory
from vos_jax.core.errors import ConfigError, MissingInputError

SMALL = {
    "backbone": "small",
    "channels": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn": 32,
    "decoder_ffn": 32,
    "deformable": False,
    "min_dim": 64,
    "max_dim": 96,
}

ECHO = """
import json, sys
print("a line that is no answer")
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    print(json.dumps({"heard": json.loads(line)}), flush=True)
"""


def test_a_worker_answers_in_turn_and_ends(tmp_path):
    worker = Worker([sys.executable, "-c", ECHO], tmp_path)
    try:
        assert worker.ask({"n": 1}) == {"heard": {"n": 1}}
        assert worker.ask({"n": 2}) == {"heard": {"n": 2}}
    finally:
        worker.close()
    assert worker._process.returncode == 0


def test_a_worker_that_fails_is_named_with_what_it_said(tmp_path):
    with pytest.raises(ConfigError, match="no such module"):
        Worker([sys.executable, "-c", "raise SystemExit('no such module')"], tmp_path)


def test_a_checkout_without_the_program_is_refused(tmp_path):
    with pytest.raises(MissingInputError, match="inference_model.py"):
        next(iter(compare("hodor", str(tmp_path), settings=SMALL, size=(64, 96))))


def test_ours_alone_is_measured_with_its_stages():
    (result,) = compare(
        "hodor", None, size=(64, 96), objects=(2,), frames=3, repeats=2, settings=SMALL
    )
    assert len(result.ours) == 2
    assert min(result.ours) > 0
    assert result.official == ()
    assert set(result.parts[0]) == {"prepare", "feature_extractor", "decoder", "resolve", "encoder"}
    assert "2 objects: ours" in result.lines()[0]


def test_a_size_that_would_be_resized_is_refused():
    with pytest.raises(ConfigError, match="not resized"):
        next(iter(compare("hodor", None, size=(100, 100), objects=(1,), settings=SMALL)))


def test_the_table_shows_both_sides_and_the_ratio():
    parts = ({"encoder": 0.25}, {"encoder": 0.5, "feature_extractor": 1.0})
    result = Comparison(3, 10, (10.0, 12.0, 11.0), (20.0, 22.0, 33.0), 4.0, 0.001, parts)
    text = "\n".join(result.lines())
    assert "ours 1.100 CPU s a frame" in text
    assert "official 2.200, ratio 2.00" in text
    assert "labels differ on 1.00e-03" in text
    assert "encoder            ours  0.250  official  0.500" in text


def test_the_slope_is_that_of_the_settled_frames():
    rising = [float(500 - t) for t in range(50)] + [100 + 0.25 * t for t in range(50)]
    assert MemoryCurve(tuple(rising), (1, 1), 2).slope == pytest.approx(0.25)


def test_a_video_compiles_two_steps_and_keeps_its_arrays():
    curve = measure_memory("hodor", size=(64, 96), frames=60, objects=2, settings=SMALL)
    assert len(curve.megabytes) == 60
    assert curve.arrays[0] == curve.arrays[1]
    assert "+" in curve.lines()[0] or "-" in curve.lines()[0]


def test_the_command_prints_a_table(monkeypatch, capsys):
    made = Comparison(1, 2, (2.0,), (), 1.0, None, ({"decoder": 0.5}, {}))
    monkeypatch.setattr(inference, "compare", lambda *args, **kwargs: [made])
    assert main(["--what", "inference", "--objects", "1"]) is None
    assert "1 objects: ours 1.000 CPU s a frame" in capsys.readouterr().out
