"""Which sample comes when: shuffled passes over pools and fair turns, as functions of an index.

Nothing is stored that grows with the number of updates, and sample i needs none of the samples
before it. The laws are those of HODOR's sample lists (spec 14.2): a quarter of the samples each
for 4, 3, 2 and 1 objects, drawn from everything with at least that many, pass after pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vos_jax.core.errors import ConfigError

TURNS_PER_LAP = 1000
FEISTEL_ROUNDS = 6
WORD = (1 << 64) - 1


class Turns:
    """Fair turns: choices with weights take turns in an order shuffled anew every lap.

    In a lap of `TURNS_PER_LAP` turns each choice has its weight's share, rounded to whole
    turns (at least one).
    """

    def __init__(self, weights: Sequence[float], seed: Sequence[int]):
        """Takes positive weights (any sum) and words of a seed."""
        shares = np.asarray(weights, float) / np.sum(weights) * TURNS_PER_LAP
        turns = np.maximum(np.floor(shares), 1).astype(int)
        lacking = max(0, TURNS_PER_LAP - turns.sum())
        turns[np.argsort(turns - shares, kind="stable")[:lacking]] += 1
        self._turns = turns
        self._seed = tuple(seed)

    def at(self, turn: int) -> tuple[int, int]:
        """Whose turn it is, and how many turns that choice has had before."""
        lap, position = divmod(turn, int(self._turns.sum()))
        order = np.repeat(np.arange(len(self._turns)), self._turns)
        order = np.random.default_rng([*self._seed, lap]).permutation(order)
        choice = int(order[position])
        earlier = np.count_nonzero(order[:position] == choice)
        return choice, int(lap * self._turns[choice] + earlier)


class Shuffled:
    """A random order of 0..n-1 in which any place is computed, so that nothing is stored.

    A Feistel network permutes numbers of an even number of bits; those it takes out of the range
    go through it again, until they return.
    """

    def __init__(self, length: int, seed: Sequence[int]):
        """Takes n > 0 and words of a seed."""
        self._length = length
        self._bits = max(1, -(-(length - 1).bit_length() // 2))
        keys = np.random.default_rng(seed).integers(1 << 63, size=FEISTEL_ROUNDS)
        self._keys = keys.tolist()

    def at(self, place: int) -> int:
        """The number at a place, 0 <= place < n."""
        place = self._permuted(place)
        while place >= self._length:
            place = self._permuted(place)
        return place

    def _permuted(self, number: int) -> int:
        mask = (1 << self._bits) - 1
        left, right = number >> self._bits, number & mask
        for key in self._keys:
            left, right = right, left ^ (_mixed(right + key) & mask)
        return left << self._bits | right


def _mixed(word: int) -> int:
    """A number of 64 bits, each of which depends on all of the word's (SplitMix64)."""
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB & WORD
    return word ^ word >> 31


class Passes:
    """Endless passes over a pool, each in a new random order that holds every item once."""

    def __init__(self, items: np.ndarray, length: int, seed: Sequence[int]):
        """Takes item numbers, of which the first `length` > 0 are the pool; words of a seed."""
        self._items, self._length = items, length
        self._seed = tuple(seed)
        self._order = (-1, None)

    def at(self, position: int) -> int:
        """The item at a position, counted over all passes."""
        number, place = divmod(position, self._length)
        known, order = self._order
        if known != number:
            order = Shuffled(self._length, [*self._seed, number])
            self._order = (number, order)
        return int(self._items[order.at(place)])


@dataclass(frozen=True)
class Draw:
    """What one sample is made of.

    Attributes:
        source: number of the source.
        objects: how many objects to take.
        item: number of the item in the source.
    """

    source: int
    objects: int
    item: int


class Schedule:
    """Which items make up batch n: a pure function of the seed and n.

    A source's samples are shared equally among the object counts it can serve; sources and
    counts keep their shares over all canvases together, and all samples of a batch belong to
    one canvas.
    """

    def __init__(
        self,
        counts: Sequence[np.ndarray | None],
        canvases: Sequence[np.ndarray],
        weights: Sequence[float],
        *,
        max_objects: int,
        batch_size: int,
        seed: int,
    ):
        """Sorts all items into pools.

        Args:
            counts: per source, the number of objects of each item [n], or None where all
                items are one pool and the source takes any number up to `max_objects`.
            canvases: per source, the canvas number of each item [n].
            weights: share of each source in the samples.
            max_objects: largest number of objects of a sample.
            batch_size: samples of a batch over all processes.
            seed: changes every choice.

        Raises:
            ConfigError: a source has no item with an object, or a weight is not positive.
        """
        if not counts or min(weights) <= 0:
            raise ConfigError(f"data sources need positive weights, not {list(weights)}")
        self._batch_size = batch_size
        pools = _pools(counts, canvases, weights, max_objects)
        self._canvases = sorted({canvas for canvas, *_ in pools})
        self._canvas_turns = Turns(
            [sum(p[3] for p in pools if p[0] == c) for c in self._canvases], (seed, 0)
        )
        self._pools, self._pool_turns = {}, {}
        for canvas in self._canvases:
            own = [pool for pool in pools if pool[0] == canvas]
            self._pool_turns[canvas] = Turns([pool[3] for pool in own], (seed, 1, canvas))
            self._pools[canvas] = [
                (source, objects, Passes(items, length, (seed, 2, canvas, source, objects)))
                for _, source, objects, _, items, length in own
            ]

    def canvas(self, batch: int) -> int:
        """The canvas number of a batch."""
        return self._canvases[self._canvas_turns.at(batch)[0]]

    def draw(self, batch: int, row: int, attempt: int = 0) -> Draw:
        """What a sample of a batch is made of.

        Args:
            batch: number of the batch.
            row: 0 <= row < batch_size.
            attempt: above 0, the sample that comes that much later on the same canvas, for
                one that could not be read.
        """
        choice, earlier = self._canvas_turns.at(batch)
        canvas = self._canvases[choice]
        sample = earlier * self._batch_size + row + attempt
        pool, position = self._pool_turns[canvas].at(sample)
        source, objects, passes = self._pools[canvas][pool]
        return Draw(source, objects, passes.at(position))


def _pools(
    counts: Sequence[np.ndarray | None],
    canvases: Sequence[np.ndarray],
    weights: Sequence[float],
    max_objects: int,
) -> list[tuple[int, int, int, float, np.ndarray, int]]:
    """All (canvas, source, objects, weight, items, length) that are not empty.

    The pools of a source on a canvas are the beginnings of one array, most objects first.
    """
    pools = []
    for source, (count, canvas, weight) in enumerate(zip(counts, canvases, weights, strict=True)):
        if count is None:
            levels, count = [max_objects] * bool(len(canvas)), np.full(len(canvas), max_objects)
        else:
            levels = range(1, 1 + min(max_objects, int(np.max(count, initial=0))))
        if not levels:
            raise ConfigError(f"data source {source} has no frame with an object large enough")
        totals = [np.count_nonzero(count >= objects) for objects in levels]
        for number in np.unique(canvas).tolist():
            items = np.flatnonzero((canvas == number) & (count > 0)).astype(np.uint32)
            items = items[np.argsort(-count[items], kind="stable")]
            for objects, total in zip(levels, totals, strict=True):
                length = int(np.count_nonzero(count[items] >= objects))
                share = weight / len(levels) * length / total
                if length:
                    pools.append((number, source, objects, share, items, length))
    return pools
