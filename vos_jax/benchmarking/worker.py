"""Our side of a speed comparison: segments the videos it is sent, in a process of one thread.

Started by `vos_jax.benchmarking.inference`; requests and answers are those of the official
side (`scripts/official`).
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from vos_jax.core.compilation import compilations
from vos_jax.inference.offline import segment_offline
from vos_jax.inference.session import Session
from vos_jax.inference.steps import empty_state
from vos_jax.systems import registry
from vos_jax.systems.base import Given, Verbs
from vos_jax.systems.variables import inference_variables
from vos_jax.systems.windows import WindowStream

PARTS = {
    "Hodor": ("feature_extractor", "decoder", "encoder"),
    "Aot": ("encode_image", "decoder", "memory_write"),
}
SPACE_TIME_PARTS = ("query_encoder", "decoder", "memory_encoder")
"""What the official programs call the parts that encode, read and write."""
REPEATS, FILLING = 3, 8


def load(settings_json: str, weights: str = ""):
    """The configured system with the official tensors of a file, or parameters of its own."""
    settings = json.loads(settings_json)
    name = settings["system"]
    system = registry.build(name, **settings["model"])
    if not weights:
        return system, registry.initialise(name, system, jax.random.key(0))
    with np.load(weights) as arrays:
        tensors = {tensor: arrays[tensor] for tensor in arrays.files}
    names = registry.entry(name).names
    params, _ = (names(system) if callable(names) else names).convert(tensors)
    return system, jax.device_put(params)


def answer(system, params, request: dict) -> dict:
    """Segments the requested video: bytes in, labels out, frame by frame; or reads a window."""
    if not system.spec.prompted:
        return read_clip(system, params, request)
    with np.load(request["video"]) as video:
        frames, masks = video["bytes"][: request.get("frames")], video["masks"]
    given = {0: {number + 1: mask for number, mask in enumerate(masks)}}
    session = Session(system, params, frames.shape[1:3], slots=len(masks))
    wall, start = time.perf_counter(), time.process_time()
    with compilations() as compiled:
        labels = np.stack(list(segment_offline(session, frames, given, encode_batch=1)))
    total, elapsed = time.process_time() - start, time.perf_counter() - wall
    np.save(request["labels"], labels)
    parts = {}
    if request.get("stages"):
        unused = session.capacity[0] - len(masks)
        masks = np.pad(masks, ((0, unused), (0, 0), (0, 0)))
        parts = stages(system, params, frames[:1], masks, session.capacity[1])
    compiling = {"compilations": compiled.count, "compile_seconds": compiled.seconds}
    return {"seconds": total, "wall": elapsed, "parts": parts, **compiling}


def read_clip(system, params, request: dict) -> dict:
    """Encodes and reads the requested frames as `WindowStream` does; its labels are classes.

    Without classes they tell where seediness is high.
    """
    with np.load(request["video"]) as video:
        frames = video["bytes"]
    stream = WindowStream(system, params, frames.shape[1:3])
    wall, start = time.perf_counter(), time.process_time()
    with compilations() as compiled:
        features = jax.block_until_ready(stream.encode(frames))
        encoded = time.process_time()
        points, averaged = jax.block_until_ready(stream.read(features))
    total, elapsed = time.process_time() - start, time.perf_counter() - wall
    maps = np.stack(averaged)
    labels = maps > 0.5 if maps.ndim == 3 else maps[..., :-1].argmax(-1)
    np.save(request["labels"], labels.astype(np.uint8))
    parts = {"encode": encoded - start, "decoders": start + total - encoded}
    compiling = {"compilations": compiled.count, "compile_seconds": compiled.seconds}
    return {"seconds": total, "wall": elapsed, "parts": parts, **compiling}


def stages(system, params, frame, masks, memory: int | None) -> dict[str, float]:
    """Processor seconds a frame of each part, with a full memory; compiled one by one.

    Args:
        system: configured.
        params: its parameters.
        frame: uint8 [1, h, w, 3].
        masks: of its slots, [o, h, w]; empty ones are unused.
        memory: entries there is room for; None where the number is constant.

    Returns:
        Seconds by the names that the driver of the official program uses.
    """
    geometry = system.spec.geometry(frame.shape[1:3])
    verbs = Verbs(system, inference_variables(params, system=system, geometry=geometry))
    seconds = {}

    def measured(name, function, *arguments):
        jax.block_until_ready(function(*arguments))
        start = time.process_time()
        for _ in range(REPEATS):
            result = jax.block_until_ready(function(*arguments))
        seconds[name] = (time.process_time() - start) / REPEATS
        return result

    encoding, reading, writing = PARTS.get(type(system).__name__, SPACE_TIME_PARTS)
    prepared = measured("prepare", jax.jit(lambda x: system.spec.prepare(x, geometry)), frame)
    features = measured(encoding, jax.jit(verbs.encode), prepared)
    write = jax.jit(verbs.write, donate_argnums=0)
    state = _full_memory(system, write, features, masks, geometry, memory)
    scores, trace = measured(reading, jax.jit(verbs.read), state, features)
    if hasattr(system, "recall"):
        measured("memory_read", jax.jit(verbs.recall), state, features)
        seconds[reading] -= seconds["memory_read"]
    resolve = jax.jit(lambda scores, known: system.spec.resolve(scores, known, None, geometry))
    planes = measured("resolve", resolve, scores, state.known).memory
    frames = REPEATS * getattr(system, "memory_every", 1)
    state = jax.block_until_ready(write(state, features, trace, planes))
    start = time.process_time()
    for _ in range(frames):
        state = write(state, features, trace, planes)
    jax.block_until_ready(state)
    seconds[writing] = (time.process_time() - start) / frames
    return seconds


def _full_memory(system, write, features, masks, geometry, memory: int | None):
    """The state after the masks were given on so many frames, all alike, that no entry is free."""
    planes = jnp.moveaxis(jnp.asarray(masks, jnp.float32), 0, -1)[None]
    given = Given(masks=planes, slots=jnp.asarray(masks.any((1, 2)))[None])
    given = system.spec.place(given, geometry)
    planes = system.spec.resolve(None, given.slots, given, geometry).memory
    slots = len(masks)
    state = empty_state(system=system, geometry=geometry, batch=1, slots=slots, memory=memory)
    for _ in range(memory or FILLING):
        state = write(state, features, None, planes, given)
    return state


def main() -> None:
    """Answers requests until standard input ends."""
    system, params = load(*sys.argv[1:])
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(system, params, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
