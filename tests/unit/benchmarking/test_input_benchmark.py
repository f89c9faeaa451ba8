"""Measurements of training input: the clips asked for, what is exported, the table, errors."""

import collections
import json
import sys
import time

import numpy as np
import pytest

from data_prep.hodor_json import plan_hodor_json
from data_prep.write import write_split
from tests.clip_sets import Box, BoxFrame, write_set
from vos_jax.benchmark import main
from vos_jax.benchmarking import input as input_benchmark
from vos_jax.benchmarking import input_export, input_worker
from vos_jax.benchmarking.input import RECIPES, InputComparison, compare_input
from vos_jax.core.commands import run_command
from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.data.items import object_labels, picture
from vos_jax.data.records import RecordSet
from vos_jax.io.images import read_image, read_mask
from vos_jax.training.data import open_loader
from vos_jax.training.settings import from_mapping

SIZE = (96, 128)
BOXES = (Box(7, (10, 10, 70, 70)), Box(9, (20, 50, 80, 110)), Box(11, (0, 0, 5, 9), crowd=True))

STAND_IN = """
import json, pathlib, sys
assert pathlib.Path(sys.argv[1], "marker").is_file()
print("talks first")
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    images = json.loads(pathlib.Path(request["folder"], "annotations.json").read_text())["images"]
    known = {image["id"] for image in images}
    assert {name for clip in request["reads"] for name, *_ in clip} == known
    frames = 3 * len(request["reads"])
    parts = {"jpeg": 0.25 * frames, "normalise": 0.5 * frames}
    print(json.dumps({"seconds": frames, "parts": parts, "pixels": 7 * frames}), flush=True)
"""


@pytest.fixture(scope="module", name="stills")
def prepared_stills(tmp_path_factory):
    path = tmp_path_factory.mktemp("input") / "stills"
    write_set(path, *([BoxFrame(f"still{n}", 0, SIZE, BOXES)] for n in range(4)))
    return path


@pytest.fixture(scope="module", name="videos")
def prepared_videos(tmp_path_factory):
    path = tmp_path_factory.mktemp("input") / "videos"
    frames = [[BoxFrame(f"v{v}", t, SIZE, BOXES[:1], False) for t in range(8)] for v in range(2)]
    write_set(path, *frames)
    return path


@pytest.fixture(name="checkout")
def stand_in(tmp_path, monkeypatch):
    """A checkout, and a driver that answers as the official programs' drivers do."""
    (tmp_path / "marker").touch()
    (tmp_path / "driver.py").write_text(STAND_IN)
    recipe = RECIPES["hodor_stills"]
    recipe = input_benchmark.dataclasses.replace(recipe, driver="driver.py", marker="marker")
    monkeypatch.setattr(input_benchmark, "DRIVERS", tmp_path)
    monkeypatch.setitem(RECIPES, "hodor_stills", recipe)
    return tmp_path


def batches_of(recipe, root, batch=1):
    recipe = RECIPES[recipe]
    data = {"root": str(root), "sources": {"clips": recipe.source}, **recipe.data}
    return open_loader(from_mapping({"batch": batch, "data": data})).batches


def test_both_sides_are_measured_on_the_same_clips(stills, checkout):
    result = compare_input("hodor_stills", stills, checkout, clips=4, repeats=2, loaders=(1,))
    assert [len(runs) for runs in (result.ours, result.official)] == [2, 2]
    for run in result.ours:
        assert 0 < run["parts"]["jpeg"] < run["seconds"]
        assert len(run["objects"]) == 4 and set(run["objects"]) <= {1, 2}
        assert all(len(clip) == 1 for clip in run["reads"])
    assert result.ours[0]["reads"] != result.ours[1]["reads"]
    assert result.loader[1] > 0
    table = "\n".join(result.lines())
    assert "official  1.0 (1.0-1.0)" in table and "our loader, 1 worker" in table


def test_a_failing_program_is_one_named_error(stills, checkout, capsys):
    (checkout / "driver.py").write_text("raise SystemExit('no module named imgaug')")
    options = ["--data_root", str(stills), "--official", str(checkout), "--clips", "4"]
    assert run_command(main, ["--what", "input", *options]) == 2
    assert "no module named imgaug" in capsys.readouterr().err


@pytest.mark.parametrize(
    "recipe, root, error, message",
    [
        ("hodor_still", "stills", ConfigError, "hodor_stills, hodor_videos, aot_stills"),
        ("hodor_stills", None, MissingInputError, "--data_root"),
        ("hodor_stills", "nowhere", MissingInputError, "no prepared data set"),
        ("hodor_stills", "stills", MissingInputError, "image_augmenter.py is missing"),
        ("aot_videos", "stills", MissingInputError, "train_datasets.py is missing"),
    ],
)
def test_what_is_missing_is_named(stills, tmp_path, recipe, root, error, message):
    root = {"stills": stills, "nowhere": tmp_path, None: None}[root]
    with pytest.raises(error, match=message):
        compare_input(recipe, root, tmp_path)


def test_every_recipe_has_a_driver_in_the_repository():
    for recipe in RECIPES.values():
        assert (input_benchmark.DRIVERS / recipe.driver).is_file()


NOTE = "official: of another version"
RUNS = [
    [{"seconds": s, "parts": {"jpeg": 1.0}, "pixels": 600} for s in (2.0, 4.0, 3.0)],
    [
        {"seconds": s, "parts": {"jpeg": 1.0, "normalise": 1.0}, "pixels": 660}
        for s in (8.0, 8.0, 9.0)
    ],
]


def test_table_with_both_sides():
    ours, official, ratio, note, loader = InputComparison(2, 3, NOTE, *RUNS, {2: 0.5}).lines()[1:]
    assert ours.split() == ["ours", "2.0", "(1.5-3.0)", "166.67", "0.00", "333.33", "100"]
    numbers = ["0.8", "(0.7-0.8)", "166.67", "166.67", "1000.00", "110"]
    assert official.split() == ["official", *numbers]
    assert "3.00 (2.00-4.00)" in ratio
    assert "without JPEG decoding 4.00 (2.33-7.00)" in ratio
    assert "without normalising too 3.50 (2.00-6.00)" in ratio
    assert note == NOTE
    assert loader == "our loader, 2 worker processes: 1.5 frames/s a core"


def test_table_of_ours_alone():
    lines = InputComparison(2, 3, NOTE, RUNS[0], [], {}).lines()
    assert len(lines) == 2 and lines[1].startswith("ours")


@pytest.mark.parametrize(
    "recipe, root, reads",
    [
        ("hodor_stills", "stills", {1}),
        ("hodor_videos", "videos", {3}),
        ("aot_stills", "stills", {2}),
    ],
)
def test_clips_name_the_frames_they_are_made_of(request, monkeypatch, recipe, root, reads):
    path, seen = request.getfixturevalue(root), []
    noted = input_worker.note_reads(RecordSet.__getitem__, seen)
    monkeypatch.setattr(RecordSet, "__getitem__", noted)
    answer = input_worker.make_clips(
        batches_of(recipe, path), seen, collections.Counter(), {"first": 0, "clips": 5}
    )
    assert {len(clip) for clip in answer["reads"]} == reads
    records = RecordSet(path, "train")
    lengths = {video.name: video.frames for video in records.videos}
    for clip in answer["reads"]:
        for name, time_there, length in clip:
            assert lengths[name] == length and 0 <= time_there < length
    assert answer["seconds"] > 0 and len(answer["objects"]) == 5
    frames = 5 * RECIPES[recipe].frames
    assert 0.5 * 96 * 128 < answer["pixels"] / frames <= 1200 * 576


def test_timed_functions_add_up_and_keep_their_result():
    seconds = collections.Counter()

    def work(n):
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass
        return n + 1

    measured = input_worker.time_calls(work, "part", seconds)
    assert measured(3) + measured(n=4) == 9
    assert 0.04 <= seconds["part"] < 1


def check_hodor(records, reads, folder, annotations):
    plan = plan_hodor_json(folder / "images", folder / annotations, "train", "exported")
    write_split(plan, folder / "again", shards=1)
    again = RecordSet(folder / "again", "train")
    for name, number, _ in reads:
        stored, exported = records.frame(name, number), again.frame(name, number)
        assert exported.image == stored.image
        ids = stored.objects.ids[~stored.objects.crowds].tolist()
        own = exported.objects.ids.tolist()
        np.testing.assert_array_equal(object_labels(exported, own), object_labels(stored, ids))
    return again


def test_exported_stills_of_hodor_read_back(stills, tmp_path):
    records = RecordSet(stills, "train")
    reads = [("still2", 0, 1), ("still0", 0, 1), ("still2", 0, 1)]
    input_export.hodor_stills(records, reads, tmp_path)
    again = check_hodor(records, reads, tmp_path, "annotations.json")
    assert [video.name for video in again.videos] == ["still0", "still2"]
    (image, _) = json.loads((tmp_path / "annotations.json").read_text())["images"]
    assert image["areas"] == [3600, 3600] and image["bboxes"][1] == [50, 20, 60, 60]


def test_exported_videos_of_hodor_hold_the_frames_read(videos, tmp_path):
    records = RecordSet(videos, "train")
    reads = [("v1", 2, 8), ("v1", 5, 8)]
    input_export.hodor_videos(records, reads, tmp_path)
    (sequence,) = json.loads((tmp_path / "annotations.json").read_text())["sequences"]
    assert [bool(objects) for objects in sequence["tracks"]] == [t in (2, 5) for t in range(8)]
    assert sorted(p.name for p in (tmp_path / "images" / "v1").iterdir()) == [
        "00002.jpg",
        "00005.jpg",
    ]
    assert sequence["tracks"][5]["7"]["box"] == [10, 10, 60, 60]
    assert sequence["tracks"][5]["7"]["area"] == 3600
    for name in range(8):
        path = tmp_path / "images" / "v1" / f"{name:05d}.jpg"
        if not path.exists():
            path.write_bytes(records.frame("v1", 0).image)
    check_hodor(records, reads, tmp_path, "annotations.json")


def test_exported_stills_of_aot_pair_images_and_masks(stills, tmp_path):
    records = RecordSet(stills, "train")
    input_export.aot_stills(records, [("still3", 0, 1), ("still1", 0, 1)], tmp_path)
    images = sorted((tmp_path / "JPEGImages" / "COCO").iterdir())
    masks = sorted((tmp_path / "Annotations" / "COCO").iterdir())
    assert [p.stem for p in images] == [p.stem for p in masks] == ["still1", "still3"]
    assert images[0].read_bytes() == records.frame("still1", 0).image
    expected = object_labels(records.frame("still1", 0), [7, 9])
    np.testing.assert_array_equal(read_mask(masks[0]), expected)


def test_exported_videos_of_aot_are_whole(videos, tmp_path):
    records = RecordSet(videos, "train")
    input_export.aot_videos(records, [("v0", 3, 8)], tmp_path)
    assert (tmp_path / "ImageSets" / "2017" / "train.txt").read_text() == "v0"
    for kind, ending in (("JPEGImages", "jpg"), ("Annotations", "png")):
        names = sorted(p.name for p in (tmp_path / kind / "480p" / "v0").iterdir())
        assert names == [f"{t:05d}.{ending}" for t in range(8)]
    image = read_image(tmp_path / "JPEGImages" / "480p" / "v0" / "00004.jpg")
    np.testing.assert_array_equal(image, picture(records.frame("v0", 4)))
    mask = read_mask(tmp_path / "Annotations" / "480p" / "v0" / "00004.png")
    np.testing.assert_array_equal(mask, object_labels(records.frame("v0", 4), [7]))


class FakeLoader:
    """Batches that take some processor time, and a note of being closed."""

    def __init__(self):
        self.drawn, self.closed = 0, False

    def __next__(self):
        self.drawn += 1
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass
        return {"frames": np.zeros((4, 3, 2, 2, 3), np.uint8)}

    def close(self):
        self.closed = True


def test_batches_are_drawn_warm_and_the_loader_closed():
    loader = FakeLoader()
    assert 12 < input_worker.draw_batches(loader, 2, 11) <= 12 / 0.06
    assert loader.drawn == 6 + 3 and loader.closed


def test_the_command_prints_the_table(monkeypatch, capsys):
    made = InputComparison(2, 3, NOTE, *RUNS, {})
    monkeypatch.setattr(input_benchmark, "compare_input", lambda *args, **kwargs: made)
    assert main(["--what", "input", "--data_root", "prepared/coco"]) is None
    out = capsys.readouterr().out
    assert "hodor_stills, prepared/coco (train)" in out and "ratio" in out


def test_the_worker_says_what_is_wrong_with_its_data(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["worker", json.dumps({"data": {"root": str(tmp_path)}})])
    with pytest.raises(ConfigError, match="sources"):
        input_worker.main()
