"""Runs the official AOT or DeAOT of a checkout; needs torch, not vos_jax.

Started by `vos_jax.benchmarking.inference` with another Python: `python aot.py CHECKOUT WEIGHTS.npz
aot SETTINGS.json`, which writes its random weights there. Each line on standard input is a JSON
request {"video": FILE.npz, "labels": FILE.npy, ...}; each answer a JSON line with the processor
seconds of the parts. The loop is that of `networks/managers/evaluator.py`. Without the correlation
extension AOT's short-term attention takes its own window-gather branch, since the class meant as a
substitute raises an error of shapes.
"""

import collections
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
import torchvision_stand_in
from timing import timed

sys.path.append(str(Path(__file__).resolve().parents[2]))
from tests.parity.seeded_weights import seeded_tensor

CONFIGS = {"mobilenet_v2": "", "resnet50": "r50_", "resnet101": "r101_", "swin_base": "swinb_"}


def load(checkout: str, weights: str, settings: dict):
    """The official network of a checkout; its random tensors are written to `weights`."""
    torchvision_stand_in.put_in_place()
    sys.path.insert(0, checkout)
    from networks.layers import transformer
    from networks.models import build_vos_model

    from configs import default

    if not transformer.enable_corr:
        transformer.MultiheadLocalAttentionV3 = transformer.MultiheadLocalAttentionV2
    prefix = CONFIGS[settings.get("backbone", "mobilenet_v2")]
    name = f"{prefix}{settings.get('family', 'aot')}{'l' if prefix else 't'}"
    config = default.DefaultEngineConfig("speed", name)
    config.MODEL_LSTT_NUM = settings.get("depth", 1)
    model = build_vos_model(config.MODEL_VOS, config).eval()
    tensors = {}
    for name, tensor in model.state_dict().items():
        if tensor.dtype == torch.float32:
            tensors[name] = seeded_tensor(name, tensor.shape, gain=1.0)
    model.load_state_dict({name: torch.from_numpy(t) for name, t in tensors.items()}, strict=False)
    np.savez(weights, **tensors)
    return model, config


def time_parts(model, seconds: dict[str, float]) -> None:
    """Times the parts of the program."""
    timed(model, "encode_image", "encode_image", seconds)
    timed(model, "decode_id_logits", "decoder", seconds)
    timed(model, "get_id_emb", "memory_write", seconds)
    timed(model, "LSTT_forward", "layers", seconds)


def segment(model, config, frames, masks, settings: dict) -> np.ndarray:
    """Labels of a video [t, h, w] from normalised frames and the planes of the first one."""
    from networks.engines import build_engine

    engine = build_engine(
        config.MODEL_ENGINE,
        phase="eval",
        aot_model=model,
        gpu_id=0,
        long_term_mem_gap=settings["memory_gap"],
    )
    engine.eval()
    numbers = torch.arange(1, len(masks) + 1).reshape(-1, 1, 1)
    first = (masks * numbers).amax(0).float()[None, None]
    engine.add_reference_frame(frames[:1], first, frame_step=0, obj_nums=[len(masks)])
    size, labels = frames.shape[-2:], [first[0, 0]]
    for frame in frames[1:]:
        engine.match_propogate_one_frame(frame[None])
        logits = engine.decode_current_logits(tuple(size))
        label = torch.argmax(torch.softmax(logits, dim=1), dim=1, keepdim=True).float()
        fed = functional.interpolate(label, size=engine.input_size_2d, mode="nearest")
        engine.update_memory(fed)
        labels.append(label[0, 0])
    return torch.stack(labels).numpy().astype(np.uint8)


def answer(model, config, request: dict, seconds: dict[str, float]) -> dict:
    """Segments the requested video; frames are normalised, masks of frame 0 given."""
    with np.load(request["video"]) as video:
        frames, masks = torch.from_numpy(video["frames"]), torch.from_numpy(video["masks"])
    seconds.clear()
    wall, start = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        labels = segment(model, config, frames, masks.long(), request["settings"])
    total = time.process_time() - start
    np.save(request["labels"], labels)
    parts = {**seconds, "rest": total - sum(seconds.values())}
    return {"seconds": total, "wall": time.perf_counter() - wall, "parts": parts}


def main() -> None:
    """Answers requests until standard input ends."""
    torch.set_num_threads(1)
    checkout, weights, _, settings = sys.argv[1:]
    model, config = load(checkout, weights, json.loads(settings))
    seconds = collections.defaultdict(float)
    time_parts(model, seconds)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(model, config, json.loads(line), seconds)), flush=True)


if __name__ == "__main__":
    main()
