"""The smallest space-time memory networks, with parameters that make their masks lively."""

import functools

import jax

from tests.invariants.interface_checks import Case
from vos_jax.checkpoints.names import flatten
from vos_jax.systems import registry

SHARED = {
    "backbone": "small",
    "channels": 8,
    "key_channels": 8,
    "value_channels": 16,
    "decoder_channels": (16, 8),
    "min_dim": 0,
    "top_k": 10,
}
RDE = {"memory_every": 2, **SHARED}
SYSTEMS = {
    "rde": ("rde", RDE),
    **{
        f"rde_{mode}": ("rde", RDE | {"mode": mode})
        for mode in ("stm", "gt", "last", "two-frames", "compress", "gt-compress", "last-compress")
    },
    "rde_include_last": ("rde", RDE | {"include_last": True}),
    "rde_single_object": ("rde", RDE | {"single_object": True}),
    "rde_repeat": ("rde", RDE | {"repeat": 1}),
    "stcn": ("stcn", SHARED | {"memory_every": 2}),
    "stcn_include_last": ("stcn", SHARED | {"memory_every": 3, "include_last": True}),
    "mask_propagation": ("mask_propagation", SHARED | {"memory_every": 3}),
    "mask_propagation_softmax": ("mask_propagation", SHARED | {"memory_every": 3, "top_k": 0}),
    "mask_propagation_kernel": ("mask_propagation", SHARED | {"memory_every": 3, "sigma": 0.7}),
}
GAINS = {"decoder/predict/kernel": 6.0, "key_head/kernel": 3.0, "query_head/key/kernel": 3.0}


@functools.cache
def space_time_case(name: str) -> Case:
    """A system of `SYSTEMS`, drawn at random, its last layer and keys enlarged.

    Masks then hang on what is read, and reads prefer some cells of the memory to others.
    """
    system, settings = SYSTEMS[name]
    module = registry.build(system, **settings)
    params = registry.initialise(system, module, jax.random.key(3))
    return Case(module, enlarged(params), tolerance=1e-4, reads_given=False)


def enlarged(params):
    """The parameters with those of `GAINS` multiplied."""
    assert set(GAINS) & set(flatten(params))

    def scale(path, leaf):
        return leaf * GAINS.get(jax.tree_util.keystr(path, simple=True, separator="/"), 1.0)

    return jax.tree_util.tree_map_with_path(scale, params)
