"""Frames brought to a short side: sizes, pixels, masks and what stays as it is."""

import io

import numpy as np
import pytest
from PIL import Image

from data_prep.write import write_split
from data_prep.youtube_vos import plan_youtube_vos
from tests.official_folders import youtube_vos_all_frames, youtube_vos_train
from vos_jax.core.errors import ConfigError
from vos_jax.data.planes import frame_labels
from vos_jax.data.records import RecordSet
from vos_jax.io.images import decode_image


@pytest.fixture
def prepare(tmp_path):
    """Makes and writes the training split at a short side; returns (expected, records)."""

    def run(short_side, build=youtube_vos_train, **options):
        expected = build(tmp_path / "source")
        plan = plan_youtube_vos(
            tmp_path / "source", 2019, "train", short_side=short_side, **options
        )
        report = write_split(plan, tmp_path / "set")
        assert report.rejected == []
        return expected, RecordSet(tmp_path / "set", "train")

    return run


@pytest.mark.parametrize(("short_side", "size"), [(32, (32, 42)), (47, (47, 62)), (48, (48, 64))])
def test_as_the_published_helper_does(tmp_path, prepare, short_side, size):
    expected, found = prepare(short_side)
    assert found.dataset == f"youtube_vos_2019_{short_side}p"
    assert {video.size for video in found.videos} == {size}
    for name, frames in expected.items():
        for t, wanted in enumerate(frames):
            frame = found.frame(name, t)
            with Image.open(tmp_path / "source" / wanted.source) as image:
                official = io.BytesIO()
                image.resize(size[::-1], Image.Resampling.BICUBIC).save(official, "JPEG")
            difference = np.abs(
                decode_image(frame.image, "").astype(int)
                - decode_image(official.getvalue(), "").astype(int)
            )
            assert difference.max() <= 8
            assert difference.mean() < 0.5
            with Image.open(wanted.kept) as mask:
                labels = np.array(mask.resize(size[::-1], Image.Resampling.NEAREST))
            np.testing.assert_array_equal(frame_labels(frame), labels)
            assert frame.objects.ids.tolist() == [1, 2]
            assert frame.objects.areas.tolist() == [(labels == i).sum() for i in (1, 2)]
            assert frame.objects.categories.tolist() == list(wanted.categories.values())


def test_frames_of_that_size_keep_their_bytes(tmp_path, prepare, monkeypatch):
    monkeypatch.setattr("data_prep.youtube_vos.SMALLEST_SIDE", 1)
    expected, found = prepare(24)
    for name, frames in expected.items():
        for t, wanted in enumerate(frames):
            frame = found.frame(name, t)
            assert frame.image == (tmp_path / "source" / wanted.source).read_bytes()
            assert frame.mask == wanted.kept.read_bytes()


def test_objects_that_vanish_are_gone(prepare, monkeypatch):
    monkeypatch.setattr("data_prep.youtube_vos.SMALLEST_SIDE", 1)
    _, found = prepare(2)
    frame = found.frame("air", 0)
    assert (
        frame.objects.ids.tolist()
        == np.unique(frame_labels(frame)[frame_labels(frame) > 0]).tolist()
    )
    assert len(frame.objects) < 2


def test_frames_without_mask(prepare):
    _, found = prepare(48, youtube_vos_all_frames, all_frames=True)
    assert found.dataset == "youtube_vos_2019_all_frames_48p"
    frames = [found.frame("sea", t) for t in range(3)]
    assert [frame.annotated for frame in frames] == [True, False, True]
    assert [(frame.height, frame.width) for frame in frames] == [(48, 64)] * 3


def test_the_short_side_is_part_of_what_makes_a_shard_new(tmp_path, prepare):
    prepare(48)
    plan = plan_youtube_vos(tmp_path / "source", 2019, "train", short_side=48)
    assert write_split(plan, tmp_path / "set").shards_kept == 1
    (tmp_path / "source/train/Annotations/sea/00001.png").touch()
    assert write_split(plan, tmp_path / "set").shards_kept == 0


def test_sides_too_small_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="--short_side 8: take 32 pixels or more"):
        plan_youtube_vos(tmp_path, 2019, "train", short_side=8)
