"""What holds of windowed systems whatever their weights: order, padding and names do not matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.toy_windows import ToyWindows, blocks
from vos_jax.systems import registry
from vos_jax.systems.base import Verbs
from vos_jax.systems.tracks import TrackBook
from vos_jax.systems.windows import WindowStream, segment_windows, windows

SIZE = (32, 48)
PARAMS = {"scale": np.float32(1)}
TINY = {
    "backbone": "small",
    "channels": 8,
    "widths": [8, 8, 8, 8],
    "semantic_widths": [8, 8, 8, 8],
    "groups": 2,
    "classes": 3,
    "clip_length": 4,
    "overlap": 2,
    "min_dim": 32,
    "max_dim": 48,
    "min_seediness": 0.1,
}


def tracks_of(system, params, frames):
    """The track ids of every frame."""
    stream = WindowStream(system, params, SIZE)
    return np.stack([ids for _, ids in segment_windows(stream, frames)]), stream.book


def renamed(ids: np.ndarray) -> np.ndarray:
    """The same maps with tracks numbered as they appear."""
    found, first = np.unique(ids[ids > 0], return_index=True)
    names = np.zeros(ids.max(initial=0) + 2, int)
    names[found[np.argsort(first)]] = 1 + np.arange(len(found))
    names[-1] = -1
    return names[ids]


def test_clips_of_a_batch_know_nothing_of_each_other():
    """Of STEm-Seg with drawn weights."""
    system = registry.build("stem_seg", **TINY)
    shapes = jax.eval_shape(
        lambda: system.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), method="initialise")
    )
    draw = np.random.default_rng(0)
    weights = jax.tree.map(lambda x: jnp.asarray(draw.normal(0, 0.2, x.shape), x.dtype), shapes)
    clips = np.stack([blocks(4), blocks(4, seed=1)[::-1]])

    @jax.jit
    def read(clips):
        verbs = Verbs(system, weights)
        geometry = system.spec.geometry(SIZE)
        features = verbs.encode(system.spec.prepare(clips.reshape(8, *SIZE, 3), geometry))
        features = jax.tree.map(lambda x: x.reshape(2, 4, *x.shape[1:]), features)
        return verbs.read(None, features)[0]

    together, turned = read(clips), read(clips[::-1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[::-1], b, atol=2e-5), together, turned)
    assert np.abs(np.diff(np.asarray(together.embedding), axis=0)).max() > 0.01


def test_a_short_video_is_a_window_that_begins_with_repeats():
    """They are no frames of their own."""
    frames = blocks(7)
    short, _ = tracks_of(ToyWindows(), PARAMS, frames[4:6])
    padded, _ = tracks_of(ToyWindows(), PARAMS, frames[[4, 4, 4, 5]])
    assert len(short) == 2
    np.testing.assert_array_equal(renamed(short), renamed(padded[2:]))


def test_the_last_clip_names_only_frames_that_have_no_name():
    """Frames that an earlier window settled are the same with the clip that ends the video."""
    whole, _ = tracks_of(ToyWindows(), PARAMS, blocks(40)[:11])
    assert windows(11, 4, 2)[-1] == (7, 8, 9, 10) != windows(10, 4, 2)[-1]
    grid, _ = tracks_of(ToyWindows(), PARAMS, blocks(40)[:10])
    np.testing.assert_array_equal(whole[:10] > 0, grid > 0)
    np.testing.assert_array_equal(renamed(whole[:10]), renamed(grid))


def test_nothing_is_found_in_the_padding_of_frames():
    """The network sees 32x64, of which columns from 48 on hold no image."""
    ids, book = tracks_of(ToyWindows(), PARAMS, blocks(6))
    assert len(book.tracks) == 3 and ids.shape[1:] == (8, 16)
    assert not ids[:, :, 12:].any()


@pytest.mark.parametrize("seed", range(3))
def test_clusters_may_be_numbered_in_any_way(seed):
    draw = np.random.default_rng(seed)
    labels = draw.integers(-1, 4, (6, 4, 5, 5))
    plain, other, found = TrackBook(), TrackBook(), []
    for number, window in enumerate(windows(14, 4, 2)):
        order = np.concatenate([[0], 1 + draw.permutation(3), [-1]])
        maps = labels[number]
        new = plain.add(window, maps), other.add(window, order[maps])
        found += [(new[0][frame], new[1][frame]) for frame in new[0]]
    a, b = (renamed(np.stack(each)) for each in zip(*found, strict=True))
    np.testing.assert_array_equal(a, b)
    facts = [
        sorted((t.first, t.last, t.points) for t in book.tracks.values()) for book in (plain, other)
    ]
    assert facts[0] == facts[1]
