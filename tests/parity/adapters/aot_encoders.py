"""Adapters of AOT's image encoders, network sizes, nearest resizing and position maps."""

import re

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.adapters.hodor_model import nchw
from tests.parity.case import Case
from vos_jax.core.geometry import by_limits
from vos_jax.core.resize import resize
from vos_jax.nn.encoders import Encoder
from vos_jax.nn.positions import sinusoidal_map
from vos_jax.systems.aot.encoder_weights import ENCODERS
from vos_jax.systems.aot.spec import AotSpec
from vos_jax.systems.base import IMAGENET_MEAN, IMAGENET_STD

NAMES = {"mobilenetv2": "mobilenet_v2", "mobilenetv3": "mobilenet_v3"}
"""Our names of the encoders that the official program calls otherwise."""


def encoder_maps(case: Case, data_dir) -> dict[str, np.ndarray]:
    """The maps `stage<i>` of an encoder alone, every `channel_step`-th channel."""
    name = NAMES.get(case.config["encoder"], case.config["encoder"])
    params, _ = ENCODERS[name].convert(case.weights())
    images = (case.inputs["image"].astype(np.float32) - IMAGENET_MEAN) / IMAGENET_STD
    apply = jax.jit(Encoder(name).apply)
    maps = apply({"params": {"network": params}}, jnp.asarray(images, jnp.float32))
    step = case.config["channel_step"]
    return {
        wanted: nchw(maps[int(re.fullmatch(r"stage(\d)", wanted)[1])])[:, ::step]
        for wanted in case.outputs_wanted
    }


def network_sizes(case: Case, data_dir) -> dict[str, np.ndarray]:
    """Network sizes of the rows of a table; a limit of the short side comes with a scale."""
    sizes = []
    for height, width, corners, shortest, longest, scale in case.inputs["table"].tolist():
        spec = AotSpec(align_corners=bool(corners))
        limits = by_limits(
            (int(height), int(width)), None if shortest < 0 else shortest, longest, round(scale, 6)
        )
        sizes.append(spec.conforming(limits))
    return {"size": np.array(sizes)}


def nearest_and_position(case: Case, data_dir) -> dict[str, np.ndarray]:
    """Source rows `index_<in>_<out>` of nearest resizing; position maps `pos_<h>_<w>`."""
    results, width = {}, 2 * case.config["features_per_axis"]
    for wanted in case.outputs_wanted:
        kind, first, second = wanted.split("_")
        first, second = int(first), int(second)
        if kind == "index":
            rows = jnp.arange(first)[:, None, None]
            results[wanted] = np.asarray(resize(rows, (second, 1), "nearest"))[:, 0, 0]
            continue
        position = np.asarray(sinusoidal_map(first, second, width, first=0))
        results[wanted] = np.moveaxis(position, -1, 0)[None, :: case.config["pos_channel_step"]]
    return results


ADAPTERS = {
    "aot/encoder": encoder_maps,
    "aot/eval_sizes": network_sizes,
    "aot/nearest_and_position": nearest_and_position,
}
