"""Made-up videos: the same every time, moving, with disjoint first masks."""

import numpy as np
import pytest

from vos_jax.benchmarking.pictures import moving_discs


@pytest.mark.parametrize("objects", [1, 3, 5])
def test_masks_are_disjoint_and_on_the_first_frame(objects):
    frames, masks = moving_discs((48, 80), objects, 2)
    assert frames.shape == (2, 48, 80, 3)
    assert frames.dtype == np.uint8
    assert masks.shape == (objects, 48, 80)
    assert masks.sum(0).max() == 1
    assert masks[-1].any()


def test_videos_are_reproducible_and_move():
    first, _ = moving_discs((48, 80), 2, 3)
    again, _ = moving_discs((48, 80), 2, 3)
    np.testing.assert_array_equal(first, again)
    noise = 2 * 8 + 1
    assert (np.abs(first[0].astype(int) - first[2]) > noise).any()


def test_a_still_background_is_never_twice_the_same():
    frames, masks = moving_discs((48, 80), 0, 3)
    assert not masks.any()
    change = np.abs(np.diff(frames.astype(int), axis=0))
    assert change.max() <= 2 * 8
    assert (change > 0).any(-1).mean() > 0.9


def test_later_objects_do_not_hide_under_earlier_ones():
    _, masks = moving_discs((48, 80), 5, 1)
    alone = moving_discs((48, 80), 5, 1)[1][-1]
    np.testing.assert_array_equal(masks[-1], alone)
