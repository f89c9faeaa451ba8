"""Deterministic stand-in weights for parity cases (recipe "seeded-v1").

A parity case names every tensor of an official state dict with its shape. From
a name, a shape, a seed and a gain this module rebuilds the same float32 values
on any machine, so a case needs no stored checkpoint. Depends on NumPy alone.
"""

import hashlib
import json

import numpy as np


def seeded_tensor(name, shape, seed=0, gain=1.0):
    """Returns the float32 tensor that recipe seeded-v1 gives `name`.

    Args:
      name: the tensor's name in the official state dict.
      shape: its shape, a sequence of ints; () for a scalar.
      seed: the case's seed.
      gain: multiplies every tensor of two or more dimensions.
    """
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "little")))
    shape = tuple(shape)
    normal = rng.standard_normal(shape)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        value = np.zeros(shape)
    elif leaf == "running_var":
        value = 0.75 + 0.5 * rng.random(shape)
    elif leaf == "running_mean":
        value = 0.1 * normal
    elif len(shape) >= 2:
        fan_in = int(np.prod(shape[1:]))
        value = gain * normal / np.sqrt(fan_in)
    elif leaf == "weight":
        value = 1.0 + 0.1 * normal
    else:
        value = 0.1 * normal
    return np.asarray(value, np.float32)


def state_dict(case_json):
    """Returns {name: array} for the case whose .json file is at `case_json`.

    Tensors named under `weights.overrides` (name -> flat row-major values) take
    those values instead of the recipe's; a name the list lacks is a vector.
    """
    with open(case_json) as f:
        weights = json.load(f)["weights"]
    if weights["recipe"] != "seeded-v1":
        raise ValueError(f"unknown weight recipe {weights['recipe']!r} in {case_json}")
    tensors = {
        name: seeded_tensor(name, shape, weights["seed"], weights.get("gain", 1.0))
        for name, shape, _ in weights["tensors"]
    }
    for name, values in weights.get("overrides", {}).items():
        value = np.asarray(values, np.float32)
        tensors[name] = value.reshape(tensors[name].shape) if name in tensors else value
    return tensors
