"""The smallest AOT and DeAOT, with parameters that make their masks lively."""

import functools

import jax

from tests.invariants.interface_checks import Case
from vos_jax.systems import registry

SHARED = {
    "backbone": "small",
    "channels": 8,
    "embedding": 32,
    "heads": 2,
    "ffn": 32,
    "key_channels": 8,
    "radius": 1,
    "group_size": 4,
}
SYSTEMS = {
    "aott": SHARED,
    "aotl": SHARED | {"memory_gap": 2},
    "deaotl": SHARED | {"family": "deaot", "depth": 2, "memory_gap": 2, "align_corners": False},
}
GAINS = {"identity_bank/kernel": 600.0, "decoder/conv_out/kernel": 8.0, "conv_out/bias": 0.0}


@functools.cache
def aot_case(name: str) -> Case:
    """A system of `SYSTEMS`, drawn at random, its identities and its last layer enlarged."""
    module = registry.build("aot", **SYSTEMS[name])
    params = registry.initialise("aot", module, jax.random.key(3))
    return Case(module, enlarged(params), tolerance=1e-3, reads_given=False)


def enlarged(params):
    """The parameters with those of `GAINS` multiplied."""

    def scale(path, leaf):
        path = jax.tree_util.keystr(path, simple=True, separator="/")
        gains = [gain for end, gain in GAINS.items() if path.endswith(end)]
        return leaf * gains[0] if gains else leaf

    return jax.tree_util.tree_map_with_path(scale, params)
