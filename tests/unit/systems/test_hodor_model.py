"""HODOR's verbs on a small configuration: memory, late and tiny objects, gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.checkpoints.names import flatten
from vos_jax.core.errors import ConfigError
from vos_jax.core.geometry import Geometry
from vos_jax.systems import registry
from vos_jax.systems.base import Clip, Given, Verbs, step
from vos_jax.systems.hodor.model import CELLS
from vos_jax.systems.rollout import rollout

SMALL = {
    "backbone": "small",
    "channels": 32,
    "heads": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn": 32,
    "decoder_ffn": 32,
    "deformable": False,
    "cycles": "short",
    "temporal_window": 2,
    "min_dim": 64,
    "max_dim": 128,
}
SIZE = (64, 96)


def small(**settings):
    """A small network and its verbs with drawn parameters."""
    module = registry.build("hodor", **(SMALL | settings))
    params = registry.initialise("hodor", module, jax.random.key(1))
    return module, Verbs(module, {"params": params})


@pytest.fixture(scope="module", name="hodor")
def hodor_fixture():
    """One small network for the whole file."""
    return small()


def frames(count, seed=0):
    """Random frames."""
    return np.random.default_rng(seed).integers(0, 255, (count, 1, *SIZE, 3)).astype(np.uint8)


def given(slot, slots=2, size=24):
    """A square of one slot, `size` pixels wide."""
    masks = jnp.zeros((1, *SIZE, slots)).at[:, 16 : 16 + size, 16 : 16 + size, slot].set(1.0)
    return Given(masks, jnp.zeros((1, slots), bool).at[0, slot].set(True))


@functools.partial(jax.jit, static_argnums=0)
def compiled_step(module, params, state, frame, prompt):
    """One step of a video."""
    geometry = module.spec.geometry(SIZE)
    return step(Verbs(module, {"params": params}), state, frame, geometry, prompt)


def run(verbs, count, prompts, slots=2):
    """Steps through random frames; returns states and masks."""
    geometry = verbs.module.spec.geometry(SIZE)
    state = verbs.init_state(1, geometry, slots)
    states, outputs = [state], []
    for t, frame in enumerate(frames(count)):
        params = verbs.variables["params"]
        state, masks = compiled_step(verbs.module, params, state, frame, prompts.get(t))
        states.append(state)
        outputs.append(masks)
    return states, outputs


def test_ring_keeps_the_last_frames_and_drops_the_first(hodor):
    _, verbs = hodor
    states, _ = run(verbs, 4, {0: given(0)})
    first = states[1].descriptors[0, 0]
    assert states[1].valid[0, :, CELLS].tolist() == [True, False]
    assert states[2].valid[0, :, CELLS].tolist() == [True, True]
    np.testing.assert_array_equal(states[2].descriptors[0, 0], first)
    assert np.abs(states[3].descriptors[0, 0] - first).max() > 0
    assert states[4].time.tolist() == [4]


def test_unknown_slots_have_no_descriptor(hodor):
    _, verbs = hodor
    states, outputs = run(verbs, 2, {0: given(1)})
    assert not states[-1].valid[0, :, CELLS].any()
    assert states[-1].known.tolist() == [[False, True]]
    assert not (outputs[-1].labels == 1).any()


def test_a_frame_before_any_object_is_background_and_stores_nothing(hodor):
    _, verbs = hodor
    states, outputs = run(verbs, 2, {1: given(0)})
    assert not outputs[0].labels.any()
    assert not states[1].valid.any()
    assert states[2].valid[0, 1, : CELLS + 1].all()


def test_objects_given_on_a_frame_are_seen_by_its_read(hodor):
    module, verbs = hodor
    geometry = module.spec.geometry(SIZE)
    states, _ = run(verbs, 1, {0: given(0)})
    features = jax.jit(verbs.encode)(module.spec.prepare(frames(2)[1], geometry))
    prompt = module.spec.place(given(1), geometry)
    read = jax.jit(verbs.read)
    plain, _ = read(states[-1], features)
    late, _ = read(states[-1], features, prompt)
    assert np.isneginf(plain[..., -1]).all()
    assert np.isfinite(late[..., -1]).all()


@pytest.mark.parametrize(("size", "known"), [(24, True), (1, False)])
def test_an_object_too_small_for_stride_eight_stays_unknown(hodor, size, known):
    _, verbs = hodor
    states, outputs = run(verbs, 2, {0: given(0, size=size)})
    assert bool(states[1].known[0, 0]) is known
    assert np.isfinite(outputs[1].probabilities).all()
    if not known:
        assert not outputs[1].labels.any()


def test_all_objects_of_a_later_frame_may_be_too_small(hodor):
    _, verbs = hodor
    states, outputs = run(verbs, 3, {0: given(0), 1: given(1, size=1)})
    assert states[-1].known.tolist() == [[True, False]]
    assert np.isfinite(outputs[-1].probabilities).all()


def clip(present=None):
    """Two clips of three frames with two objects."""
    rng = np.random.default_rng(3)
    labels = np.zeros((2, 3, *SIZE), np.uint8)
    labels[:, :, 8:40, 8:40] = 1
    labels[:, :, 30:60, 50:90] = 2
    return Clip(
        frames=jnp.asarray(rng.integers(0, 255, (2, 3, *SIZE, 3)).astype(np.uint8)),
        labels=jnp.asarray(labels),
        slots=jnp.ones((2, 2), bool),
        present=jnp.ones((2, 3, 2), bool) if present is None else present,
        labelled=jnp.ones((2, 3), bool),
        valid=jnp.ones((2, 3, *SIZE), bool),
    )


@functools.partial(jax.jit, static_argnums=(0, 1))
def value_and_gradient(module, plan, params, batch, key):
    """Loss and gradients of one rollout, compiled once per module and plan."""

    def loss(params):
        bound = Verbs(module, {"params": params}, key)
        return module.losses(rollout(bound, batch, plan), batch, 0)["loss"]

    return jax.value_and_grad(loss)(params)


def loss_and_gradient(module, verbs, plan, batch, key=None):
    """Loss and gradients at the parameters of `verbs`."""
    return value_and_gradient(module, plan, verbs.variables["params"], batch, key)


def test_gradients_reach_all_but_the_named_parameters(hodor):
    module, verbs = hodor
    _, gradient = loss_and_gradient(module, verbs, module.plan(0, 0), clip())
    silent = {path for path, value in flatten(gradient).items() if not np.any(value)}
    pyramid = "extractor/pyramid"
    assert {f"{pyramid}/output_2/kernel", f"{pyramid}/norm_2/scale"} <= silent
    others = {
        path for path in silent if not path.startswith((f"{pyramid}/output_2", f"{pyramid}/norm_2"))
    }
    assert not {path for path in others if "k_proj" not in path and "in_proj_bias" not in path}


def test_the_cut_changes_gradients_not_the_loss(hodor):
    module, verbs = hodor
    whole, _ = small(cut_masks=False)
    cut_loss, cut = loss_and_gradient(module, verbs, module.plan(0, 0), clip())
    own_loss, own = loss_and_gradient(whole, verbs, whole.plan(0, 0), clip())
    np.testing.assert_allclose(cut_loss, own_loss, rtol=1e-6)
    distance = sum(
        float(np.abs(a - b).sum())
        for a, b in zip(jax.tree.leaves(cut), jax.tree.leaves(own), strict=True)
    )
    assert distance > 1e-3


def test_dropout_acts_exactly_with_a_key(hodor):
    module, verbs = hodor
    plan, batch = module.plan(0, 0), clip()
    plain = loss_and_gradient(module, verbs, plan, batch)[0]
    keyed = [loss_and_gradient(module, verbs, plan, batch, jax.random.key(s))[0] for s in (0, 0, 1)]
    assert keyed[0] == keyed[1]
    assert len({float(plain), float(keyed[0]), float(keyed[2])}) == 3


def test_targets_of_objects_that_are_not_alive_are_background(hodor):
    module, verbs = hodor
    gone = jnp.ones((2, 3, 2), bool).at[:, 0, 1].set(False)
    with_both, _ = loss_and_gradient(module, verbs, module.plan(0, 0), clip())
    with_one, _ = loss_and_gradient(module, verbs, module.plan(0, 0), clip(gone))
    assert abs(float(with_both) - float(with_one)) > 1e-4


def test_two_distinct_plans_alternate():
    module = registry.build("hodor")
    plans = [module.plan(step_, micro) for step_ in range(3) for micro in range(2)]
    assert len(set(plans)) == 2
    assert plans[0] != plans[1]
    assert plans[1] == plans[2]


def test_layers_of_a_stack_start_alike():
    _, verbs = small(decoder_layers=2)
    decoder = verbs.variables["params"]["decoder"]
    for one, two in zip(
        jax.tree.leaves(decoder["layer_0"]), jax.tree.leaves(decoder["layer_1"]), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_bfloat16_stays_near_float32(hodor):
    module, verbs = hodor
    half = registry.build("hodor", **SMALL, dtype="bfloat16")
    geometry = Geometry.unchanged(SIZE)
    prepared = module.spec.prepare(frames(1)[0], geometry)
    ours = jax.jit(verbs.encode)(prepared)[8]
    theirs = jax.jit(Verbs(half, verbs.variables).encode)(prepared)[8]
    assert theirs.dtype == jnp.bfloat16
    assert float(np.abs(ours - theirs.astype(jnp.float32)).mean()) < 0.05


@pytest.mark.parametrize("settings", [{"channels": 48}, {"channels": 64, "heads": 6}])
def test_channels_must_suit_norms_and_heads(settings):
    module = registry.build("hodor", **(SMALL | settings))
    with pytest.raises(ConfigError, match="multiple of 32"):
        registry.initialise("hodor", module, jax.random.key(0))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("hodorr", {}, "choose one of .*hodor"),
        ("hodor", {"windows": 3}, "no setting 'windows'"),
    ],
)
def test_unknown_systems_and_settings_are_refused(name, settings, message):
    with pytest.raises(ConfigError, match=message):
        registry.build(name, **settings)


def test_unknown_backbones_are_refused():
    module = registry.build("hodor", backbone="resnet")
    with pytest.raises(ConfigError, match="swin_tiny"):
        registry.initialise("hodor", module, jax.random.key(0))
