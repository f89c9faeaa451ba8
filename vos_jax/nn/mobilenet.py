"""MobileNetV2 and MobileNetV3-Large held at stride 16, with frozen normalisation.

Agrees with networks/encoders/mobilenetv2.py and mobilenetv3.py of AOT; in the latter the
squeeze-excitation stands before the second activation.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.nn.blocks import DepthwiseConv, Linear
from vos_jax.nn.resnet import HE, FrozenBatchNorm, conv_norm

Activation = Callable[[Array], Array]
Row = tuple[int | bool | Activation, ...]
"""One block: the first arguments of an `InvertedResidual`."""


def round_to_8(width: float) -> int:
    """The nearest multiple of 8 that loses no more than a tenth of the width."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * width else nearest + 8


class SqueezeExcitation(nn.Module):
    """Scales channels by what two linear layers make of their means.

    Attributes:
        dtype: compute dtype.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y x c"]:
        """Scales a batch of maps."""
        width = x.shape[-1]
        squeezed = Linear(round_to_8(width / 4), dtype=self.dtype, name="fc1")(x.mean((1, 2)))
        gates = Linear(width, dtype=self.dtype, name="fc2")(jax.nn.relu(squeezed))
        return x * jax.nn.hard_sigmoid(gates)[:, None, None]


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection; a shortcut where shapes allow.

    Attributes:
        expanded: channels inside; no expansion where they are the input's.
        features: output channels.
        kernel_size: of the depthwise convolution.
        stride: of the depthwise convolution.
        dilation: of the depthwise convolution.
        activation: after all convolutions but the last.
        squeeze: whether channels are scaled before the second activation.
        dtype: compute dtype.
    """

    expanded: int
    features: int
    kernel_size: int = 3
    stride: int = 1
    dilation: int = 1
    activation: Activation = jax.nn.relu6
    squeeze: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y2 x2 f"]:
        """Convolves a batch of maps."""
        y = x
        if self.expanded != x.shape[-1]:
            y = self.activation(conv_norm(y, self.expanded, "expand", "expand_bn", self.dtype))
        kernel = (self.kernel_size, self.stride, self.dilation, self.dtype, HE)
        y = DepthwiseConv(*kernel, name="depthwise")(y)
        y = FrozenBatchNorm(self.dtype, name="depthwise_bn")(y)
        if self.squeeze:
            y = SqueezeExcitation(self.dtype, name="squeeze")(y)
        y = self.activation(y)
        y = conv_norm(y, self.features, "project", "project_bn", self.dtype)
        return x + y if x.shape == y.shape else y


def _rows_of_v2() -> tuple[Row, ...]:
    rows, width = [], 32
    groups = [(1, 16, 1, 1, 1), (6, 24, 2, 2, 1), (6, 32, 3, 2, 1), (6, 64, 4, 2, 1)]
    groups += [(6, 96, 3, 1, 1), (6, 160, 1, 1, 1), (6, 160, 2, 1, 2), (6, 320, 1, 1, 2)]
    for expansion, features, repeats, stride, dilation in groups:
        for repeat in range(repeats):
            rows.append((expansion * width, features, 3, 1 if repeat else stride, dilation))
            width = features
    return tuple(rows)


RELU, SWISH = jax.nn.relu, jax.nn.hard_swish
V2 = _rows_of_v2()
V3 = (
    (16, 16, 3, 1, 1, RELU),
    (64, 24, 3, 2, 1, RELU),
    (72, 24, 3, 1, 1, RELU),
    (72, 40, 5, 2, 1, RELU, True),
    (120, 40, 5, 1, 1, RELU, True),
    (120, 40, 5, 1, 1, RELU, True),
    (240, 80, 3, 2, 1, SWISH),
    (200, 80, 3, 1, 1, SWISH),
    (184, 80, 3, 1, 1, SWISH),
    (184, 80, 3, 1, 1, SWISH),
    (480, 112, 3, 1, 1, SWISH, True),
    (672, 112, 3, 1, 1, SWISH, True),
    (672, 160, 5, 1, 1, SWISH, True),
    (960, 160, 5, 1, 2, SWISH, True),
    (960, 160, 5, 1, 2, SWISH, True),
)


class MobileNet(nn.Module):
    """A stem, inverted residuals and a 1x1 head.

    Attributes:
        rows: the blocks.
        stem: channels of the first convolution.
        head: channels of the last one.
        taken: numbers of blocks, from 1, after which a map is put out.
        activation: of the stem and the head.
        dtype: compute dtype.
    """

    rows: tuple[Row, ...] = V2
    stem: int = 32
    head: int = 1280
    taken: tuple[int, ...] = (3, 6, 13)
    activation: Activation = jax.nn.relu6
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images: Float[Array, "b h w 3"]) -> tuple[Float[Array, "b _ _ _"], ...]:
        """Computes the maps at strides 4, 8, 16 and the head's at 16.

        Args:
            images: normalised RGB images.
        """
        x = conv_norm(images, self.stem, "stem", "stem_bn", self.dtype, 3, 2)
        x = self.activation(x)
        maps = []
        for number, row in enumerate(self.rows, start=1):
            x = InvertedResidual(*row, dtype=self.dtype, name=f"block_{number}")(x)
            if number in self.taken:
                maps.append(x)
        x = conv_norm(x, self.head, "head", "head_bn", self.dtype)
        return (*maps, self.activation(x))


def mobilenet_v3(dtype: DTypeLike = jnp.float32) -> MobileNet:
    """Builds MobileNetV3-Large."""
    return MobileNet(V3, 16, 960, (3, 6, 12), SWISH, dtype)
