"""How a small Mask-Propagation begins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.systems import registry
from vos_jax.systems.base import Clip, Verbs
from vos_jax.systems.mask_propagation.model import KeyValue
from vos_jax.systems.mask_propagation.weights import SPREAD, STEM, alike, begin_alike
from vos_jax.systems.rollout import rollout
from vos_jax.systems.space_time import triplet

SMALL = {"backbone": "small", "channels": 16, "key_channels": 8, "value_channels": 12}


def drawn(**settings):
    """Parameters as Flax draws them."""
    module = registry.build("mask_propagation", **SMALL, decoder_channels=(8, 8), **settings)
    frames = jnp.zeros((1, 32, 32, 3), jnp.uint8)
    return module, jax.jit(lambda key: module.init(key, frames, method="initialise"))(
        jax.random.key(3)
    )["params"]


@pytest.mark.parametrize("single_object", [False, True])
def test_both_encoders_of_a_small_network_begin_alike(single_object):
    _, params = drawn(single_object=single_object)
    begun = begin_alike(params)
    assert jax.tree.map(jnp.shape, begun) == jax.tree.map(jnp.shape, dict(params))
    query, memory = (dict(begun[f"{name}_encoder"]) for name in ("query", "memory"))
    ours, theirs = (encoder.pop(STEM)["kernel"] for encoder in (query, memory))
    jax.tree.map(np.testing.assert_array_equal, query, memory)
    np.testing.assert_array_equal(theirs[:, :, :3], ours)
    masks = params["memory_encoder"][STEM]["kernel"][:, :, 3:]
    np.testing.assert_array_equal(theirs[:, :, 3:], masks)
    for head in ("query_head", "memory_head"):
        wanted = params["query_head"]["key"]
        jax.tree.map(np.testing.assert_array_equal, begun[head]["key"], wanted)
        jax.tree.map(np.testing.assert_array_equal, begun[head]["value"], params[head]["value"])
    jax.tree.map(np.testing.assert_array_equal, begun["decoder"], params["decoder"])


def test_a_frame_matches_itself_before_any_training():
    module, params = drawn()
    frames = jax.random.normal(jax.random.key(0), (1, 64, 96, 3))

    def hit(params):
        """Share of the cells whose most similar memory cell is their own."""
        keys, queries = jax.jit(
            lambda params: (
                module.apply(
                    {"params": params},
                    features := module.apply({"params": params}, frames, method="encode"),
                    jnp.zeros((1, 64, 96, 1)),
                    method="memorise",
                )[0][:, 0],
                features.key,
            )
        )(params)
        queries = queries.reshape(keys.shape)
        best = jnp.einsum("bnc,bsc->bns", queries, keys).argmax(-1)[0]
        return float((best == jnp.arange(best.size)).mean())

    assert hit(begin_alike(params)) > 2 * hit(params) + 0.2


def test_resnets_stay_as_they_are_drawn():
    params = {"query_encoder": {"conv1": 1}, "memory_encoder": {"conv1": 2}}
    assert begin_alike(params) == params


@pytest.fixture(scope="module", name="primed")
def primed_with_a_clip():
    """A system that has not learned, its parameters before and after `primed`, and frames."""
    module, params = drawn()
    params = begin_alike(params)
    colours = jax.random.randint(jax.random.key(5), (2, 3, 64, 96, 3), 0, 256)
    nothing = dict.fromkeys(("labels", "slots", "present", "labelled", "valid"))
    clip = Clip(frames=colours.astype(jnp.uint8), **nothing)
    frames = module.spec.prepare(clip.frames[:, 0], module.spec.unchanged((64, 96)))
    return module, params, module.primed(params, clip), frames, clip


def test_the_first_clips_whiten_the_keys_of_both_heads(primed):
    module, before, params, frames, _ = primed
    jax.tree.map(
        np.testing.assert_array_equal, params["query_head"]["key"], (params["memory_head"]["key"])
    )
    keys = module.apply({"params": params}, frames, method="raw_keys").reshape(-1, 8)
    np.testing.assert_allclose(keys.mean(0), 0, atol=1e-3)
    covariance = np.cov(keys.T) / SPREAD**2
    np.testing.assert_allclose(covariance, np.eye(8), atol=0.2)
    off = covariance[~np.eye(8, dtype=bool)]
    assert np.abs(off).max() < 0.02
    rest = {name: part for name, part in before.items() if not name.endswith("head")}
    jax.tree.map(np.testing.assert_array_equal, rest, {name: params[name] for name in rest})
    values = {name: before[name]["value"] for name in ("query_head", "memory_head")}
    for name, value in values.items():
        jax.tree.map(np.testing.assert_array_equal, value, params[name]["value"])


def test_all_keys_of_a_small_network_are_of_one_length(primed):
    module, _, params, frames, _ = primed
    features = module.apply({"params": params}, frames, method="encode")
    planes = jnp.ones((2, 64, 96, 1)) / 3
    keys, _ = module.apply({"params": params}, features, planes, method="memorise")
    raw = module.apply({"params": params}, frames, method="raw_keys")
    for each in (features.key, keys):
        np.testing.assert_allclose(jnp.sqrt(jnp.square(each).mean(-1)), SPREAD, rtol=1e-4)
    lengths = jnp.linalg.norm(raw, axis=-1, keepdims=True)
    np.testing.assert_allclose(
        raw / lengths,
        features.key / jnp.linalg.norm(features.key, axis=-1, keepdims=True),
        atol=1e-4,
    )
    assert lengths.max() > 1.5 * lengths.min()


@pytest.mark.parametrize("spread", [0.0, 1.5])
def test_keys_keep_their_length_unless_they_are_given_one(spread):
    head = KeyValue(6, 4, spread)
    features = jax.random.normal(jax.random.key(1), (2, 3, 5, 7))
    (key, value), variables = head.init_with_output(jax.random.key(0), features)
    as_it_is, same_value = KeyValue(6, 4).apply(variables, features)
    np.testing.assert_array_equal(value, same_value)
    if spread:
        np.testing.assert_allclose(jnp.square(key).mean(-1), spread**2, rtol=1e-4)
    else:
        np.testing.assert_array_equal(key, as_it_is)


@pytest.mark.parametrize("weights", [(0.0, 0.0), (2.0, 0.0), (0.0, 0.5), (2.0, 0.5)])
def test_what_keys_that_begin_at_random_need_is_weighed_and_added(primed, weights):
    module, _, params, _, clip = primed
    matching, agreement = weights
    labels = jax.random.randint(jax.random.key(6), (2, 3, 64, 96), 0, 3).astype(jnp.uint8)
    known = {"slots": jnp.ones((2, 2), bool), "labelled": jnp.ones((2, 3), bool)}
    valid = jnp.ones((2, 3, 64, 96), bool)
    clip = Clip(clip.frames, labels=labels, present=jnp.ones((2, 3, 2), bool), valid=valid, **known)

    def losses(**settings):
        verbs = Verbs(module.clone(**settings), {"params": params})
        return verbs.losses(rollout(verbs, clip, triplet()), clip, 0)

    plain, found = losses(), losses(matching=matching, agreement=agreement)
    assert ("matching" in found, "disagreement" in found) == (matching > 0, agreement > 0)
    extra = found.get("matching", 0.0) + found.get("disagreement", 0.0)
    np.testing.assert_allclose(found["loss"], plain["loss"] + extra, rtol=1e-5)
    alone = losses(matching=1.0, agreement=1.0)
    for name, weight in (("matching", matching), ("disagreement", agreement)):
        assert alone[name] > 0
        np.testing.assert_allclose(found.get(name, 0.0), weight * alone[name], rtol=1e-5)


def test_keys_that_have_learned_are_left_alone(primed):
    module, _, params, _, clip = primed
    head = params["memory_head"]
    learned = {**head, "key": jax.tree.map(lambda x: x + 1e-3, head["key"])}
    params = {**params, "memory_head": learned}
    assert not alike(params)
    assert module.primed(params, clip) is params


def test_published_networks_are_not_primed():
    module = registry.build("mask_propagation")
    params = {"query_head": 1, "memory_head": 1}
    assert module.primed(params, None) is params
