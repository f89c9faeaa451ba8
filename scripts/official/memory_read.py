"""Runs the memory read of an official Mask-Propagation, STCN or RDE; needs torch, not vos_jax.

Started by `vos_jax.benchmarking.read` with another Python: `python memory_read.py CHECKOUT
SYSTEM`. Requests and answers are those of `vos_jax.benchmarking.read_worker`.
"""

import json
import sys
import time

import numpy as np
import torch
import torchvision_stand_in


def reader(system: str, query, keys, values, reading: dict):
    """A call of the official read, of arrays as the program itself holds them."""
    rows, columns = reading["grid"]
    query = query.T.reshape(1, -1, rows, columns).contiguous()
    keys, values = (
        x.permute(0, 3, 1, 2).reshape(len(x), x.shape[-1], x.shape[1], rows, columns).contiguous()
        for x in (keys, values)
    )
    top_k = reading["top_k"] or None
    if system == "mask_propagation":
        from model.eval_network import EvalMemoryReader

        module = EvalMemoryReader(top_k, reading["sigma"] or None)
        pairs = [(keys[i : i + 1], values[i : i + 1]) for i in range(len(keys))]
        return lambda: torch.cat([module(*pair, query) for pair in pairs])
    from inference_memory_bank import MemoryBank

    if system == "rde":
        bank = MemoryBank(None, len(values), top_k, mode="stm")
    else:
        bank = MemoryBank(len(values), top_k)
    bank.mem_k, bank.mem_v = keys[:1].flatten(2), values.flatten(2)
    bank.temp_k, bank.CK, bank.CV = None, keys.shape[1], values.shape[1]
    return lambda: bank.match_memory(query)


def answer(system: str, request: dict) -> dict:
    """Reads once, after a read that warms up."""
    with np.load(request["arrays"]) as arrays:
        inputs = [torch.from_numpy(arrays[name]) for name in ("query", "keys", "values")]
    read = reader(system, *inputs, request["reading"])
    with torch.inference_mode():
        read()
        start = time.process_time()
        readout = read()
        seconds = time.process_time() - start
    np.save(request["readout"], readout.flatten(2).transpose(1, 2).numpy())
    return {"seconds": seconds}


def main() -> None:
    """Answers requests until standard input ends."""
    checkout, system = sys.argv[1:]
    torch.set_num_threads(1)
    torchvision_stand_in.put_in_place()
    sys.path.insert(0, checkout)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(system, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
