"""What a session refuses, what it keeps, and what is left of it in a file."""

import functools

import numpy as np
import pytest

from tests.toy_systems import Toy, ToySpec, toy_params
from vos_jax.core.compilation import compilations
from vos_jax.core.errors import (
    CapacityError,
    CheckpointError,
    ConfigError,
    MaskError,
    MissingInputError,
    OutputError,
    VideoError,
)
from vos_jax.inference.offline import prefetched, segment_offline, segment_stream
from vos_jax.inference.runs import (
    BOUNDED_ENTRIES,
    Timing,
    frames_needed,
    rounded_entries,
    segment_to,
    session_for,
)
from vos_jax.inference.session import Session, check_memory

SIZE = (16, 24)
FRAME = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
MASK = np.zeros(SIZE, np.uint8)
MASK[4:12, 4:12] = 200


@functools.cache
def toy(**settings):
    system = Toy(**settings)
    return system, toy_params(system)


def session(size=SIZE, **options):
    return Session(*toy(), size, **options)


@pytest.mark.parametrize(
    "frame, error, message",
    [
        (FRAME[:8], VideoError, r"frame 0 is uint8 \[8, 24, 3\]"),
        (FRAME[..., :1], VideoError, "takes uint8"),
        (FRAME / 255, VideoError, "float64"),
    ],
)
def test_frames_that_do_not_fit(frame, error, message):
    with pytest.raises(error, match=message):
        session().step(frame)


def test_refused_masks_leave_the_session_as_it_was():
    here = session()
    with pytest.raises(MaskError, match="frame 0 has shape"):
        here.step(FRAME, MASK[:4])
    assert (here.ids, here.time) == ((), 0)
    np.testing.assert_array_equal(here.step(FRAME, MASK), MASK)
    assert (here.ids, here.time) == ((200,), 1)


def test_ids_come_back_as_they_went_in_and_gaps_stay():
    labels = MASK.copy()
    labels[12:16, 12:20], labels[0, 0] = 3, 255
    result = session(slots=2).step(FRAME, labels)
    assert set(np.unique(result)) == {0, 3, 200} and result[0, 0] != 255
    np.testing.assert_array_equal(result == 200, labels == 200)


def test_more_objects_than_labels_can_tell():
    here = session()
    here._slots.grow(254)
    here._slots.add(range(1, 255))
    for object_id in (1, 2):
        here.remove(object_id)
    with pytest.raises(CapacityError, match="255 objects since the video began"):
        here.submit(FRAME, {1: MASK > 0})
    with pytest.raises(ConfigError, match="no object 1"):
        here.remove(1)


@pytest.mark.parametrize("policy, most", [("odds", 254), ("labels", 250)])
def test_the_most_objects(policy, most):
    """254 labels there are; where slots come in groups of ten, 25 groups."""
    here = Session(*toy(policy=policy), SIZE)
    assert here._take_slots(range(1, most + 1)) == list(range(most))
    with pytest.raises(CapacityError, match=f"{most + 1} objects .*, {most} is the most"):
        here._take_slots([most + 1])


@pytest.mark.parametrize(
    "policy, wanted, room",
    [("odds", 1, 1), ("odds", 5, 5), ("odds", 7, 8), ("odds", 43, 44), ("labels", 3, 10)]
    + [("odds", 253, 254), ("labels", 11, 20), ("labels", 250, 250), ("labels", 254, 250)],
)
def test_slots_come_in_steps(policy, wanted, room):
    assert Session(*toy(policy=policy), SIZE, slots=wanted).capacity[0] == room


def test_memory_of_fixed_size_takes_no_number():
    fixed = toy(constant=True)
    assert Session(*fixed, SIZE).capacity == (1, None)
    with pytest.raises(ConfigError, match="fixed size"):
        Session(*fixed, SIZE, memory=5)


def test_room_is_made_for_what_is_known_to_come(caplog):
    masks = {0: MASK, 3: np.where(MASK > 0, 7, 0).astype(np.uint8)}
    assert session_for(*toy(), SIZE, masks, 30).capacity == (2, 32)
    assert session_for(*toy(), SIZE, masks, 30, memory=9).capacity == (2, 9)
    assert session_for(*toy(), SIZE, masks, 30, memory=900).capacity == (2, 32)
    assert session_for(*toy(), SIZE, {}, 1).capacity == (1, 2)
    assert session_for(*toy(constant=True), SIZE, masks, 30).capacity == (2, None)
    assert not caplog.records
    assert session_for(*toy(), SIZE, {}, None).capacity == (1, BOUNDED_ENTRIES)
    assert "unknown length" in caplog.text and len(caplog.records) == 1
    assert session_for(*toy(), SIZE, {}, None, memory=7).capacity == (1, 7)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("entries", [-1, 0, 1])
def test_memory_without_room_for_a_second_frame_is_refused(entries):
    with pytest.raises(ConfigError, match=f"a memory of {entries} frames is too small for Toy.* 2"):
        session(memory=entries)
    check_memory(toy()[0], 2)


def test_memory_comes_in_few_sizes():
    sizes = [rounded_entries(entries) for entries in range(2, 200)]
    assert sorted(set(sizes)) == [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256]
    assert sizes == sorted(sizes)
    assert all(e <= size < 2 * e for e, size in enumerate(sizes, start=2))


@pytest.mark.parametrize(
    ("every", "given", "wanted", "needed"),
    [
        (5, {0}, {0, 5, 10}, {0, 5, 10}),
        (4, {0}, {0, 5, 10}, {0, 4, 5, 8, 10}),
        (4, {0, 5}, {0, 5, 10}, {0, 4, 5, 9, 10}),
        (4, {0, 1, 2}, {11}, {0, 1, 2, 6, 10, 11}),
        (4, {0, 7}, {1}, {0, 1}),
        (100, {0}, {3}, {0, 3}),
        (4, {0}, set(), set()),
    ],
)
def test_frames_that_results_of_some_need(every, given, wanted, needed):
    assert frames_needed(ToySpec(skippable=True, memory_every=every), 12, given, wanted) == needed
    assert frames_needed(ToySpec(memory_every=every), 12, given, wanted) == set(range(12))


def test_skipped_frames_leave_the_others_results_as_they_are():
    frames = np.random.default_rng(1).integers(0, 255, (12, *SIZE, 3)).astype(np.uint8)
    masks = {0: MASK, 6: np.where(MASK > 0, 7, 0).astype(np.uint8)}
    system, params = toy(every=4)
    looked_at = frames_needed(system.spec, 12, masks, {0, 5, 9, 11})
    assert looked_at < set(range(12))
    some = [frame if t in looked_at else None for t, frame in enumerate(frames)]
    for batch in (1, 2):
        here, there = (Session(system, params, SIZE, slots=2) for _ in range(2))
        every = list(segment_offline(here, frames, masks))
        few = list(segment_offline(there, some, masks, encode_batch=batch))
        assert here.time == there.time == 12
        for t, labels in zip(sorted(looked_at), few, strict=True):
            np.testing.assert_array_equal(labels, every[t])


def test_a_system_that_needs_every_frame_skips_none():
    with pytest.raises(ConfigError, match="Toy needs every frame"):
        session().skip()


def test_bounded_memory_stays_and_compiles_nothing_more():
    here = session(memory=3)
    here.step(FRAME, MASK)
    here.step(FRAME)
    with compilations() as counted:
        for _ in range(8):
            here.step(FRAME)
    assert counted.count == 0 and here.capacity == (1, 3)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    here = session()
    here.step(FRAME, MASK)
    here.save(tmp_path / "saved")
    system, params = toy()
    with pytest.raises(CheckpointError, match="other settings"):
        Session.restore(tmp_path / "saved", *toy(policy="softmax"))
    with pytest.raises(MissingInputError, match="nowhere"):
        Session.restore(tmp_path / "nowhere", system, params)
    data = (tmp_path / "saved").read_bytes()
    for content in (b"", b"garbage", data[: len(data) // 2]):
        (tmp_path / "broken").write_bytes(content)
        with pytest.raises(CheckpointError, match="no saved session"):
            Session.restore(tmp_path / "broken", system, params)
    np.savez(tmp_path / "other.npz", header=np.array("{}"))
    with pytest.raises(CheckpointError, match="no saved session"):
        Session.restore(tmp_path / "other.npz", system, params)
    with pytest.raises(OutputError, match="cannot be written"):
        here.save(tmp_path / "nowhere" / "saved")


def test_a_frame_is_submitted_before_the_one_before_is_waited_for():
    order = []

    class Pending:
        known = None

        def __init__(self, number):
            self.number = number

        def labels(self):
            order.append(f"wait {self.number}")
            return [self.number]

    class Spy:
        def submit(self, frame, masks=None):
            order.append(f"submit {frame}")
            return Pending(frame)

        def report(self, pending):
            pass

    assert list(segment_stream(Spy(), range(3))) == [0, 1, 2]
    assert order == ["submit 0", "submit 1", "wait 0", "submit 2", "wait 1", "wait 2"]


def test_prefetching_keeps_order_errors_and_ends():
    assert list(prefetched(range(50), ahead=3)) == list(range(50))
    made = []

    def broken():
        yield from (1, 2)
        raise VideoError("third")

    def endless():
        while True:
            made.append(0)
            yield 0

    source = prefetched(broken())
    assert [next(source), next(source)] == [1, 2]
    with pytest.raises(VideoError, match="third"):
        next(source)
    source = prefetched(endless(), ahead=3)
    next(source)
    source.close()
    stopped = len(made)
    assert stopped <= 5 and len(made) == stopped


def test_timing_tells_waits_from_work():
    timing, seen = Timing(), []
    frames = [(f"f{t}", FRAME) for t in range(4)]
    with timing.all_of_it():
        segment_to(
            lambda name, frame, labels: seen.append((name, labels.any())),
            session(memory=8),
            frames,
            {1: MASK},
            timing,
        )
    assert [name for name, _ in seen] == ["f0", "f1", "f2", "f3"]
    assert [bool(there) for _, there in seen][:2] == [False, True]
    assert timing.frames == 4 and timing.seconds > timing.waiting > 0
    total = Timing(frames=6, seconds=10, waiting=2, compiling=5)
    total.add(Timing(frames=4, seconds=10, waiting=3, compiling=0))
    assert (total.rate, total.rate_without_files) == (0.5, 1.0)
    assert "10 frames in 20.0 s: 0.50 frames/s" in total.line() and "1.00 without" in total.line()
