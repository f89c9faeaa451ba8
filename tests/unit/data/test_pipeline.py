"""The loader: one stream whatever makes it, exact resumption, damaged records."""

import json
import logging
import shutil

import numpy as np
import pytest

from tests.clip_sets import still_set, video_set
from vos_jax.core.errors import ConfigError, MissingInputError, RecordError
from vos_jax.data.augment import StillAugmentation, VideoAugmentation
from vos_jax.data.clips import StillClips, VideoClips
from vos_jax.data.pipeline import make_loader

CANVASES = ((64, 96), (96, 64), (96, 96))
FIELDS = {"frames", "labels", "slots", "present", "labelled", "valid"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    return still_set(root / "stills"), video_set(root / "videos")


@pytest.fixture
def open_loader(folders):
    """Makes loaders of stills and videos, half and half, and closes them in the end."""
    loaders = []

    def make(stills=folders[0], videos=folders[1], **options):
        small = {"min_area": 300, "min_side": 10}
        sources = []
        if stills is not None:
            sources.append((StillClips(stills, StillAugmentation(min_area=100), **small), 0.5))
        if videos is not None:
            sources.append((VideoClips(videos, VideoAugmentation(min_area=100), **small), 0.5))
        settings = {"batch_size": 4, "seed": 0, "canvases": CANVASES, **options}
        loaders.append(make_loader(sources, **settings))
        return loaders[-1]

    yield make
    for loader in loaders:
        loader.close()


def take(loader, count):
    return [next(loader) for _ in range(count)]


def assert_equal(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys()
        for field in batch:
            np.testing.assert_array_equal(batch[field], other[field])


def differ(batch, other):
    return batch["frames"].shape != other["frames"].shape or any(
        (batch[field] != other[field]).any() for field in ("frames", "labels")
    )


def test_batches_are_the_fields_of_a_clip(open_loader):
    shapes = set()
    for batch in take(open_loader(slots=5), 12):
        assert batch.keys() == FIELDS
        b, t, h, w, c = batch["frames"].shape
        assert (b, t, c) == (4, 3, 3)
        shapes.add((h, w))
        expected = {
            "frames": (np.uint8, (4, 3, h, w, 3)),
            "labels": (np.uint8, (4, 3, h, w)),
            "slots": (bool, (4, 5)),
            "present": (bool, (4, 3, 5)),
            "labelled": (bool, (4, 3)),
            "valid": (bool, (4, 3, h, w)),
        }
        for field, (dtype, shape) in expected.items():
            assert (batch[field].dtype, batch[field].shape) == (dtype, shape)
            assert batch[field].flags["C_CONTIGUOUS"]
    assert shapes == set(CANVASES)


def test_labels_are_numbers_of_used_slots(open_loader):
    for batch in take(open_loader(), 12):
        for row in range(4):
            used = batch["slots"][row].sum()
            assert 1 <= used <= 4 and batch["labels"][row].max() <= used
            assert not batch["present"][row][:, used:].any()
            assert batch["present"][row, 0].any()


def test_slots_limit_the_objects(open_loader):
    for batch in take(open_loader(slots=1), 6):
        assert batch["slots"].all() and batch["labels"].max() == 1


def test_equal_seeds_give_equal_streams(open_loader):
    assert_equal(take(open_loader(), 5), take(open_loader(), 5))


def test_other_seeds_and_batches_differ(open_loader):
    one, other = take(open_loader(seed=1), 6), take(open_loader(seed=2), 6)
    assert sum(differ(a, b) for a, b in zip(one, other, strict=True)) >= 5
    assert sum(differ(a, b) for a, b in zip(one, one[1:], strict=False)) == 5


def test_every_sample_is_augmented_on_its_own(open_loader, tmp_path):
    """With one image of one object, only the augmentation can differ."""
    one = still_set(tmp_path, images=1)
    options = {"stills": one, "videos": None, "canvases": ((64, 96),)}
    clips = [
        clip.tobytes()
        for seed in (1, 2)
        for batch in take(open_loader(seed=seed, **options), 3)
        for clip in batch["frames"]
    ]
    assert len(set(clips)) == len(clips) == 24


def test_stream_does_not_depend_on_the_number_of_workers(open_loader):
    """Two workers, resumed by one, against none."""
    whole = take(open_loader(), 9)
    two = open_loader(workers=2)
    assert_equal(take(two, 5), whole[:5])
    one = open_loader(workers=1)
    one.set_state(two.get_state())
    assert_equal(take(one, 4), whole[5:])


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_together_make_the_batch_of_one(open_loader, processes):
    whole = take(open_loader(), 6)
    parts = [
        take(open_loader(process_index=index, process_count=processes), 6)
        for index in range(processes)
    ]
    for number, batch in enumerate(whole):
        for field, array in batch.items():
            joined = np.concatenate([part[number][field] for part in parts])
            np.testing.assert_array_equal(joined, array)


def test_batches_are_mixed_of_both_sources(open_loader):
    """Videos have two objects at most; a quarter of the stills' samples have four."""
    loader = open_loader(videos=None, batch_size=8)
    counts = np.concatenate([batch["slots"].sum(1) for batch in take(loader, 40)])
    np.testing.assert_allclose(np.bincount(counts)[1:] / len(counts), 0.25, atol=0.06)
    counts = np.concatenate([b["slots"].sum(1) for b in take(open_loader(batch_size=8), 40)])
    shares = np.bincount(counts)[1:] / len(counts)
    np.testing.assert_allclose(shares, [0.375, 0.375, 0.125, 0.125], atol=0.06)


@pytest.mark.parametrize("done", [0, 1, 5])
def test_resumed_stream_goes_on_exactly(open_loader, done):
    whole = take(open_loader(), 8)
    first = open_loader()
    take(first, done)
    state = json.loads(json.dumps(first.get_state()))
    second = open_loader()
    second.set_state(state)
    assert_equal(take(second, 8 - done), whole[done:])


def test_state_can_be_set_on_a_running_loader(open_loader):
    loader = open_loader()
    whole = take(loader, 2)
    state = loader.get_state()
    whole += take(loader, 3)
    loader.set_state(state)
    assert_equal(take(loader, 3), whole[2:])


def test_state_is_resumed_by_another_number_of_processes(open_loader):
    whole = take(open_loader(), 5)
    half = open_loader(process_index=1, process_count=2)
    take(half, 3)
    loader = open_loader()
    loader.set_state(half.get_state())
    assert_equal(take(loader, 2), whole[3:])


@pytest.mark.parametrize(
    "options",
    [{"seed": 1}, {"batch_size": 8}, {"slots": 3}, {"canvases": ((96, 96),)}, {"content": [7]}],
)
def test_state_of_another_stream_is_refused(open_loader, options):
    state = open_loader().get_state()
    with pytest.raises(ConfigError, match=next(iter(options))):
        open_loader(**options).set_state(state)


def test_state_of_other_data_is_refused(open_loader, tmp_path):
    state = open_loader().get_state()
    with pytest.raises(ConfigError, match="items"):
        open_loader(stills=still_set(tmp_path, images=5)).set_state(state)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"batch_size": 3, "process_count": 2},
        {"process_index": 2, "process_count": 2},
        {"process_index": -1},
    ],
)
def test_shares_that_do_not_work_are_refused(open_loader, options):
    with pytest.raises(ConfigError, match="shared equally"):
        open_loader(**options)


def test_no_source_is_refused(open_loader):
    with pytest.raises(ConfigError, match="sources"):
        open_loader(stills=None, videos=None)


def test_clips_of_different_lengths_are_refused(folders):
    stills = StillClips(folders[0], StillAugmentation(), min_area=300, min_side=10)
    videos = VideoClips(folders[1], VideoAugmentation(), others=3, min_area=300, min_side=10)
    with pytest.raises(ConfigError, match="number of frames"):
        make_loader([(stills, 1), (videos, 1)], batch_size=2, seed=0, canvases=CANVASES)


@pytest.mark.parametrize("workers", [0, 1])
def test_damaged_record_is_replaced_counted_and_named(open_loader, tmp_path, caplog, workers):
    damaged = still_set(tmp_path, spoil=[3])
    with caplog.at_level(logging.WARNING):
        loader = open_loader(stills=damaged, videos=None, workers=workers, max_failed=0.1)
        batches = take(loader, 10)
    assert loader.failed > 0
    assert len(caplog.records) == loader.failed
    assert "tfrecord" in caplog.text and "byte" in caplog.text
    assert all(batch["slots"].any(axis=1).all() for batch in batches)


def test_only_damaged_samples_change(open_loader, tmp_path):
    damaged = still_set(tmp_path, spoil=[3])
    loader = open_loader(stills=damaged, videos=None, max_failed=0.1)
    whole, other = take(open_loader(videos=None), 10), take(loader, 10)
    changed = sum(
        (a["frames"][row] != b["frames"][row]).any()
        for a, b in zip(whole, other, strict=True)
        for row in range(4)
    )
    assert 0 < changed <= loader.failed


@pytest.mark.parametrize("max_failed", [0.002, 0.005])
def test_too_many_damaged_records_stop_the_stream(open_loader, tmp_path, max_failed):
    loader = open_loader(
        stills=still_set(tmp_path, spoil=[0, 1]), videos=None, max_failed=max_failed
    )
    with pytest.raises(RecordError, match=f"more than the fraction {max_failed}.*byte") as caught:
        take(loader, 100)
    assert max_failed * 1000 < loader.failed <= max_failed * 1000 + 4
    assert "\n" not in str(caught.value)


def test_all_records_damaged_stop_the_first_batch(open_loader, tmp_path):
    damaged = still_set(tmp_path, spoil=range(12))
    with pytest.raises(RecordError, match="in a row") as caught:
        next(open_loader(stills=damaged, videos=None))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_vanished_data_are_named(open_loader, tmp_path, workers):
    loader = open_loader(stills=still_set(tmp_path / "gone"), videos=None, workers=workers)
    shutil.rmtree(tmp_path / "gone")
    with pytest.raises(MissingInputError, match="gone") as caught:
        take(loader, 3)
    assert "\n" not in str(caught.value)


def test_sampling_and_augmentation_need_no_jax(run_python):
    code = (
        "import sys\n"
        "import vos_jax.data.clips, vos_jax.data.canvases, vos_jax.data.sampling\n"
        "assert not {'jax', 'grain', 'tensorflow'} & set(sys.modules), 'jax was imported'\n"
    )
    assert run_python("-c", code).returncode == 0
