"""Copies of lone objects: when, where to, and what becomes of frames and labels."""

import numpy as np
import pytest

from vos_jax.data.duplication import DuplicateObject
from vos_jax.data.operations import View

SIZE = (100, 200)


def clip(*boxes, number=5, size=SIZE):
    """A view per box (top, left, bottom, right); objects have a gradient and a bright spot."""
    views = []
    for box in boxes:
        rng = np.random.default_rng(0)
        frame = rng.integers(0, 60, (*size, 3)).astype(np.uint8)
        labels = np.zeros(size, np.uint8)
        if box:
            top, left, bottom, right = box
            labels[top:bottom, left:right] = number
            frame[top:bottom, left:right] = 100 + np.arange(right - left)[:, None]
        views.append(View(frame, labels, np.ones(size, np.bool_)))
    return views


def duplicate(views, seed=0):
    return DuplicateObject()(views, np.random.default_rng(seed))


def shift(views, copied, number=1):
    """How far the left edge of the copy lies from that of the object, per frame (x, y)."""
    moves = []
    for before, after in zip(views, copied, strict=True):
        (row, column), (copy_row, copy_column) = (
            np.argwhere(labels == n).min(0)
            for labels, n in ((before.labels, 5), (after.labels, number))
        )
        moves.append((copy_column - column, copy_row - row))
    return np.array(moves)


MIDDLE = (40, 80, 70, 120)


@pytest.mark.parametrize("number, copy", [(5, 1), (1, 2), (2, 1), (254, 1)])
def test_the_copy_gets_a_number_of_its_own(number, copy):
    views = clip(MIDDLE, MIDDLE, number=number)
    for view in duplicate(views):
        assert set(np.unique(view.labels)) == {0, number, copy}
        assert np.count_nonzero(view.labels == copy) == pytest.approx(30 * 40, abs=80)
        assert view.valid.all() and view.labels.dtype == view.frame.dtype == np.uint8


@pytest.mark.parametrize("seed", range(8))
def test_frame_and_labels_change_where_the_copy_is_and_nowhere_else(seed):
    views = clip(MIDDLE, (30, 70, 60, 110))
    for before, after in zip(views, duplicate(views, seed), strict=True):
        copy = after.labels == 1
        np.testing.assert_array_equal(after.frame[~copy], before.frame[~copy])
        np.testing.assert_array_equal(after.labels[~copy], before.labels[~copy])
        colours = after.frame[copy][:, 0]
        assert (colours >= 100).mean() > 0.9 and set(range(105, 135)) <= set(colours.tolist())


def test_source_is_not_changed():
    views = clip(MIDDLE)
    duplicate(views)
    for view, fresh in zip(views, clip(MIDDLE), strict=True):
        np.testing.assert_array_equal(view.frame, fresh.frame)
        np.testing.assert_array_equal(view.labels, fresh.labels)


def test_equal_generators_give_equal_copies():
    one, two, other = (duplicate(clip(MIDDLE, MIDDLE), seed)[1].labels for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_shifts_fill_their_ranges_and_each_side_is_as_likely():
    views = clip(MIDDLE, MIDDLE, MIDDLE)
    moves = np.stack([shift(views, duplicate(views, seed)) for seed in range(150)])
    across, down = moves[..., 0], moves[..., 1]
    assert (np.abs(across) >= 29).all() and (np.abs(across) <= 41).all()
    assert np.abs(across).min() <= 31 and np.abs(across).max() >= 39
    assert np.abs(down).min() == 0 and 7 <= np.abs(down).max() <= 8
    assert (np.sign(across) == np.sign(across[:, :1])).all()
    assert 0.35 < (across[:, 0] > 0).mean() < 0.65
    assert 0.3 < (down.sum(1) > 0).mean() < 0.7
    assert (np.ptp(across, axis=1) > 0).mean() > 0.9


def test_half_of_the_copies_are_mirrored():
    mirrored = []
    for seed in range(100):
        after = duplicate(clip(MIDDLE), seed)[0]
        rows, columns = np.nonzero(after.labels == 1)
        colours = after.frame[rows, columns, 0].astype(int)
        mirrored.append(np.corrcoef(columns, colours)[0, 1] < 0)
    assert 35 < sum(mirrored) < 65


@pytest.mark.parametrize(
    "box, sides",
    [
        ((40, 10, 70, 40), {1}),
        ((40, 160, 70, 190), {-1}),
        ((40, 0, 70, 100), {-1}),
        ((40, 100, 70, 200), {1}),
        ((40, 60, 70, 150), {-1, 1}),
        ((40, 5, 70, 55), {-1, 1}),
    ],
)
def test_side_is_decided_by_long_objects_at_borders_and_short_ones_near_them(box, sides):
    seen = set()
    for seed in range(20):
        rows, columns = np.nonzero(duplicate(clip(box), seed)[0].labels == 1)
        if len(columns):
            centre = columns.mean() - (box[1] + box[3] - 1) / 2
            seen.add(int(np.sign(centre)))
    assert seen == sides


@pytest.mark.parametrize("box, ways", [((2, 80, 15, 120), {1}), ((85, 80, 98, 120), {-1})])
def test_flat_objects_near_top_or_bottom_move_inwards(box, ways):
    views = clip(box)
    down = [shift(views, duplicate(views, seed))[0, 1] for seed in range(40)]
    assert set(np.sign(down)) - {0} == ways


def test_objects_that_reach_top_and_bottom_move_sideways_only():
    for seed in range(20):
        copy = duplicate(clip((0, 80, 100, 110)), seed)[0].labels == 1
        assert copy[[0, -1]].any(1).all()


def test_objects_at_a_side_are_not_mirrored():
    views = clip((40, 0, 70, 60))
    for seed in range(20):
        after = duplicate(views, seed)[0]
        rows, columns = np.nonzero(after.labels == 1)
        if len(set(columns)) > 30:
            assert np.corrcoef(columns, after.frame[rows, columns, 0])[0, 1] > 0


def test_shift_to_the_right_is_limited_and_the_one_to_the_left_is_not():
    views, right_edges = clip((40, 60, 70, 160)), []
    for seed in range(40):
        copy = duplicate(views, seed)[0].labels == 1
        right_edges.append(int(np.flatnonzero(copy.any(0)).max()) + 1)
    to_the_left = [edge for edge in right_edges if edge < 160]
    assert {edge for edge in right_edges if edge > 160} == {200}
    assert 60 <= min(to_the_left) and max(to_the_left) <= 85
    starts = [shift(views, duplicate(views, seed))[0, 0] for seed in range(40)]
    assert max(starts) == 60


@pytest.mark.parametrize(
    "views",
    [
        clip((40, 0, 70, 200)),
        clip((40, 0, 70, 50), (40, 150, 70, 200)),
        clip(None, None),
        [
            view._replace(labels=np.maximum(view.labels, other.labels))
            for view, other in zip(clip(MIDDLE), clip((0, 0, 9, 9), number=9), strict=True)
        ],
    ],
    ids=["reaches both sides", "touches both sides in turn", "no object", "two objects"],
)
def test_other_clips_stay(views):
    assert duplicate(views) is views


def test_void_is_no_object():
    views = clip(MIDDLE)
    views[0].labels[:5] = 255
    labels = duplicate(views)[0].labels
    assert set(np.unique(labels)) == {0, 1, 5, 255}
    assert (labels[:5] == 255).all()


def test_frames_without_the_object_stay():
    views = clip(MIDDLE, None, MIDDLE)
    copied = duplicate(views)
    np.testing.assert_array_equal(copied[1].labels, views[1].labels)
    np.testing.assert_array_equal(copied[1].frame, views[1].frame)
    assert (copied[2].labels == 1).any()
