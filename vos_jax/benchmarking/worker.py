"""Our side of a speed comparison: segments the videos it is sent, in a process of one thread.

Started by `vos_jax.benchmarking.inference`; requests and answers are those of the official
side (`scripts/official`).
"""

import json
import sys
import time

import jax
import numpy as np

from vos_jax.core.compilation import compilations
from vos_jax.inference.offline import segment_offline
from vos_jax.inference.session import Session
from vos_jax.systems import registry
from vos_jax.systems.base import Verbs


def load(settings_json: str, weights: str = ""):
    """The configured system with the official tensors of a file, or parameters of its own."""
    settings = json.loads(settings_json)
    name = settings["system"]
    system = registry.build(name, **settings["model"])
    if not weights:
        return system, registry.initialise(name, system, jax.random.key(0))
    with np.load(weights) as arrays:
        tensors = {tensor: arrays[tensor] for tensor in arrays.files}
    params, _ = registry.entry(name).names.convert(tensors)
    return system, jax.device_put(params)


def answer(system, params, request: dict) -> dict:
    """Segments the requested video: bytes in, labels out, frame by frame."""
    with np.load(request["video"]) as video:
        frames, masks = video["bytes"], video["masks"]
    given = {0: {number + 1: mask for number, mask in enumerate(masks)}}
    session = Session(system, params, frames.shape[1:3], slots=len(masks))
    wall, start = time.perf_counter(), time.process_time()
    with compilations() as compiled:
        labels = np.stack(list(segment_offline(session, frames, given, encode_batch=1)))
    total, elapsed = time.process_time() - start, time.perf_counter() - wall
    np.save(request["labels"], labels)
    parts = stages(system, params, frames[:1], masks) if request.get("stages") else {}
    compiling = {"compilations": compiled.count, "compile_seconds": compiled.seconds}
    return {"seconds": total, "wall": elapsed, "parts": parts, **compiling}


def stages(system, params, frame, masks, repeats: int = 3) -> dict[str, float]:
    """Processor seconds of each verb on one frame, with a full memory; compiled one by one."""
    geometry = system.spec.geometry(frame.shape[1:3])
    verbs = Verbs(system, {"params": params})
    prepare = jax.jit(lambda x: system.spec.prepare(x, geometry))
    encode, read = jax.jit(verbs.encode), jax.jit(verbs.read)
    resolve = jax.jit(lambda scores, known: system.spec.resolve(scores, known, None, geometry))
    write = jax.jit(verbs.write)
    state = verbs.init_state(1, geometry, len(masks), None)
    state = jax.tree.map(lambda x: np.ones_like(x) if x.dtype == bool else x, state)
    seconds = {}

    def measured(name, function, *arguments):
        result = jax.block_until_ready(function(*arguments))
        start = time.process_time()
        for _ in range(repeats):
            jax.block_until_ready(function(*arguments))
        seconds[name] = (time.process_time() - start) / repeats
        return result

    prepared = measured("prepare", prepare, frame)
    features = measured("feature_extractor", encode, prepared)
    scores, trace = measured("decoder", read, state, features)
    resolved = measured("resolve", resolve, scores, state.known)
    measured("encoder", write, state, features, trace, resolved.memory)
    return seconds


def main() -> None:
    """Answers requests until standard input ends."""
    system, params = load(*sys.argv[1:])
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(system, params, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
