"""Runs the official STEm-Seg of a checkout on clips; needs torch, not vos_jax.

Started by `vos_jax.benchmarking.inference` with another Python: `python stem_seg.py CHECKOUT
WEIGHTS.npz stem_seg SETTINGS.json`, which writes its random weights there. Each line on standard
input is a JSON request {"video": FILE.npz, "labels": FILE.npy, ...}; each answer a JSON line with
the processor seconds of the parts. The passes are those of `stemseg/modeling/inference_model.py`:
the encoder frame by frame, then the decoders on all frames.
"""

import collections
import functools
import json
import sys
import time
import types
from pathlib import Path

import numpy as np
import torch
import yaml
from timing import timed

sys.path.append(str(Path(__file__).resolve().parents[2]))
from tests.parity.seeded_weights import seeded_tensor

GAIN = 0.75


def load(checkout: str, weights: str, settings: dict):
    """The official network of a checkout; its random tensors are written to `weights`."""
    sys.path.insert(0, checkout)
    data_part = types.ModuleType("stemseg.data.common")
    data_part.instance_masks_to_semseg_mask = None
    sys.modules |= {"stemseg.data": types.ModuleType("stemseg.data"), data_part.__name__: data_part}
    yaml.load = functools.partial(yaml.load, Loader=yaml.SafeLoader)
    from stemseg.config import cfg

    data = "davis_1" if settings.get("seediness_head") else "youtube_vis"
    cfg.merge_from_file(f"{checkout}/stemseg/config/{data}.yaml")
    depth = settings.get("backbone", "resnet101").removeprefix("resnet")
    cfg.MODEL.BACKBONE.update_param("TYPE", f"R-{depth}-FPN")
    from stemseg.modeling.model_builder import build_model

    model = build_model(restore_pretrained_backbone_wts=False).eval()
    tensors = {}
    for name, tensor in model.state_dict().items():
        if tensor.ndim or "time_scale" not in name:
            tensors[name] = seeded_tensor(name, tensor.shape, gain=GAIN)
        else:
            tensors[name] = tensor.numpy()
    model.load_state_dict({name: torch.from_numpy(t) for name, t in tensors.items()})
    np.savez(weights, **tensors)
    return model


def time_parts(model, seconds: dict[str, float]) -> None:
    """Times the parts of the program."""
    timed(model, "run_backbone", "encode", seconds)
    for decoder in ("embedding_head", "seediness_head", "semseg_head"):
        if getattr(model, decoder) is not None:
            timed(getattr(model, decoder), "forward", "decoders", seconds)


def read(model, frames: torch.Tensor) -> np.ndarray:
    """Classes "t y x" of a clip of normalised frames; without classes, where seediness is high."""
    encoded = [
        model.run_backbone(
            types.SimpleNamespace(tensors=frame[None, None], num_seqs=1, num_frames=1)
        )
        for frame in frames
    ]
    stacked = {s: torch.stack([frame[s] for frame in encoded], 2) for s in encoded[0]}
    maps = model.embedding_head([stacked[s] for s in model.embedding_head_feature_map_scale])
    if model.seediness_head is not None:
        scales = model.seediness_head_feature_map_scale
        maps = model.seediness_head([stacked[s] for s in scales])
    if model.semseg_head is None:
        return (maps[0, -1] > 0.5).numpy()
    logits = model.semseg_head([stacked[s] for s in model.semseg_feature_map_scale])
    return logits[0, :-1].argmax(0).numpy()


def answer(model, request: dict, seconds: dict[str, float]) -> dict:
    """Reads the requested clip; its frames are normalised."""
    with np.load(request["video"]) as video:
        frames = torch.from_numpy(video["frames"])
    seconds.clear()
    wall, start = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        labels = read(model, frames)
    total = time.process_time() - start
    np.save(request["labels"], labels.astype(np.uint8))
    parts = {**seconds, "rest": total - sum(seconds.values())}
    return {"seconds": total, "wall": time.perf_counter() - wall, "parts": parts}


def main() -> None:
    """Answers requests until standard input ends."""
    torch.set_num_threads(1)
    checkout, weights, _, settings = sys.argv[1:]
    model = load(checkout, weights, json.loads(settings))
    seconds = collections.defaultdict(float)
    time_parts(model, seconds)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(model, json.loads(line), seconds)), flush=True)


if __name__ == "__main__":
    main()
