"""The affinity of two pictures, and maps carried by it."""

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from tests.patch_matching import PatchMatcher, moved, noise
from tests.toy_systems import Toy
from vos_jax.core.errors import CheckpointError, ConfigError, ImageError
from vos_jax.core.geometry import Geometry
from vos_jax.correspondence import affinity
from vos_jax.correspondence.affinity import correspondence, correspondences, enlarge
from vos_jax.correspondence.marks import point_map

SIZE = (96, 144)
SYSTEM = PatchMatcher()


def compare(source, target=None, **settings):
    return correspondence(SYSTEM, {}, source, source if target is None else target, **settings)


class Covered(PatchMatcher):
    """Answers with how much of each cell the mask covered that was written."""

    def affinity(self, state, features, top_k=0, sigma=0.0):
        return jnp.broadcast_to(state.covered[..., None], (*state.covered.shape, 54))


@pytest.mark.parametrize("size", [SIZE, (90, 140), (81, 129)])
@pytest.mark.parametrize("settings", [{}, {"top_k": 5}, {"sigma": 3.0}])
def test_columns_sum_to_one(size, settings):
    found = compare(noise(size), noise(size, 1), **settings)
    assert found.affinity.shape == (54, 54)
    assert found.affinity.dtype == np.float32
    assert found.grid == (6, 9)
    np.testing.assert_allclose(found.affinity.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("size", [SIZE, (90, 140)])
def test_every_cell_finds_itself_in_the_same_picture(size):
    np.testing.assert_allclose(compare(noise(size)).affinity, np.eye(54), atol=1e-4)


@pytest.mark.parametrize("rows, columns", [(0, 16), (16, 0), (32, 48), (80, 128)])
@pytest.mark.parametrize("settings", [{}, {"top_k": 3}, {"short_side": 480}])
def test_the_heat_is_where_the_picture_moved_to(rows, columns, settings):
    picture = noise(SIZE)
    found = compare(picture, moved(picture, rows, columns), **settings)
    for x, y in [(0, 0), (50, 20), (143, 95)]:
        heat = found.heat_map(point_map(x, y, found.source))
        assert heat.shape == SIZE
        peak = np.unravel_index(heat.argmax(), SIZE)
        expected = ((y // 16 * 16 + 8 + rows) % 96, (x // 16 * 16 + 8 + columns) % 144)
        assert np.abs(np.subtract(peak, expected)).max() <= 8


def test_the_source_is_memorised_without_a_mask():
    assert not correspondence(Covered(), {}, noise(SIZE), noise(SIZE)).affinity.any()


def test_a_slot_holds_the_source():
    """The stand-in's memory is valid only for slots that are known."""
    assert compare(noise(SIZE)).affinity.max() > 0.9


@pytest.mark.parametrize("top_k", [1, 4, 53])
def test_top_k_keeps_the_strongest_of_each_column(top_k):
    pictures = noise(SIZE), noise(SIZE, 1)
    plain, top = correspondences(PatchMatcher(1.0), {}, *pictures, (0, top_k))
    assert ((top.affinity > 0).sum(0) == top_k).all()
    kept = np.where(top.affinity > 0, plain.affinity, 0)
    assert (kept.min(0, where=kept > 0, initial=1) >= (plain.affinity - kept).max(0)).all()
    np.testing.assert_allclose(top.affinity, kept / kept.sum(0), atol=1e-5)


@pytest.mark.parametrize("top_k", [54, 1000])
def test_more_than_there_is_is_everything(top_k):
    plain, top = correspondences(SYSTEM, {}, noise(SIZE), noise(SIZE, 1), (0, top_k))
    np.testing.assert_allclose(top.affinity, plain.affinity, atol=1e-6)


def test_a_narrow_kernel_prefers_neighbours_of_the_best():
    picture = noise(SIZE)
    wide, narrow = (
        correspondence(PatchMatcher(0.5), {}, picture, picture, sigma=sigma).affinity
        for sigma in (0.0, 0.5)
    )
    assert np.trace(narrow) > 1.3 * np.trace(wide)


def test_features_are_carried_channel_by_channel():
    found = compare(noise(SIZE), noise(SIZE, 1))
    maps = np.random.default_rng(0).standard_normal((6, 9, 3)).astype(np.float32)
    carried = found.carry(maps)
    assert carried.shape == (*SIZE, 3)
    for channel in range(3):
        np.testing.assert_allclose(carried[..., channel], found.carry(maps[..., channel]), 1e-4)
    flat = np.einsum("sc,st->tc", maps.reshape(54, 3), found.affinity).reshape(6, 9, 3)
    np.testing.assert_allclose(found.transfer(maps), flat, atol=1e-5)


def test_ones_stay_ones_and_heat_ends_at_one():
    found = compare(noise((90, 140)), noise((90, 140)))
    np.testing.assert_allclose(found.carry(np.ones((6, 9), np.float32)), 1, atol=1e-4)
    heat = found.heat_map(point_map(70, 40, found.source))
    assert heat.min() >= 0
    assert heat.max() == pytest.approx(1, abs=1e-3)


def test_no_heat_is_finite():
    found = compare(noise(SIZE))
    assert (found.heat_map(np.zeros((6, 9), np.float32)) == 0).all()


@pytest.mark.parametrize("shape", [(9, 6), (54,), (6, 9 + 1), (12, 18)])
def test_maps_of_other_grids_are_refused(shape):
    with pytest.raises(ConfigError, match="cells"):
        compare(noise(SIZE)).carry(np.zeros(shape, np.float32))


@pytest.mark.parametrize("offset", [(0, 0), (3, 2)])
def test_enlarging_is_bilinear_and_cut_to_the_picture(offset):
    geometry = Geometry((90, 108), (90, 108), (96, 112), offset)
    maps = np.random.default_rng(0).random((6, 7, 2), np.float32)
    expected = cv2.resize(maps, (112, 96), interpolation=cv2.INTER_LINEAR)
    expected = expected[offset[0] : offset[0] + 90, offset[1] : offset[1] + 108]
    np.testing.assert_allclose(enlarge(maps, geometry), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(90, 144), (81, 130), SIZE])
def test_pictures_of_one_padded_size_are_compared(size):
    found = compare(noise(SIZE), noise(size))
    assert found.target.resized == found.target.frame == size
    assert found.target.offset == ((96 - size[0]) // 2, (144 - size[1]) // 2)
    assert found.heat_map(np.ones((6, 9), np.float32)).shape == size


@pytest.mark.parametrize("size", [(80, 144), (96, 145), (144, 96), (192, 288)])
def test_other_sizes_are_refused_with_the_remedy(size):
    text = f"source is 144x96, the target {size[1]}x{size[0]}.*same size.*--short_side"
    with pytest.raises(ImageError, match=text):
        compare(noise(SIZE), noise(size))


@pytest.mark.parametrize(
    "source, target, short_side, compared",
    [
        ((192, 288), (96, 144), 96, ((96, 144), (96, 144))),
        ((96, 144), (192, 288), 480, ((96, 144), (96, 144))),
        ((96, 144), (200, 100), 480, ((96, 144), (96, 48))),
        ((300, 150), (64, 128), 100, ((200, 100), (50, 100))),
        ((96, 144), (10, 15), 96, ((96, 144), (96, 144))),
    ],
)
def test_a_short_side_fits_pictures_of_any_size(source, target, short_side, compared):
    found = compare(noise(source), noise(target), short_side=short_side)
    assert (found.source.frame, found.target.frame) == (source, target)
    assert (found.source.resized, found.target.resized) == compared
    assert found.source.network == found.target.network
    weights = np.ones(found.grid, np.float32)
    assert found.heat_map(weights).shape == compared[1]
    assert enlarge(weights, found.source).shape == compared[0]


def test_a_reduced_target_is_found_in_a_picture_twice_its_size():
    large = noise(SIZE).repeat(2, axis=0).repeat(2, axis=1)
    found = compare(large, noise(SIZE), short_side=96)
    np.testing.assert_allclose(found.affinity, np.eye(54), atol=1e-3)


@pytest.mark.parametrize(
    "settings, text",
    [
        ({"top_k": -1}, "top-k -1 .*0 or more"),
        ({"sigma": -0.1}, "sigma -0.1: must be 0 or more"),
        ({"short_side": -5}, "short side of -5 pixels"),
    ],
)
def test_negative_settings_are_refused(settings, text):
    with pytest.raises(ConfigError, match=text):
        compare(noise(SIZE), **settings)


def test_systems_without_pixels_in_memory_are_refused():
    with pytest.raises(ConfigError, match="Toy keeps no memory of pixels.*mask_propagation"):
        correspondence(Toy(), {}, noise(SIZE), noise(SIZE))


def test_pictures_too_large_are_refused_before_anything_is_encoded(monkeypatch):
    monkeypatch.setattr(affinity, "MOST_CELLS", 53)
    with pytest.raises(ImageError, match="54 cells.*at most 53.*--short_side"):
        compare(noise(SIZE))
    assert compare(noise((96, 128))).affinity.shape == (48, 48)


def test_parameters_that_give_no_numbers_are_refused():
    with pytest.raises(CheckpointError, match="not finite"):
        correspondence(PatchMatcher(float("nan")), {}, noise(SIZE), noise(SIZE))
