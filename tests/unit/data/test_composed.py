"""Composed clips: items, what is decoded and handed on, retries, given masks."""

import dataclasses
import pickle
from collections import Counter

import numpy as np
import pytest

from tests.clip_sets import Box, BoxFrame, still_set, video_set, write_set
from vos_jax.core.errors import RecordError
from vos_jax.data import composed as composed_module
from vos_jax.data.composed import ComposedClips
from vos_jax.data.frame_sampling import EvenlySpaced, Jumps, ReflectedGaps, Repeat
from vos_jax.data.items import object_labels, picture, usable_frames, video_objects
from vos_jax.data.objects import ReferenceObjects, SoftObject, VisibleInstances
from vos_jax.data.operations import Chain
from vos_jax.data.recipes import mask_propagation_stills, mask_propagation_video

SIZE = (64, 96)
UNCHANGED = Chain(())
LARGE = (4, 4, 44, 64)
SMALL = (50, 70, 60, 80)


def rng(seed=0):
    return np.random.default_rng(seed)


@dataclasses.dataclass(frozen=True)
class Script:
    """A sampler that plays lists of frames one after the other, and notes what it is told."""

    plays: tuple
    told: list = dataclasses.field(default_factory=list)
    least: int = 1
    scheduled = True

    @property
    def count(self):
        return len(self.plays[0])

    def frames(self, areas, rng, progress):
        self.told.append((areas, progress))
        return list(self.plays[min(len(self.told), len(self.plays)) - 1])


def video(name, boxes_per_frame, overlapping=False):
    return [
        BoxFrame(name, t, SIZE, tuple(Box(*box) for box in boxes), overlapping)
        for t, boxes in enumerate(boxes_per_frame)
    ]


def composed(records, sampler, objects=None, chain=UNCHANGED, **options):
    return ComposedClips(records, chain, sampler, objects or ReferenceObjects(), **options)


def test_a_clip_holds_the_drawn_frames_and_their_labels(tmp_path):
    records = video_set(tmp_path)
    sample = composed(records, Script(((4, 2, 2),))).clip(1, 4, rng())
    for t, number in enumerate((16, 14, 14)):
        np.testing.assert_array_equal(sample.frames[t], picture(records[number]))
        forwards, backwards = (object_labels(records[number], ids) for ids in ([3, 9], [9, 3]))
        assert any((sample.labels[t] == labels).all() for labels in (forwards, backwards))
    assert sample.present.shape == (3, 2) and sample.present.all()
    assert sample.labelled.all() and sample.valid.all() and sample.given is None


@pytest.mark.parametrize(
    "sampler, items",
    [(Repeat(), 4), (ReflectedGaps(), 3), (Jumps(), 2), (EvenlySpaced(2, (4, 4)), 1)],
)
def test_videos_that_are_too_short_are_left_out_and_counted(tmp_path, caplog, sampler, items):
    lengths = (1, 2, 5, 9)
    videos = [video(f"v{n}", [[(1, LARGE)]] * n) for n in lengths]
    with caplog.at_level("INFO"):
        source = composed(write_set(tmp_path, *videos), sampler)
    assert source.sizes.tolist() == [list(SIZE)] * items
    assert f"{items} of 4 videos" in caplog.text
    assert source.counts is None and source.times == sampler.count


@pytest.mark.parametrize(
    "object_frames, usable",
    [(0, [1, 1, 1, 1]), (1, [1, 1, 0, 1]), (2, [1, 1, 0, 0]), (3, [0, 0, 0, 0])],
)
def test_usable_frames_show_lasting_objects(tmp_path, object_frames, usable):
    """Object 2 is on two frames of the first video and 3 on one; ids of videos do not mix."""

    class Unlabelled(BoxFrame):
        def load(self):
            return dataclasses.replace(super().load(), annotated=False)

    two, three = (2, LARGE), (3, SMALL)
    first, second = video("a", [[two], [two], [], [three]]), video("b", [[two]] * 4)
    second[0] = Unlabelled("b", 0, SIZE, ())
    records = write_set(tmp_path, first, second)
    assert usable_frames(records, object_frames).tolist() == [*usable, 0, 1, 1, 1]


def test_samplers_see_usable_frames_only(tmp_path):
    """The positions a sampler returns count usable frames, and so do the areas it is shown."""
    boxes = [[], [(3, LARGE)], [], [(3, LARGE), (5, SMALL)], [(5, SMALL)]]
    records = write_set(tmp_path, video("a", boxes))
    script = Script(((1, 0, 2),))
    sample = composed(records, script, object_frames=1).clip(0, 4, rng(), 0.25)
    (areas, progress) = script.told[0]
    np.testing.assert_array_equal(areas, [[2400, 0], [2400, 100], [0, 100]])
    assert progress == 0.25
    numbers = [
        next(n for n in range(5) if (picture(records[n]) == frame).all()) for frame in sample.frames
    ]
    assert numbers == [3, 1, 4]


def test_crowds_are_no_objects_and_ids_are_sorted(tmp_path):
    boxes = (Box(9, LARGE), Box(4, SMALL), Box(2, SMALL, crowd=True))
    records = write_set(tmp_path, [BoxFrame("a", 0, SIZE, boxes)])
    ids, areas, _ = video_objects(records, np.array([0]))
    assert ids == [4, 9] and areas.tolist() == [[100, 2400]]
    assert video_objects(records, np.array([], int))[1].shape == (0, 0)


def test_run_length_codes_keep_their_ids_over_the_frames(tmp_path):
    """Ids above 255, as in COCO and YouTube-VIS, become small numbers, alike on all frames."""
    boxes = [[(70001, LARGE), (300, SMALL)], [(300, SMALL)], [(70001, LARGE)]]
    records = write_set(tmp_path, video("a", boxes, overlapping=True))
    sample = composed(records, Script(((0, 1, 2),)), VisibleInstances()).clip(0, 4, rng())
    areas = [[(mask == number).sum() for number in (1, 2)] for mask in sample.labels]
    assert areas == [[100, 2400], [100, 0], [0, 2400]]


def test_the_largest_objects_fit_into_labels(tmp_path):
    boxes = [(n, (0, 0, 1, 1)) for n in range(1, 300)] + [(400, LARGE), (500, SMALL)]
    records = write_set(tmp_path, video("a", [boxes], overlapping=True))
    ids, areas, _ = video_objects(records, np.array([0]))
    assert len(ids) == 254 and ids[-2:] == [400, 500] and areas.shape == (1, 254)
    sample = composed(records, Repeat(2), VisibleInstances()).clip(0, 4, rng())
    assert {2400, 100} <= set(np.bincount(sample.labels[0].ravel()).tolist())


def test_a_repeated_frame_is_decoded_once_and_shared(tmp_path, monkeypatch):
    """The chain computes shared changes once where the arrays are the same."""
    reads, seen = Counter(), []
    monkeypatch.setattr(
        composed_module, "picture", lambda frame: reads.update([frame.name]) or picture(frame)
    )

    def chain(frames, labels, rng):
        seen.append((frames, labels))
        return UNCHANGED(frames, labels, rng)

    script = Script(((1, 1, 0), (1, 2, 2)))
    source = composed(video_set(tmp_path), script, ReferenceObjects(0), chain, attempts=2)
    source.clip(0, 4, rng())
    assert reads == {"00000": 1, "00001": 1, "00002": 1}
    for frames, labels in seen:
        assert len({id(f) for f in frames}) == len({id(mask) for mask in labels}) == 2


@pytest.mark.parametrize("attempts, made, present", [(1, 1, False), (2, 2, False), (5, 3, True)])
@pytest.mark.parametrize("least", [0, 1])
def test_clips_are_redrawn_until_the_reference_shows_an_object(
    tmp_path, attempts, made, present, least
):
    """Frame 0 is empty; when no attempt is left, the clip is all background."""
    records = write_set(tmp_path, video("a", [[], [(7, LARGE)], []]))
    script = Script(((0, 1, 2), (2, 1, 1), (1, 0, 2), (0, 0, 0)))
    objects = ReferenceObjects(2, least=least)
    sample = composed(records, script, objects, attempts=attempts).clip(0, 4, rng())
    assert len(script.told) == made
    assert sample.labels.any() == sample.present.any() == present
    assert sample.present.shape[1] == max(least, int(present))


def test_items_by_length_give_long_videos_their_share(tmp_path):
    videos = [video(f"v{n}", [[(1, LARGE)]] * n) for n in (1, 3, 6)]
    records = write_set(tmp_path, *videos)
    script = Script(((0,),), least=2)
    source = composed(records, script, by_length=True)
    assert len(source.sizes) == 9
    for item in range(9):
        source.clip(item, 4, rng())
    assert [len(areas) for areas, _ in script.told] == [3] * 3 + [6] * 6


def test_soft_stills_are_given_smooth_masks(tmp_path):
    chain = mask_propagation_stills(48)
    source = composed(still_set(tmp_path, 3), Repeat(), SoftObject(), chain)
    assert source.gives
    samples = [source.clip(item, 4, rng(item)) for item in range(3)]
    for sample in samples:
        assert sample.frames.shape == (3, 48, 48, 3) and sample.given.shape == (48, 48, 1)
        np.testing.assert_array_equal(sample.labels[0] == 1, sample.given[..., 0] > 127)
        assert sample.present.shape == (3, 1)
    assert any(((s.given > 0) & (s.given < 255)).any() for s in samples)


@pytest.mark.parametrize("overlap", [(0.85, 1.0), (0.5, 0.5)])
def test_perturbed_masks_are_given_and_labels_stay(tmp_path, overlap):
    records = video_set(tmp_path)
    plain = composed(records, Jumps(), ReferenceObjects(2, least=1))
    source = composed(records, Jumps(), ReferenceObjects(2, least=1), perturb=overlap)
    assert source.gives and not plain.gives
    shares = []
    for seed in range(8):
        clean, sample = plain.clip(0, 4, rng(seed)), source.clip(0, 4, rng(seed))
        np.testing.assert_array_equal(sample.labels, clean.labels)
        assert set(np.unique(sample.given)) <= {0, 255}
        for slot in range(2):
            mask, given = clean.labels[0] == slot + 1, sample.given[..., slot] > 0
            shares.append((mask & given).sum() / (mask | given).sum())
    assert overlap[0] - 0.3 < min(shares) and max(shares) < overlap[1]


def test_what_is_absent_or_soft_throughout_is_not_perturbed():
    """As in stage 0 of RDE, where the first mask must have a full pixel."""
    labels = np.zeros((3, 40, 40), np.uint8)
    labels[0, 5:25, 5:25] = 1
    given = composed_module._perturbed(composed_module.Chosen(labels, 2), (0.5, 0.5), rng())
    assert given[..., 0].any() and not given[..., 1].any()
    soft = np.full((40, 40, 1), 200, np.uint8)
    chosen = composed_module.Chosen(labels, 1, soft)
    np.testing.assert_array_equal(composed_module._perturbed(chosen, (0.5, 0.5), rng()), soft)


def test_equal_generators_give_equal_clips_in_every_process(tmp_path):
    options = {"attempts": 5, "perturb": (0.8, 0.9)}
    source = composed(
        video_set(tmp_path), Jumps(), chain=mask_propagation_video(32, (0.2, 0.4)), **options
    )
    copy = pickle.loads(pickle.dumps(source))
    for seed in range(3):
        one, two = (s.clip(seed, 2, rng(seed), 0.3) for s in (source, copy))
        for field in dataclasses.fields(one):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))
        assert (source.clip(seed, 2, rng(9)).frames != one.frames).any()


def test_a_damaged_record_is_named(tmp_path):
    source = composed(still_set(tmp_path, 4, spoil=[2]), Repeat())
    with pytest.raises(RecordError, match="byte"):
        source.clip(2, 4, rng())
    source.clip(1, 4, rng())
