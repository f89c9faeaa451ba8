"""Tests of RDE's and STCN's verbs: when a frame is remembered, what is computed, what is read."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.tiny_space_time import space_time_case
from vos_jax.core.errors import ConfigError
from vos_jax.core.geometry import Geometry
from vos_jax.systems import registry
from vos_jax.systems.base import Given, Verbs, Visit, step
from vos_jax.systems.rde.memory import MODES
from vos_jax.systems.rde.model import Features, Rde, Stcn

GRID, SLOTS = (2, 3), 2
GEOMETRY = Geometry.unchanged((32, 48))


class Recorded:
    """Values and embeddings without networks: what a frame is worth is the sum of its planes."""

    def values(self, features, planes):
        each = planes.sum((1, 2))[:, :, None, None]
        return jnp.broadcast_to(each, (*each.shape[:2], GRID[0] * GRID[1], 4))

    def _aggregated(self, keys, values):
        return keys[:, 0] + keys[:, 1], 10 * values[:, 0] + values[:, 1]


class RecordedRde(Recorded, Rde):
    """RDE whose embedding is written in decimals: 10 times the old one and the new frame."""

    def setup(self):
        self.aggregation = self._aggregated


class RecordedStcn(Recorded, Stcn):
    def setup(self):
        pass


def recorded(system, **settings):
    module = {"rde": RecordedRde, "stcn": RecordedStcn}[system]
    return Verbs(module(key_channels=4, value_channels=4, **settings), {})


def frame(number):
    key = jnp.full((1, *GRID, 4), float(number))
    return Features(key=key, thin=None, f16=None, f8=None, f4=None, image=None)


def planes(number):
    """Planes whose objects cover `number` pixels each, background in front."""
    cover = jnp.zeros((1, 4, 4, SLOTS)).reshape(1, 16, SLOTS).at[:, :number].set(1.0)
    return jnp.concatenate([jnp.zeros((1, 16, 1)), cover], axis=-1).reshape(1, 4, 4, SLOTS + 1)


def given(*slots):
    chosen = jnp.zeros((1, SLOTS), bool).at[0, np.array(slots, int)].set(True)
    return Given(masks=jnp.zeros((1, 4, 4, SLOTS)), slots=chosen)


def walk(verbs, frames, prompts, entries=8):
    """The states after each frame; frame t is worth t + 1."""
    growing = verbs.module.spec.growing
    state, states = verbs.init_state(1, GEOMETRY, SLOTS, entries if growing else None), []
    write = jax.jit(verbs.write, static_argnums=2)
    for t in range(frames):
        state = write(state, frame(t), None, planes(t + 1), prompts.get(t))
        states.append(state)
    return states


def times(state, slot=0):
    return [int(t) for t in np.asarray(state.bank.written)[0, slot] if t >= 0]


@pytest.mark.parametrize(
    "prompts, wanted",
    [
        ({0: given(0)}, [0, 3, 6, 9]),
        ({2: given(0)}, [2, 5, 8]),
        ({0: given(0), 4: given(0)}, [0, 3, 4, 7, 10]),
        ({0: given(0), 5: given(1)}, [0, 3, 5, 8]),
        ({0: given(0), 3: given(0)}, [0, 3, 6, 9]),
    ],
)
def test_every_third_frame_since_the_last_one_is_remembered(prompts, wanted):
    states = walk(recorded("stcn", memory_every=3), 11, prompts)
    assert times(states[-1]) == wanted
    assert int(states[-1].last[0]) == wanted[-1] and int(states[-1].time[0]) == 11
    values = np.asarray(states[-1].bank.values)[0, 0, : len(wanted), 0, 0]
    np.testing.assert_array_equal(values, [t + 1 for t in wanted])


def test_a_late_slot_remembers_from_its_start():
    states = walk(recorded("stcn", memory_every=2), 8, {0: given(0), 3: given(1)})
    assert times(states[-1], 0) == [0, 2, 3, 5, 7]
    assert times(states[-1], 1) == [3, 5, 7]
    assert np.asarray(states[2].bank.used).tolist() == [[2, 0]]


def test_the_newest_frame_is_remembered_until_the_next():
    states = walk(recorded("stcn", memory_every=3, include_last=True), 8, {0: given(0)})
    assert [times(state) for state in states] == [
        [0],
        [0, 1],
        [0, 2],
        [0, 3],
        [0, 3, 4],
        [0, 3, 5],
        [0, 3, 6],
        [0, 3, 6, 7],
    ]
    assert int(states[-1].last[0]) == 6


def test_include_last_makes_every_frame_memory_in_rde():
    all_frames = walk(
        recorded("rde", mode="stm", include_last=True, memory_every=3), 5, {0: given(0)}
    )
    assert times(all_frames[-1]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "stm"])
def test_two_entries_hold_the_first_and_the_newest_frame(mode):
    prompts = {1: given(0), 4: given(0, 1)}
    states = walk(recorded("rde", mode=mode, memory_every=3), 12, prompts)
    assert [sorted(times(state)) for state in states] == (
        [[]] + [[1]] * 3 + [[1, 4]] * 3 + [[1, 7]] * 3 + [[1, 10]] * 2
    )
    assert sorted(times(states[-1], 1)) == [4, 10]


def test_embedding_takes_in_every_remembered_frame():
    states = walk(recorded("rde", memory_every=2), 6, {0: given(0), 3: given(1)})
    keys, values = (np.asarray(x)[0, :, 0, 0] for x in states[-1].embedding)
    np.testing.assert_array_equal(values, [1346, 46])
    np.testing.assert_array_equal(keys, [0 + 2 + 3 + 5, 3 + 5])
    before = [np.asarray(x)[0, 0, 0, 0] for x in states[1].embedding]
    np.testing.assert_array_equal(before, [0, 1])


@pytest.mark.parametrize("system", ["rde", "stcn"])
def test_a_slot_given_anew_begins_with_the_new_frame(system):
    verbs = recorded(system, memory_every=2)
    state = walk(verbs, 4, {0: given(0, 1)})[-1]
    state = state.replace(known=jnp.array([[False, True]]))
    state = verbs.write(state, frame(4), None, planes(5), given(0))
    assert times(state, 0) == [4]
    assert times(state, 1) == ([0, 4] if system == "rde" else [0, 2, 4])
    if system == "rde":
        np.testing.assert_array_equal(np.asarray(state.embedding[1])[0, :, 0, 0], [5, 135])


def test_videos_of_a_batch_remember_on_their_own():
    verbs = recorded("stcn", memory_every=2)
    state = verbs.init_state(2, GEOMETRY, SLOTS, 4)
    for t in range(4):
        slots = jnp.array([[t == 0, False], [t == 1, False]])
        here = jax.tree.map(lambda x: jnp.repeat(x, 2, axis=0), frame(t))
        prompt = Given(masks=jnp.zeros((2, 4, 4, SLOTS)), slots=slots)
        state = verbs.write(state, here, None, jnp.repeat(planes(t + 1), 2, axis=0), prompt)
    held = np.asarray(state.bank.written)[:, 0].tolist()
    assert held == [[0, 2, -1, -1], [1, 3, -1, -1]]


def test_frames_of_training_are_all_remembered():
    verbs = recorded("rde", memory_every=5)
    state = verbs.init_state(1, GEOMETRY, SLOTS, 4)
    state = verbs.write(state, frame(0), None, planes(1), given(0, 1))
    for t in (1, 2, 3):
        state = verbs.write(state, frame(t), jnp.zeros(1), planes(t + 1))
    assert times(state) == times(state, 1) == [0, 1, 2, 3]
    assert np.asarray(state.embedding[1])[0, 0, 0, 0] == 1234


@pytest.mark.parametrize("name", ["rde", "stcn", "stcn_include_last"])
def test_nothing_is_encoded_outside_the_branch_for_remembered_frames(name):
    case = space_time_case(name)

    def encode_and_write(frames, memory):
        state = case.verbs.init_state(1, GEOMETRY, SLOTS, 4)
        features = case.verbs.encode(frames)
        fixed = jax.tree.map(jax.lax.stop_gradient, features)
        return case.verbs.write(state, fixed, None, memory)

    frames, memory = jnp.zeros((1, 32, 48, 3)), jnp.zeros((1, 32, 48, SLOTS + 1))
    encoded = jax.make_jaxpr(case.verbs.encode)(frames)
    written = jax.make_jaxpr(encode_and_write)(frames, memory)
    branches = [
        sorted(str(branch).count("conv_general_dilated") for branch in each.params["branches"])
        for each in written.eqns
        if each.primitive.name == "cond"
    ]
    (counts,) = [each for each in branches if any(each)]
    everywhere, in_encode = (str(x).count("conv_general_dilated") for x in (written, encoded))
    assert counts[0] == 0 and counts[1] > 5
    assert everywhere == in_encode + counts[1]


@functools.cache
def clip_start():
    """Features of two frames, and planes of two objects."""
    frames = np.random.default_rng(0).standard_normal((2, 32, 48, 3)).astype(np.float32)
    soft = np.random.default_rng(1).random((1, 32, 48, 3)).astype(np.float32)
    return jnp.asarray(frames), jnp.asarray(soft)


def read_after_one(case, view=None):
    """Scores and trace of the second frame, after the first was given."""
    frames, soft = clip_start()
    everything = Given(masks=soft[..., 1:], slots=jnp.ones((1, SLOTS), bool))

    @jax.jit
    def run(params):
        verbs = Verbs(case.system, {"params": params})
        first, second = (
            jax.tree.map(lambda x, t=t: x[t : t + 1], verbs.encode(frames)) for t in (0, 1)
        )
        state = verbs.init_state(1, GEOMETRY, SLOTS, 2)
        state = verbs.write(state, first, None, soft, everything)
        return *verbs.read(state, second, None, view), second.thin

    return run(case.params)


def with_settings(name, **settings):
    case = space_time_case(name)
    return case.__class__(case.system.clone(**settings), case.params)


def test_plain_views_are_reads_of_everything():
    """Training's view of the bank is inference without top-k; of one frame the embedding is it."""
    stm = with_settings("rde", mode="stm", top_k=0)
    wanted, none, thin = read_after_one(stm)
    assert none is None
    for view in ("bank", "embedding"):
        scores, trace, _ = read_after_one(stm, view)
        np.testing.assert_allclose(scores, wanted, atol=1e-3)
        assert trace.shape == (1, SLOTS, 2, 3, 32)
        np.testing.assert_array_equal(trace[0, 1, ..., 16:], thin[0])


def test_more_best_cells_than_there_are_is_all_of_them():
    few, many = (read_after_one(with_settings("stcn", top_k=top_k))[0] for top_k in (0, 1000))
    np.testing.assert_allclose(few, many, atol=1e-3)
    assert np.abs(few - read_after_one(with_settings("stcn", top_k=1))[0]).max() > 1e-3


@pytest.mark.parametrize("name", ["stcn", "rde_single_object"])
def test_values_see_the_other_objects_unless_there_is_only_one(name):
    case = space_time_case(name)
    frames, soft = clip_start()
    features = jax.eval_shape(case.verbs.encode, frames[:1])
    features = jax.tree.map(lambda x: jnp.ones(x.shape), features).replace(image=frames[:1])
    values = jax.jit(case.verbs.values)
    changed = soft.at[..., 2].add(0.5)[..., 1:]
    difference = np.abs(values(features, changed) - values(features, soft[..., 1:])).max((0, 2, 3))
    assert difference[1] > 1e-3
    assert (difference[0] > 1e-4) == (name == "stcn")


@pytest.mark.parametrize("name", ["rde", "stcn", "rde_single_object"])
def test_memory_stays_in_single_precision_where_the_network_computes_in_half(name):
    case = with_settings(name, dtype="bfloat16")

    def two_steps(frames, labels):
        geometry = case.system.spec.geometry((32, 48))
        state = case.verbs.init_state(1, geometry, SLOTS, 4)
        prompt = Given(masks=labels, slots=jnp.ones((1, SLOTS), bool))
        for each in (prompt, None):
            state, _ = step(case.verbs, state, frames, geometry, each)
        return state.bank.keys, state.bank.values, *(state.embedding or ())

    frames = jax.ShapeDtypeStruct((1, 32, 48, 3), jnp.uint8)
    labels = jax.ShapeDtypeStruct((1, 32, 48, SLOTS), jnp.float32)
    kept = jax.eval_shape(two_steps, frames, labels)
    assert {x.dtype for x in kept} == {jnp.dtype("float32")}


def test_plans_of_the_stages():
    bank, embedding = {"view": "bank"}, {"view": "embedding"}
    three = (Visit(0, "given", read=False), Visit(1, "own", **bank), Visit(2, **bank))
    five = (
        *three[:2],
        Visit(2, **embedding),
        Visit(2, "own", **bank),
        Visit(3, "own", **bank),
        Visit(4, **embedding),
        Visit(4, **bank),
    )
    assert Stcn().plan(0, 0) == Rde(single_object=True).plan(0, 0) == three
    assert Rde().plan(7, 1) == Rde(mode="gt").plan(0, 0) == five


@pytest.mark.parametrize(
    "module, every, growing, skippable, entries",
    [
        (Stcn(), 5, True, True, 21),
        (Stcn(include_last=True), 5, True, False, 22),
        (Rde(), 3, False, True, None),
        (Rde(mode="gt"), 3, False, True, None),
        (Rde(mode="stm"), 3, True, True, 34),
        (Rde(mode="stm", include_last=True), 1, True, True, 101),
        (Rde(single_object=True), 3, True, True, 34),
    ],
)
def test_static_facts(module, every, growing, skippable, entries):
    spec = module.spec
    assert (spec.memory_every, spec.growing, spec.skippable) == (every, growing, skippable)
    assert spec.entries(101, 1) == entries and spec.min_dim == 480


def test_published_settings():
    assert (Rde().mode, Rde().top_k, Rde().memory_every) == ("two-frames-compress", 40, 3)
    assert (Stcn().top_k, Stcn().memory_every, Stcn().value_channels) == (20, 5, 512)


@pytest.mark.parametrize(
    "system, settings, said",
    [
        ("rde", {"mode": "two_frames"}, "model.mode='two_frames' is not known: use stm, gt"),
        ("rde", {"backbone": "resnet50"}, "model.backbone='resnet50' is not known"),
        ("stcn", {"backbone": "swin"}, "use 'resnet' or 'small'"),
    ],
)
def test_unknown_settings_are_named(system, settings, said):
    module = registry.build(system, **settings)
    with pytest.raises(ConfigError, match=said.replace("'", ".")):
        jax.eval_shape(lambda: registry.initialise(system, module, jax.random.key(0)))


def test_stcn_has_no_modes():
    with pytest.raises(ConfigError, match="stcn has no setting 'mode'"):
        registry.build("stcn", mode="stm")
