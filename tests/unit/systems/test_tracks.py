"""Clustering against a plain loop over shrinking lists; linking and what is counted of tracks."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.systems.tracks import Rules, TrackBook, class_sums, cluster, match

RULES = Rules(min_seediness=0.97, free_stds=(0.4,))


def points(seed: int = 0, count: int = 240, spread: float = 0.12):
    """Points around four centres with noise, most of them foreground."""
    draw = np.random.default_rng(seed)
    centres = draw.uniform(-1, 1, (4, 3))
    embedding = centres[draw.integers(4, size=count)] + draw.normal(0, spread, (count, 3))
    bandwidth = draw.uniform(4, 16, (count, 2))
    arrays = (embedding, bandwidth, draw.random(count))
    return (*(a.astype(np.float32) for a in arrays), draw.random(count) > 0.2)


def plain(embedding, bandwidth, seediness, foreground, rules: Rules) -> np.ndarray:
    """The same clusters from lists of points that are still free."""
    free = np.float32(rules.free_stds) ** -2
    labels, seeds, left = np.where(foreground, -1, 0), [], []
    while len(seeds) < rules.max_clusters:
        left = np.flatnonzero(labels == -1)
        if not len(left) or seediness[left].max() < rules.min_seediness:
            break
        seeds.append(left[seediness[left].argmax()])
        labels[left[probability(embedding, bandwidth, seeds[-1], left, free) > rules.primary]] = (
            len(seeds)
        )
    if len(left) and seeds:
        each = np.stack([probability(embedding, bandwidth, s, left, free) for s in seeds])
        choose = np.argmin if rules.secondary_to == "farthest" else np.argmax
        other = choose(each, axis=0)
        joins = each[other, np.arange(len(left))] > rules.secondary
        labels[left[joins]] = 1 + other[joins]
    return labels


def probability(embedding, bandwidth, seed, left, free) -> np.ndarray:
    square = (embedding[left] - embedding[seed]) ** 2
    return np.exp(-np.sqrt(square @ np.concatenate([bandwidth[seed], free])) / 2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"secondary_to": "nearest"},
        {"max_clusters": 2, "secondary": 0.1},
        {"max_clusters": 2, "secondary_to": "nearest"},
        {"secondary": 0.9},
    ],
    ids=str,
)
def test_compiled_clusters_are_those_of_the_plain_loop(seed, changes):
    rules = dataclasses.replace(RULES, **changes)
    expected = plain(*points(seed), rules)
    found = cluster(*points(seed), rules)
    np.testing.assert_array_equal(found.labels, expected)
    assert 1 < int(found.found) <= rules.max_clusters
    assert {-1, 0, 1} <= set(expected)


def test_farthest_and_nearest_differ_where_points_are_left_over():
    nearest = dataclasses.replace(RULES, secondary_to="nearest")
    assert (cluster(*points(), RULES).labels != cluster(*points(), nearest).labels).any()


@pytest.mark.parametrize("why", ["no foreground", "no seed"])
def test_no_cluster_leaves_background_and_outliers(why):
    embedding, bandwidth, seediness, foreground = points()
    if why == "no foreground":
        foreground = np.zeros_like(foreground)
    found = cluster(embedding, bandwidth, seediness * 0.9, foreground, RULES)
    assert int(found.found) == 0
    np.testing.assert_array_equal(found.labels, np.where(foreground, -1, 0))
    assert not np.asarray(found.centres).any() and np.isfinite(found.stds).all()


def test_points_may_come_in_any_order():
    order = np.random.default_rng(1).permutation(240)
    shuffled = cluster(*(a[order] for a in points()), RULES).labels
    np.testing.assert_array_equal(shuffled, cluster(*points(), RULES).labels[order])


def test_class_sums_leave_background_and_outliers_out():
    labels = np.array([[0, 1, 2, 2], [-1, -1, 1, 0]])
    logits = np.arange(16, dtype=np.float32).reshape(2, 4, 2)
    found = class_sums(jnp.asarray(labels), jnp.asarray(logits), 3)
    expected = np.zeros((2, 3, 2))
    expected[0, 0], expected[0, 1] = logits[0, 1], logits[0, 2] + logits[0, 3]
    expected[1, 0] = logits[1, 2]
    np.testing.assert_array_equal(found, expected)


def test_match_takes_the_best_sum_and_needs_no_least_overlap():
    tracks = np.array([4, 4, 4, 4, 7, 7, -1, 0])
    labels = np.array([1, 1, 2, 2, 1, -1, 2, 0])
    pairs, costs = match(tracks, labels)
    assert pairs == [(4, 2), (7, 1)]
    np.testing.assert_allclose(costs, [1 - 2 / 5, 1 - 1 / 4])
    assert match(np.array([4, 0]), np.array([0, 1]))[0] == [(4, 1)]
    assert match(np.array([-1, 0]), np.array([1, 2]))[0] == []


def lines(*rows) -> np.ndarray:
    """Label maps of one line of pixels each."""
    return np.array(rows)[:, None]


def test_tracks_go_on_and_new_ones_get_new_ids():
    book = TrackBook()
    first = book.add([0, 1, 2], lines([1, 1, 0, 2], [1, 0, 0, 2], [1, 0, 0, 2]))
    assert [ids.ravel().tolist() for ids in first.values()] == [[1, 1, 0, 2], [1, 0, 0, 2]] + [
        [1, 0, 0, 2]
    ]
    later = book.add([2, 3, 4], lines([2, 0, 3, 1], [2, 0, 3, -1], [2, 3, 3, 0]))
    assert list(later) == [3, 4]
    assert later[3].ravel().tolist() == [1, 0, 5, -1]
    facts = {i: (t.first, t.last, t.points) for i, t in book.tracks.items()}
    assert facts == {1: (0, 4, 6), 2: (0, 2, 3), 5: (3, 4, 3)}


def test_an_id_that_was_never_written_is_used_again():
    book = TrackBook()
    book.add([0, 1], lines([1, 0], [1, 0]))
    book.add([1, 2], lines([1, 2], [1, 0]))
    assert book.add([2, 3], lines([1, 0], [1, 2]))[3].ravel().tolist() == [1, 3]


def test_windows_that_share_nothing_are_not_linked():
    book = TrackBook()
    book.add([0, 1], lines([1, 0], [1, 0]))
    assert book.add([2, 3], lines([1, 0], [1, 0]))[2].ravel().tolist() == [2, 0]


def test_class_logits_follow_the_track():
    book, one = TrackBook(), np.ones((2, 1, 3))
    book.add([0, 1], lines([1, 1], [1, 0]), one)
    book.add([1, 2], lines([1, 0], [1, 1]), one * [[[5, 0, 0]], [[7, 0, 0]]])
    assert book.tracks[1].logits.tolist() == [9, 2, 2]


def test_longest_keeps_the_order_of_appearance_on_ties():
    book = TrackBook()
    book.add([0, 1, 2], lines([3, 1, 0], [2, 3, 1], [4, 1, 2]))
    assert book.longest(9) == [1, 3, 2, 4]
    assert book.longest(2) == [1, 3]
