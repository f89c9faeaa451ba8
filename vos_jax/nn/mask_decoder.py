"""From what a memory read gives of each object to its mask: the decoder of space-time memories."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.core.resize import resize
from vos_jax.nn.blocks import TORCH_KERNEL, Conv, convolve, torch_bias


class JoinedConv(nn.Module):
    """A 3x3 convolution of several maps as if their channels were concatenated.

    Attributes:
        features: output channels.
        dtype: compute dtype.
    """

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, *maps: Float[Array, "_ y x _"]) -> Float[Array, "n y x f"]:
        """Convolves.

        Args:
            maps: the first one of all objects, [b*o y x c]; others may be of videos, [b y x c],
                and are then convolved once for all objects of a video.
        """
        width = sum(part.shape[-1] for part in maps)
        kernel = self.param("kernel", TORCH_KERNEL, (3, 3, width, self.features))
        bias = self.param("bias", torch_bias(9 * width), (self.features,))
        total, begin = bias.astype(self.dtype), 0
        for number, part in reversed(list(enumerate(maps))):
            begin += part.shape[-1]
            rows = kernel[:, :, width - begin : width - begin + part.shape[-1]]
            part, rows = part.astype(self.dtype), rows.astype(self.dtype)
            y = convolve(self, part, rows, name=f"kernel_{number}")
            total = over_objects(y, maps[0].shape[0]) + total
        return total


class ResidualBlock(nn.Module):
    """x + conv2(relu(conv1(relu(x)))), with a 3x3 convolution of x where channels change.

    Attributes:
        features: output channels.
        dtype: compute dtype.
    """

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, *maps: Float[Array, "_ y x _"]) -> Float[Array, "n y x f"]:
        """Runs the block on maps that `JoinedConv` joins."""
        y = JoinedConv(self.features, self.dtype, name="conv1")(*map(jax.nn.relu, maps))
        y = Conv(self.features, dtype=self.dtype, name="conv2")(jax.nn.relu(y))
        if sum(part.shape[-1] for part in maps) == self.features:
            rows = maps[0].shape[0]
            return jnp.concatenate([over_objects(part, rows) for part in maps], axis=-1) + y
        return JoinedConv(self.features, self.dtype, name="shortcut")(*maps) + y


class MaskDecoder(nn.Module):
    """Enlarges what was read to stride 4, joining the frame's finer maps on the way.

    What depends on the frame alone is computed once for all objects.

    Attributes:
        width: channels at stride 16, and at strides 8 and 4.
        refined: whether the finer maps pass a residual block of their own (Mask-Propagation).
        dtype: compute dtype.
    """

    width: tuple[int, int] = (512, 256)
    refined: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        readout: Float[Array, "b o y x c"],
        frame: Float[Array, "b y x d"],
        f8: Float[Array, "b y8 x8 _"],
        f4: Float[Array, "b y4 x4 _"],
    ) -> Float[Array, "b y4 x4 o"]:
        """Computes a logit per object.

        Args:
            readout: what each object's memory gave.
            frame: the frame's own value at stride 16, joined behind it.
            f8: features of the frame at stride 8.
            f4: at stride 4.
        """
        batch, objects = readout.shape[:2]
        readout = readout.reshape(-1, *readout.shape[2:])
        x = self._block("compress", self.width[0])(readout, frame)
        x = self._up("8", self.width[1])(f8, x)
        x = self._up("4", self.width[1])(f4, x)
        x = Conv(1, dtype=self.dtype, name="predict")(jax.nn.relu(x))
        return jnp.moveaxis(x.reshape(batch, objects, *x.shape[1:3]), 1, -1)

    def _block(self, name: str, features: int) -> ResidualBlock:
        return ResidualBlock(features, self.dtype, name=name)

    def _up(self, stride: str, features: int):
        def enlarge(finer, x):
            skip = Conv(x.shape[-1], dtype=self.dtype, name=f"skip_{stride}")(finer)
            if self.refined:
                skip = self._block(f"refine_{stride}", x.shape[-1])(skip)
            x = resize(x, finer.shape[1:3]) + over_objects(skip, x.shape[0])
            return self._block(f"out_{stride}", features)(x)

        return enlarge


def over_objects(maps: Float[Array, "b *n"], rows: int) -> Float[Array, "r *n"]:
    """Maps of videos repeated for each of their objects, [b*o ...]; others as they are."""
    return maps if len(maps) == rows else jnp.repeat(maps, rows // len(maps), axis=0)
