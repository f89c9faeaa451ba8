"""Resizing against a per-pixel reference written from the definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.core.geometry import Geometry
from vos_jax.core.resize import crop, pad, resize

SIZES = [
    ((6, 9), (12, 18)),
    ((6, 9), (24, 36)),
    ((16, 24), (2, 3)),
    ((16, 24), (8, 12)),
    ((7, 5), (10, 13)),
    ((10, 13), (7, 5)),
    ((1, 4), (5, 9)),
    ((5, 5), (1, 1)),
    ((4, 6), (4, 12)),
]


def bilinear_at(image, row, column):
    """One sample of an image at a real position, clamped at the border."""
    height, width = image.shape[:2]
    row, column = max(row, 0), max(column, 0)
    top, left = min(int(row), height - 1), min(int(column), width - 1)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    a, b = row - top, column - left
    upper = (1 - b) * image[top, left] + b * image[top, right]
    lower = (1 - b) * image[bottom, left] + b * image[bottom, right]
    return (1 - a) * upper + a * lower


def reference(image, size, align_corners):
    """Bilinear resizing pixel by pixel."""
    result = np.zeros((*size, image.shape[2]))
    for i in range(size[0]):
        for j in range(size[1]):
            position = []
            for index, new, old in zip((i, j), size, image.shape[:2], strict=True):
                if align_corners:
                    position.append(index * (old - 1) / max(new - 1, 1))
                else:
                    position.append((index + 0.5) * old / new - 0.5)
            result[i, j] = bilinear_at(image, *position)
    return result


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("old", "new"), SIZES)
def test_bilinear_is_the_definition(old, new, align_corners):
    image = np.random.default_rng(0).normal(size=(*old, 3)).astype(np.float32)
    ours = resize(jnp.asarray(image)[None], new, align_corners=align_corners)[0]
    np.testing.assert_allclose(ours, reference(image, new, align_corners), atol=2e-6)


def nearest_in_float32(old, new):
    """PyTorch's rule, whose rounding can take the row before."""
    step = np.float32(old) / np.float32(new)
    return [min(int(np.float32(i) * step), old - 1) for i in range(new)]


def nearest_centre(old, new):
    return [int((i + 0.5) * old / new + 1e-9) for i in range(new)]


@pytest.mark.parametrize(
    ("kind", "sources"), [("nearest", nearest_in_float32), ("nearest_centre", nearest_centre)]
)
@pytest.mark.parametrize(("old", "new"), [*SIZES, ((150, 145), (145, 150))])
def test_nearest_is_the_definition(old, new, kind, sources):
    image = np.random.default_rng(1).integers(0, 255, (*old, 2)).astype(np.uint8)
    rows, columns = sources(old[0], new[0]), sources(old[1], new[1])
    ours = resize(jnp.asarray(image), new, kind)
    assert ours.dtype == jnp.uint8
    np.testing.assert_array_equal(ours, image[rows][:, columns])


def cubic_weight(distance):
    """Keys' cubic convolution kernel with a = -0.75."""
    a, d = -0.75, abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


def bicubic_at(image, row, column):
    """Sum of the sixteen pixels about a real position, those outside taken from the border."""
    height, width = image.shape[:2]
    result = 0
    for i in range(int(np.floor(row)) - 1, int(np.floor(row)) + 3):
        for j in range(int(np.floor(column)) - 1, int(np.floor(column)) + 3):
            pixel = image[min(max(i, 0), height - 1), min(max(j, 0), width - 1)]
            result = result + cubic_weight(row - i) * cubic_weight(column - j) * pixel
    return result


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_bicubic_is_the_definition(old, new):
    image = np.random.default_rng(4).normal(size=(*old, 2)).astype(np.float32)
    scale = old[0] / new[0], old[1] / new[1]
    expected = [
        [
            bicubic_at(image, (i + 0.5) * scale[0] - 0.5, (j + 0.5) * scale[1] - 0.5)
            for j in range(new[1])
        ]
        for i in range(new[0])
    ]
    ours = resize(jnp.asarray(image)[None], new, "bicubic")[0]
    np.testing.assert_allclose(ours, expected, atol=2e-6)


def test_bicubic_overshoots_at_an_edge():
    edge = jnp.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])[None, :, None]
    enlarged = resize(edge, (1, 24), "bicubic")
    assert enlarged.min() < -0.01
    assert enlarged.max() > 1.01


def test_bicubic_keeps_the_type_and_turns_with_the_image():
    image = jnp.asarray(np.random.default_rng(5).normal(size=(7, 10, 3)), jnp.bfloat16)
    ours = resize(image, (11, 6), "bicubic")
    assert ours.dtype == jnp.bfloat16
    image = image.astype(jnp.float32)
    turned = resize(image.swapaxes(0, 1), (6, 11), "bicubic").swapaxes(0, 1)
    np.testing.assert_allclose(resize(image, (11, 6), "bicubic"), turned, atol=1e-5)


def test_reduction_by_eight_averages_the_four_middle_pixels():
    image = np.random.default_rng(2).normal(size=(16, 24, 1)).astype(np.float32)
    middle = sum(image[i::8, j::8] for i in (3, 4) for j in (3, 4)) / 4
    np.testing.assert_allclose(resize(jnp.asarray(image), (2, 3)), middle, atol=1e-6)


def test_unchanged_size_returns_the_argument():
    image = jnp.ones((2, 4, 5, 3))
    assert resize(image, (4, 5)) is image


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
@pytest.mark.parametrize("new", [(12, 18), (5, 4)])
def test_constants_stay_constant(new, kind):
    np.testing.assert_allclose(resize(jnp.full((6, 9, 1), 3.5), new, kind), 3.5, rtol=1e-6)


def test_resizing_is_linear_and_its_gradient_is_its_transpose():
    old, new = (5, 7), (10, 9)
    rng = np.random.default_rng(3)
    x = jnp.asarray(rng.normal(size=(*old, 1)), jnp.float32)
    cotangent = jnp.asarray(rng.normal(size=(*new, 1)), jnp.float32)
    gradient = jax.grad(lambda v: (resize(v, new) * cotangent).sum())(x)
    np.testing.assert_allclose((gradient * x).sum(), (resize(x, new) * cotangent).sum(), rtol=1e-4)


def test_crop_undoes_pad_and_padding_is_zero():
    geometry = Geometry(frame=(5, 7), resized=(5, 7), network=(8, 12), offset=(1, 2))
    x = jnp.ones((2, 5, 7, 3))
    padded = pad(x, geometry)
    assert padded.shape == (2, 8, 12, 3)
    assert padded.sum() == x.sum()
    assert padded[0, 1, 2, 0] == 1
    assert padded[0, 0, 2, 0] == 0
    np.testing.assert_array_equal(crop(padded, geometry), x)
