"""Every kind of source from settings: defaults, errors, and one stream whatever makes it."""

import itertools
import json

import jax
import numpy as np
import pytest

from tests.clip_sets import still_set, video_set
from vos_jax.core.errors import ConfigError
from vos_jax.data.composed import ComposedClips, MergedClips
from vos_jax.data.recipes import RECIPES
from vos_jax.training.configuration import complete
from vos_jax.training.data import open_loader
from vos_jax.training.settings import SourceSettings, from_mapping
from vos_jax.training.sources import open_source

SMALL = {"min_area": 300, "min_side": 10}
PAIR = {"kind": "reference", "most": 2, "least": 1}
VIDEO = {"recipe": "mask_propagation_video", "size": 40}
STILL = {"recipe": "mask_propagation_stills", "size": 40}


def composed(frames, objects, augmentation, folder="videos", **options):
    options = {"frames": frames, "objects": objects, **options}
    augmentation = dict(augmentation)
    return {
        "kind": "composed",
        "folder": folder,
        "options": options,
        "augmentation": augmentation,
    }


JUMPS = composed({"kind": "jumps"}, PAIR, VIDEO, attempts=5)
AOT = composed(
    {"kind": "reflected_gaps", "count": 3, "max_gap": 4},
    {"kind": "reference", "min_area": 10},
    {"recipe": "aot_video", "size": 40, "short_side": 44},
    object_frames=2,
    merge=0.5,
)
STEM_SEG = composed(
    {"kind": "evenly_spaced", "count": 3, "span": (4, 6)},
    {"kind": "visible"},
    {"recipe": "stem_seg_video"},
    by_length=True,
)
MIXED = {
    "stills": {"folder": "stills", "options": SMALL},
    "videos": {"kind": "videos", "folder": "videos", "options": SMALL},
    "sparse": {"kind": "sparse_videos", "folder": "videos", "options": SMALL},
    "jumps": JUMPS,
    "aot": AOT,
    "stem_seg": STEM_SEG,
}
GIVEN = {
    "soft": composed({"kind": "repeat"}, {"kind": "soft"}, STILL, "stills"),
    "perturbed": {**JUMPS, "options": {**JUMPS["options"], "perturb": (0.8, 0.9)}},
}


@pytest.fixture(scope="module", name="root")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    still_set(root / "stills", 6)
    video_set(root / "videos")
    return root


@pytest.fixture
def start(root):
    """Opens loaders of sources and closes them in the end."""
    loaders = []

    def make(sources, steps=20, data=(), **changes):
        canvases = ((64, 96),)
        data = {"root": str(root), "sources": sources, "canvases": canvases, **dict(data)}
        stated = {"batch": 12, "steps": steps, "data": data, **changes}
        loaders.append(open_loader(from_mapping(complete(stated).to_dict())))
        return loaders[-1]

    yield make
    for loader in loaders:
        loader.close()


def take(loader, count):
    return list(itertools.islice(loader, count))


def assert_equal(batches, others):
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys()
        for field, array in batch.items():
            np.testing.assert_array_equal(array, other[field])


@pytest.mark.parametrize("sources", [MIXED, GIVEN], ids=["mixed", "given"])
def test_the_stream_of_all_kinds_depends_on_neither_workers_nor_processes(
    start, monkeypatch, sources
):
    whole = take(start(sources), 4)
    loader = start(sources, data={"workers": 2})
    assert_equal(take(loader, 2), whole[:2])
    resumed = start(sources)
    resumed.set_state(json.loads(json.dumps(loader.get_state())))
    assert_equal(take(resumed, 2), whole[2:])
    parts = []
    for index in range(3):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        monkeypatch.setattr(jax, "process_count", lambda: 3)
        parts.append(take(start(sources), 2))
    joined = [
        {field: np.concatenate([part[field] for part in batch]) for field in batch[0]}
        for batch in zip(*parts, strict=True)
    ]
    assert_equal(joined, whole[:2])


@pytest.mark.parametrize("sources", [MIXED, GIVEN], ids=["mixed", "given"])
def test_no_two_samples_are_alike(start, sources):
    """STEm-Seg leaves video as it is, so that only the drawn frames differ there."""
    sources = {name: source for name, source in sources.items() if name != "stem_seg"}
    clips = [clip.tobytes() for batch in take(start(sources), 4) for clip in batch["frames"]]
    assert len(set(clips)) == len(clips) == 48


def test_masks_of_their_own_are_planes_of_the_slots(start):
    batch = next(start(GIVEN, data={"slots": 3}))
    assert batch["given"].shape == (12, 64, 96, 3) and batch["given"].dtype == np.uint8
    assert not batch["given"][
        ~np.broadcast_to(batch["slots"][:, None, None], (12, 64, 96, 3))
    ].any()
    assert (batch["slots"].sum(axis=1) <= 2).all() and batch["given"].any()
    assert "given" not in next(start(MIXED))


def test_sources_agree_on_bringing_masks(start):
    with pytest.raises(ConfigError, match="masks of their own"):
        start({"a": JUMPS, "b": GIVEN["perturbed"]})


@pytest.mark.parametrize("shares", [(1, 3), (60 * 5, 3464)])
def test_sources_keep_their_shares(start, shares):
    """DAVIS five times and YouTube-VOS once, one clip a video, are shares of 300 and 3464."""
    sources = {
        name: {**composed({"kind": "repeat"}, PAIR, VIDEO, folder), "share": share}
        for name, folder, share in zip("ab", ("stills", "videos"), shares, strict=True)
    }
    schedule = start(sources).batches._schedule
    drawn = [schedule.draw(batch, row).source for batch in range(250) for row in range(12)]
    assert np.mean(np.array(drawn) == 0) == pytest.approx(shares[0] / sum(shares), abs=0.001)


def test_scheduled_sources_see_how_far_training_has_come(start, monkeypatch):
    """Two micro-batches an update; behind the planned end the last one's progress stays."""
    batches = start({"a": JUMPS}, steps=2, accumulate=2).batches
    (source,) = batches._sources
    seen = []

    def clip(item, objects, rng, progress):
        seen.append(progress)
        return ComposedClips.clip(source, item, objects, rng, progress)

    monkeypatch.setattr(source, "clip", clip)
    for number in range(6):
        batches[number]
    assert seen == [progress for progress in (0, 0.25, 0.5, 0.75, 0.75, 0.75) for _ in range(6)]


def test_only_scheduled_streams_are_bound_to_the_length_of_the_training(start):
    other = start({"a": AOT}, steps=20).get_state()
    start({"a": AOT}, steps=30).set_state(other)
    scheduled = start({"a": JUMPS}, steps=20).get_state()
    assert scheduled["total"] == 20
    with pytest.raises(ConfigError, match="total 20, not 30"):
        start({"a": JUMPS}, steps=30).set_state(scheduled)


def test_composed_settings_are_completed():
    data = {"sources": {"a": JUMPS, "b": AOT}}
    first, second = (complete({"data": data}).data.sources[name] for name in "ab")
    assert first.options.to_dict() == {
        "frames": {
            "kind": "jumps",
            "count": 3,
            "jumps": (5, 10, 15, 20, 25, 5),
            "fractions": (0.0, 0.1, 0.2, 0.3, 0.4, 0.9),
            "divisor": 1,
            "reverse": 0.5,
        },
        "objects": {**PAIR, "min_area": 0, "sure_area": 0, "brief_area": 400},
        "attempts": 5,
        "object_frames": 0,
        "by_length": False,
        "longest_gap": 0,
        "classes": "",
        "perturb": (),
        "merge": 0.0,
    }
    assert first.augmentation.to_dict() == {**VIDEO, "area": (0.36, 1.0)}
    assert second.augmentation.to_dict() == {**AOT["augmentation"], "version": 2}
    assert second.options.merge == 0.5


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_defaults_a_config_can_hold(recipe):
    source = composed({"kind": "repeat"}, PAIR, {"recipe": recipe})
    full = complete({"data": {"sources": {"a": source}}}).data.sources.a
    arguments = full.augmentation.to_dict()
    assert arguments.pop("recipe") == recipe
    RECIPES[recipe](**arguments)


@pytest.mark.parametrize("merge, kind", [(0.0, ComposedClips), (0.3, MergedClips)])
def test_merging_is_an_option(root, merge, kind):
    source = from_mapping({**AOT, "options": {**AOT["options"], "merge": merge}}, SourceSettings)
    records = video_set(root / f"merging{merge}")
    assert type(open_source(records, "a", source)) is kind


@pytest.mark.parametrize(
    "change, said",
    [
        ({"kind": "film"}, "sources.a.kind is 'film'; known are stills"),
        ({"options": {}}, "a.options.frames.kind is None; known are repeat, jumps"),
        ({"options": {"frames": {"kind": "jump"}}}, "a.options.frames.kind is 'jump'"),
        ({"options": {"frames": {"kind": "jumps"}}}, "a.options.objects.kind is None"),
        ({"augmentation": {"recipe": "blur"}}, "a.augmentation.recipe is 'blur'; known are mask"),
        ({"options": {**JUMPS["options"], "tries": 3}}, "unknown config.data.sources.a.*tries"),
        ({"augmentation": {**VIDEO, "height": 3}}, "unknown config.data.sources.a.*height"),
    ],
)
def test_kinds_and_keys_that_do_not_exist_are_named(change, said):
    with pytest.raises(ConfigError, match=said):
        complete({"data": {"sources": {"a": {**JUMPS, **change}}}})


@pytest.mark.parametrize(
    "change, said",
    [
        ({"options": {}}, "frames.kind is None"),
        ({"options": {**JUMPS["options"], "tries": 3}}, "sources.a: .*tries"),
        ({"augmentation": {**VIDEO, "height": 3}}, "sources.a: .*height"),
        ({"augmentation": {}}, "augmentation.recipe is None"),
    ],
)
def test_saved_settings_that_cannot_work_are_named(root, change, said):
    records = video_set(root / "saved", videos=1)
    with pytest.raises(ConfigError, match=said):
        open_source(records, "a", from_mapping({**JUMPS, **change}, SourceSettings))
