"""Clips of sparsely labelled video: reference frames, neighbours, and which masks are read."""

import pickle
from collections import Counter

import numpy as np
import pytest

from tests.clip_sets import Box, BoxFrame, picture, write_set
from vos_jax.core.errors import ConfigError
from vos_jax.data.augment import VideoAugmentation
from vos_jax.data.clips import SparseVideoClips
from vos_jax.data.colour import ColourJitter
from vos_jax.data.pipeline import make_loader

SIZE = (64, 96)
LARGE = ((2, 2, 30, 30), (2, 40, 30, 70), (34, 2, 62, 30), (34, 40, 62, 70), (2, 72, 30, 94))
UNVARIED = VideoAugmentation(
    crop_share=0.0, min_area=10**6, colour=ColourJitter(0, 0, 0.0, 0), colour_per_frame=True
)


class Unlabelled(BoxFrame):
    """A frame the source says nothing about."""

    def load(self):
        frame = super().load()
        object.__setattr__(frame, "annotated", False)
        return frame


class Spoilt(BoxFrame):
    """A frame whose masks cannot be decoded."""

    def load(self):
        frame = super().load()
        object.__setattr__(frame.objects, "rles", (b"???",) * len(self.boxes))
        return frame


def video(name, objects, spoilt=()):
    """Frames with so many large objects each; None leaves a frame without labels."""
    frames = []
    for t, count in enumerate(objects):
        kind = Unlabelled if count is None else Spoilt if t in spoilt else BoxFrame
        boxes = tuple(Box(10 * i + 7, LARGE[i]) for i in range(count or 0))
        frames.append(kind(name, t, SIZE, boxes))
    return frames


def source(path, *videos, **options):
    settings = {"min_area": 300, "min_side": 10, **options}
    return SparseVideoClips(write_set(path, *videos), UNVARIED, **settings)


def rng(seed=0):
    return np.random.default_rng(seed)


def times_of(sample, name, length):
    """Which frames a clip shows, and whether it is mirrored."""
    pictures = [picture(BoxFrame(name, t, SIZE, ())).astype(int) for t in range(length)]

    def nearest(frame):
        return min(
            (np.abs(image[:, ::step] - frame).mean(), t)
            for t, image in enumerate(pictures)
            for step in (1, -1)
        )[1]

    return [nearest(frame) for frame in sample.frames]


@pytest.mark.parametrize(
    "objects, middle, last",
    [
        ([1] * 9, 4, 8),
        ([1] * 8, 4, 7),
        ([1] * 3 + [0] * 6, 2, 2),
        ([0] * 6 + [1] * 3, 6, 8),
        ([1, 0, 0, 0, 0, 0, 0, 0, 1], 8, 8),
        ([None, 1, None, None, None, 1, 1, None], 5, 6),
    ],
    ids=str,
)
def test_the_reference_is_one_labelled_frame_per_video(tmp_path, objects, middle, last):
    for which, expected in (("middle", middle), ("last", last)):
        clips = source(tmp_path / which, video("a", objects), reference=which)
        assert clips.sizes.tolist() == [list(SIZE)]
        sample = clips.clip(0, 4, rng())
        assert times_of(sample, "a", len(objects))[0] == expected


def test_small_objects_make_no_reference(tmp_path):
    small = [BoxFrame("a", t, SIZE, (Box(1, (0, 0, 17, 17)),)) for t in range(3)]
    large = video("a", [0, 0, 0, 1, 1])[3:]
    clips = source(tmp_path, [*small, *large], reference="middle")
    assert times_of(clips.clip(0, 4, rng()), "a", 5)[0] == 3


def test_videos_without_reference_or_room_are_left_out_and_counted(tmp_path, caplog):
    videos = [
        video("short", [1, 1]),
        video("empty", [0] * 6),
        video("good", [1] * 5),
        video("unlabelled", [None] * 6),
        video("centred", [0, 1, 0]),
        video("edge", [1, 0, 0]),
    ]
    with caplog.at_level("INFO"):
        clips = source(tmp_path, *videos)
    assert len(clips.sizes) == 2
    assert "2 of 6 videos" in caplog.text
    names = {times_of(clips.clip(0, 1, rng()), "good", 5)[0]}
    assert names == {2}


@pytest.mark.parametrize("max_gap", [2, 3, 6])
def test_others_lie_on_one_side_within_the_gap(tmp_path, max_gap):
    clips = source(tmp_path, video("a", [1] * 13), max_gap=max_gap)
    seen = Counter()
    for seed in range(40):
        reference, *others = times_of(clips.clip(0, 4, rng(seed)), "a", 13)
        offsets = np.subtract(others, reference)
        assert reference == 6 and len(set(others)) == 2
        assert abs(offsets.sum()) == np.abs(offsets).sum() and np.abs(offsets).max() <= max_gap
        seen[offsets[0] > 0] += 1
        seen[np.abs(offsets).max()] += 1
    assert seen[True] and seen[False] and seen[max_gap]


def test_only_the_reference_is_labelled_and_all_count_as_present(tmp_path):
    clips = source(tmp_path, video("a", [2] * 6))
    sample = clips.clip(0, 4, rng())
    assert sample.labelled.tolist() == [True, False, False]
    assert sample.present.shape == (3, 2) and sample.present.all()
    assert set(np.unique(sample.labels[0])) == {0, 1, 2} and not sample.labels[1:].any()


def test_masks_of_other_frames_are_never_decoded(tmp_path):
    objects = [1] * 7
    clips = source(tmp_path, video("a", objects, spoilt=[0, 1, 2, 4, 5, 6]))
    for seed in range(6):
        assert clips.clip(0, 4, rng(seed)).labels[0].any()


@pytest.mark.parametrize("slots, taken", [(1, 1), (4, 4), (9, 5)])
def test_up_to_so_many_objects_are_drawn_at_random(tmp_path, slots, taken):
    clips = source(tmp_path, video("a", [5] * 6))
    drawn = [clips.clip(0, slots, rng(seed)) for seed in range(12)]
    assert {sample.present.shape[1] for sample in drawn} == {taken}
    used = {int((sample.labels[0] > 0).sum()) for sample in drawn}
    assert len(used) == (1 if taken == 5 else 3)


def test_every_video_has_the_same_share_of_the_samples(tmp_path):
    """Without balancing: a quarter each, however many objects they have."""
    videos = [video(f"v{count}", [count] * 5) for count in (1, 2, 3, 4)]
    loader = make_loader(
        [(source(tmp_path, *videos), 1.0)], batch_size=8, seed=0, canvases=(SIZE,), slots=4
    )
    counts = Counter(int(n) for _ in range(6) for n in next(loader)["slots"].sum(1))
    loader.close()
    assert counts == {1: 12, 2: 12, 3: 12, 4: 12}


def test_equal_generators_give_equal_clips_in_every_process(tmp_path):
    clips = source(tmp_path, video("a", [3] * 9))
    one, two = clips.clip(0, 2, rng(3)), pickle.loads(pickle.dumps(clips)).clip(0, 2, rng(3))
    np.testing.assert_array_equal(one.frames, two.frames)
    np.testing.assert_array_equal(one.labels, two.labels)


@pytest.mark.parametrize(
    "options, said", [({"reference": "first"}, "middle, last"), ({"max_gap": 1}, "max_gap 1")]
)
def test_settings_that_cannot_work_are_refused(tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        source(tmp_path, video("a", [1] * 5), **options)
