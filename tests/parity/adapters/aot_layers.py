"""Adapters of AOT's and DeAOT's layers: window attention alone, whole layers with a memory."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.adapters.hodor import device_params
from tests.parity.case import Case
from vos_jax.checkpoints.names import NameMap
from vos_jax.nn.blocks import GroupNorm, Linear
from vos_jax.nn.gated_propagation import GatedProjection, GatedPropagationLayer
from vos_jax.nn.long_short_term import LayerMemory, LongShortTermLayer, RelativeKey, tokens_of
from vos_jax.nn.positions import sinusoidal_map
from vos_jax.ops.local_attention import local_attention, local_weights
from vos_jax.systems.aot import weights


def heads_last(x: np.ndarray, heads: int) -> jax.Array:
    """Maps [b c y x] as [b y x h d]."""
    x = jnp.moveaxis(jnp.asarray(x), 1, -1)
    return x.reshape(*x.shape[:3], heads, -1)


def as_map(tokens: np.ndarray, grid: tuple[int, int]) -> jax.Array:
    """Tokens [n b c] as a map [b y x c]."""
    tokens = jnp.moveaxis(jnp.asarray(tokens), 1, 0)
    return tokens.reshape(len(tokens), *grid, -1)


def as_tokens(x: jax.Array) -> np.ndarray:
    """A map, or tokens of ours [b n c], as official tokens [n b c]."""
    return np.moveaxis(np.asarray(x.reshape(len(x), -1, x.shape[-1])), 1, 0)


def windows(case: Case, params: dict, heads: int):
    """What attends in a window: query, key, value, and what is added to the scores."""
    query, key, value = (heads_last(case.inputs[name], heads) for name in "qkv")
    module = RelativeKey(heads, case.config["max_dis"])
    return query, key, value, module.apply({"params": params["relative_key"]}, query)


def weight_maps(query, key, relative) -> np.ndarray:
    """Attention weights as [b h w n]."""
    weights = local_weights(query, key, relative)
    return np.moveaxis(np.asarray(weights).reshape(len(weights), -1, *weights.shape[3:]), 1, -1)


def window_attention(case: Case, data_dir) -> dict[str, np.ndarray]:
    """AOT's short-term attention, projected, and its weights."""
    params = device_params(weights.LOCAL_ATTENTION, case.weights(), "")
    query, key, value, relative = windows(case, params, case.config["heads"])
    found = jax.jit(local_attention)(query, key, value, relative, params["relative_value"])
    found = found.reshape(*found.shape[:3], -1)
    projection = Linear(case.config["channels"])
    found = projection.apply({"params": params["short_projection"]}, found)
    return {"out": as_tokens(found), "attn": weight_maps(query, key, relative)}


def window_propagation(case: Case, data_dir) -> dict[str, np.ndarray]:
    """DeAOT's short-term propagation, gated and projected, and its weights."""
    names = NameMap(weights.RELATIVE_KEY) + weights.GATED_PROJECTION
    params = device_params(names, case.weights(), "")
    query, key, value, relative = windows(case, params, case.config["heads"])
    found = jax.jit(local_attention)(query, key, value, relative)
    gate = as_map(case.inputs["u"], tuple(case.config["grid"]))
    module = GatedProjection(case.config["d_vu"])
    out = module.apply({"params": params}, found.reshape(gate.shape), gate)
    return {"out": as_tokens(out), "attn": weight_maps(query, key, relative)}


def long_short_term_layer(case: Case, data_dir) -> dict[str, np.ndarray]:
    """One AOT layer: reference A, B read from A, C read from both."""
    config, grid = case.config, tuple(case.config["grid"])
    layer = LongShortTermLayer(
        config["d_model"], config["att_heads"], config["ffn"], config["max_dis"]
    ).bind({"params": device_params(weights.AOT_LAYER, case.weights(), "")})
    position = jnp.asarray(sinusoidal_map(*grid, config["d_model"], first=0))
    frames = {name: (as_map(case.inputs[f"x_{name}"], grid),) for name in "abc"}
    identity = {name: tokens_of(as_map(case.inputs[f"id_{name}"], grid)) for name in "ab"}
    (y_a,), current = layer(frames["a"], position, None, identity["a"])
    pair_a = layer.remember(current, identity["a"])
    (y_b,), current = layer(frames["b"], position, LayerMemory.of_frame(*pair_a))
    pair_b = layer.remember(current, identity["b"])
    keys, values = (jnp.stack(pair, axis=1) for pair in zip(pair_b, pair_a, strict=True))
    memory = LayerMemory(keys, values, jnp.ones(keys.shape[:2], bool), pair_b)
    (y_c,), _ = layer(frames["c"], position, memory)
    results = {"y_a": y_a, "key_a": pair_a[0], "value_a": pair_a[1]}
    results |= {"y_b": y_b, "value_b": pair_b[1], "y_c": y_c}
    return {name: as_tokens(value) for name, value in results.items()}


def gated_propagation_layers(case: Case, data_dir) -> dict[str, np.ndarray]:
    """DeAOT layers: reference A, B read from A."""
    config, grid = case.config, tuple(case.config["grid"])
    width, step = config["d_model"], config["value_channel_step"]
    params = device_params(weights.DEAOT_LAYERS, case.weights(), "")
    layers = [
        GatedPropagationLayer(
            width, config["d_att"], config["expand_ratio"], number == 0, config["max_dis"]
        ).bind({"params": params[f"layers_{number}"]})
        for number in range(config["layers"])
    ]
    identity = tokens_of(as_map(case.inputs["id_a"], grid))
    position, results, memories = jnp.zeros((*grid, width)), {}, [None] * len(layers)
    for frame in "ab":
        streams = (as_map(case.inputs[f"x_{frame}"], grid),)
        for number, layer in enumerate(layers):
            streams, current = layer(streams, position, memories[number], identity)
            results[f"y{number}_{frame}"] = jnp.concatenate(streams, axis=-1)
            key, value = layer.remember(current, identity)
            visual, tags = jnp.split(value, 2, axis=-1)
            results[f"key{number}_{frame}"] = key
            results[f"value{number}_{frame}"] = visual[..., ::step]
            results[f"id_value{number}_{frame}"] = tags[..., ::step]
            results[f"id_norm{number}_{frame}"] = current[-1]
            memories[number] = LayerMemory.of_frame(key, value)
        last = f"y{len(layers) - 1}_{frame}"
        results[last] = GroupNorm(2).apply({"params": params["norms_0"]}, results[last])
    return {name: as_tokens(results[name]) for name in case.outputs_wanted}


ADAPTERS = {
    "aot/local_attention": window_attention,
    "aot/local_gated_propagation": window_propagation,
    "aot/lstt_block": long_short_term_layer,
    "aot/gpm_layers": gated_propagation_layers,
}
