"""Attention modules: standard multi-head attention and soft-masked attention."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from vos_jax.core.errors import ConfigError
from vos_jax.nn.blocks import Dropout, Linear
from vos_jax.ops.attention import attend
from vos_jax.ops.soft_masked_attention import (
    projecting_soft_masked_attention,
    soft_masked_attention,
)

PACKED_XAVIER = nn.initializers.xavier_uniform()


def default_scales(heads: int) -> tuple[float, ...]:
    """Returns the mask's initial strength per head: 32, 16, 8 and 4 in equal shares."""
    return tuple(32.0 / 2 ** (4 * head // heads) for head in range(heads))


class MultiHeadAttention(nn.Module):
    """Standard multi-head attention with one packed input projection.

    Attributes:
        heads: number of heads.
        dropout: probability of dropping an attention weight in training.
        dtype: compute dtype.
    """

    heads: int
    dropout: float = 0.1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        query: Float[Array, "b n c"],
        key: Float[Array, "b s c"],
        value: Float[Array, "b s c"],
        key_padding_mask: Bool[Array, "b s"] | None = None,
    ) -> Float[Array, "b n c"]:
        """Attends from the query to the values.

        Args:
            query: what asks.
            key: what is compared with the query.
            value: what is averaged.
            key_padding_mask: True for keys to ignore; where all are, values count as zero.
        """
        c = query.shape[-1]
        kernel = self.param("in_proj_kernel", PACKED_XAVIER, (c, 3 * c)).astype(self.dtype)
        bias = self.param("in_proj_bias", nn.initializers.zeros_init(), (3 * c,))
        projected = [
            x.astype(self.dtype) @ part + part_bias
            for x, part, part_bias in zip(
                (query, key, value),
                jnp.split(kernel, 3, -1),
                jnp.split(bias.astype(self.dtype), 3),
                strict=True,
            )
        ]
        drop = Dropout(self.dropout, name="drop")
        attended = attend(*projected, self.heads, key_padding_mask, drop_weights=drop)
        zeros = nn.initializers.zeros_init()
        return Linear(c, bias_init=zeros, dtype=self.dtype, name="out_proj")(attended)


class SoftMaskedAttention(nn.Module):
    """Multi-head attention that a mask in [0, 1] steers per query (Athar et al. 2022).

    Takes the place of standard multi-head attention wherever there is a mask that is not hard:
    the mask is differentiable, and may be learned from what the attention makes of it.

    Attributes:
        heads: number of heads.
        dropout: probability of dropping an attention weight in training.
        use_bias: whether the input projections have biases; the output projection always has.
        learnable_scales: whether the mask's strength per head is a parameter.
        scales: its (initial) value per head; `default_scales` if None.
        dtype: compute dtype.
    """

    heads: int
    dropout: float = 0.1
    use_bias: bool = True
    learnable_scales: bool = True
    scales: tuple[float, ...] | None = None
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        query: Float[Array, "b n c"],
        key: Float[Array, "b s c"],
        value: Float[Array, "b s c"],
        mask: Float[Array, "b n s"],
        key_padding_mask: Bool[Array, "b s"] | None = None,
        return_weights: bool = False,
    ) -> Float[Array, "b n c"] | tuple[Float[Array, "b n c"], Float[Array, "b heads n s"]]:
        """Attends from the query to the values, where the mask says.

        Args:
            query: what asks.
            key: what is compared with the query.
            value: what is averaged.
            mask: how much each query shall look at each key, in [0, 1].
            key_padding_mask: True for keys to ignore; where all are, values count as zero.
            return_weights: also return the attention weights, after dropout.

        Raises:
            ConfigError: `scales` has not one value per head.
        """
        initial = default_scales(self.heads) if self.scales is None else self.scales
        if len(initial) != self.heads:
            raise ConfigError(
                f"scales has {len(initial)} values for {self.heads} heads: give one each"
            )
        scales = jnp.asarray(initial, jnp.float32)
        if self.learnable_scales:
            scales = self.param("scales", lambda key: scales)
        c = query.shape[-1]
        q_proj, k_proj, v_proj = (
            Linear(c, self.use_bias, dtype=self.dtype, name=name)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        few = query.shape[1] * self.heads < c and not self.is_initializing()
        query = q_proj(query)
        if few and key_padding_mask is None and not self.has_rng("dropout"):
            kernels = [p.get_variable("params", "kernel") for p in (k_proj, v_proj)]
            attended, weights = projecting_soft_masked_attention(
                *(x.astype(self.dtype) for x in (query, key, value, *kernels)), mask, scales
            )
            if self.use_bias:
                attended += v_proj.get_variable("params", "bias").astype(self.dtype)
        else:
            drop = Dropout(self.dropout, name="drop")
            attended, weights = soft_masked_attention(
                query, k_proj(key), v_proj(value), mask, scales, key_padding_mask, drop
            )
        output = Linear(c, dtype=self.dtype, name="out_proj")(attended)
        return (output, weights) if return_weights else output
