"""Published recipes end to end: sizes, who shares what, and their numbers."""

import cv2
import numpy as np
import pytest

from vos_jax.core.errors import ConfigError
from vos_jax.data.geometric import RandomAffine, RandomCrop, RandomResizedCrop, RandomScale
from vos_jax.data.jitter import Greyscale, Jitter
from vos_jax.data.operations import FILL, Flip, Step
from vos_jax.data.recipes import RECIPES

SIZE = (90, 120)
SQUARE = {
    "mask_propagation_stills": (3, {"size": 64}),
    "mask_propagation_video": (3, {"size": 64, "area": [0.25, 1.0]}),
    "aot_stills": (5, {"size": 65}),
    "aot_video": (5, {"size": 65, "short_side": 72}),
}
WHOLE = {"stem_seg_stills": (4, {}), "stem_seg_video": (4, {})}
SETTINGS = SQUARE | WHOLE


def scene(seed=0, soft=False):
    """A bright disc of label 1 on darker ground with a square of label 2."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    labels = ((rows - 45) ** 2 + (columns - 60) ** 2 < 25**2).astype(np.uint8)
    if soft:
        labels *= 255
    else:
        labels[35:50, 50:65] = 2
    frame = cv2.GaussianBlur(rng.normal(80, 60, (*SIZE, 3)), (0, 0), 2)
    frame[labels > 0] += 90
    return np.clip(frame, 0, 255).astype(np.uint8), labels


def run(name, seed=0, still=True, **changes):
    times, settings = SETTINGS[name]
    soft = name == "mask_propagation_stills"
    scenes = [scene(0 if still else t, soft) for t in range(times)]
    frames, labels = (
        [s[k] for s in scenes[:1] * times] if still else [s[k] for s in scenes] for k in (0, 1)
    )
    return RECIPES[name](**settings | changes)(frames, labels, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", SETTINGS)
def test_clips_have_their_size_and_types(name, seed):
    frames, labels, valid = run(name, seed)
    times, settings = SETTINGS[name]
    size = (settings["size"],) * 2 if "size" in settings else SIZE
    assert frames.shape == (times, *size, 3) and frames.dtype == np.uint8
    assert labels.shape == (times, *size) and labels.dtype == np.uint8
    assert valid.shape == (times, *size) and valid.dtype == np.bool_
    assert valid.mean() > 0.4
    if name != "mask_propagation_stills":
        assert not labels[~valid].any() and set(np.unique(labels)) <= {0, 1, 2}


@pytest.mark.parametrize("name", SETTINGS)
def test_defaults_build(name):
    assert RECIPES[name]().steps


def test_every_recipe_is_run_here():
    assert RECIPES.keys() == SETTINGS.keys()


@pytest.mark.parametrize("name", SETTINGS)
def test_equal_generators_give_equal_clips(name):
    one, two = run(name, 3), run(name, 3)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    if name != "stem_seg_video":
        assert (one[0] != run(name, 4)[0]).any()


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("seed", range(3))
def test_objects_stay_on_their_pixels(name, seed):
    """The objects are brighter than the ground, before and after."""
    frames, labels, valid = run(name, seed, still=False)
    inner = np.stack([cv2.erode(x, np.ones((5, 5))) for x in (labels > 0).view(np.uint8)]) > 0
    ground = np.stack([cv2.dilate(x, np.ones((5, 5))) for x in (labels > 0).view(np.uint8)]) == 0
    ground &= np.stack([cv2.erode(x, np.ones((5, 5))) for x in valid.view(np.uint8)]) > 0
    for t in range(len(frames)):
        if inner[t].any() and ground[t].any():
            assert frames[t][inner[t]].mean() > frames[t][ground[t]].mean() + 15


@pytest.mark.parametrize(
    "name", ["mask_propagation_stills", "mask_propagation_video", "aot_stills", "stem_seg_stills"]
)
def test_every_frame_gets_a_geometry_of_its_own(name):
    for seed in range(3):
        _, labels, _ = run(name, seed)
        assert len({plane.tobytes() for plane in labels}) == len(labels)


@pytest.mark.parametrize("version", [1, 2])
def test_aot_moves_frames_of_a_video_alike(version):
    for seed in range(4):
        frames, labels, valid = run("aot_video", seed, version=version)
        assert (labels == labels[0]).all() and (valid == valid[0]).all()
        assert (frames == frames[0]).all() == (version == 1)


def test_aot_pads_with_the_mean_colour():
    padded = 0
    for seed in range(30):
        frames, _, valid = run("aot_video", seed, size=81, version=1)
        padded += not valid.all()
        assert (frames[~valid] == FILL).all()
    assert 0 < padded < 30


def test_aot_leaves_the_reference_still_unwarped():
    references = [run("aot_stills", seed, version=1)[2] for seed in range(6)]
    assert all(valid[0].all() for valid in references)
    assert np.mean([valid[1:].all() for valid in references]) < 0.5


@pytest.mark.parametrize("area, least", [((0.8, 1.0), 1.0), ([0.2, 1.0], 1.6)])
def test_aot_crops_frames_of_a_still_by_the_given_share(area, least):
    """With shares of one fifth to all, an object's size varies from frame to frame."""
    ratios = []
    for seed in range(6):
        _, labels, _ = run("aot_stills", seed, version=1, area=area)
        disc = np.array([(plane > 0).sum() for plane in labels])
        ratios.append(disc.max() / disc.min())
    assert least < np.median(ratios) < least + 0.6


@pytest.mark.parametrize("version", [0, 3, "2"])
@pytest.mark.parametrize("name", ["aot_stills", "aot_video"])
def test_unknown_versions_are_refused(name, version):
    with pytest.raises(ConfigError, match="must be 1 or 2"):
        RECIPES[name](version=version)


def test_soft_masks_have_soft_edges():
    _, labels, _ = run("mask_propagation_stills", 1)
    inside = np.count_nonzero((labels > 0) & (labels < 255), axis=(1, 2))
    assert (inside > 10).all()
    assert (labels == 255).any((1, 2)).all()


def test_stem_seg_keeps_one_frame_and_shuffles():
    frame, labels = scene()
    places = []
    for seed in range(60):
        frames, *_ = run("stem_seg_stills", seed)
        kept = [any(np.array_equal(got, f) for f in (frame, frame[:, ::-1])) for got in frames]
        assert sum(kept) == 1
        places.append(kept.index(True))
    assert np.bincount(places, minlength=4).min() >= 5


def test_stem_seg_blur_can_be_switched_off():
    assert len(RECIPES["stem_seg_stills"](motion_blur=0).steps) == 6
    operations = [step.operation for step in RECIPES["stem_seg_stills"](rotate=10).steps[:-1]]
    assert [op.rotate for op in operations if hasattr(op, "rotate")] == [10]
    assert RECIPES["stem_seg_stills"](motion_blur=0).steps[4].probability == 0


def steps_of(name, kind, **settings):
    return [
        s
        for s in RECIPES[name](**settings).steps
        if isinstance(getattr(s, "operation", None), kind)
    ]


@pytest.mark.parametrize(
    "name, settings, expected",
    [
        (
            "mask_propagation_stills",
            {},
            [("clip", 1.0, (0.1, 0.05, 0.05, 0.05)), ("frame", 1.0, (0.1, 0.05, 0.05, 0))],
        ),
        (
            "mask_propagation_video",
            {},
            [("clip", 1.0, (0.1, 0.03, 0.03, 0)), ("frame", 1.0, (0.01, 0.01, 0.01, 0))],
        ),
        ("aot_stills", {"version": 1}, [("frame", 1.0, (0.1, 0.1, 0.1, 0.03))]),
        ("aot_stills", {"version": 2}, [("frame", 0.8, (0.4, 0.4, 0.2, 0.1))]),
        ("aot_video", {"version": 1}, []),
        ("aot_video", {"version": 2}, [("frame", 0.8, (0.4, 0.4, 0.2, 0.1))]),
    ],
)
def test_colours_are_those_published(name, settings, expected):
    got = [
        (
            s.scope,
            s.probability,
            (s.operation.brightness, s.operation.contrast, s.operation.saturation, s.operation.hue),
        )
        for s in steps_of(name, Jitter, **settings)
    ]
    assert got == expected


def test_numbers_of_the_geometry():
    enlarge, warp = (s.operation for s in steps_of("mask_propagation_stills", RandomAffine))
    assert enlarge == RandomAffine(scale=(0.8, 1.5), interpolation="nearest")
    assert (warp.rotate, warp.shear, warp.scale, warp.label_interpolation) == (
        20,
        10,
        (0.9, 1.1),
        "bicubic",
    )
    (warp,) = steps_of("mask_propagation_video", RandomAffine)
    assert warp == Step(RandomAffine(rotate=15, shear=10), "frame")
    (crop,) = steps_of("mask_propagation_video", RandomResizedCrop, area=[0.25, 1])
    assert crop == Step(RandomResizedCrop(384, (0.25, 1)), "clip")
    (scale,), (crop,) = (steps_of("aot_video", kind) for kind in (RandomScale, RandomCrop))
    assert scale == Step(RandomScale(480, (0.7, 1.3)), "clip")
    assert crop == Step(RandomCrop(465, min_area=100, attempts=5), "clip")
    flips = {name: [(s.scope, s.probability) for s in steps_of(name, Flip)] for name in SETTINGS}
    once = [("clip", 0.5)]
    assert flips.pop("aot_stills") == [*once, ("later", 0.3)] and flips.pop("stem_seg_video") == []
    assert set(map(tuple, flips.values())) == {tuple(once)}
    greys = {name: [s.probability for s in steps_of(name, Greyscale)] for name in SQUARE}
    assert greys == {
        "mask_propagation_stills": [0.05],
        "mask_propagation_video": [0.05],
        "aot_stills": [0.2],
        "aot_video": [0.2],
    }
