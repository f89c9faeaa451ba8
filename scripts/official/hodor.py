"""Runs the official HODOR of a checkout on the videos it is sent; needs torch, not vos_jax.

Started by `vos_jax.benchmarking.inference` with another Python: `python hodor.py
CHECKOUT WEIGHTS.npz`, which writes its random weights there. Each line on standard input is a
JSON request {"video": FILE.npz, "labels": FILE.npy, "settings": {...}}; each answer a JSON line
with the processor seconds of the parts. The official program's own modules are imported from the
checkout; what they import besides (torchvision's deformable convolution, three small things of
timm) is stood in for here.
"""

import collections
import json
import sys
import time
import types

import numpy as np
import torch
import torch.nn.functional as functional
from timing import timed
from torch import nn


class DeformConv2d(nn.Module):
    """The unmodulated 3x3 deformable convolution as bilinear samples and one product."""

    def __init__(self, inputs: int, outputs: int, kernel: int, padding: int, groups: int = 1):
        super().__init__()
        limit = (inputs * kernel**2) ** -0.5
        shape = (outputs, inputs // groups, kernel, kernel)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-limit, limit))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-limit, limit))
        self.kernel, self.padding = kernel, padding

    def forward(self, x: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Samples [b, c, h, w] where [b, 18, h, w] points, then convolves."""
        batch, channels, height, width = x.shape
        taps = self.kernel**2
        steps = torch.arange(self.kernel) - self.padding
        rows = torch.arange(height)[None, :, None] + steps.repeat_interleave(3)[:, None, None]
        columns = torch.arange(width)[None, None, :] + steps.repeat(3)[:, None, None]
        y = rows + offsets[:, 0::2]
        x_position = columns + offsets[:, 1::2]
        grid = torch.stack([(2 * x_position + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
        grid = grid.reshape(batch, taps * height, width, 2)
        samples = functional.grid_sample(x, grid, padding_mode="zeros", align_corners=False)
        samples = samples.reshape(batch, channels * taps, height * width)
        product = self.weight.reshape(len(self.weight), -1) @ samples
        return product.reshape(batch, -1, height, width) + self.bias[:, None, None]


class DropPath(nn.Identity):
    """Stochastic depth, which does nothing in inference."""

    def __init__(self, rate: float = 0.0):
        super().__init__()


def stand_in_modules() -> None:
    """Puts modules for what the official program imports, and this machine may lack, in place."""
    deform = types.SimpleNamespace(DeformConv2d=DeformConv2d)
    layers = types.SimpleNamespace(
        DropPath=DropPath,
        to_2tuple=lambda value: value if isinstance(value, tuple) else (value, value),
        trunc_normal_=nn.init.trunc_normal_,
    )
    names = ("torchvision", "torchvision.ops", "timm", "timm.models")
    sys.modules.update({name: types.ModuleType(name) for name in names})
    sys.modules["torchvision.ops.deform_conv"] = deform
    sys.modules["timm.models.layers"] = layers
    for kind in (torch.Tensor, nn.Module):
        kind.cuda = lambda self, *args, **kwargs: self


def load(checkout: str, weights: str):
    """The official inference model of a checkout; its random tensors are written to `weights`."""
    stand_in_modules()
    sys.path.insert(0, checkout)
    from hodor.modelling.backbone import backbone, swin

    backbone.build_swin_fpn = lambda variant, pretrained: swin.build_swin_fpn(variant, False)
    from hodor.inference.inference_model import InferenceModel

    torch.manual_seed(0)
    model = InferenceModel().eval()
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    np.savez(weights, **tensors)
    return model


def answer(model, request: dict, seconds: dict[str, float]) -> dict:
    """Segments the requested video; frames are normalised and padded, masks of frame 0 given."""
    with np.load(request["video"]) as video:
        frames = torch.from_numpy(video["frames"])
        masks = torch.from_numpy(np.pad(video["masks"], [(0, 0), *video["padding"]]))
        resized, original = tuple(video["resized"]), tuple(video["original"])
    model.temporal_window = request["settings"]["temporal_window"]
    seconds.clear()
    given = {0: [(number + 1, mask) for number, mask in enumerate(masks)]}
    wall, start = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        labels = model(frames, given, tuple(map(int, resized)), tuple(map(int, original)))
        labels = torch.stack(labels).to(torch.uint8).numpy()
    total = time.process_time() - start
    np.save(request["labels"], labels)
    return {"seconds": total, "wall": time.perf_counter() - wall, "parts": dict(seconds)}


def main() -> None:
    """Answers requests until standard input ends."""
    torch.set_num_threads(1)
    model = load(*sys.argv[1:3])
    seconds = collections.defaultdict(float)
    for name in ("feature_extractor", "encoder", "decoder"):
        timed(getattr(model, name), "forward", name, seconds)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(model, json.loads(line), seconds)), flush=True)


if __name__ == "__main__":
    main()
