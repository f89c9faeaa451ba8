"""STEm-Seg's decoders: 3-D convolutions squeeze each level in time, a linear part expands them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.core.errors import ConfigError
from vos_jax.nn.blocks import TORCH_KERNEL, GroupNorm, convolve_volume, torch_bias
from vos_jax.ops.volumes import average_pool, enlarge

POOLED = {2: 0, 4: 1, 8: 2, 16: 3, 24: 3, 32: 3}
"""By clip length: how many of a level's units halve the time."""
UNITS = {32: 3, 16: 2, 8: 1, 4: 1}
"""Units of each level, by stride."""
POOLS = {32: 3, 16: 2, 8: 1, 4: 0}
"""Those of them that may pool."""

Features = dict[int, Float[Array, "b t _ _ c"]]


class Unit(nn.Module):
    """3x3x3 convolution, group normalisation over the clip, ReLU, and perhaps pooling.

    Attributes:
        features: output channels.
        groups: of the normalisation.
        pooled: whether 3x3x3 means at every second time follow.
        dtype: compute dtype.
    """

    features: int
    groups: int
    pooled: bool
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b t y x c"]) -> Float[Array, "b t2 y x f"]:
        """Computes the unit of a batch of clips."""
        shape = (3, 3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", TORCH_KERNEL, shape)
        bias = self.param("bias", torch_bias(27 * x.shape[-1]), shape[-1:])
        x = convolve_volume(self, x.astype(self.dtype), kernel.astype(self.dtype))
        b, t, *rest = (x + bias.astype(self.dtype)).shape
        flat = (x + bias.astype(self.dtype)).reshape(b, t * rest[0], *rest[1:])
        x = jax.nn.relu(GroupNorm(self.groups, self.dtype, name="norm")(flat))
        x = x.reshape(b, t, *rest)
        return average_pool(x) if self.pooled else x


class Decoder(nn.Module):
    """One squeeze-expand decoder.

    All that follows the squeezed levels is linear: they are enlarged, joined by convolutions of
    1x1x1 cells, and so are the outputs. These convolutions commute with the enlargement, so that
    their product is applied to each level first: what is enlarged has only the outputs' channels.

    Attributes:
        widths: channels at strides 32, 16, 8 and 4.
        clip_length: frames of a clip, which decides on pooling.
        outputs: channels of the outputs by name.
        biased: names of those outputs that have a bias.
        groups: of the normalisations.
        dtype: compute dtype.
    """

    widths: tuple[int, ...]
    clip_length: int
    outputs: tuple[tuple[str, int], ...]
    biased: tuple[str, ...] = ()
    groups: int = 32
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, features: Features) -> dict[str, Float[Array, "b t y x _"]]:
        """Computes the outputs at stride 4, in float32.

        Args:
            features: the pyramid's maps of a clip by stride.

        Raises:
            ConfigError: a clip length that the pooling is not defined for.
        """
        if self.clip_length not in POOLED:
            lengths = ", ".join(map(str, POOLED))
            raise ConfigError(f"model.clip_length={self.clip_length}: use one of {lengths}")
        pooled, factors = POOLED[self.clip_length], self._factors()
        x = None
        for stride in UNITS:
            level = self._squeeze(features[stride], stride, pooled) @ factors[stride]
            if x is not None:
                x = enlarge(x, level.shape[1] // x.shape[1])
            x = level if x is None else x + level
        x, found, start = x.astype(jnp.float32), {}, 0
        for name, width in self.outputs:
            found[name] = x[..., start : start + width]
            start += width
            if name in self.biased:
                bias = self.param(f"{name}_bias", torch_bias(self.widths[-1]), (width,))
                found[name] = found[name] + bias
        return found

    def _squeeze(self, x: Array, stride: int, pooled: int) -> Array:
        width = dict(zip(UNITS, self.widths, strict=True))[stride]
        for number in range(UNITS[stride]):
            pools = number < min(pooled, POOLS[stride])
            name = f"unit_{stride}_{number}"
            x = Unit(width, self.groups, pools, self.dtype, name=name)(x)
        return x

    def _factors(self) -> dict[int, Float[Array, "c f"]]:
        """What each level is multiplied by: the product of all that follows it."""
        width = self.widths[-1]
        kernels = [
            self.param(f"{name}_kernel", TORCH_KERNEL, (width, n)) for name, n in self.outputs
        ]
        factor, factors = jnp.concatenate(kernels, axis=1), {}
        for place, stride in ((3, 4), (2, 8), (1, 16)):
            coarse, own = self.widths[place - 1 : place + 1]
            join = self.param(f"join_{stride}", TORCH_KERNEL, (coarse + own, own))
            factors[stride] = (join[coarse:] @ factor).astype(self.dtype)
            factor = join[:coarse] @ factor
        return {**factors, 32: factor.astype(self.dtype)}
