"""Blurs: brightness kept, strength and direction, and what Pillow makes of the same strength."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFilter

from vos_jax.data.blur import Blurred, GaussianBlur, MotionBlur

LABELS = np.zeros((60, 70), np.uint8)


def point():
    frame = np.zeros((61, 61, 3), np.uint8)
    frame[30, 30] = 255
    return frame


def photo():
    blurred = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (60, 70, 3)), (0, 0), 1.5)
    return np.clip(127 + 250 * blurred, 0, 255).astype(np.uint8)


def draw(operation, seed=0):
    return operation.draw(np.random.default_rng(seed), LABELS)


@pytest.mark.parametrize("operation", [GaussianBlur(), MotionBlur()])
@pytest.mark.parametrize("seed", range(5))
def test_plain_frames_stay_and_others_lose_contrast(operation, seed):
    plain = np.full((60, 70, 3), (40, 90, 200), np.uint8)
    change = draw(operation, seed)
    np.testing.assert_allclose(change.frame(plain), plain, atol=1)
    blurred = change.frame(photo())
    assert blurred.dtype == np.uint8 and blurred.shape == photo().shape
    assert blurred.std() <= photo().std()
    assert blurred.mean() == pytest.approx(photo().mean(), abs=1)


@pytest.mark.parametrize("operation", [GaussianBlur(), MotionBlur()])
def test_equal_generators_give_equal_blurs(operation):
    one, two, other = (draw(operation, seed).frame(photo()) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.0])
def test_gaussian_is_nearly_pillows(sigma):
    theirs = np.asarray(Image.fromarray(photo()).filter(ImageFilter.GaussianBlur(sigma)))
    difference = np.abs(Blurred(sigma).frame(photo()) - theirs.astype(int))
    assert difference.mean() < 1 and difference.max() <= 16


def test_strengths_fill_their_range():
    sigmas = [draw(GaussianBlur(), seed).sigma for seed in range(500)]
    assert 0.1 <= min(sigmas) < 0.12 and 1.98 < max(sigmas) <= 2


def kernels():
    return [draw(MotionBlur(), seed).kernel for seed in range(200)]


def test_motion_is_a_line_of_either_length():
    assert {kernel.shape for kernel in kernels()} == {(9, 9), (11, 11)}
    for kernel in kernels():
        assert kernel.sum() == pytest.approx(1, abs=1e-5) and kernel.min() >= 0
        rows, columns = np.nonzero(kernel > 0.01)
        offsets = np.column_stack([rows, columns]) - kernel.shape[0] // 2
        *_, direction = np.linalg.svd(offsets - offsets.mean(0))[2]
        assert np.abs(offsets @ direction).max() < 1.6


def test_motion_takes_every_direction_and_leans_to_either_end():
    angles, leans = [], []
    for kernel in kernels():
        rows, columns = np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2
        spread = [
            (kernel * a * b).sum() for a, b in ((rows, rows), (rows, columns), (columns, columns))
        ]
        angles.append(np.degrees(np.arctan2(2 * spread[1], spread[2] - spread[0])) / 2)
        leans.append(np.hypot((kernel * rows).sum(), (kernel * columns).sum()))
    assert np.histogram(angles, 6, (-90, 90))[0].min() > 15
    assert min(leans) < 0.1 and max(leans) > 1.3


def test_motion_smears_a_point():
    smeared = draw(MotionBlur(), 3).frame(point())[..., 0]
    rows, columns = np.nonzero(smeared)
    assert 5 <= len(rows) <= 60
    assert max(np.ptp(rows), np.ptp(columns)) >= 5
