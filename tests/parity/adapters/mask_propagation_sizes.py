"""Adapters of Mask-Propagation's sizes: resampling around YouTube-VOS, padding, aggregation."""

import jax.numpy as jnp
import numpy as np

from tests.parity.case import Case
from vos_jax.core.geometry import by_shorter_side, centred_padding
from vos_jax.core.resize import resize
from vos_jax.ops.aggregate import aggregate, log_odds
from vos_jax.systems.base import IMAGENET_MEAN, IMAGENET_STD


def resampling(case: Case, data_dir) -> dict[str, np.ndarray]:
    """Frames, one-hot masks and scores brought to other sizes, up and down."""
    frames = (case.inputs["frames"].astype(np.float32) - IMAGENET_MEAN) / IMAGENET_STD
    frames = jnp.asarray(frames, jnp.float32)
    ids = case.inputs["ids"]
    masks = np.stack([ids == label for label in np.unique(ids[ids > 0])])[..., None]
    size = frames.shape[1:3]
    results = {}
    for name, shorter in zip(("up", "down"), case.config["shorter_side"], strict=True):
        new = by_shorter_side(size, shorter)
        results[f"bicubic_{name}"] = _channels_first(resize(frames, new, "bicubic"))
        results[f"nearest_{name}"] = resize(masks.astype(np.uint8), new, "nearest")[..., 0]
    up = np.moveaxis(results["bicubic_up"], 1, -1)
    results["bilinear_back"] = _channels_first(resize(jnp.asarray(up), size))
    return results


def aggregate_and_padding(case: Case, data_dir) -> dict[str, np.ndarray]:
    """Aggregated planes and their log-odds for 1, 2 and 5 objects; a table of paddings."""
    results = {"pads": np.array([_pads(tuple(size)) for size in case.inputs["sizes"].tolist()])}
    for name in case.inputs:
        if name.startswith("prob_"):
            planes = jnp.asarray(np.moveaxis(case.inputs[name], 0, -1))
            known = jnp.ones((1, planes.shape[-1]), bool)
            count = name.removeprefix("prob_")
            whole = np.moveaxis(aggregate(planes, known)[0], -1, 0)
            results[f"agg_{count}"] = whole[:, None]
            results[f"logits_{count}"] = np.moveaxis(log_odds(planes, known)[0], -1, 0)
    return results


def _pads(size: tuple[int, int]) -> list[int]:
    """Height, width; columns left and right, rows above and below; padded height and width."""
    network, (top, left) = centred_padding(size, 16)
    below, right = (n - s - o for n, s, o in zip(network, size, (top, left), strict=True))
    return [*size, left, right, top, below, *network]


def _channels_first(x) -> np.ndarray:
    return np.moveaxis(np.asarray(x), -1, 1)


ADAPTERS = {
    "mask_propagation/resize": resampling,
    "mask_propagation/aggregate_and_padding": aggregate_and_padding,
}
