"""HODOR's augmentations as wholes: stills made into clips, clips of video varied."""

import numpy as np
import pytest

from vos_jax.core.errors import ConfigError
from vos_jax.data.augment import StillAugmentation, VideoAugmentation
from vos_jax.data.colour import ColourJitter
from vos_jax.data.crops import object_areas

SIZE = (120, 160)
PLAIN = ColourJitter(0, 0, 0.0, 0)


def still():
    """An image whose values tell its labels: 1 and 2 centred, 3 in a corner."""
    labels = np.zeros(SIZE, np.uint8)
    labels[30:80, 40:90] = 1
    labels[50:100, 70:120] = 2
    labels[0:20, 0:20] = 3
    return np.repeat(labels[..., None] * 60, 3, axis=-1), labels


def make(seed=0, **options):
    frame, labels = still()
    augmentation = StillAugmentation(**{"min_area": 100, **options})
    return augmentation(frame, labels, 3, np.random.default_rng(seed))


def mirrored(sample):
    """Whether an otherwise untouched reference was mirrored."""
    labels = still()[1]
    if np.array_equal(sample.labels[0], labels):
        return False
    np.testing.assert_array_equal(sample.labels[0], labels[:, ::-1])
    return True


@pytest.mark.parametrize("crop_share", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(12))
def test_clip_holds_together(seed, crop_share):
    sample = make(seed, crop_share=crop_share, colour=PLAIN)
    assert sample.frames.shape == (3, *SIZE, 3) and sample.frames.dtype == np.uint8
    assert sample.labels.shape == (3, *SIZE) and sample.labels.dtype == np.uint8
    assert sample.valid.shape == (3, *SIZE) and sample.valid.dtype == bool
    assert sample.labelled.tolist() == [True] * 3
    assert sample.labels.max() <= 3
    areas = np.stack([object_areas(labels, 3) for labels in sample.labels])
    np.testing.assert_array_equal(sample.present, areas > 0)
    assert sample.valid[0].all()
    labels_seen = np.rint(sample.frames[..., 0] / 60)
    assert (labels_seen == sample.labels)[sample.valid].mean() > 0.97


def test_equal_generators_give_equal_clips_and_others_do_not():
    one, two, other = make(5), make(5), make(6)
    np.testing.assert_array_equal(one.frames, two.frames)
    np.testing.assert_array_equal(one.labels, two.labels)
    assert (one.frames != other.frames).any()


def test_source_is_not_changed():
    frame, labels = still()
    StillAugmentation()(frame, labels, 3, np.random.default_rng(1))
    np.testing.assert_array_equal(frame, still()[0])
    np.testing.assert_array_equal(labels, still()[1])


def test_warp_variant_leaves_the_reference_and_mirrors_half_of_the_clips():
    samples = [make(seed, crop_share=0.0, colour=PLAIN) for seed in range(80)]
    flips = [mirrored(sample) for sample in samples]
    assert 25 < sum(flips) < 55
    for sample in samples:
        assert all((view != sample.labels[0]).any() for view in sample.labels[1:])


def test_all_frames_of_a_clip_are_mirrored_together():
    shifts = []
    for seed in range(40):
        still_only = dict(warps=("affine",), translate=0.0, rotate=0.0, shear=0.0)
        sample = make(seed, crop_share=0.0, **still_only)
        np.testing.assert_array_equal(sample.labels[0], sample.labels[1])
        np.testing.assert_array_equal(sample.frames[0], sample.frames[2])
        shifts.append(mirrored(sample))
    assert any(shifts) and not all(shifts)


def test_one_colour_change_for_all_frames():
    sample = make(3, crop_share=0.0, warps=("affine",), translate=0.0, rotate=0.0, shear=0.0)
    assert (sample.frames[0] != still()[0]).any()
    np.testing.assert_array_equal(sample.frames[0], sample.frames[1])


def test_variants_have_equal_probability():
    frame, labels = still()
    untouched = 0
    for seed in range(200):
        sample = make(seed, colour=PLAIN)
        reference = sample.labels[0]
        untouched += any(np.array_equal(reference, view) for view in (labels, labels[:, ::-1]))
    assert 65 < untouched < 135


def test_crop_variant_keeps_the_objects_of_the_reference():
    labels = still()[1]
    for seed in range(40):
        reference = make(seed, crop_share=1.0).labels[0]
        assert object_areas(reference, 3).min() >= 100
        assert (object_areas(reference, 3) >= 0.5 * object_areas(labels, 3)).all()


def test_crop_variant_enlarges_the_others_by_one_factor():
    frame, labels = still()
    labels[:] = 0
    labels[10:110, 79:81] = 1
    scales = set()
    for seed in range(60):
        sample = StillAugmentation(crop_share=1.0, crop_rotate=0.0, crop_shear=0.0)(
            frame, labels, 1, np.random.default_rng(seed)
        )
        widths = [np.count_nonzero(view.any(axis=0)) for view in sample.labels[1:]]
        assert abs(widths[0] - widths[1]) <= 1
        scales.add(widths[0])
    assert scales <= {2, 3, 4}


def test_half_of_the_cropped_frames_are_turned_too():
    turned = [(~make(seed, crop_share=1.0).valid[t]).any() for seed in range(60) for t in (1, 2)]
    assert 0.35 < np.mean(turned) < 0.65


@pytest.mark.parametrize("others", [0, 1, 4])
@pytest.mark.parametrize("crop_share", [0.0, 1.0])
def test_number_of_frames(others, crop_share):
    assert len(make(0, others=others, crop_share=crop_share).frames) == 1 + others


def test_each_kind_of_warp_is_as_likely():
    invented = [(~make(seed, crop_share=0.0).valid[t]).any() for seed in range(150) for t in (1, 2)]
    assert 0.25 < np.mean(invented) < 0.42


@pytest.mark.parametrize("warps", [(), ("affine", "elastic")])
def test_unknown_warps_are_refused(warps):
    with pytest.raises(ConfigError, match="perspective"):
        StillAugmentation(warps=warps)


def vary(seed=0, frames=None, masks=None, **options):
    frame, labels = still()
    frames = frames or [frame] * 3
    masks = masks or [labels] * 3
    augmentation = VideoAugmentation(**{"min_area": 100, **options})
    return augmentation(frames, masks, 3, np.random.default_rng(seed))


@pytest.mark.parametrize("crop_share", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(10))
def test_video_frames_are_all_varied_alike(seed, crop_share):
    sample = vary(seed, crop_share=crop_share)
    for part in (sample.frames, sample.labels, sample.valid):
        np.testing.assert_array_equal(part[0], part[1])
        np.testing.assert_array_equal(part[0], part[2])


def test_colour_per_frame_differs():
    sample = vary(0, colour_per_frame=True)
    assert (sample.frames[0] != sample.frames[1]).any()
    np.testing.assert_array_equal(sample.labels[0], sample.labels[1])


@pytest.mark.parametrize("seed", range(20))
def test_video_warps_keep_the_objects_of_the_reference(seed):
    sample = vary(seed, crop_share=0.0)
    before, after = object_areas(still()[1], 3), object_areas(sample.labels[0], 3)
    assert (after >= 0.5 * before).all() and after.min() >= 100


@pytest.mark.parametrize("crop_share", [0.0])
@pytest.mark.parametrize("seed", range(5))
def test_video_stays_as_it_is_when_no_warp_keeps_the_objects(seed, crop_share):
    sample = vary(seed, crop_share=crop_share, min_area=10**6, colour=PLAIN)
    mirrored(sample)
    assert sample.valid.all()


def test_presence_of_a_frame_follows_its_labels():
    frame, labels = still()
    gone = np.where(labels == 2, 0, labels).astype(np.uint8)
    for seed in range(10):
        sample = vary(seed, masks=[labels, gone, labels], crop_share=0.0)
        assert sample.present[:, 1].tolist() == [True, False, True]
        assert sample.present[0].all()


def test_video_brightness_is_milder_by_default():
    assert VideoAugmentation().colour == ColourJitter(12, 12, 0.05, 20)
    assert StillAugmentation().colour == ColourJitter(12, 12, 0.05, 25)
