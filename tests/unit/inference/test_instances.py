"""Ranking, placing and spooling the instances of a video."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from vos_jax.core.errors import OutputError
from vos_jax.core.geometry import Geometry
from vos_jax.inference.instances import Instance, MaskSpool, decoded, placed, rank_labels, ranked
from vos_jax.systems.tracks import Track, TrackBook

GEOMETRY = Geometry((20, 30), (32, 48), (32, 64))


def book(*tracks: Track) -> TrackBook:
    """A book that holds these tracks as 1, 2, ..."""
    filled = TrackBook()
    filled.tracks = dict(enumerate(tracks, 1))
    return filled


def test_long_lives_rank_first_and_points_score():
    logits = np.array([1.0, 5.0, 2.0])
    found = ranked(book(Track(0, 1, 90, logits), Track(0, 3, 30, -logits), Track(2, 5, 60)), 2)
    assert found == [Instance(2, 0.5, 1), Instance(3, 1.0, None)]
    assert ranked(book(), 5) == []


@pytest.mark.parametrize("full", [False, True], ids=["grid", "network"])
def test_a_mask_is_placed_where_the_frame_shows_it(full):
    mask = np.zeros((8, 16), bool)
    mask[2:6, 3:9] = True
    mask[:, 13:] = True
    if full:
        mask = np.kron(mask, np.ones((4, 4), bool))
    expected = np.zeros((20, 30), bool)
    expected[5:15, 8:22] = True
    shown = placed(mask, GEOMETRY)
    assert shown.shape == (20, 30) and shown.dtype == bool
    assert (shown != expected).mean() < 0.05
    assert not shown[:, 25:].any()


def test_spooled_masks_come_back_in_the_order_of_rank():
    ids = np.zeros((2, 8, 16), int)
    ids[0, 2:6, 3:9] = 4
    ids[0, :2, :2] = -1
    ids[1, :4, :4] = 7
    ids[1, 4:, 4:8] = 4
    instances = [Instance(7, 1, None), Instance(4, 1, None), Instance(9, 1, None)]
    with MaskSpool(GEOMETRY) as spool:
        for frame in ids:
            spool.add(frame)
    for _ in range(2):
        frames = list(spool.frames(instances))
        assert len(frames) == 2
        for frame, codes in zip(ids, frames, strict=True):
            masks = decoded(codes, (20, 30))
            expected = [placed(frame == track, GEOMETRY) for track in (7, 4, 9)]
            np.testing.assert_array_equal(masks, expected)
            assert all(isinstance(code["counts"], str) for code in codes)
    assert list(spool.frames([])) == [[], []]


def test_later_ranks_are_drawn_over_earlier_ones():
    masks = np.zeros((2, 4, 4), np.uint8)
    masks[0, :3], masks[1, 2:] = 1, 1
    codes = [coco_mask.encode(np.asfortranarray(mask)) for mask in masks]
    assert rank_labels(codes, (4, 4))[:, 0].tolist() == [1, 1, 2, 2]
    assert not rank_labels([], (4, 4)).any()


def test_a_folder_that_cannot_hold_masks_is_named(tmp_path):
    with pytest.raises(OutputError, match="nowhere: cannot hold a file"):
        MaskSpool(GEOMETRY, tmp_path / "nowhere")
