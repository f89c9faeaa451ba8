"""Adapter of the memory read that RDE and STCN share, and of RDE's banks without aggregation."""

import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from tests.parity.adapters.mask_propagation_memory import maps_of, tokens_of
from tests.parity.case import Case
from vos_jax.nn.bank import empty_bank, read_bank, store
from vos_jax.ops.memory_read import affinity, read_memory
from vos_jax.systems.rde.memory import FIRST_AND_NEWEST, MODES, parts_read
from vos_jax.systems.space_time import SpaceTimeState


def bank_readout(query, keys, values, mode: str, top_k: int, grid):
    """What a mode's bank, filled frame by frame, gives each object.

    Args:
        query: tokens `1 n c`.
        keys: tokens `m n c`, per frame.
        values: tokens `o m n d`, per object and frame.
        mode: one of `MODES` without an embedding, with underscores.
        top_k: tokens that are read.
        grid: rows and columns.
    """
    (objects, frames, tokens, depth), channels = values.shape, keys.shape[-1]
    names = MODES[mode.replace("_", "-")]
    capacity = FIRST_AND_NEWEST if names else frames
    bank = empty_bank(1, objects, capacity, tokens, channels, depth)
    slots, yes = jnp.ones((1, objects), bool), jnp.ones(1, bool)
    for time in range(frames):
        key = jnp.broadcast_to(keys[time], (1, objects, tokens, channels))
        now = jnp.full(1, time, jnp.int32)
        bank = store(bank, key, values[None, :, time], now, slots, yes, ~yes)
    state = SpaceTimeState(known=slots, time=now + 1, bank=bank, last=now)
    parts = parts_read(state, names) if names else (bank.keys, bank.values, bank.valid)
    reading = {"grid": grid, "similarity": "l2", "top_k": top_k, "starts": bank.starts}
    return read_bank(query, *parts, slots, **reading)[0]


def memory_read(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """`train_*` over all tokens, `topk<k>_*` over the k best, `bank_<mode>_top<k>` of a bank."""
    grid = case.inputs["query_key"].shape[-2:]
    query, keys, values = (
        tokens_of(case.inputs[name]) for name in ("query_key", "mem_key", "mem_value")
    )
    frames = case.inputs["mem_key"].shape[2]
    valid = jnp.ones(keys.shape[:2], bool)
    results = {}
    for name in case.outputs_wanted:
        number = re.search(r"top_?k?(\d+)", name)
        reading = {"similarity": "l2", "top_k": int(number[1]) if number else None}
        if name.startswith("bank_"):
            mode = re.fullmatch(r"bank_(\w+?)_top_?k?\d+", name)[1]
            apart = (x.reshape(-1, frames, grid[0] * grid[1], x.shape[-1]) for x in (keys, values))
            frame_keys, frame_values = apart
            read = bank_readout(query, frame_keys[0], frame_values, mode, reading["top_k"], grid)
        elif name.endswith("affinity"):
            results[name] = np.moveaxis(np.asarray(affinity(query, keys, valid, **reading)), 1, 2)
            continue
        else:
            read = read_memory(query, keys, values[None], valid, **reading)[0]
        results[name] = maps_of(read, grid)
        if name.startswith("train_"):
            results[name] = np.concatenate([results[name], case.inputs["query_value"]], axis=1)
    return results


ADAPTERS = {"rde/memory_read": memory_read}
