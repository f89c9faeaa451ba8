"""RDE's aggregation module: two frames of memory become one of the same size.

All convolutions of the official program are 3-D with kernels of length 1 along time, so time is
folded into the batch here; the last one covers both frames and is a 2-D one over their channels.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.nn.blocks import EPSILON, Conv, Linear

DILATIONS = (2, 4, 6)
REDUCTION = 8


class NonLocal(nn.Module):
    """Adds to every cell a projection of all cells of both frames, by unnormalised likeness.

    f = theta(x) . phi(x) over 2x2-pooled cells, divided by their number, weighs g(x). There is
    no softmax, so phi and g are multiplied first and the likeness itself is never made.

    Attributes:
        dtype: compute dtype.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n 2 y x c"]) -> Float[Array, "n 2 y x c"]:
        """Adds the weighted sums; odd last rows and columns are not looked at."""
        inner = x.shape[-1] // 2
        theta, phi, g = (
            Linear(inner, dtype=self.dtype, name=name)(x) for name in ("theta", "phi", "g")
        )
        phi, g = (nn.max_pool(part, (1, 2, 2), (1, 2, 2)) for part in (phi, g))
        count = phi.shape[1] * phi.shape[2] * phi.shape[3]
        likeness = jnp.einsum("ntyxc,ntyxd->ncd", phi / count, g)
        summed = jnp.einsum("ntyxc,ncd->ntyxd", theta, likeness)
        return x + Linear(x.shape[-1], dtype=self.dtype, name="project")(summed)


class SqueezeExcitation(nn.Module):
    """A residual block whose channels are weighed per frame, by the means of both frames.

    Attributes:
        dtype: compute dtype.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n 2 y x c"]) -> Float[Array, "n 2 y x c"]:
        """Runs the block; all norms are over time and pixels, without parameters."""
        channels = x.shape[-1]
        y = instance_norm(_per_frame(Conv(channels, dtype=self.dtype, name="conv1"), x))
        y = jax.nn.relu(y)
        y = instance_norm(_per_frame(Conv(channels, dtype=self.dtype, name="conv2"), y))
        means = jnp.swapaxes(y.mean((2, 3)), 1, 2).reshape(len(y), -1)
        hidden = 2 * channels // REDUCTION
        hidden = Linear(hidden, use_bias=False, dtype=self.dtype, name="fc1")(means)
        gate = Linear(2 * channels, use_bias=False, dtype=self.dtype, name="fc2")
        gate = jax.nn.sigmoid(gate(jax.nn.relu(hidden)))
        gate = jnp.swapaxes(gate.reshape(len(y), channels, 2), 1, 2)
        return jax.nn.relu(x + instance_norm(y * gate[:, :, None, None]))


class AtrousPyramid(nn.Module):
    """Four branches of a quarter of the channels, a 1x1 and three dilated 3x3, joined by a 3x3.

    Attributes:
        dtype: compute dtype.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n y x c"]) -> Float[Array, "n y x c"]:
        """Convolves frames."""
        width = x.shape[-1]
        shared = {"use_bias": False, "dtype": self.dtype}
        branches = [Conv(width // 4, 1, **shared, name="branch_1")(x)]
        for number, dilation in enumerate(DILATIONS, start=2):
            branch = Conv(width // 4, dilation=dilation, **shared, name=f"branch_{number}")
            branches.append(branch(x))
        joined = jax.nn.relu(jnp.concatenate(branches, axis=-1))
        return jax.nn.relu(Conv(width, **shared, name="join")(joined))


class Branch(nn.Module):
    """What keys, and apart from them values, pass before they are squeezed.

    Attributes:
        repeat: squeeze-excitation blocks.
        dtype: compute dtype.
    """

    repeat: int = 0
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Makes the blocks."""
        self.non_local = NonLocal(self.dtype)
        self.se_block = [SqueezeExcitation(self.dtype) for _ in range(self.repeat)]
        self.pyramid = AtrousPyramid(self.dtype)

    def __call__(self, x: Float[Array, "n 2 y x c"]) -> Float[Array, "n 2 y x c"]:
        """Runs the blocks; the pyramid is residual."""
        x = self.non_local(x)
        for block in self.se_block:
            x = block(x)
        return x + _per_frame(self.pyramid, x)


class AggregationModule(nn.Module):
    """Spatio-temporal aggregation (SAM): the old embedding and a new frame become an embedding.

    Agrees with `MemCrompress` of the official model/modules.py.

    Attributes:
        key_channels: of the keys, a multiple of 4.
        value_channels: of the values, a multiple of 4.
        repeat: squeeze-excitation blocks per branch; the published models have none.
        dtype: compute dtype.
    """

    key_channels: int = 64
    value_channels: int = 512
    repeat: int = 0
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Makes both branches and their last convolutions."""
        self.key_branch = Branch(self.repeat, self.dtype)
        self.value_branch = Branch(self.repeat, self.dtype)
        self.squeeze_key = Conv(self.key_channels, dtype=self.dtype)
        self.squeeze_value = Conv(self.value_channels, dtype=self.dtype)

    def __call__(
        self, keys: Float[Array, "n 2 y x c"], values: Float[Array, "b 2 y x d"]
    ) -> tuple[Float[Array, "n y x c"], Float[Array, "b y x d"]]:
        """Aggregates keys and values, each of which may belong to one or several objects.

        Args:
            keys: the embedding's, then the new frame's.
            values: likewise.
        """
        key = self.squeeze_key(_beside(self.key_branch(keys.astype(self.dtype))))
        value = self.squeeze_value(_beside(self.value_branch(values.astype(self.dtype))))
        return key, value


def instance_norm(x: Float[Array, "n 2 y x c"]) -> Float[Array, "n 2 y x c"]:
    """Normalises each channel over both frames and their pixels, by the biased variance."""
    wide = x.astype(jnp.float32)
    mean = wide.mean((1, 2, 3), keepdims=True)
    variance = jnp.square(wide - mean).mean((1, 2, 3), keepdims=True)
    return ((wide - mean) * jax.lax.rsqrt(variance + EPSILON)).astype(x.dtype)


def _per_frame(layer, x: Array) -> Array:
    y = layer(x.reshape(-1, *x.shape[2:]))
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _beside(x: Array) -> Array:
    """Both frames' channels beside one another, the older frame's first."""
    return jnp.concatenate([x[:, 0], x[:, 1]], axis=-1)
