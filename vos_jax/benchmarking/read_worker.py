"""Our side of a comparison of memory reads: reads what it is sent, in a process of one thread."""

import functools
import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from vos_jax.nn.bank import read_bank


def answer(request: dict) -> dict:
    """Reads once: arrays of a file in, the readout [o, n, d] out.

    Args:
        request: "arrays", a file with `query` [n, c], `keys` [o, m, n, c], `values` [o, m, n, d];
            "reading", keyword arguments of `read_bank`; "shared", whether all objects have the
            same keys; "readout", the file to write.
    """
    with np.load(request["arrays"]) as arrays:
        query, keys, values = (
            jnp.asarray(arrays[name])[None] for name in ("query", "keys", "values")
        )
    valid, known = jnp.ones(keys.shape[:3], bool), jnp.ones(keys.shape[:2], bool)
    starts = jnp.zeros(keys.shape[:2], jnp.int32) if request["shared"] else None
    read = _compiled(json.dumps(request["reading"], sort_keys=True))
    arguments = query, keys, values, valid, known
    jax.block_until_ready(read(*arguments, starts=starts))
    start = time.process_time()
    readout = jax.block_until_ready(read(*arguments, starts=starts))
    seconds = time.process_time() - start
    np.save(request["readout"], readout[0])
    return {"seconds": seconds}


@functools.cache
def _compiled(reading: str):
    settings = json.loads(reading)
    settings["grid"] = tuple(settings["grid"])
    return jax.jit(functools.partial(read_bank, **settings))


def main() -> None:
    """Answers requests until standard input ends."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
