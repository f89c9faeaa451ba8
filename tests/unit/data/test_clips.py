"""Sources of clips: which items and objects they offer, and what a clip holds."""

import pickle

import numpy as np
import pytest

from tests.clip_sets import Box, BoxFrame, picture, still_set, video_set, write_set
from vos_jax.core.errors import ConfigError, ImageError, RecordError
from vos_jax.data.augment import StillAugmentation, VideoAugmentation
from vos_jax.data.clips import StillClips, VideoClips
from vos_jax.data.colour import ColourJitter
from vos_jax.data.crops import object_areas
from vos_jax.data.items import object_labels

PLAIN = ColourJitter(0, 0, 0.0, 0)
UNMOVED = StillAugmentation(
    crop_share=0.0, warps=("affine",), translate=0.0, rotate=0.0, shear=0.0, colour=PLAIN
)
UNVARIED = VideoAugmentation(crop_share=0.0, min_area=10**6, colour=PLAIN)


def rng(seed=0):
    return np.random.default_rng(seed)


def unmirrored(sample, expected):
    """The labels of a clip that was at most mirrored, the way round of `expected`."""
    same = np.array_equal(sample.labels[0], expected)
    return sample.labels if same else sample.labels[:, :, ::-1]


def stills(path, **options):
    return StillClips(still_set(path), UNMOVED, **{"min_area": 300, "min_side": 10, **options})


def videos(path, **options):
    return VideoClips(video_set(path), UNVARIED, **{"min_area": 300, "min_side": 10, **options})


def test_stills_offer_every_image_with_its_objects(tmp_path):
    source = stills(tmp_path)
    assert source.counts.tolist() == [1, 2, 3, 4] * 3
    assert source.sizes.tolist() == [[64, 96], [96, 64], [72, 72]] * 4
    assert source.times == 3


@pytest.mark.parametrize(
    "options, counts",
    [
        ({"min_area": 400}, [1, 2, 3] * 3),
        ({"min_area": 399}, [1, 2, 3, 4] * 3),
        ({"min_area": 500}, [1] * 3),
        ({"min_side": 20}, [1] * 3),
        ({"min_side": 19.5}, [1, 2, 3, 4] * 3),
    ],
)
def test_small_objects_are_left_out(tmp_path, options, counts):
    """Areas are 400, 480, 480, 576 and sides 20, 20, 20, 24; the limits must be exceeded."""
    assert stills(tmp_path, **options).counts.tolist() == counts


def test_crowds_and_empty_images_are_left_out(tmp_path):
    corners = (2, 2, 42, 42)
    records = write_set(
        tmp_path,
        [BoxFrame("a", 0, (64, 64), (Box(1, corners, crowd=True),))],
        [BoxFrame("b", 0, (64, 64), ())],
        [BoxFrame("c", 0, (64, 96), (Box(1, corners, crowd=True), Box(2, corners)))],
    )
    source = StillClips(records, UNMOVED, min_area=300, min_side=10)
    assert source.counts.tolist() == [1] and source.sizes.tolist() == [[64, 96]]
    assert source.clip(0, 1, rng()).labels.max() == 1


def test_still_clip_shows_image_and_objects(tmp_path):
    records = still_set(tmp_path)
    source = StillClips(records, UNMOVED, min_area=300, min_side=10)
    sample = source.clip(3, 4, rng())
    expected = object_labels(records[3], [7, 17, 27, 37])
    np.testing.assert_array_equal(unmirrored(sample, expected)[2], expected)
    image = picture(BoxFrame("still003", 0, (64, 96), ()))
    mirrored = not np.array_equal(sample.labels[0], expected)
    np.testing.assert_allclose(sample.frames[1], image[:, ::-1] if mirrored else image, atol=6)
    assert sample.present.all() and sample.labelled.all()


def test_objects_are_drawn_evenly_and_numbered_in_order(tmp_path):
    source = stills(tmp_path)
    areas = np.array([400, 480, 480, 576])
    seen = np.zeros(4)
    generator = rng(1)
    for _ in range(120):
        sample = source.clip(3, 1, generator)
        (area,) = object_areas(sample.labels[0], 1)
        seen[areas == area] += 1
    assert seen[0] == pytest.approx(30, abs=15) and seen[3] == pytest.approx(30, abs=15)
    two = source.clip(3, 2, generator)
    assert list(object_areas(two.labels[0], 2)) == sorted(object_areas(two.labels[0], 2))


def test_only_large_objects_are_drawn(tmp_path):
    """Of the areas 400, 480, 480, 576 on the fourth image the first is too small."""
    source = stills(tmp_path, min_area=400)
    item = source.counts.tolist().index(3)
    for seed in range(8):
        sample = source.clip(item, 3, rng(seed))
        np.testing.assert_array_equal(object_areas(sample.labels[0], 3), [480, 480, 576])


def test_later_objects_lie_on_top():
    frame = BoxFrame("a", 0, (20, 20), (Box(5, (0, 0, 10, 10)), Box(2, (5, 5, 15, 15)))).load()
    np.testing.assert_array_equal(object_areas(object_labels(frame, [5, 2]), 2), [75, 100])
    np.testing.assert_array_equal(object_areas(object_labels(frame, [2, 5]), 2), [75, 100])


def test_labels_of_chosen_objects_ignore_the_others():
    boxes = (Box(5, (0, 0, 10, 10)), Box(2, (0, 0, 20, 20)), Box(8, (12, 12, 18, 18)))
    frame = BoxFrame("a", 0, (20, 20), boxes).load()
    np.testing.assert_array_equal(object_areas(object_labels(frame, [5, 8]), 2), [100, 36])


@pytest.mark.parametrize("overlapping", [True, False])
def test_absent_objects_and_void_leave_background(overlapping):
    boxes = (Box(5, (0, 0, 10, 10)), Box(255, (12, 12, 18, 18)))
    frame = BoxFrame("a", 0, (20, 20), boxes, overlapping).load()
    np.testing.assert_array_equal(object_areas(object_labels(frame, [3, 5]), 2), [0, 100])


def test_videos_offer_reference_frames_with_room_behind(tmp_path):
    source = videos(tmp_path, others=2)
    assert len(source.counts) == 3 * (12 - 3)
    assert (source.counts == 2).all() and (source.sizes == (64, 96)).all()
    assert source.times == 3
    assert len(videos(tmp_path, others=4).counts) == 3 * (12 - 5)


def test_short_videos_offer_nothing(tmp_path):
    source = VideoClips(video_set(tmp_path, length=3), UNVARIED, min_area=300, min_side=10)
    assert len(source.counts) == 0


@pytest.mark.parametrize("max_gap", [3, 5, 8])
def test_later_frames_follow_within_the_gap(tmp_path, max_gap):
    records = video_set(tmp_path)
    source = VideoClips(records, UNVARIED, max_gap=max_gap, min_area=300, min_side=10)
    truth = [object_labels(records[t], [3, 9]) for t in range(12)]
    gaps = set()
    for seed in range(60):
        item = seed % 9
        sample = source.clip(item, 2, rng(seed))
        labels = unmirrored(sample, truth[item])
        times = [next(t for t in range(12) if np.array_equal(truth[t], view)) for view in labels]
        assert times[0] == item and times == sorted(set(times))
        assert times[2] < item + max_gap
        gaps |= set(np.subtract(times[1:], item).tolist())
    assert gaps == set(range(1, max_gap))


def test_video_clips_stay_in_their_video(tmp_path):
    records = video_set(tmp_path)
    source = VideoClips(records, UNVARIED, min_area=300, min_side=10)
    pictures = {v: picture(BoxFrame(f"video{v}", 8, (64, 96), ())) for v in range(3)}
    for video in range(3):
        sample = source.clip(9 * video + 8, 1, rng())
        frame = sample.frames[0]
        differences = {
            v: min(
                np.abs(image.astype(int) - frame).mean(),
                np.abs(image[:, ::-1].astype(int) - frame).mean(),
            )
            for v, image in pictures.items()
        }
        assert min(differences, key=differences.get) == video and differences[video] < 3


def test_video_objects_keep_their_numbers(tmp_path):
    source = videos(tmp_path)
    sample = source.clip(4, 2, rng(2))
    for view in sample.labels:
        assert set(np.unique(view[4:28])) == {0, 1} and set(np.unique(view[36:60])) == {0, 2}
    assert sample.present.all() and sample.labelled.all()


def test_equal_generators_give_equal_clips(tmp_path):
    source = videos(tmp_path)
    one, two = (source.clip(5, 1, rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.frames, two.frames)
    np.testing.assert_array_equal(one.labels, two.labels)


def test_gap_without_room_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="max_gap 2"):
        videos(tmp_path, max_gap=2)


def test_damaged_record_is_named(tmp_path):
    source = StillClips(still_set(tmp_path, spoil=[2]), UNMOVED, min_area=300, min_side=10)
    with pytest.raises(RecordError, match="byte"):
        source.clip(2, 1, rng())
    source.clip(1, 1, rng())


def test_image_of_another_size_than_its_masks_is_named(tmp_path):
    class Turned(BoxFrame):
        def load(self):
            frame = super().load()
            object.__setattr__(frame, "height", 96)
            object.__setattr__(frame, "width", 64)
            return frame

    records = write_set(tmp_path, [Turned("a", 0, (64, 96), (Box(1, (0, 0, 40, 40)),))])
    source = StillClips(records, UNMOVED, min_area=300, min_side=10)
    with pytest.raises(ImageError, match="a/00000.*96x64"):
        source.clip(0, 1, rng())


@pytest.mark.parametrize("make", [stills, videos])
def test_sources_travel_to_worker_processes(tmp_path, make):
    source = make(tmp_path)
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(source.clip(1, 1, rng()).frames, copy.clip(1, 1, rng()).frames)
