"""Runs the official Mask-Propagation, STCN or RDE of a checkout; needs torch, not vos_jax.

Started by `vos_jax.benchmarking.inference` with another Python: `python space_time.py CHECKOUT
WEIGHTS.npz SYSTEM`, which writes its random weights there. Each line on standard input is a JSON
request {"video": FILE.npz, "labels": FILE.npy, "margins": FILE.npy, "settings": {...}}; each answer
a JSON line with the processor seconds of the parts. The inference core is the checkout's own, and
so is the way from its probabilities to labels (`eval_davis.py`); the margins tell how far the
best object of a pixel is ahead of the next.
"""

import collections
import json
import sys
import time
import types
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
import torchvision_stand_in
from timing import timed

sys.path.append(str(Path(__file__).resolve().parents[2]))
from tests.parity.seeded_weights import seeded_tensor

GAIN, SMALL_GAIN, SMALL = 1.1, 0.3, ("mem_compress.", "key_proj.")
"""Of the random weights: objects tell apart; RDE's memory, which is cubic in the one before it,
neither grows nor dies; and no cell is so far from all others that the official read, which does
not subtract the largest affinity, divides 0 by 0."""
PARTS = {
    "mask_propagation": {"get_query_values": "query_encoder", "memorize": "memory_encoder"},
    "stcn": {"encode_key": "query_encoder", "encode_value": "memory_encoder"},
    "rde": {"encode_key": "query_encoder", "encode_value": "memory_encoder"},
}


def load(checkout: str, weights: str, system: str):
    """The official network of a checkout; its random tensors are written to `weights`."""
    torchvision_stand_in.put_in_place()
    sys.path.insert(0, checkout)
    from model import eval_network, mod_resnet

    mod_resnet.load_weights_sequential = lambda *ignored: None
    mod_resnet.model_zoo.load_url = lambda *ignored, **options: None
    network = {"mask_propagation": "PropagationNetwork", "stcn": "STCN", "rde": "RDE_VOS"}[system]
    model = getattr(eval_network, network)().eval()
    tensors = {}
    for name, tensor in model.state_dict().items():
        gain = SMALL_GAIN if name.startswith(SMALL) else GAIN
        tensors[name] = seeded_tensor(name, tensor.shape, gain=gain)
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    np.savez(weights, **tensors)
    return model


def time_parts(model, system: str, seconds: dict[str, float]) -> None:
    """Times the parts of the program."""
    for method, part in PARTS[system].items():
        timed(model, method, part, seconds)
    timed(model.decoder, "forward", "decoder", seconds)
    if system == "mask_propagation":
        timed(model.memory, "forward", "memory_read", seconds)
        return
    from inference_memory_bank import MemoryBank

    timed(MemoryBank, "match_memory", "memory_read", seconds)
    if system == "rde":
        timed(model.mem_compress, "forward", "aggregation", seconds)


def make_core(model, system: str, frames: torch.Tensor, objects: int, settings: dict):
    """The official inference core with these settings of ours."""
    from inference_core import InferenceCore

    top_k, every = settings["top_k"], settings["memory_every"]
    if system == "mask_propagation":
        model.memory.top_k = top_k or None
        return InferenceCore(model, frames, objects, mem_freq=every)
    mode = [types.SimpleNamespace(mode=settings["mode"])] if system == "rde" else []
    options = {"top_k": top_k, "mem_every": every, "include_last": settings["include_last"]}
    return InferenceCore(*mode, model, frames, objects, **options)


def segment(model, system: str, frames, masks, settings: dict):
    """Labels of a video [t, h, w] from normalised frames and first planes; and the core."""
    from util.tensor_util import unpad

    core = make_core(model, system, frames[None], len(masks), settings)
    core.interact(masks[:, None], 0, len(frames))
    labels = []
    for t in range(core.t):
        probabilities = unpad(core.prob[:, t], core.pad)
        size = frames.shape[-2:]
        shown = functional.interpolate(probabilities, size, mode="bilinear", align_corners=False)
        labels.append(torch.argmax(shown, dim=0)[0])
    return torch.stack(labels).numpy().astype(np.uint8), core


def margins(core) -> np.ndarray:
    """By pixel [t, h, w], how far the highest probability is above the next."""
    from util.tensor_util import unpad

    best = [torch.topk(unpad(core.prob[:, t], core.pad), 2, dim=0).values for t in range(core.t)]
    return torch.stack([(first - second)[0] for first, second in best]).numpy()


def answer(model, system: str, request: dict, seconds: dict[str, float]) -> dict:
    """Segments the requested video; frames are normalised, masks of frame 0 given."""
    with np.load(request["video"]) as video:
        (top, bottom), (left, right) = video["padding"]
        height, width = video["frames"].shape[-2:]
        frames = video["frames"][..., top : height - bottom, left : width - right]
        frames, masks = torch.from_numpy(frames), torch.from_numpy(video["masks"]).float()
    seconds.clear()
    wall, start = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        labels, core = segment(model, system, frames, masks, request["settings"])
    total, elapsed = time.process_time() - start, time.perf_counter() - wall
    np.save(request["labels"], labels)
    np.save(request["margins"], margins(core))
    parts = {**seconds, "rest": total - sum(seconds.values())}
    return {"seconds": total, "wall": elapsed, "parts": parts}


def main() -> None:
    """Answers requests until standard input ends."""
    torch.set_num_threads(1)
    model, system = load(*sys.argv[1:4]), sys.argv[3]
    seconds = collections.defaultdict(float)
    time_parts(model, system, seconds)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(model, system, json.loads(line), seconds)), flush=True)


if __name__ == "__main__":
    main()
