"""Tests of HODOR's descriptor encoder, pixel decoder and weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.checkpoints.names import flatten
from vos_jax.core.errors import ConfigError
from vos_jax.nn.attention import MultiHeadAttention, SoftMaskedAttention, default_scales
from vos_jax.systems.hodor.decoder import PixelDecoder
from vos_jax.systems.hodor.descriptors import DescriptorEncoder, initial_descriptors
from vos_jax.systems.hodor.weights import HODOR, tie_layers

KEY = jax.random.key(0)
ENCODER = DescriptorEncoder(channels=16, heads=4, layers=2, hidden=32)
SMALL = {"channels": 16, "heads": 4, "layers": 2, "hidden": 32, "layer_groups": 4, "head_groups": 2}


def frame(slots=2, dtype=jnp.float32):
    keys = jax.random.split(KEY, 4)
    maps = {
        stride: jax.random.normal(key, (2, 32 // stride, 48 // stride, 16), dtype)
        for stride, key in zip((4, 8), keys, strict=False)
    }
    background = jax.random.uniform(keys[2], (2, 4, 6, 9))
    return maps, background, jax.random.uniform(keys[3], (2, 4, 6, slots))


@pytest.fixture(scope="module")
def encoded():
    maps, background, objects = frame()
    params = jax.jit(ENCODER.init)(KEY, maps[8], background, objects)
    return params, jax.jit(ENCODER.apply)(params, maps[8], background, objects)


@pytest.fixture(scope="module", params=[True, False], ids=["deformable", "plain"])
def decoding(request):
    module = PixelDecoder(**SMALL, deformable=request.param)
    maps, _, _ = frame()
    descriptors = jax.random.normal(jax.random.key(1), (2, 3, 11, 16))
    embedding = jax.random.normal(jax.random.key(2), (11, 16))
    params = jax.jit(module.init)(KEY, maps, descriptors, embedding)
    return jax.jit(module.apply), params, maps, descriptors, embedding


def test_initial_descriptors_average_what_exceeds_one_half():
    tokens = jnp.arange(8.0).reshape(1, 4, 2)
    masks = jnp.array(
        [[[0.6, 0.5, 1.0, 0.0], [0.5, 0.2, 0.1, 0.3], [0.1, 0.4, 0.4, 0.2], [0.0] * 4]]
    )
    result = initial_descriptors(tokens, masks, background=2)
    expected = [[2.0, 3.0], [0.0, 0.0], [2.0, 3.0], [0.0, 1.0]]
    np.testing.assert_allclose(result[0], expected)


def test_initial_descriptors_pass_no_gradient():
    def total(tokens, masks):
        return initial_descriptors(tokens, masks, 1).sum()

    grads = jax.grad(total, (0, 1))(jnp.ones((1, 3, 2)), jnp.full((1, 2, 3), 0.7))
    assert not any(np.any(grad) for grad in grads)


def test_unused_slots_change_nothing(encoded):
    params, expected = encoded
    maps, background, objects = frame()
    noise = jax.random.uniform(jax.random.key(9), (2, 4, 6, 3))
    known = jnp.array([[True, True, False, False, False]] * 2)
    padded = jnp.concatenate([objects, noise], -1)
    result = jax.jit(ENCODER.apply)(params, maps[8], background, padded, known)
    np.testing.assert_allclose(result[:, :11], expected, atol=1e-5)
    assert not np.any(result[:, 11:])


def test_slot_order_only_permutes_descriptors(encoded):
    params, expected = encoded
    maps, background, objects = frame()
    swapped = jax.jit(ENCODER.apply)(params, maps[8], background, objects[..., ::-1])
    np.testing.assert_allclose(swapped[:, :9], expected[:, :9], atol=1e-5)
    np.testing.assert_allclose(swapped[:, 9:], expected[:, :8:-1], atol=1e-5)


def test_objects_see_each_other(encoded):
    params, expected = encoded
    maps, background, objects = frame()
    alone = jax.jit(ENCODER.apply)(params, maps[8], background, objects[..., :1])
    assert np.abs(alone[:, 9] - expected[:, 9]).max() > 1e-3


def test_encoder_dropout_acts_exactly_with_a_key(encoded):
    params, expected = encoded
    maps, background, objects = frame()
    dropped = jax.jit(ENCODER.apply)(params, maps[8], background, objects, rngs={"dropout": KEY})
    assert np.abs(dropped - expected).max() > 1e-3


def test_gradients_reach_features_masks_and_scales(encoded):
    params, _ = encoded
    maps, background, objects = frame()

    def total(params, features, background, objects):
        return jnp.sum(ENCODER.apply(params, features, background, objects) ** 3)

    grads = jax.jit(jax.grad(total, (0, 1, 2, 3)))(params, maps[8], background, objects)
    dead = [path for path, grad in flatten(grads[0]["params"]).items() if not np.any(grad)]
    assert not dead
    assert all(np.isfinite(grad).all() and np.any(grad) for grad in grads[1:])


def test_encoder_keys_carry_positions_only_when_asked(encoded):
    params, expected = encoded
    maps, background, objects = frame()
    placed = DescriptorEncoder(channels=16, heads=4, layers=2, hidden=32, positions=True)
    result = jax.jit(placed.apply)(params, maps[8], background, objects)
    assert np.abs(result - expected).max() > 1e-3


def test_logits_have_catch_all_background_and_objects_at_stride_4(decoding):
    apply, params, maps, descriptors, embedding = decoding
    logits = apply(params, maps, descriptors, embedding)
    assert logits.shape == (2, 8, 12, 12) and logits.dtype == jnp.float32
    assert np.isfinite(logits).all()


def test_invalid_descriptors_count_for_nothing(decoding):
    apply, params, maps, descriptors, embedding = decoding
    valid = jnp.ones((2, 3, 11), bool).at[:, 1].set(False)
    expected = apply(params, maps, descriptors[:, ::2], embedding)
    result = apply(params, maps, descriptors.at[:, 1].set(7.0), embedding, valid)
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_slots_without_descriptors_are_minus_infinity(decoding):
    apply, params, maps, descriptors, embedding = decoding
    valid = jnp.ones((2, 3, 11), bool).at[:, :, 10].set(False)
    expected = apply(params, maps, descriptors[:, :, :10], embedding[:10])
    result = apply(params, maps, descriptors, embedding, valid)
    np.testing.assert_allclose(result[..., :11], expected, atol=1e-4)
    assert np.all(result[..., 11] == -np.inf)


def test_an_empty_memory_leaves_the_catch_all(decoding):
    apply, params, maps, descriptors, embedding = decoding
    valid = jnp.ones((2, 3, 11), bool).at[0].set(False)
    result = apply(params, maps, jnp.zeros_like(descriptors), embedding, valid)
    assert np.isfinite(result[0, ..., 0]).all() and np.all(result[0, ..., 1:] == -np.inf)
    assert np.isfinite(result[1]).all()


def test_logits_take_the_best_frame(decoding):
    apply, params, maps, descriptors, embedding = decoding
    order = apply(params, maps, descriptors[:, ::-1], embedding)
    np.testing.assert_allclose(order, apply(params, maps, descriptors, embedding), atol=1e-4)


def test_decoder_dropout_acts_exactly_with_a_key(decoding):
    apply, params, maps, descriptors, embedding = decoding
    plain = apply(params, maps, descriptors, embedding)
    dropped = apply(params, maps, descriptors, embedding, rngs={"dropout": KEY})
    assert np.abs(dropped - plain).max() > 1e-3


def test_parts_compute_in_low_precision_with_float32_parameters():
    maps, background, objects = frame(dtype=jnp.bfloat16)
    encoder = DescriptorEncoder(channels=16, heads=4, layers=1, hidden=32, dtype=jnp.bfloat16)
    decoder = PixelDecoder(**(SMALL | {"layers": 1}), dtype=jnp.bfloat16)

    def run(key):
        variables = encoder.init(key, maps[8], background, objects)
        found = encoder.apply(variables, maps[8], background, objects)
        more = decoder.init(key, maps, found[:, None], jnp.zeros((11, 16)))
        return (
            variables,
            more,
            found,
            decoder.apply(more, maps, found[:, None], jnp.zeros((11, 16))),
        )

    *variables, found, logits = jax.eval_shape(run, KEY)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
    assert found.dtype == jnp.bfloat16 and logits.dtype == jnp.float32


@pytest.mark.parametrize(
    ("heads", "expected"), [(8, (32, 32, 16, 16, 8, 8, 4, 4)), (4, (32, 16, 8, 4))]
)
def test_scales_start_strong_and_weaken(heads, expected):
    assert default_scales(heads) == expected


@pytest.mark.parametrize("learnable", [True, False])
def test_soft_masked_attention_works_like_multi_head_attention(learnable):
    module = SoftMaskedAttention(4, learnable_scales=learnable)
    x = jax.random.normal(KEY, (2, 5, 16))
    mask = jax.random.uniform(KEY, (2, 5, 5))
    padding = jnp.array([[False] * 4 + [True]] * 2)
    params = jax.jit(module.init)(KEY, x, x, x, mask)
    assert ("scales" in params["params"]) == learnable
    out, weights = module.apply(params, x, x, x, mask, padding, return_weights=True)
    assert out.shape == x.shape and weights.shape == (2, 4, 5, 5)
    assert not np.any(weights[..., 4])
    np.testing.assert_array_equal(
        out, module.apply(params, x, x, x, mask, key_padding_mask=padding)
    )


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("queries", [2, 3, 4, 5])
def test_soft_masked_attention_is_the_same_for_few_and_many_queries(queries, use_bias):
    module = SoftMaskedAttention(4, use_bias=use_bias)
    query, x = (jax.random.normal(KEY, (2, n, 16)) for n in (queries, 7))
    mask = jax.random.uniform(KEY, (2, queries, 7))
    params = jax.jit(module.init)(KEY, query, x, x, mask)
    whole = module.apply(params, query, x, x + 1, mask, jnp.zeros((2, 7), bool))
    np.testing.assert_allclose(module.apply(params, query, x, x + 1, mask), whole, atol=1e-5)


def test_soft_masked_attention_can_do_without_input_biases():
    x = jnp.ones((1, 2, 8))
    params = jax.eval_shape(
        SoftMaskedAttention(4, use_bias=False).init, KEY, x, x, x, jnp.ones((1, 2, 2))
    )
    assert set(params["params"]["q_proj"]) == {"kernel"}
    assert set(params["params"]["out_proj"]) == {"kernel", "bias"}


def test_returned_weights_are_those_after_dropout():
    module = SoftMaskedAttention(4, dropout=0.5)
    x = jax.random.normal(KEY, (1, 6, 16))
    mask = jnp.ones((1, 6, 6))
    params = jax.jit(module.init)(KEY, x, x, x, mask)
    rngs = {"dropout": jax.random.key(3)}
    _, weights = module.apply(params, x, x, x, mask, return_weights=True, rngs=rngs)
    assert np.any(weights == 0) and np.any(np.asarray(weights).sum(-1) > 1.05)


def test_scales_of_another_number_of_heads_are_refused():
    x = jnp.ones((1, 2, 8))
    with pytest.raises(ConfigError, match="2 values for 4 heads"):
        SoftMaskedAttention(4, scales=(1.0, 2.0)).init(KEY, x, x, x, jnp.ones((1, 2, 2)))


def test_packed_projection_starts_xavier_uniform_with_zero_biases():
    x = jnp.zeros((1, 2, 64))
    params = jax.jit(MultiHeadAttention(4).init)(KEY, x, x, x)["params"]
    limit = np.sqrt(6 / (64 + 192))
    assert 0.95 * limit < np.abs(params["in_proj_kernel"]).max() <= limit
    assert not np.any(params["in_proj_bias"]) and not np.any(params["out_proj"]["bias"])


def test_embeddings_start_standard_normal(encoded):
    params, _ = encoded
    values = np.asarray(params["params"]["background_embedding"])
    assert 0.8 < values.std() < 1.2


def test_tied_layers_are_copies_of_the_first(encoded):
    params = encoded[0]["params"]
    tied = tie_layers({"encoder": params, "other": {"layer_0": jnp.ones(2)}})
    assert jax.tree.structure(tied["encoder"]) == jax.tree.structure(params)
    for path, leaf in flatten(tied["encoder"]["layer_1"]).items():
        np.testing.assert_array_equal(leaf, flatten(params["layer_0"])[path])
    np.testing.assert_array_equal(tied["encoder"]["object_embedding"], params["object_embedding"])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("encoder.attn_layers.3.cross_attn.scaling_factors", "encoder/layer_3/soft_attn/scales"),
        ("encoder.attn_layers.4.ffn.3.bias", "encoder/layer_4/fc2/bias"),
        ("decoder.attn_layers.1.k_proj_fg.bias", "decoder/layer_1/k_proj_object/bias"),
        ("feature_extractor.norm_layers.2.weight", "extractor/pyramid/norm_2/scale"),
        ("feature_extractor.bb_fpn.0.norm3.bias", "extractor/swin/norm_3/bias"),
    ],
)
def test_official_names_have_their_place(name, path):
    assert HODOR.convert({name: np.ones(3)})[1].used == {name: path}


@pytest.mark.parametrize(
    "name", ["decoder.fmap_proj_4x.0.weight", "feature_extractor.norm_layers.4.bias"]
)
def test_parts_the_official_network_never_uses_are_dropped(name):
    assert HODOR.convert({name: np.ones(3)})[1].dropped == (name,)
