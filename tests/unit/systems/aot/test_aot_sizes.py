"""Sizes of frames in the network and of results."""

import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.systems.aot.spec import AotSpec
from vos_jax.systems.base import Given


@pytest.mark.parametrize(
    "frame, corners, network",
    [
        ((480, 854), True, (481, 849)),
        ((720, 1280), True, (577, 1041)),
        ((1080, 1920), True, (577, 1041)),
        ((480, 854), False, (480, 848)),
        ((1080, 1920), False, (592, 1040)),
        ((481, 849), True, (481, 849)),
        ((5, 5), False, (16, 16)),
    ],
)
def test_sides_conform_within_the_limits(frame, corners, network):
    geometry = AotSpec(align_corners=corners).geometry(frame)
    assert geometry.network == geometry.resized == network and geometry.output == frame
    assert geometry.align_corners is corners


@pytest.mark.parametrize("scale, network", [(1.0, (481, 849)), (1.3, (625, 1105))])
def test_views_are_scaled_after_the_limits(scale, network):
    assert AotSpec(scale=scale).geometry((480, 854)).network == network


def test_the_shorter_side_is_limited_only_among_several_views():
    tall = (700, 720)
    assert AotSpec().geometry(tall).network == (705, 721)
    assert AotSpec(scale=1.0).geometry(tall).network == (625, 641)


def test_a_smaller_resolution_lowers_both_limits():
    assert AotSpec(max_resolution=240).geometry((480, 854)).network == (225, 401)


def test_results_of_full_resolution_may_have_480_rows():
    geometry = AotSpec(output_height=480).geometry((1080, 1920))
    assert geometry.frame == (1080, 1920) and geometry.output == (480, 854)


def test_masks_of_the_frames_size_are_placed_at_both_sizes():
    spec = AotSpec(output_height=24)
    geometry = spec.geometry((48, 64))
    planes = jnp.zeros((1, 48, 64, 10)).at[:, 24:, :, 2].set(1)
    given = Given(masks=planes, slots=jnp.ones((1, 10), bool))
    placed = spec.place(given, geometry)
    assert placed.masks.shape == (1, 49, 65, 10) and placed.shown.shape == (1, 24, 32, 10)
    np.testing.assert_array_equal(placed.shown[0, :, 0, 2], np.arange(24) >= 12)
    masks = spec.resolve(None, jnp.zeros((1, 10), bool), placed, geometry)
    assert masks.labels.shape == (1, 24, 32) and masks.memory.shape == (1, 49, 65, 11)
    assert set(np.unique(masks.labels[:, 12:])) == {3}
