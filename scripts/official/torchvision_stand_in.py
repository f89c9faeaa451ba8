"""What the official space-time programs import besides torch, stood in for where it is missing.

They use torchvision for the structure of ResNet-50 and for transforms that inference does not
call; a decorator that repeats downloads; scikit-learn for pictures that nobody asks for.
"""

import sys
import types

import torch
from torch import nn


class Bottleneck(nn.Module):
    """Residual block of 1x1, 3x3 (with the stride) and 1x1 convolutions without bias."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's sum."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def resnet50(pretrained: bool = False) -> nn.Module:
    """The parts of ResNet-50 up to stride 16, under torchvision's names; nothing is loaded."""
    parts = nn.Module()
    parts.conv1, parts.bn1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64)
    parts.relu, parts.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1)
    inputs = 64
    for number, (blocks, width) in enumerate([(3, 64), (4, 128), (6, 256)]):
        strides = [1 if number == 0 else 2] + [1] * (blocks - 1)
        inputs_of = [inputs] + [4 * width] * (blocks - 1)
        made = [Bottleneck(i, width, stride) for i, stride in zip(inputs_of, strides, strict=True)]
        setattr(parts, f"layer{number + 1}", nn.Sequential(*made))
        inputs = 4 * width
    return parts


def put_in_place() -> None:
    """Makes the modules importable; lets calls that ask for a GPU stay where they are."""
    stand_ins = {
        "torchvision": {"models": types.SimpleNamespace(resnet50=resnet50), "transforms": None},
        "retrying": {"retry": lambda **options: lambda function: function},
        "sklearn": {},
        "sklearn.decomposition": {"PCA": None},
    }
    for name, contents in stand_ins.items():
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(contents)
    for kind in (torch.Tensor, nn.Module):
        kind.cuda = lambda self, *args, **kwargs: self
    zeros = torch.zeros
    torch.zeros = lambda *size, device=None, **options: zeros(*size, **options)
