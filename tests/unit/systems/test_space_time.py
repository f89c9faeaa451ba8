"""What the space-time memory networks share: sizes, preparation, entries, encoder inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.core.errors import ConfigError
from vos_jax.core.resize import resize
from vos_jax.systems.base import IMAGENET_MEAN, IMAGENET_STD
from vos_jax.systems.space_time import BANK, SpaceTimeSpec, triplet, with_masks


@pytest.mark.parametrize(
    "frame, min_dim, resized, network, offset",
    [
        ((480, 854), 480, (480, 854), (480, 864), (0, 5)),
        ((480, 910), 480, (480, 910), (480, 912), (0, 1)),
        ((720, 1280), 480, (480, 853), (480, 864), (0, 5)),
        ((1280, 720), 480, (853, 480), (864, 480), (5, 0)),
        ((240, 427), 480, (480, 854), (480, 864), (0, 5)),
        ((100, 110), 0, (100, 110), (112, 112), (6, 1)),
        ((33, 47), 0, (33, 47), (48, 48), (7, 0)),
        ((64, 96), 0, (64, 96), (64, 96), (0, 0)),
    ],
)
def test_sizes_on_the_way_through_the_network(frame, min_dim, resized, network, offset):
    geometry = SpaceTimeSpec(min_dim=min_dim).geometry(frame)
    assert (geometry.resized, geometry.network) == (resized, network)
    assert (geometry.offset, geometry.output) == (offset, frame)
    (top, bottom), (left, right) = geometry.padding
    assert bottom - top in (0, 1) and right - left in (0, 1)


def test_frames_are_normalised_then_resized_then_padded():
    frames = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3)).astype(np.uint8)
    spec = SpaceTimeSpec(min_dim=24)
    geometry = spec.geometry((20, 30))
    assert geometry.resized == (24, 36) and geometry.network == (32, 48)
    prepared = spec.prepare(jnp.asarray(frames), geometry)
    normal = (frames / 255 - np.array(IMAGENET_MEAN) / 255) / (np.array(IMAGENET_STD) / 255)
    inside = resize(jnp.asarray(normal, jnp.float32), (24, 36), "bicubic")
    np.testing.assert_allclose(prepared[:, 4:28, 6:42], inside, atol=1e-4)
    assert not np.any(prepared[:, :4]) and not np.any(prepared[:, :, 42:])
    bounds = normal.min(), normal.max()
    assert inside.min() < bounds[0] - 0.01 and inside.max() > bounds[1] + 0.01


def kept_and_temporary(frames, given, every):
    """Most entries that the official programs hold at once, frame by frame."""
    kept, last, most = set(), None, 0
    for t in range(frames):
        if t in given or (last is not None and t - last >= every):
            kept.add(t)
            last = t
        most = max(most, len(kept | ({t} if last is not None else set())))
    return most, len(kept)


@pytest.mark.parametrize("given", [(0,), (3,), (0, 4), (0, 5), (1, 2, 3), (0, 9)])
@pytest.mark.parametrize("frames", [1, 2, 10, 11, 26])
@pytest.mark.parametrize("every", [1, 3, 5])
def test_entries_hold_all_that_is_remembered(frames, given, every):
    given = [t for t in given if t < frames]
    most, kept = kept_and_temporary(frames, given, every)
    spec = SpaceTimeSpec(memory_every=every)
    assert spec.entries(frames, len(given)) >= most
    bare = SpaceTimeSpec(memory_every=every, temporary=False)
    assert bare.entries(frames, len(given)) >= kept
    if given == [0]:
        assert bare.entries(frames, 1) == kept
        assert spec.entries(frames, 1) == kept + 1


def test_a_memory_of_fixed_size_needs_no_entries():
    assert SpaceTimeSpec(growing=False).entries(1000, 3) is None


@pytest.mark.parametrize("others", [True, False])
def test_each_object_sees_itself_and_the_sum_of_the_others(others):
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.normal(size=(2, 4, 5, 3)), jnp.float32)
    planes = jnp.asarray(rng.uniform(size=(2, 4, 5, 3)), jnp.float32)
    joined = with_masks(images, planes, others).reshape(2, 3, 4, 5, -1)
    assert joined.shape[-1] == 4 + others
    for number in range(3):
        np.testing.assert_array_equal(joined[:, number, ..., :3], images)
        np.testing.assert_array_equal(joined[:, number, ..., 3], planes[..., number])
        if others:
            rest = np.delete(np.asarray(planes), number, axis=-1).sum(-1)
            np.testing.assert_allclose(joined[:, number, ..., 4], rest, atol=1e-6)


def test_one_object_has_no_others():
    planes = jnp.asarray(np.random.default_rng(0).uniform(size=(1, 4, 5, 1)), jnp.float32)
    joined = with_masks(jnp.zeros((1, 4, 5, 3)), planes, others=True)
    np.testing.assert_array_equal(joined[..., 4], 0)


def test_training_reads_each_later_frame_from_all_before_it():
    visits = triplet()
    assert [visit.frame for visit in visits] == [0, 1, 2]
    assert [visit.feed for visit in visits] == ["given", "own", None]
    assert [visit.view for visit in visits if visit.read] == [BANK, BANK]
    assert hash(visits) == hash(triplet())


@pytest.mark.parametrize("wrong", [{"memory_every": 0}, {"memory_every": -3}, {"min_dim": -1}])
def test_numbers_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}.* {next(iter(wrong.values()))}"):
        SpaceTimeSpec(**wrong)


def test_rule_is_static():
    assert SpaceTimeSpec() == SpaceTimeSpec() and hash(SpaceTimeSpec()) == hash(SpaceTimeSpec())
    assert isinstance(jax.tree.leaves(SpaceTimeSpec())[0], SpaceTimeSpec)
