"""Two pictures on a desk, replaced and asked."""

import threading

import numpy as np
import pytest

from tests.patch_matching import PatchMatcher, moved, noise
from vos_jax.core.errors import ImageError
from vos_jax.correspondence import affinity
from vos_jax.correspondence.desk import Desk, Picture
from vos_jax.correspondence.marks import point_map

SIZE = (64, 96)


@pytest.fixture
def desk():
    return Desk(PatchMatcher(), {}, top_k=3, sigma=0.0, short_side=64)


def pictures(**sides):
    return {side: Picture(f"{side}.png", pixels) for side, pixels in sides.items()}


def peak(pair, top_k=False, point=(8, 8)):
    found = pair.read[top_k]
    heat = found.heat_map(point_map(*point, found.source))
    return tuple(int(i) // 16 for i in np.unravel_index(heat.argmax(), heat.shape))


def test_nothing_is_compared_before_there_are_two(desk):
    assert desk.pair.read == {} and desk.pair.revision == 0
    pair = desk.put(pictures(target=noise((200, 300))))
    assert (pair.revision, pair.read) == (1, {})
    assert pair.shown["target"].shape == (200, 300, 3)
    pair = desk.put(pictures(source=noise((128, 192))))
    assert pair is desk.pair
    assert (pair.revision, set(pair.read)) == (2, {False, True})
    assert {side: shown.shape for side, shown in pair.shown.items()} == {
        "source": (64, 96, 3),
        "target": (64, 96, 3),
    }


def test_both_reads_are_there():
    desk = Desk(PatchMatcher(1.0), {}, top_k=3, sigma=0.0, short_side=64)
    pair = desk.put(pictures(source=noise(SIZE), target=noise(SIZE, 1)))
    assert ((pair.read[True].affinity > 0).sum(0) == 3).all()
    assert (pair.read[False].affinity > 0).sum() > 3 * 24


@pytest.mark.parametrize("top_k", [False, True])
def test_a_new_picture_replaces_the_old_one(desk, top_k):
    picture = noise(SIZE)
    desk.put(pictures(source=picture, target=picture))
    assert peak(desk.pair, top_k) == (0, 0)
    desk.put(pictures(target=moved(picture, 16, 32)))
    assert peak(desk.pair, top_k) == (1, 2)
    desk.put(pictures(source=moved(picture, 16, 32)))
    assert peak(desk.pair, top_k) == (0, 0)


def test_pictures_are_fitted_from_how_they_came(desk):
    """A target once reduced beside a wide source is not reduced again beside another."""
    large = noise(SIZE).repeat(4, axis=0).repeat(4, axis=1)
    desk.put(pictures(source=noise((8, 96)), target=large))
    assert desk.pair.shown["target"].shape == (8, 12, 3)
    desk.put(pictures(source=noise(SIZE)))
    np.testing.assert_array_equal(desk.pair.shown["target"], noise(SIZE))
    np.testing.assert_array_equal(desk.pair.pictures["target"].pixels, large)


def test_pictures_that_cannot_be_compared_leave_the_others(desk, monkeypatch):
    desk.put(pictures(source=noise(SIZE), target=noise(SIZE)))
    before = desk.pair
    monkeypatch.setattr(affinity, "MOST_CELLS", 30)
    with pytest.raises(ImageError):
        desk.put(pictures(source=noise((64, 160))))
    assert desk.pair is before


def test_pictures_put_at_once_are_all_there(desk):
    put = [pictures(source=noise(SIZE)), pictures(target=moved(noise(SIZE), 0, 16))]
    threads = [threading.Thread(target=desk.put, args=(each,)) for each in put]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.pair.revision == 2
    assert peak(desk.pair) == (0, 1)
