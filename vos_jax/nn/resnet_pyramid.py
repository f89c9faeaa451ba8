"""ResNet with a feature pyramid, as Mask R-CNN learns them on COCO."""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.nn.blocks import LECUN, Conv
from vos_jax.nn.pyramid import FeaturePyramid
from vos_jax.nn.resnet import ResNet

BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
UNTRAINED = ("body/conv1/*", "body/stage_0_*", "body/*bn*/*")
"""File-name patterns of what training leaves as it was: up to stride 4, norms."""

_CONV = functools.partial(Conv, kernel_init=LECUN, bias_init=nn.initializers.zeros_init())


class ResNetPyramid(nn.Module):
    """The image encoder of STEm-Seg and VIShv.

    Agrees with stemseg/modeling/backbone/{resnet,fpn}.py.

    Attributes:
        depth: "resnet50" or "resnet101".
        channels: of every output.
        dtype: compute dtype.
    """

    depth: str = "resnet101"
    channels: int = 256
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Builds both parts."""
        self.body = ResNet(BLOCKS[self.depth], dtype=self.dtype, caffe=True)
        self.pyramid = FeaturePyramid(self.channels, 0, self.dtype, "bilinear", _CONV)

    def __call__(self, images: Float[Array, "n h w 3"]) -> dict[int, Float[Array, "n _ _ c"]]:
        """Computes the pyramid's maps by stride: 4, 8, 16, 32.

        Args:
            images: normalised BGR images, best with sides that are multiples of 32.
        """
        maps = self.body(images)
        return dict(zip(maps, self.pyramid(tuple(maps.values())), strict=True))
