"""The generated set: what moves how, that it can be made again, and how hard it is."""

import sys

import numpy as np
import pytest

from data_prep import moving_shapes
from data_prep.moving_objects import MovingVideo, main, make_videos, write_davis_layout
from data_prep.moving_shapes import (
    DRIFT,
    FRAME_SIZE,
    GROWTH,
    MARGIN,
    NOISE,
    PHOTOGRAPHS,
    SCALES,
    SPEED,
    TINT,
    TURN,
    cut_window,
    draw_frame,
    make_scene,
    photograph_paths,
    read_photograph,
)
from vos_jax.core.errors import ConfigError, MissingInputError, OutputError
from vos_jax.core.labels import object_ids
from vos_jax.data.records import RecordSet
from vos_jax.io.images import decode_image, decode_mask, read_image, read_mask
from vos_jax.io.layouts import davis
from vos_jax.metrics.region_boundary import boundary_radius, object_scores

FRAMES = 10


def scene_of(seed: int, frames: int = 40, late: float = 0.0):
    return make_scene(np.random.default_rng(seed), photograph_paths("train"), frames, late)


@pytest.fixture(params=range(5))
def scene(request):
    return scene_of(request.param)


def test_objects_move_as_fast_as_stated(scene):
    for shape in scene.shapes:
        steps = np.linalg.norm(np.diff(shape.centres, axis=0), axis=1)
        assert steps.max() <= SPEED[1] + 1e-9
        assert np.median(steps) >= SPEED[0] - 1e-9
        assert np.abs(np.diff(shape.angles)).max() <= np.radians(TURN) + 1e-9
        ratios = shape.scales[1:] / shape.scales[:-1]
        assert np.abs(np.log(ratios)).max() <= -np.log(1 - GROWTH) + 1e-9


def test_objects_bounce_inside_the_frame(scene):
    for shape in scene.shapes:
        assert shape.centres.min() >= MARGIN
        assert (shape.centres.max(0) <= np.array(FRAME_SIZE[::-1]) - 1 - MARGIN).all()
        assert SCALES[0] - 1e-9 <= shape.scales.min() <= shape.scales.max() <= SCALES[1] + 1e-9


def test_some_path_turns_at_a_border():
    turns = [np.diff(np.sign(np.diff(shape.centres, axis=0)), axis=0).any()
             for seed in range(5) for shape in scene_of(seed).shapes]  # fmt: skip
    assert any(turns)


def test_the_background_drifts_a_pixel_a_frame(scene):
    steps = np.linalg.norm(np.diff(scene.offsets, axis=0), axis=1)
    assert np.median(steps) == pytest.approx(DRIFT)
    assert scene.offsets.min() >= 0
    assert scene.offsets.max() <= 2 * MARGIN


def test_noise_has_the_stated_strength(scene):
    draws = [draw_frame(scene, 0, np.random.default_rng(n))[0] for n in range(30)]
    frames = np.stack(draws).astype(float)
    unclipped = (frames.min(0) > 10) & (frames.max(0) < 245)
    deviations = frames.std(0, ddof=1)[unclipped]
    assert deviations.mean() == pytest.approx(NOISE, rel=0.05)


@pytest.mark.parametrize("number", range(8))
def test_every_object_is_seen_on_the_first_frame(number):
    _, labels = MovingVideo("val", 0, number, FRAMES).draw(0)
    ids = object_ids(labels)
    assert ids == list(range(1, len(ids) + 1))
    assert len(ids) in (2, 3)
    assert min((labels == i).sum() for i in ids) > 200


@pytest.mark.parametrize("seed", range(6))
def test_late_objects_are_absent_and_then_stay(seed):
    scene = scene_of(seed, frames=12, late=1.0)
    assert scene.shapes[0].start == 0
    assert all(shape.start >= 1 for shape in scene.shapes[1:])
    last = len(scene.shapes)
    for t in range(12):
        labels = draw_frame(scene, t, np.random.default_rng(0))[1]
        assert (labels == last).any() == (t >= scene.shapes[-1].start)


def test_windows_are_tinted_at_most_as_stated():
    grey = np.full((300, 300, 3), 100, np.float32)
    rng = np.random.default_rng(0)
    tints = np.stack([cut_window(rng, grey, (50, 60)).mean((0, 1)) for _ in range(50)])
    assert np.abs(tints - 100).max() <= 100 * TINT + 1e-3
    assert tints.std(0).min() > 3
    assert tints.std(1).max() > 3


@pytest.mark.parametrize("size", [(96, 128), (300, 451)])
def test_windows_fit_small_photographs(size):
    photograph = read_photograph(photograph_paths("val")[0])
    assert cut_window(np.random.default_rng(0), photograph, size).shape == (*size, 3)


def test_objects_are_cut_from_other_photographs_than_the_background(monkeypatch):
    plain = {number: np.full((200, 200, 3), 50.0 * number, np.float32) for number in (1, 2, 3)}
    monkeypatch.setattr(moving_shapes, "read_photograph", plain.get)
    for seed in range(10):
        scene = make_scene(np.random.default_rng(seed), (1, 2, 3), FRAMES)
        sources = [round(part.mean() / 50) for part in _textures(scene)]
        assert sources[0] not in sources[1:]


def _textures(scene):
    return [scene.background, *(shape.texture for shape in scene.shapes)]


def test_held_out_photographs_are_others():
    seen = {name.split("_")[0].split(".")[0] for name in PHOTOGRAPHS["train"]}
    assert not seen & {name.split("_")[0].split(".")[0] for name in PHOTOGRAPHS["val"]}


def test_a_frame_is_the_same_whenever_it_is_drawn():
    first, *_ = make_videos("train", 1, FRAMES, seed=3)
    other = make_videos("train", 4, FRAMES, seed=3)[0]
    later = [first.draw(t) for t in (7, 2)]
    for t, (image, labels) in zip((7, 2), later, strict=True):
        assert np.array_equal(other.draw(t)[0], image)
        assert np.array_equal(other.draw(t)[1], labels)


@pytest.mark.parametrize("change", [{"seed": 1}, {"number": 1}, {"split": "val"}])
def test_seed_number_and_split_change_the_video(change):
    base = {"split": "train", "seed": 0, "number": 0, "length": FRAMES}
    assert not np.array_equal(
        MovingVideo(**base).draw(0)[1], MovingVideo(**base | change).draw(0)[1]
    )


@pytest.mark.parametrize("split", ["val", "train"])
def test_copying_the_first_mask_scores_in_the_wanted_range(split):
    radius = boundary_radius(FRAME_SIZE)
    rows = []
    for video in make_videos(split, 20, FRAMES, seed=0):
        labels = [video.draw(t)[1] for t in range(FRAMES)]
        ids = object_ids(labels[0])
        rows += [object_scores(truth, labels[0], ids, radius) for truth in labels[1:-1]]
    assert 30 <= 100 * np.mean([np.mean(scores) for row in rows for scores in row]) <= 55


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The command's output, as (prepared folder, DAVIS folder)."""
    root = tmp_path_factory.mktemp("made")
    arguments = ["--split", "val", "--videos", "3", "--frames", "4", "--processes", "1"]
    folders = ["--output", str(root / "set"), "--davis_layout", str(root / "davis")]
    assert main([*arguments, *folders]) == 0
    return root / "set", root / "davis"


def test_records_hold_what_was_drawn(made):
    records = RecordSet(made[0], "val")
    videos = make_videos("val", 3, 4, seed=0)
    assert [entry.name for entry in records.videos] == [video.name for video in videos]
    for video in videos:
        for t in range(4):
            frame = records.frame(video.name, t)
            image, labels = video.draw(t)
            assert np.array_equal(decode_mask(frame.mask, "mask"), labels)
            assert np.abs(decode_image(frame.image, "image") - image.astype(float)).mean() < 4
            assert frame.objects.ids.tolist() == object_ids(labels)
            assert frame.objects.areas.tolist() == [(labels == i).sum() for i in frame.objects.ids]


def test_davis_folders_hold_the_same_files(made):
    records = RecordSet(made[0], "val")
    sequences = davis(made[1], 2017, "val")
    assert [sequence.name for sequence in sequences] == [entry.name for entry in records.videos]
    for sequence in sequences:
        for t, (image, mask) in enumerate(zip(sequence.frames, sequence.annotations, strict=True)):
            frame = records.frame(sequence.name, t)
            assert np.array_equal(read_image(image), decode_image(frame.image, "image"))
            assert np.array_equal(read_mask(mask), decode_mask(frame.mask, "mask"))


def test_boxes_enclose_the_objects(made):
    frame = RecordSet(made[0], "val").frame(0, 2)
    labels = decode_mask(frame.mask, "mask")
    for object_id, (x, y, w, h) in zip(
        frame.objects.ids, frame.objects.boxes.astype(int), strict=True
    ):
        rows, columns = np.nonzero(labels == object_id)
        assert (columns.min(), rows.min()) == (x, y)
        assert (columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min()) == (w, h)


@pytest.mark.parametrize(
    "numbers", [(0, 4, 0, 0.0), (3, 0, 0, 0.0), (3, 4, -1, 0.0), (3, 4, 0, 1.5)]
)
def test_numbers_that_cannot_work_are_refused(numbers):
    with pytest.raises(ConfigError, match="--videos"):
        make_videos("val", *numbers)


def test_a_missing_photograph_is_named(monkeypatch):
    monkeypatch.setitem(moving_shapes.PHOTOGRAPHS, "val", ("nobody.png",))
    with pytest.raises(MissingInputError, match="nobody.png"):
        photograph_paths("val")


def test_missing_scikit_image_is_said_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingInputError, match="demo"):
        photograph_paths("val")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="davis_layout"):
        write_davis_layout(make_videos("val", 1, 1, 0), tmp_path / "file" / "davis")
