"""Measurements of inference: the protocol of the workers, and the memory of a video."""

import json
import sys

import jax
import numpy as np
import pytest

from tests.toy_systems import Toy
from tests.toy_windows import ToyWindows
from vos_jax.benchmark import main
from vos_jax.benchmarking import inference, memory, worker
from vos_jax.benchmarking.inference import Comparison, Worker, compare
from vos_jax.benchmarking.memory import MemoryCurve, measure_memory
from vos_jax.benchmarking.pictures import moving_discs
from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.systems import registry
from vos_jax.systems.base import IMAGENET_MEAN, IMAGENET_STD
from vos_jax.systems.vishv.spec import MEAN

FEW_CHANNELS = {
    "backbone": "small",
    "channels": 32,
    "key_channels": 8,
    "value_channels": 16,
    "decoder_channels": [16, 16],
}
SMALL = {
    "hodor": {
        "backbone": "small",
        "channels": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_ffn": 32,
        "decoder_ffn": 32,
        "deformable": False,
    },
    "mask_propagation": FEW_CHANNELS,
    "rde": FEW_CHANNELS,
}
STAGES = {"hodor": ("feature_extractor", "decoder", "encoder")}
MEMORY_STAGES = ("query_encoder", "memory_read", "decoder", "memory_encoder")
ENTRIES = {"hodor": None, "mask_propagation": 3}
QUICKLY_COMPILED = " --xla_backend_optimization_level=0"

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


@pytest.mark.parametrize("system", inference.OFFICIAL)
def test_a_checkout_without_the_program_is_refused(system, tmp_path):
    program, marker = inference.OFFICIAL[system]
    assert (inference.DRIVERS / program).is_file()
    with pytest.raises(MissingInputError, match=marker):
        next(iter(compare(system, str(tmp_path), size=(64, 96))))


@pytest.mark.parametrize("system", ["hodor", "rde"])
def test_ours_alone_is_measured_with_its_stages(system, monkeypatch):
    flags = inference.ONE_THREAD["XLA_FLAGS"] + QUICKLY_COMPILED
    monkeypatch.setitem(inference.ONE_THREAD, "XLA_FLAGS", flags)
    (result,) = compare(
        system, None, size=(64, 96), objects=(2,), frames=3, repeats=2, settings=SMALL[system]
    )
    assert len(result.ours) == 2
    assert min(result.ours) > 0
    assert result.official == ()
    assert set(result.parts[0]) == {"prepare", "resolve", *STAGES.get(system, MEMORY_STAGES)}
    assert "2 objects: ours" in result.lines()[0]


def test_a_window_is_measured_once_with_its_stages(monkeypatch):
    monkeypatch.setitem(registry.SYSTEMS, "toy_windows", registry.Entry(ToyWindows, None))
    system = ToyWindows()
    params = {"scale": np.float32(1)}

    def answer(request):
        return worker.answer(system, params, request)

    monkeypatch.setattr(inference, "_start", lambda *_: [Answerer(answer), Answerer(answer)])
    (result,) = compare("toy_windows", "there", size=(32, 48), objects=(2, 3), repeats=2)
    assert result.window and result.frames == system.clip_length
    assert result.differing == 0 and len(result.ours) == len(result.official) == 2
    assert set(result.parts[0]) == set(result.parts[1]) == {"encode", "decoders"}
    assert min(result.ours) > 0
    assert "for a clip of 4 frames" in result.lines()[0]


class Answerer:
    """A worker in this process."""

    def __init__(self, answer):
        self.ask = answer

    def close(self):
        pass


def unresized_size(system, size):
    """The size itself; where the sides must be 1 past a multiple of 16 (AOT), the nearest such."""
    return tuple(16 * round(side / 16) + 1 for side in size) if system == "aot" else size


@pytest.mark.parametrize("system", inference.OFFICIAL)
@pytest.mark.parametrize("size", [(480, 854), (854, 480)])
def test_frames_are_measured_at_their_own_size(system, size):
    size = unresized_size(system, size)
    settings = inference.unresized(system, size)
    assert registry.build(system, **settings).spec.geometry(size).resized == size


def test_a_size_that_would_be_resized_is_refused():
    settings = SMALL["hodor"] | {"min_dim": 64}
    with pytest.raises(ConfigError, match="not resized"):
        next(iter(compare("hodor", None, size=(100, 100), objects=(1,), settings=settings)))


@pytest.mark.parametrize("size", [(64, 96), (70, 100)])
@pytest.mark.parametrize("system", inference.OFFICIAL)
def test_the_official_side_finds_the_frames_inside_their_padding(system, size, tmp_path):
    size = unresized_size(system, size)
    module = registry.build(system, **inference.unresized(system, size))
    with np.load(inference._video(module, size, 2, 3, tmp_path)) as video:
        (top, bottom), (left, right) = video["padding"]
        height, width = video["frames"].shape[-2:]
        inner = video["frames"][..., top : height - bottom, left : width - right]
        pixels = np.moveaxis(inner, 1, -1)
        if system == "stem_seg":
            pixels = (pixels + MEAN)[..., ::-1]
        else:
            pixels = pixels * IMAGENET_STD + IMAGENET_MEAN
        np.testing.assert_allclose(pixels, video["bytes"], atol=1e-3)
        assert np.abs(video["frames"]).sum() == pytest.approx(np.abs(inner).sum())
        assert video["masks"].shape == (2, *size)


COMPILING = 9


class Answering:
    """A worker whose runs take the given seconds and whose labels are of one kind."""

    def __init__(self, seconds, label):
        self.seconds, self.label, self.heard = iter(seconds), label, []

    def ask(self, request):
        self.heard.append(dict(request))
        labels = np.zeros((4, 8, 8), np.uint8)
        labels[1:, :, :2] = labels[0] = self.label
        np.save(request["labels"], labels)
        parts, seconds = {"decoder": 2.0}, next(self.seconds)
        compiling = {"compilations": int(seconds == COMPILING), "compile_seconds": 3.0}
        return {"seconds": seconds, "parts": parts, **compiling}


@pytest.mark.parametrize("ours, grown", [([9, 1, 2, 3], 0), ([9, 1, 9, 2, 3], 1)])
def test_both_programs_get_the_settings_and_the_given_frame_is_not_compared(ours, grown, tmp_path):
    workers = [Answering(ours, 0), Answering([4, 6, 5], 1)]
    module = Toy(every=3, channels=2)
    result = inference._compare(workers, "video.npz", 1, 4, 3, True, module, tmp_path)
    assert result.ours == (1, 2, 3) and result.official == (4, 6, 5)
    assert result.differing == 0.25
    assert result.parts == ({"decoder": 2.0}, {"decoder": 0.5})
    for answering in workers:
        assert {r["settings"]["every"] for r in answering.heard} == {3}
        assert answering.heard[0]["settings"]["channels"] == 2
        json.dumps(answering.heard)
    assert [r.get("stages") for r in workers[0].heard] == [True] + [None] * (3 + grown)
    assert [r.get("frames") for r in workers[0].heard] == [3] + [None] * (3 + grown)
    assert len(workers[1].heard) == 3


@pytest.mark.parametrize("margin, decided", [(0.0, 0.0), (5e-4, 0.0), (2e-3, 0.25), (None, None)])
def test_labels_that_differ_by_a_tie_are_told_apart(margin, decided, tmp_path):
    class Sure(Answering):
        def ask(self, request):
            if margin is not None:
                np.save(request["margins"], np.full((4, 8, 8), margin, np.float32))
            return super().ask(request)

    workers = [Answering([9, 1], 0), Sure([4], 1)]
    result = inference._compare(workers, "video.npz", 1, 4, 1, True, Toy(), tmp_path)
    assert (result.differing, result.decided) == (0.25, decided)
    assert ("is sure" in result.lines()[0]) == (margin is not None)


class Recalling(Toy):
    """Its reads begin with a memory read of their own; notes how many frames were given."""

    memory_every: int = 4

    def recall(self, state, features):
        return state.colours.sum() * features.sum()

    def write(self, state, features, trace, memory, given=None):
        jax.debug.callback(lambda full: WRITES.append(bool(full)), state.exists.all())
        return super().write(state, features, trace, memory, given)


WRITES = []


@pytest.mark.parametrize("entries", [2, 5])
def test_stages_are_measured_with_a_full_memory(entries):
    WRITES.clear()
    system = Recalling()
    frames, masks = moving_discs((16, 24), 2, 1)
    params = system.init(jax.random.key(0), frames, method="initialise")["params"]
    WRITES.clear()
    seconds = worker.stages(system, params, frames, masks, entries)
    jax.effects_barrier()
    assert set(seconds) == {"prepare", "resolve", *MEMORY_STAGES}
    writes = worker.REPEATS * system.memory_every + 1
    assert WRITES == [False] * entries + [True] * writes


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


@pytest.mark.parametrize("system", ENTRIES)
def test_a_video_compiles_two_steps_and_keeps_its_arrays(system):
    options = {"memory": ENTRIES[system], "settings": SMALL[system]}
    curve = measure_memory(system, size=(64, 96), frames=60, objects=2, **options)
    assert len(curve.megabytes) == 60
    assert curve.arrays[0] == curve.arrays[1]
    assert curve.compilations <= 6
    assert "+" in curve.lines()[0] or "-" in curve.lines()[0]


def test_a_video_read_in_windows_keeps_its_arrays(monkeypatch):
    monkeypatch.setitem(registry.SYSTEMS, "toy_windows", registry.Entry(ToyWindows, None))
    curve = measure_memory("toy_windows", size=(64, 96), frames=150, objects=2)
    assert len(curve.megabytes) == 150
    assert curve.arrays[0] == curve.arrays[1] > 0
    assert curve.compilations <= 8


def test_the_command_measures_memory_with_the_settings_it_is_given(monkeypatch, capsys):
    calls = []

    def measure(system, **options):
        calls.append((system, options))
        return MemoryCurve((1.0, 2.0), (8, 8), 3)

    monkeypatch.setattr(memory, "measure_memory", measure)
    words = "--what memory --system stcn --size 120 216 --frames 9 --objects 1 2"
    words += " --memory_frames 10 --settings memory_every=2 backbone=small"
    main(words.split())
    settings = {"memory_every": 2, "backbone": "small"}
    shared = {"size": (120, 216), "frames": 9, "memory": 10, "settings": settings}
    assert calls == [("stcn", {"objects": count, **shared}) for count in (1, 2)]
    assert "3 programs compiled" in capsys.readouterr().out


def test_the_command_prints_a_table(monkeypatch, capsys):
    made = Comparison(1, 2, (2.0,), (), 1.0, None, ({"decoder": 0.5}, {}))
    monkeypatch.setattr(inference, "compare", lambda *args, **kwargs: [made])
    assert main(["--what", "inference", "--objects", "1"]) is None
    assert "1 objects: ours 1.000 CPU s a frame" in capsys.readouterr().out
