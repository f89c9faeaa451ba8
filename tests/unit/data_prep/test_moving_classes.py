"""Generated objects with classes: what shows them, and their folders in YouTube-VIS' layout."""

import numpy as np
import pytest

from data_prep.moving_layouts import write_youtube_vis_layout
from data_prep.moving_objects import main, make_videos
from data_prep.moving_shapes import CLASSES, draw_frame, make_scene, photograph_paths
from data_prep.write import write_split
from data_prep.youtube_vis import plan_youtube_vis
from vos_jax.core.errors import OutputError
from vos_jax.data.items import label_map, picture
from vos_jax.data.planes import object_planes
from vos_jax.data.records import RecordSet

FRAMES = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The command's prepared folder and YouTube-VIS folder."""
    root = tmp_path_factory.mktemp("made")
    arguments = ["--split", "val", "--videos", "3", "--frames", str(FRAMES), "--processes", "1"]
    folders = ["--output", str(root / "set"), "--youtube_vis_layout", str(root / "vis")]
    assert main([*arguments, "--classes", "--late", "0.5", *folders]) == 0
    return root / "set", root / "vis"


def scenes():
    paths = photograph_paths("train")
    return [make_scene(np.random.default_rng(n), paths, 2, classes=True) for n in range(12)]


def test_every_class_occurs_and_shows_in_the_outline_alone():
    """A wave of as many lobes, whatever the photograph; without classes there is none."""
    shapes = [shape for scene in scenes() for shape in scene.shapes]
    assert {shape.category for shape in shapes} == set(range(1, 1 + len(CLASSES)))
    for shape in shapes:
        rows = np.flatnonzero(shape.waves.any(axis=1))
        assert rows.tolist() == [shape.category - 1]
    plain = make_scene(np.random.default_rng(0), photograph_paths("train"), 2)
    assert {shape.category for shape in plain.shapes} == {0}


def test_objects_are_in_colour_and_the_background_is_not():
    for number, scene in enumerate(scenes()):
        image, labels = draw_frame(scene, 0, np.random.default_rng(number))
        colour = np.ptp(image.astype(int), axis=-1)
        assert np.median(colour[labels > 0]) > 60 and np.percentile(colour[labels == 0], 95) < 30


def test_records_name_the_classes(made):
    records = RecordSet(made[0], "val")
    for video in make_videos("val", 3, FRAMES, 0, 0.5, classes=True):
        objects = records.objects(video.name, FRAMES - 1)
        named = dict(zip(objects.ids.tolist(), objects.categories.tolist(), strict=True))
        assert named and named.items() <= video.categories.items()


def test_the_layout_is_read_as_youtube_vis(made, tmp_path):
    """The same pictures, masks and classes as the records, in another set's clothes."""
    plan = plan_youtube_vis(made[1], 2019, "val")
    assert plan.categories == dict(enumerate(CLASSES, start=1))
    write_split(plan, tmp_path, shards=1)
    ours, theirs = RecordSet(made[0], "val"), RecordSet(tmp_path, "val")
    assert len(ours) == len(theirs) == 3 * FRAMES
    for number in range(len(ours)):
        one, other = ours[number], theirs[number]
        np.testing.assert_array_equal(picture(one), picture(other))
        labels = label_map(one, one.objects.ids.tolist())
        assert one.objects.categories.tolist() == other.objects.categories.tolist()
        np.testing.assert_array_equal(one.objects.areas, other.objects.areas)
        np.testing.assert_array_equal(one.objects.boxes, other.objects.boxes)
        for identity, plane in zip(one.objects.ids, object_planes(other), strict=True):
            np.testing.assert_array_equal(plane, labels == identity)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="youtube_vis_layout"):
        write_youtube_vis_layout(make_videos("val", 1, 1, 0, classes=True), tmp_path / "file")
