"""Instances drawn over a frame: tint, box and caption, nothing where there is none."""

import numpy as np

from vos_jax.core.labels import DAVIS_PALETTE
from vos_jax.io.overlays import CONTOUR, INSTANCE_OPACITY, draw_instances

FRAME = np.full((80, 120, 3), 100, np.uint8)


def mask(top, left, bottom, right):
    drawn = np.zeros(FRAME.shape[:2], bool)
    drawn[top:bottom, left:right] = True
    return drawn


def test_an_instance_is_tinted_boxed_and_captioned():
    shown = draw_instances(FRAME, [mask(40, 30, 70, 60)], ["cat 0.50"])
    colour = DAVIS_PALETTE[1].astype(float)
    tint = np.rint(INSTANCE_OPACITY * colour + (1 - INSTANCE_OPACITY) * 100)
    np.testing.assert_array_equal(shown[55, 45], tint)
    np.testing.assert_array_equal(shown[40, 45], colour)
    assert (FRAME == 100).all()
    changed = (shown != 100).any(-1)
    assert changed[20:38, 30:90].any()
    changed[20:40, 28:120] = False
    changed[40 - CONTOUR : 70 + CONTOUR, 30 - CONTOUR : 60 + CONTOUR] = False
    assert not changed.any()


def test_a_caption_stays_in_the_frame():
    shown = draw_instances(FRAME, [mask(0, 10, 20, 40)], ["dog"])
    plain = draw_instances(FRAME, [mask(0, 10, 20, 40)], [""])
    where = np.argwhere((shown != plain).any(-1))
    assert len(where) and where[:, 0].max() < 20


def test_later_instances_are_drawn_over_and_empty_ones_leave_no_trace():
    both = draw_instances(FRAME, [mask(30, 30, 60, 60), mask(30, 30, 60, 60)], ["", ""])
    twice = 0.4 * np.rint(0.6 * DAVIS_PALETTE[1] + 40) + 0.6 * DAVIS_PALETTE[2]
    np.testing.assert_array_equal(both[45, 45], np.rint(twice))
    np.testing.assert_array_equal(draw_instances(FRAME, [mask(0, 0, 0, 0)], ["x"]), FRAME)
    np.testing.assert_array_equal(draw_instances(FRAME, [], []), FRAME)
