"""Geometric operations: frames and labels together, Pillow and torchvision's formulas, draws."""

import cv2
import numpy as np
import pytest
from PIL import Image

from vos_jax.data.geometric import (
    PadToSize,
    RandomAffine,
    RandomCrop,
    RandomMove,
    RandomPerspective,
    RandomResizedCrop,
    RandomScale,
    ResizeShortSide,
)
from vos_jax.data.operations import FILL, Flip, View
from vos_jax.data.splines import ThinPlateSpline
from vos_jax.data.warps import Crop

SIZE = (96, 120)
CELL = 24
OPERATIONS = {
    "flip": Flip(),
    "affine": RandomAffine(rotate=20, shear=10, scale=(0.8, 1.5), translate=0.1),
    "nearest_affine": RandomAffine(scale=(0.8, 1.5), interpolation="nearest"),
    "perspective": RandomPerspective(0.08),
    "move": RandomMove(rotate=12, translate=0.1),
    "spline": ThinPlateSpline(),
    "resize": ResizeShortSide(70),
    "enlarge": ResizeShortSide(150),
    "resized_crop": RandomResizedCrop(64, (0.36, 1.0)),
    "scale": RandomScale(90, (0.7, 1.3)),
    "crop": RandomCrop(80),
    "crop_of_one_side": RandomCrop(100),
    "pad": PadToSize(128),
}


class Highest:
    """Stands in for a random generator: every draw is the upper end of its range."""

    def uniform(self, low, high):
        return np.multiply(1.0, high)


def coordinates(size=SIZE):
    """A frame that tells columns and rows, and labels 1.. of square cells."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    frame = np.stack([2 * columns, 2 * rows, np.full(size, 200)], -1).astype(np.uint8)
    return frame, cells(columns, rows)


def cells(columns, rows):
    return (1 + columns // CELL + 5 * (rows // CELL)).astype(np.uint8)


def smooth(size=SIZE, seed=0):
    """A frame as smooth as a photograph."""
    noise = np.random.default_rng(seed).normal(0, 1, (*size, 3))
    blurred = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(127 + 60 * blurred / blurred.std(), 0, 255).astype(np.uint8)


def inner(valid, margin):
    """Where valid pixels are at least a margin away from all others and from the rim."""
    kernel = np.ones((2 * margin + 1,) * 2)
    return cv2.erode(valid.view(np.uint8), kernel, borderType=0, borderValue=0) > 0


def draw(operation, seed=0, labels=None):
    labels = np.ones(SIZE, np.uint8) if labels is None else labels
    return operation.draw(np.random.default_rng(seed), labels)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", OPERATIONS)
def test_frame_labels_and_valid_move_together(name, seed):
    frame, labels = coordinates()
    view = View(frame, labels, np.ones(SIZE, np.bool_))
    change = draw(OPERATIONS[name], seed, labels)
    frame, labels, valid = view.through(change)
    assert frame.dtype == labels.dtype == np.uint8 and valid.dtype == np.bool_
    assert frame.shape[:2] == labels.shape == valid.shape
    np.testing.assert_array_equal(labels > 0, valid)
    sure = inner(valid, 2)
    columns, rows = (frame[..., k] / 2.0 for k in (0, 1))
    near = np.minimum(
        *(np.abs((part + 0.5 + CELL / 2) % CELL - CELL / 2) for part in (columns, rows))
    )
    sure &= near > 1.5
    assert sure.sum() > 1000
    np.testing.assert_array_equal(labels[sure], cells(columns + 0.5, rows + 0.5)[sure])
    assert set(np.unique(frame[..., 2][sure])) <= {199, 200, 201}


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_was_invented_stays_invented(name):
    """Invalid pixels go where the labels' zeros go."""
    _, labels = coordinates()
    labels[30:60, 40:90] = 0
    change = draw(OPERATIONS[name], 1, labels)
    np.testing.assert_array_equal(change.valid(labels > 0), change.labels(labels) > 0)


@pytest.mark.parametrize("name", OPERATIONS)
def test_equal_generators_give_equal_changes(name):
    frame = smooth()
    one, two = (draw(OPERATIONS[name], 7).frame(frame) for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", OPERATIONS)
def test_source_is_not_changed(name):
    frame, labels = coordinates()
    change = draw(OPERATIONS[name], 3, labels)
    change.frame(frame), change.labels(labels)
    np.testing.assert_array_equal(frame, coordinates()[0])
    np.testing.assert_array_equal(labels, coordinates()[1])


def torchvision_inverse(size, angle, translate, scale, shear):
    """The matrix of torchvision from result to source, in Pillow's coordinates (edges whole)."""
    height, width = size
    turn, slant = np.radians(angle), np.radians(shear)
    a, b = np.cos(turn), -np.cos(turn) * np.tan(slant) - np.sin(turn)
    c, d = np.sin(turn), -np.sin(turn) * np.tan(slant) + np.cos(turn)
    matrix = np.array([[d, -b, 0], [-c, a, 0]]) / scale
    moved = np.array([-width / 2 - translate[0], -height / 2 - translate[1]])
    matrix[:, 2] = matrix[:, :2] @ moved + (width / 2, height / 2)
    return matrix


PILLOW = {"bicubic": Image.Resampling.BICUBIC, "nearest": Image.Resampling.NEAREST}


@pytest.mark.parametrize("interpolation, mean, most", [("bicubic", 0.7, 12), ("nearest", 0.1, 80)])
@pytest.mark.parametrize(
    "settings",
    [
        {"rotate": 17},
        {"shear": 10},
        {"scale": (1.0, 1.4)},
        {"translate": 0.1},
        {"rotate": 20, "shear": -9, "scale": (1.0, 0.85), "translate": -0.07},
    ],
)
def test_affine_is_torchvisions_on_pillow(settings, interpolation, mean, most):
    operation = RandomAffine(**settings, interpolation=interpolation)
    change = operation.draw(Highest(), np.zeros(SIZE, np.uint8))
    shift = np.rint(operation.translate * np.array(SIZE[::-1]))
    inverse = torchvision_inverse(
        SIZE, operation.rotate, shift, operation.scale[1], operation.shear
    )
    image = Image.fromarray(smooth())
    how = Image.Transform.AFFINE, tuple(inverse.ravel()), PILLOW[interpolation]
    theirs = np.asarray(image.transform(SIZE[::-1], *how, fillcolor=FILL)).astype(int)
    difference = np.abs(change.frame(smooth()) - theirs)
    inside = inner(change.valid(np.ones(SIZE, np.bool_)), 3)
    assert difference[inside].mean() < mean
    assert difference[inside].max() <= most
    outside = inner(~change.valid(np.ones(SIZE, np.bool_)), 3)
    np.testing.assert_array_equal(change.frame(smooth())[outside], theirs[outside])
    _, labels = coordinates()
    how = *how[:2], Image.Resampling.NEAREST
    theirs = np.asarray(Image.fromarray(labels).transform(SIZE[::-1], *how))
    assert (change.labels(labels) != theirs).mean() < 0.006


def test_affine_draws_fill_their_ranges():
    operation = RandomAffine(rotate=20, scale=(0.9, 1.1), translate=0.1)
    matrices = np.stack([draw(operation, seed).matrix for seed in range(600)])
    angles = np.rad2deg(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    scales = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    centre = np.array([59.5, 47.5, 1])
    shifts = (matrices @ centre)[:, :2] - centre[:2]
    np.testing.assert_allclose(shifts, np.rint(shifts), atol=1e-9)
    for values, most in (
        (angles, 20),
        (10 * (scales - 1), 1),
        (shifts[:, 0], 12),
        (shifts[:, 1], 10),
    ):
        assert 0.97 * most < values.max() <= most + 1e-9
        assert -most - 1e-9 <= values.min() < -0.97 * most
        assert abs(values.mean()) < 0.1 * most


@pytest.mark.parametrize("seed", range(5))
def test_shear_keeps_rows_level(seed):
    linear = draw(RandomAffine(shear=10), seed).matrix[:2, :2]
    np.testing.assert_allclose(linear[:, 0], (1, 0), atol=1e-12)
    assert linear[1, 1] == 1 and abs(linear[0, 1]) <= np.tan(np.radians(10))


def test_soft_labels_are_interpolated_and_their_validity_is_not():
    plane = cv2.GaussianBlur(255 * (coordinates()[1] % 2), (0, 0), 3).astype(np.uint8)
    change = draw(RandomAffine(rotate=20, label_interpolation="bicubic"), 4)
    hard = draw(RandomAffine(rotate=20), 4)
    assert np.abs(change.labels(plane).astype(int) - hard.labels(plane)).max() > 5
    inside = inner(change.valid(plane < 256), 2)
    stacked = change.frame(np.repeat(plane[..., None], 3, -1))[..., 0]
    np.testing.assert_array_equal(change.labels(plane)[inside], stacked[inside])
    np.testing.assert_array_equal(change.valid(plane > 99), hard.valid(plane > 99))


@pytest.mark.parametrize("length, size", [(48, (48, 60)), (64, (64, 80)), (200, (200, 250))])
@pytest.mark.parametrize("upright", [False, True])
def test_short_side_and_pillows_resize(length, size, upright):
    frame, labels = smooth(), coordinates()[1]
    if upright:
        frame, labels, size = frame.swapaxes(0, 1).copy(), labels.T.copy(), size[::-1]
    change = draw(ResizeShortSide(length), labels=labels)
    theirs = Image.fromarray(frame).resize(size[::-1], Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(change.frame(frame), np.asarray(theirs))
    theirs = Image.fromarray(labels).resize(size[::-1], Image.Resampling.NEAREST)
    np.testing.assert_array_equal(change.labels(labels), np.asarray(theirs))


@pytest.mark.parametrize("seed", range(8))
def test_resized_crop_is_pillows_crop_and_resize(seed):
    change = draw(RandomResizedCrop(64, (0.3, 1.0)), seed)
    part = change.part
    box = (part.left, part.top, part.left + part.width, part.top + part.height)
    theirs = Image.fromarray(smooth()).crop(box).resize((64, 64), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(change.frame(smooth()), np.asarray(theirs))


def test_resized_crops_fill_areas_aspects_and_positions():
    parts = [draw(RandomResizedCrop(64, (0.36, 1.0)), seed).part for seed in range(800)]
    heights, widths = (np.array([getattr(p, k) for p in parts]) for k in ("height", "width"))
    shares, aspects = heights * widths / (96 * 120), widths / heights
    assert 0.35 < shares.min() < 0.38 and 0.97 < shares.max() <= 1
    assert 0.73 < aspects.min() < 0.77 and 1.3 < aspects.max() < 1.36
    assert np.median(np.log(aspects)) == pytest.approx(0, abs=0.06)
    for part in parts:
        assert 0 <= part.top <= 96 - part.height and 0 <= part.left <= 120 - part.width
    assert {part.top == 0 for part in parts} == {part.left == 0 for part in parts} == {True, False}


@pytest.mark.parametrize(
    "size, expected",
    [
        ((40, 200), Crop(0, 73, 40, 53)),
        ((200, 30), Crop(80, 0, 40, 30)),
        ((60, 60), Crop(0, 0, 60, 60)),
    ],
)
def test_resized_crop_that_never_fits_is_central(size, expected):
    part = draw(RandomResizedCrop(64, (1.2, 1.3)), labels=np.zeros(size, np.uint8)).part
    assert part == expected


def test_scale_is_opencvs():
    factors = [draw(RandomScale(48, (0.7, 1.3)), seed).factor for seed in range(300)]
    assert 0.35 <= min(factors) < 0.36 and 0.64 < max(factors) <= 0.65
    change = draw(RandomScale(96, (1.1, 1.1)))
    frame, labels = smooth(), coordinates()[1]
    size = {"dsize": None, "fx": 1.1, "fy": 1.1}
    cubic = cv2.resize(frame, **size, interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(change.frame(frame), cubic, atol=1)
    nearest = cv2.resize(labels, **size, interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(change.labels(labels), nearest)
    assert change.frame(frame).shape == (106, 132, 3)


def test_crops_reach_every_position_and_are_not_copied():
    changes = [draw(RandomCrop(90), seed) for seed in range(600)]
    assert {(change.part.height, change.part.width) for change in changes} == {(90, 90)}
    assert {change.part.top for change in changes} == set(range(7))
    assert {change.part.left for change in changes} == set(range(31))
    frame = smooth()
    assert np.shares_memory(changes[0].frame(frame), frame)


@pytest.mark.parametrize("size, sides", [(100, (96, 100)), (500, (96, 120)), (96, (96, 96))])
def test_crops_never_exceed_the_image(size, sides):
    part = draw(RandomCrop(size)).part
    assert (part.height, part.width) == sides


def test_crop_looks_for_an_object():
    labels = np.zeros(SIZE, np.uint8)
    labels[30:60, 80:110] = 7
    areas = {}
    for attempts in (1, 5):
        crops = [draw(RandomCrop(60, 100, attempts), seed, labels) for seed in range(200)]
        areas[attempts] = np.array([np.count_nonzero(crop.labels(labels)) for crop in crops])
    assert (areas[1] > 100).mean() < 0.8
    assert (areas[5] > 100).mean() > 0.95


@pytest.mark.parametrize("numbers", [np.arange(1, 31), 0, 255], ids=["small", "none", "void"])
def test_crop_wants_the_pixels_of_one_object(numbers):
    labels = np.zeros(SIZE, np.uint8)
    labels[:, ::4] = numbers
    draws = np.random.default_rng(0)
    RandomCrop(80, min_area=80).draw(draws, labels)
    position = np.random.default_rng(0)
    for _ in range(5):
        position.integers(17), position.integers(41)
    assert draws.random() == position.random()


@pytest.mark.parametrize("seed", range(10))
def test_padding_is_split_at_random(seed):
    change = draw(PadToSize(130), seed)
    top, bottom, left, right = change.borders
    assert top + bottom == 34 and left + right == 10 and min(change.borders) >= 0
    frame, labels = coordinates()
    padded = change.frame(frame)
    np.testing.assert_array_equal(padded[top : top + 96, left : left + 120], frame)
    known = change.valid(np.ones(SIZE, np.bool_))
    assert known.sum() == 96 * 120 and known[top : top + 96, left : left + 120].all()
    assert (padded[~known] == FILL).all() and not change.labels(labels)[~known].any()


def test_paddings_reach_every_split_and_longer_sides_stay():
    borders = np.array([draw(PadToSize(100), seed).borders for seed in range(100)])
    assert set(borders[:, 0]) == set(range(5))
    assert not borders[:, 2:].any()
