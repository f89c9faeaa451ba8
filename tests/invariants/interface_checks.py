"""What every prompted system must hold (INTERFACE section 11), as functions of one case.

The toy systems and the real ones run the same functions; a case names the system, its
parameters and how far float32 may stray.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vos_jax.core.compilation import compilations
from vos_jax.inference.offline import segment_offline, segment_stream
from vos_jax.inference.session import Session
from vos_jax.inference.steps import slot_planes
from vos_jax.systems.base import Given, Segmenter, Verbs, step

FRAMES = 6
IDS = (7, 3, 120)
COLOURS = ((200, 30, 30), (30, 200, 30), (40, 60, 220))


@dataclasses.dataclass(frozen=True)
class Case:
    """A system under test.

    Attributes:
        system: configured.
        params: its parameters.
        tolerance: of probabilities where the order of sums may differ.
        size: of the frames.
        reads_given: whether an object takes part in the scores of the frame it is given on.
    """

    system: Segmenter
    params: Any
    tolerance: float = 1e-5
    size: tuple[int, int] = (37, 50)
    reads_given: bool = True

    @property
    def verbs(self):
        return Verbs(self.system, {"params": self.params})

    @property
    def geometry(self):
        return self.system.spec.geometry(self.size)

    @property
    def constant(self):
        """Whether the memory has a fixed size."""
        return self.system.spec.entries(1, 1) is None

    def session(self, slots=None, **options):
        slots = self.slots(3) if slots is None else slots
        return Session(self.system, self.params, self.size, slots=slots, **options)

    def slots(self, wanted):
        """The next number of slots the system allocates."""
        return -(-wanted // self.system.spec.slot_step) * self.system.spec.slot_step


def moving_squares(size, seed=0):
    """Three squares that move over noise: frames uint8 [t, h, w, 3], ids uint8 [t, h, w]."""
    height, width = size
    rng = np.random.default_rng(seed)
    frames = rng.integers(60, 90, (FRAMES, height, width, 3)).astype(np.uint8)
    labels = np.zeros((FRAMES, height, width), np.uint8)
    side = height // 3
    for t in range(FRAMES):
        for number, (object_id, colour) in enumerate(zip(IDS, COLOURS, strict=True)):
            top = 2 + (number * height // 3) % (height - side - 2) + seed
            left = 3 + number * width // 4 + t * (1 - number)
            frames[t, top : top + side, left : left + side] = colour
            labels[t, top : top + side, left : left + side] = object_id
    return frames, labels


def only(labels, *ids):
    """A label map reduced to some ids."""
    return np.where(np.isin(labels, ids), labels, 0)


def leaves_equal(a, b):
    """Whether two trees are equal to the bit."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def agree(a, b, share=1e-4):
    """Whether label maps are equal but for a share of the pixels."""
    return np.mean(np.asarray(a) != np.asarray(b)) <= share


def run(session, frames, prompts):
    """All labels of a session that goes frame by frame."""
    return [session.step(frame, prompts.get(t)) for t, frame in enumerate(frames)]


def probabilities(session, frames, prompts):
    """All probabilities of a soft session."""
    return [
        np.asarray(session.submit(frame, prompts.get(t)).shown)[0] for t, frame in enumerate(frames)
    ]


def empty(case, batch=1, slots=3, memory=16):
    """An empty state."""
    memory = None if case.constant else memory
    return case.verbs.init_state(batch, case.geometry, case.slots(slots), memory)


def given_for(case, labels, ids, slots=3):
    """`Given` of a batch: one label map per video, whose ids take slots in the order of `ids`."""
    maps = np.zeros(labels.shape, np.uint8)
    for slot, object_id in enumerate(ids):
        maps[labels == object_id] = slot + 1
    slots = case.slots(slots)
    present = np.stack([[(m == s + 1).any() for s in range(slots)] for m in maps])
    return Given(masks=slot_planes(jnp.asarray(maps), slots), slots=jnp.asarray(present))


def one_step(case, state, frames, given=None):
    """A step whose compiled form is shared between calls of one case."""
    return _step(case.params, state, frames, given, case.system, case.geometry)


@functools.partial(jax.jit, static_argnums=(4, 5))
def _step(params, state, frames, given, system, geometry):
    return step(Verbs(system, {"params": params}), state, frames, geometry, given)


def check_nothing_given_is_none(case):
    frames, labels = moving_squares(case.size)
    nothing = given_for(case, 0 * labels[:1], IDS)
    state = empty(case)
    for prompt in (None, given_for(case, labels[:1], IDS), None):
        plain, void = (one_step(case, state, frames[:1], g) for g in (None, nothing))
        assert leaves_equal(plain, void)
        state, _ = one_step(case, state, frames[:1], prompt)
    assert bool(state.known.any())


def check_empty_memory_is_background(case):
    frames, _ = moving_squares(case.size)
    state, masks = one_step(case, empty(case), frames[:1])
    assert not np.asarray(masks.labels).any()
    for tree in (masks, state):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))
    np.testing.assert_allclose(masks.probabilities[..., 0], 1, atol=1e-6)
    first = case.session().step(frames[0], np.zeros(case.size, np.uint8))
    assert not first.any()


def check_batch_is_one_by_one(case):
    clips = [moving_squares(case.size, seed) for seed in (0, 1)]
    starts = (0, 2)

    def prompt(videos, t):
        maps = np.stack([clips[v][1][t] if starts[v] == t else 0 * clips[v][1][t] for v in videos])
        return given_for(case, maps, IDS) if maps.any() else None

    def walk(videos):
        state, results = empty(case, len(videos)), []
        for t in range(4):
            here = np.stack([clips[v][0][t] for v in videos])
            state, masks = one_step(case, state, here, prompt(videos, t))
            results.append(masks)
        return results

    together = walk((0, 1))
    for video in (0, 1):
        for both, alone in zip(together, walk((video,)), strict=True):
            assert agree(both.labels[video], alone.labels[0])
            np.testing.assert_allclose(
                both.probabilities[video], alone.probabilities[0], atol=case.tolerance
            )


def check_slot_order(case):
    frames, labels = moving_squares(case.size)
    soft = []
    for order in (IDS, IDS[::-1]):
        given = {0: {i: labels[0] == i for i in order}}
        soft.append(np.stack(probabilities(case.session(soft=True), frames[:4], given)))
    assert soft[0][..., 1:4].max() > 0.5
    np.testing.assert_allclose(soft[0][..., :4], soft[1][..., [0, 3, 2, 1]], atol=case.tolerance)


def check_unused_slots(case):
    frames, labels = moving_squares(case.size)
    few = case.slots(3)
    more = few + 2 * case.system.spec.slot_step
    soft = [
        probabilities(case.session(slots=n, soft=True), frames[:4], {0: labels[0]})
        for n in (few, more)
    ]
    assert soft[1][0].shape[-1] == more + 1
    for a, b in zip(*soft, strict=True):
        np.testing.assert_allclose(a, b[..., : few + 1], atol=case.tolerance)


def check_grown_is_not_grown(case):
    """New objects and, where the memory grows, more entries than there was room for."""
    frames, labels = moving_squares(case.size)
    frames = np.concatenate([frames, frames[::-1]] * 2)
    step = case.system.spec.slot_step
    absent = {200 + i: np.zeros(case.size, bool) for i in range(step - 1)}
    prompts = {0: only(labels[0], 7), 3: {3: labels[3] == 3, **absent}}
    small = case.session(slots=1)
    begun = small.capacity[1]
    results = run(small, frames, prompts)
    grown = small.capacity[1]
    assert case.constant or grown > begun
    room = {} if case.constant else {"memory": grown}
    large = case.session(slots=2 * step, **room)
    assert agree(results, run(large, frames, prompts))
    assert small.capacity == large.capacity and small.ids == (7, 3, *absent)


def check_compiled_twice(case):
    """One program with and one without prompts; a second video of the kind compiles nothing."""
    frames, labels = moving_squares(case.size)
    run(case.session(), frames[:3], {0: labels[0]})
    with compilations() as again:
        run(case.session(), frames[:3], {1: labels[0], 2: labels[1]})
    assert again.count == 0
    warm = case.session()
    run(warm, frames[:2], {0: labels[0]})
    with compilations() as more:
        run(warm, frames[2:6], {2: only(labels[4], 3)})
    assert more.count == 0


def check_stream_is_offline(case):
    frames, labels = moving_squares(case.size)
    prompts = {1: only(labels[1], 7), 5: only(labels[5], 3)}
    one_by_one = run(case.session(), frames, prompts)
    streamed = list(segment_stream(case.session(), frames, prompts))
    np.testing.assert_array_equal(one_by_one, streamed)
    offline = list(segment_offline(case.session(), iter(frames), prompts, encode_batch=2))
    assert len(offline) == FRAMES and agree(offline, streamed)


def check_saved_and_forked(case, folder):
    frames, labels = moving_squares(case.size)
    session = case.session()
    session.save(folder / "empty")
    run(session, frames[:3], {0: labels[0]})
    session.save(folder / "third")
    fork = session.fork()
    want = [session.step(frame) for frame in frames[3:]]
    fork.remove(7)
    changed = [fork.step(frame) for frame in frames[3:]]
    assert not (np.stack(changed) == 7).any() and session.ids == IDS_BY_VALUE
    back = Session.restore(folder / "third", case.system, case.params)
    assert (back.ids, back.time, back.capacity) == (IDS_BY_VALUE, 3, session.capacity)
    np.testing.assert_array_equal([back.step(frame) for frame in frames[3:]], want)
    assert leaves_equal(back._state, session._state)
    begun = Session.restore(folder / "empty", case.system, case.params)
    np.testing.assert_array_equal(run(begun, frames, {0: labels[0]})[3:], want)


IDS_BY_VALUE = tuple(sorted(IDS))


def check_later_object_leaves_the_past(case):
    frames, labels = moving_squares(case.size)
    first = {0: only(labels[0], 7)}
    later = first | {3: only(labels[3], 3)}
    a, b = (run(case.session(), frames[:5], prompts) for prompts in (first, later))
    np.testing.assert_array_equal(a[:3], b[:3])
    assert (b[3] == 3).any() and not np.isin(a, 3).any()


def check_read_leaves_the_state(case):
    frames, labels = moving_squares(case.size)
    state, _ = one_step(case, empty(case), frames[:1], given_for(case, labels[:1], IDS))
    before = [np.array(leaf) for leaf in jax.tree.leaves(state)]
    features = case.verbs.encode(case.system.spec.prepare(jnp.asarray(frames[1:2]), case.geometry))
    first, second = case.verbs.read(state, features), case.verbs.read(state, features)
    assert len(first) == 2 and leaves_equal(first, second) and leaves_equal(before, state)


def check_given_is_seen_by_read(case):
    """An object that starts on a frame is seen there, in its scores where the system can."""
    frames, labels = moving_squares(case.size)
    state, _ = one_step(case, empty(case), frames[:1], given_for(case, only(labels[:1], 7), IDS))
    spec, geometry = case.system.spec, case.geometry
    features = case.verbs.encode(spec.prepare(jnp.asarray(frames[1:2]), geometry))
    new = spec.place(given_for(case, only(labels[1:2], 3), IDS), geometry)
    without, _ = case.verbs.read(state, features)
    seen, _ = case.verbs.read(state, features, new)
    bounded = [np.clip(scores, -1e6, 1e6) for scores in (without, seen)]
    assert (np.abs(bounded[0] - bounded[1]).max() > 1e-3) == case.reads_given
    masks = spec.resolve(seen, state.known, new, geometry)
    inside = np.asarray(masks.labels)[0][labels[1] == 3]
    assert (inside == 2).mean() > 0.8


def check_forgotten_object(case):
    frames, labels = moving_squares(case.size)
    session = case.session(slots=2 * case.slots(2))
    run(session, frames[:2], {0: labels[0]})
    slot = session._slots.slots[3]
    session.remove(3)
    known = np.asarray(session._state.known)[0]
    assert known.sum() == 2 and not known[slot]
    assert not (session.step(frames[2]) == 3).any() and session.ids == (7, 120)
    again = session.step(frames[3], only(labels[3], 3))
    assert session.ids == (7, 120, 3) and (again[labels[3] == 3] == 3).mean() > 0.8
    assert session._slots.slots[3] == 3


def check_correction(case):
    """A known id is replaced where it is given; the others stay."""
    frames, labels = moving_squares(case.size)
    session = case.session()
    run(session, frames[:3], {0: labels[0]})
    shifted = np.roll(only(labels[3], 7), 5, axis=1)
    result = session.step(frames[3], shifted)
    assert agree(result == 7, shifted == 7, share=0.06)
    assert session.ids == IDS_BY_VALUE


CHECKS = (
    check_nothing_given_is_none,
    check_empty_memory_is_background,
    check_batch_is_one_by_one,
    check_slot_order,
    check_unused_slots,
    check_grown_is_not_grown,
    check_compiled_twice,
    check_stream_is_offline,
    check_later_object_leaves_the_past,
    check_read_leaves_the_state,
    check_given_is_seen_by_read,
    check_forgotten_object,
    check_correction,
)
