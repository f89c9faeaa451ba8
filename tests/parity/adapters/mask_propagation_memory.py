"""Adapter of Mask-Propagation's memory read: softmax, top-k and kernelised, for one object."""

import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from tests.parity.case import Case
from vos_jax.ops.memory_read import affinity, read_memory


def tokens_of(array: np.ndarray) -> jnp.ndarray:
    """Channels-first maps `b c *grid` as tokens `b s c`."""
    return jnp.moveaxis(jnp.asarray(array).reshape(*array.shape[:2], -1), 1, 2)


def maps_of(tokens: jnp.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Tokens `b n d` as maps `b d y x`."""
    return np.moveaxis(np.asarray(tokens), -1, -2).reshape(len(tokens), -1, *grid)


def settings_of(mode: str, modes: dict) -> dict[str, float | None]:
    """Top-k and sigma of a mode: as listed, else as in its name (`km5p6_top50`, `km1p5_all`)."""
    if mode in modes:
        return {"top_k": modes[mode]["top_k"], "sigma": modes[mode]["km_sigma"]}
    top_k, sigma = re.search(r"top_?(\d+)", mode), re.search(r"km_?(\d+(?:[p.]\d+)?)", mode)
    return {
        "top_k": int(top_k[1]) if top_k else None,
        "sigma": float(sigma[1].replace("p", ".")) if sigma else None,
    }


def memory_read(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Readouts named by their mode, and weights named `weights_<mode>` as [tokens, queries]."""
    grid = case.inputs["query_key"].shape[-2:]
    query, keys, values = (
        tokens_of(case.inputs[name]) for name in ("query_key", "mem_key", "mem_value")
    )
    valid = jnp.ones(keys.shape[:2], bool)
    results = {}
    for name in case.outputs_wanted:
        mode = name.removeprefix("weights_").removeprefix("readout_")
        settings = settings_of(mode, case.config.get("modes", {}))
        if name.startswith("weights_"):
            weights = affinity(query, keys, valid, grid=grid, **settings)
            results[name] = np.asarray(weights[0]).T
        else:
            read = read_memory(query, keys, values[:, None], valid, grid=grid, **settings)
            results[name] = maps_of(read[:, 0], grid)
    return results


ADAPTERS = {"mask_propagation/memory_read": memory_read}
