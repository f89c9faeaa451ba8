"""ResNet with frozen normalisation, and the choice of an image encoder."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.core.errors import ConfigError
from vos_jax.nn.blocks import EPSILON, LECUN, Conv
from vos_jax.nn.small_backbone import SmallBackbone

HE = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
STEM = 64
EXPANSION = 4
UNTRAINED = ("*/mean", "*/variance")
"""File-name patterns of the statistics, which training leaves as they are."""


class FrozenBatchNorm(nn.Module):
    """Batch normalisation by stored statistics; scale and bias train, the statistics never do.

    Attributes:
        dtype: dtype of the result.
        epsilon: added to the variance.
    """

    dtype: DTypeLike = jnp.float32
    epsilon: float = EPSILON

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y x c"]:
        """Normalises a batch of maps."""
        ones, zeros = nn.initializers.ones_init(), nn.initializers.zeros_init()
        width = (x.shape[-1],)
        scale = self.param("scale", ones, width)
        bias = self.param("bias", zeros, width)
        mean = jax.lax.stop_gradient(self.param("mean", zeros, width))
        variance = jax.lax.stop_gradient(self.param("variance", ones, width))
        gain = scale * jax.lax.rsqrt(variance + self.epsilon)
        return (x * gain + (bias - mean * gain)).astype(self.dtype)


def conv_norm(
    x: Array, features: int, name: str, norm: str, dtype: DTypeLike, size: int = 1, stride: int = 1
) -> Array:
    """Convolves without bias and normalises, in layers `name` and `norm` of the module around."""
    return FrozenBatchNorm(dtype, name=norm)(_conv(features, size, stride, False, dtype, name)(x))


class ResNetBlock(nn.Module):
    """A bottleneck (1x1, 3x3, 1x1) or basic (3x3, 3x3) block beside its shortcut.

    Attributes:
        width: channels inside; a bottleneck puts out four times as many.
        stride: of the 3x3 convolution, the first one of a basic block.
        bottleneck: which of the two.
        conv_bias: whether convolutions have biases.
        dtype: compute dtype.
        caffe: see `ResNet`.
    """

    width: int
    stride: int = 1
    bottleneck: bool = True
    conv_bias: bool = False
    dtype: DTypeLike = jnp.float32
    caffe: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y2 x2 f"]:
        """Adds the branch to the shortcut."""
        out = self.width * (EXPANSION if self.bottleneck else 1)
        layers = [(self.width, 3, self.stride), (out, 3, 1)]
        if self.bottleneck:
            strides = (self.stride, 1) if self.caffe else (1, self.stride)
            layers = [(self.width, 1, strides[0]), (self.width, 3, strides[1]), (out, 1, 1)]
        y = x
        for number, layer in enumerate(layers, start=1):
            y = jax.nn.relu(y) if number > 1 else y
            y = self._normalised(f"conv{number}", f"bn{number}", *layer)(y)
        if self.stride > 1 or x.shape[-1] != out:
            x = self._normalised("shortcut", "shortcut_bn", out, 1, self.stride)(x)
        return jax.nn.relu(x + y)

    def _normalised(self, name: str, norm: str, features: int, size: int, stride: int):
        conv = _conv(features, size, stride, self.conv_bias, self.dtype, name, self.caffe)
        return nn.Sequential([conv, _norm(self.dtype, norm, self.caffe)])


class ResNet(nn.Module):
    """ResNet without its classifier (He et al. 2016, version 1).

    Attributes:
        blocks: of the stages at strides 4, 8 and 16, and perhaps 32.
        bottleneck: kind of the blocks.
        conv_bias: whether convolutions have biases beside the norms.
        dtype: compute dtype.
        caffe: Caffe2's form: a bottleneck's stride is that of its first convolution, the norms
            add no epsilon, and kernels are drawn uniformly with variance 1 / fan in.
    """

    blocks: Sequence[int] = (3, 4, 6)
    bottleneck: bool = True
    conv_bias: bool = False
    dtype: DTypeLike = jnp.float32
    caffe: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> dict[int, Float[Array, "b _ _ _"]]:
        """Computes the maps of the stages by stride: 4, 8, 16, 32.

        Args:
            x: images with any number of channels.
        """
        x = _conv(STEM, 7, 2, self.conv_bias, self.dtype, "conv1", self.caffe)(x)
        x = jax.nn.relu(_norm(self.dtype, "bn1", self.caffe)(x))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        maps = {}
        for stage, count in enumerate(self.blocks):
            for number in range(count):
                stride = 2 if stage and not number else 1
                name = f"stage_{stage}_block_{number}"
                kind = (self.bottleneck, self.conv_bias, self.dtype, self.caffe)
                x = ResNetBlock(STEM * 2**stage, stride, *kind, name=name)(x)
            maps[4 * 2**stage] = x
        return maps


def image_encoder(
    backbone: str, channels: int, dtype: DTypeLike = jnp.float32, conv_bias: bool = False
) -> nn.Module:
    """The network that turns images, and planes beside them, into maps at strides 4, 8 and 16.

    Args:
        backbone: "resnet50", "resnet18", or "small" (for quick trials).
        channels: of the maps of "small".
        dtype: compute dtype.
        conv_bias: whether a ResNet's convolutions have biases.

    Raises:
        ConfigError: an unknown backbone.
    """
    shared = {"conv_bias": conv_bias, "dtype": dtype}
    if backbone == "resnet50":
        return ResNet(**shared)
    if backbone == "resnet18":
        return ResNet(blocks=(2, 2, 2), bottleneck=False, **shared)
    if backbone == "small":
        return SmallBackbone(channels, dtype=dtype)
    raise ConfigError(
        f"model.backbone={backbone!r} is not known: use 'resnet50', 'resnet18' or 'small'"
    )


def _conv(
    features: int,
    size: int,
    stride: int,
    bias: bool,
    dtype: DTypeLike,
    name: str,
    caffe: bool = False,
) -> Conv:
    zeros, kernel = nn.initializers.zeros_init(), LECUN if caffe else HE
    return Conv(
        features, size, stride, bias, dtype=dtype, kernel_init=kernel, bias_init=zeros, name=name
    )


def _norm(dtype: DTypeLike, name: str, caffe: bool) -> FrozenBatchNorm:
    return FrozenBatchNorm(dtype, 0.0 if caffe else EPSILON, name=name)
