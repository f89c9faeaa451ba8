"""The image encoders of AOT by name: four maps, of which the last is the one that is matched."""

from collections.abc import Callable, Mapping

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.core.errors import ConfigError
from vos_jax.nn.mobilenet import MobileNet, mobilenet_v3
from vos_jax.nn.resnest import ResNeSt
from vos_jax.nn.resnet import ResNet
from vos_jax.nn.small_backbone import SmallBackbone
from vos_jax.nn.swin import Swin

SWIN_BLOCKS, SWIN_DEPTHS, SWIN_DROP_PATH = 24, (2, 2, 18), 0.3


def _swin_base(dtype: DTypeLike) -> Swin:
    """Three stages; rates of stochastic depth are those of the full model's first blocks."""
    rate = SWIN_DROP_PATH * (sum(SWIN_DEPTHS) - 1) / (SWIN_BLOCKS - 1)
    return Swin(128, SWIN_DEPTHS, (4, 8, 16), rate, dtype=dtype, kept=1)


NETWORKS: dict[str, Callable[[DTypeLike], nn.Module]] = {
    "mobilenet_v2": lambda dtype: MobileNet(dtype=dtype),
    "mobilenet_v3": mobilenet_v3,
    "resnet50": lambda dtype: ResNet(dtype=dtype),
    "resnet101": lambda dtype: ResNet((3, 4, 23), dtype=dtype),
    "resnest50": lambda dtype: ResNeSt(dtype=dtype),
    "resnest101": lambda dtype: ResNeSt((3, 4, 23), 64, dtype=dtype),
    "swin_base": _swin_base,
}
"""Builders of the published networks by name."""


_RESNET = ("conv1/*", "stage_0_*", "*bn*/*")
_RESNEST = ("stem_*", "stage_0_*", "*bn*/*")
_MOBILENET = ("stem/*", "block_[123]/*", "*_bn/*")
UNTRAINED = {
    "mobilenet_v2": _MOBILENET,
    "mobilenet_v3": _MOBILENET,
    "resnet50": _RESNET,
    "resnet101": _RESNET,
    "resnest50": _RESNEST,
    "resnest101": _RESNEST,
    "swin_base": ("patch_embed/*", "stage_0_*"),
}
"""File-name patterns of what AOT's training leaves as it was on ImageNet: up to stride 4, norms."""


class Encoder(nn.Module):
    """A network whose maps are put into one form.

    Attributes:
        backbone: name of the network: one of `NETWORKS`, or "small" for quick trials.
        channels: of the maps of "small".
        dtype: compute dtype.
    """

    backbone: str
    channels: int = 64
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Builds the network; raises `ConfigError` for an unknown name."""
        if self.backbone == "small":
            self.network = SmallBackbone(self.channels, dtype=self.dtype)
        elif self.backbone in NETWORKS:
            self.network = NETWORKS[self.backbone](self.dtype)
        else:
            raise ConfigError(
                f"model.backbone={self.backbone!r} is not known: "
                f"use 'small' or one of {', '.join(NETWORKS)}"
            )

    def __call__(self, images: Float[Array, "b h w 3"]) -> tuple[Float[Array, "b _ _ _"], ...]:
        """Computes the maps at strides 4, 8 and 16, and the one to match, at 16 too.

        Args:
            images: normalised RGB images. All but "swin_base" take any size (grid ceil(n / 16));
                that one wants multiples of 16.
        """
        maps = self.network(images)
        if isinstance(maps, Mapping):
            maps = tuple(maps.values())
        return (*maps[:3], maps[-1])
