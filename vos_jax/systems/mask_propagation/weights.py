"""The tensors of official Mask-Propagation checkpoints, and how a small network begins."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vos_jax.checkpoints.names import CONV, NameMap, layer
from vos_jax.systems.resnet_weights import mask_decoder, resnet

HEADS = ("query_head", "memory_head")
STEM = "stem_0"
"""First layer of a `nn.small_backbone.SmallBackbone`."""

_HEAD = NameMap(
    [*layer("key_proj", "key", CONV), *layer("val_proj", "value", CONV)],
)

QUERY_ENCODER = resnet("res2")
MEMORY_ENCODER = resnet()

MASK_PROPAGATION = (
    QUERY_ENCODER.under(r"rgb_encoder\.", "query_encoder/")
    + MEMORY_ENCODER.under(r"mask_rgb_encoder\.", "memory_encoder/")
    + _HEAD.under(r"kv_q_f16\.", "query_head/")
    + _HEAD.under(r"kv_m_f16\.", "memory_head/")
    + mask_decoder("skip_conv1", "skip_conv2").under(r"decoder\.", "decoder/")
)

SPREAD = 2.0
"""Root mean square of a small network's keys: the affinity of a cell to itself is 4 *
sqrt(channels); at its first update the affinities to others have mean 0 and a deviation of 4."""
NOISE = 0.01
"""Share of the mean variance that is added to that of every direction before it is scaled."""


def begin_alike(params: Mapping[str, Any]) -> dict[str, Any]:
    """Lets a small network's memory encoder begin as its query encoder, keys included.

    A frame then matches itself from the first update on, as it does from the ImageNet weights that
    both encoders of the published network begin with; ResNets are left as they are drawn.
    """
    if STEM not in params["query_encoder"]:
        return dict(params)
    encoder = dict(params["query_encoder"])
    colours, drawn = (params[name][STEM]["kernel"] for name in ("query_encoder", "memory_encoder"))
    masks = drawn[:, :, colours.shape[2] :]
    encoder[STEM] = {**encoder[STEM], "kernel": jnp.concatenate([colours, masks], axis=2)}
    return _with_key({**params, "memory_encoder": encoder}, params["query_head"]["key"])


def alike(params: Mapping[str, Any]) -> bool:
    """Whether both heads make the same keys: no update was made since `begin_alike`."""
    query, memory = (params[name]["key"]["kernel"] for name in HEADS)
    return bool((query == memory).all())


def whitened(params: Mapping[str, Any], keys: Float[Array, "n y x c"]) -> dict[str, Any]:
    """Makes the keys of both heads uncorrelated, of mean 0 and deviation `SPREAD`.

    Keys as they are drawn share a large mean: all cells would match all others, and training ends
    there.

    Args:
        params: of a network whose heads are `alike`.
        keys: what it makes of some frames, before they get their common length.
    """
    keys = keys.reshape(-1, keys.shape[-1])
    mean = keys.mean(0)
    variances, directions = jnp.linalg.eigh(jnp.cov(keys.T))
    scale = SPREAD / jnp.sqrt(variances + NOISE * variances.mean())
    change = (directions * scale) @ directions.T
    key = params["query_head"]["key"]
    bias = (key["bias"] - mean) @ change
    return _with_key(params, {"kernel": key["kernel"] @ change, "bias": bias})


def _with_key(params: Mapping[str, Any], key: Mapping[str, Array]) -> dict[str, Any]:
    """The parameters with a copy of the key layer in both heads."""
    heads = {name: {**params[name], "key": jax.tree.map(jnp.copy, key)} for name in HEADS}
    return {**params, **heads}
