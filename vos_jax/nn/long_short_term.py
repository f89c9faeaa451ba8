"""The layer of AOT (Yang et al., NeurIPS 2021): self, long-term and short-term attention."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from vos_jax.nn.blocks import DepthwiseConv, DropPath, GroupNorm, Linear, layer_norm, torch_bias
from vos_jax.ops.local_attention import local_attention
from vos_jax.ops.memory_attention import attend_memory

XAVIER = nn.initializers.xavier_uniform()
XAVIER_3D = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform", in_axis=1, out_axis=0)
FFN_GROUPS, FFN_KERNEL = 32, 5

Pair = tuple[Float[Array, "b n c"], Float[Array, "b n e"]]
"""Key and value of a frame, as a memory holds them."""
Current = tuple[Float[Array, "b n _"], ...]
"""What a layer knows of a frame without masks; `remember` makes a `Pair` of it."""


@struct.dataclass
class LayerMemory:
    """What one layer reads a frame from.

    Attributes:
        keys: of the long-term entries.
        values: of the long-term entries.
        valid: which entries there are.
        short: key and value of the frame before.
    """

    keys: Float[Array, "b m n c"]
    values: Float[Array, "b m n e"]
    valid: Bool[Array, "b m"]
    short: Pair

    @classmethod
    def of_frame(cls, key: Float[Array, "b n c"], value: Float[Array, "b n e"]) -> "LayerMemory":
        """The memory that is one frame, long-term and short-term."""
        valid = jnp.ones((len(key), 1), bool)
        return cls(key[:, None], value[:, None], valid, (key, value))


class RelativeKey(nn.Module):
    """What a window's offsets add to scores, as a linear function of the query.

    Attributes:
        heads: number of heads.
        radius: of the window.
        dtype: compute dtype.
    """

    heads: int
    radius: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, query: Float[Array, "b y x h d"]) -> Float[Array, "b y x h w"]:
        """Computes a score per offset, row by row."""
        width, window = query.shape[-1], (2 * self.radius + 1) ** 2
        kernel = self.param("kernel", XAVIER, (width, self.heads * window)).astype(self.dtype)
        bias = self.param("bias", torch_bias(width), (self.heads * window,)).astype(self.dtype)
        kernel = kernel.reshape(width, self.heads, window)
        scores = jnp.einsum("byxhd,dhw->byxhw", query, kernel)
        return scores + bias.reshape(self.heads, window)


class LongShortTermLayer(nn.Module):
    """One layer: a frame's features after they looked at each other and at the memory.

    Attributes:
        width: channels of the features.
        heads: of every attention.
        ffn: width inside the feed-forward part.
        radius: of the short-term window.
        drop_path: rate of stochastic depth in training.
        dtype: compute dtype.
    """

    width: int = 256
    heads: int = 8
    ffn: int = 1024
    radius: int = 7
    drop_path: float = 0.1
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Makes the norms, the linear maps and the window's embeddings."""
        linear = functools.partial(Linear, kernel_init=XAVIER, dtype=self.dtype)
        self.norm1, self.norm2, self.norm3 = (layer_norm(self.dtype) for _ in range(3))
        self.self_query, self.self_key, self.self_value = (linear(self.width) for _ in range(3))
        self.query, self.value = linear(self.width), linear(self.width)
        self.self_projection, self.long_projection, self.short_projection = (
            linear(self.width) for _ in range(3)
        )
        self.relative_key = RelativeKey(self.heads, self.radius, self.dtype)
        shape = (self.heads, self.width // self.heads, (2 * self.radius + 1) ** 2)
        self.relative_value = self.param("relative_value", XAVIER_3D, shape)
        self.linear1, self.linear2 = linear(self.ffn), linear(self.width)
        self.ffn_norm = GroupNorm(FFN_GROUPS, self.dtype)
        self.ffn_conv = DepthwiseConv(FFN_KERNEL, dtype=self.dtype, kernel_init=XAVIER)
        self.drop = DropPath(self.drop_path)

    def __call__(
        self,
        streams: tuple[Float[Array, "b y x c"]],
        position: Float[Array, "y x c"],
        memory: LayerMemory | None,
        identity: Float[Array, "b n c"] | None = None,
    ) -> tuple[tuple[Float[Array, "b y x c"]], Current]:
        """Matches a frame with the memory.

        Args:
            streams: the features, alone in a tuple.
            position: map added to self-attention's queries and keys.
            memory: what is read; None in a reference pass, which reads the frame itself.
            identity: of the frame's masks, for a reference pass.

        Returns:
            The features and what `remember` makes a memory of.
        """
        (x,) = streams
        x = x + self.drop(self._look_around(self.norm1(x), position))
        plain = self.norm2(x)
        current = (tokens_of(self.query(plain)), tokens_of(plain))
        if memory is None:
            memory = LayerMemory.of_frame(*self.remember(current, identity))
        long = attend_memory(current[0], memory.keys, memory.values, memory.valid, self.heads)
        short = self._look_back(current[0].reshape(x.shape), *memory.short)
        x = x + self.long_projection(long).reshape(x.shape) + self.short_projection(short)
        return (x + self.drop(self._feed_forward(self.norm3(x))),), current

    def remember(self, current: Current, identity: Float[Array, "b n c"]) -> Pair:
        """Key and value of a frame, given the identities of its masks."""
        key, plain = current
        return key, self.value(plain + identity)

    def _look_around(self, x: Array, position: Array) -> Array:
        placed = x + position.astype(x.dtype)
        query, key, value = self.self_query(placed), self.self_key(placed), self.self_value(x)
        memory = LayerMemory.of_frame(tokens_of(key), tokens_of(value))
        out = attend_memory(tokens_of(query), memory.keys, memory.values, memory.valid, self.heads)
        return self.self_projection(out).reshape(x.shape)

    def _look_back(self, query: Array, key: Array, value: Array) -> Array:
        query, key, value = (
            x.reshape(*query.shape[:3], self.heads, -1) for x in (query, key, value)
        )
        relative = self.relative_key(query)
        found = local_attention(query, key, value, relative, self.relative_value)
        return found.reshape(*found.shape[:3], -1)

    def _feed_forward(self, x: Array) -> Array:
        hidden = jax.nn.gelu(self.ffn_norm(self.linear1(x)), approximate=False)
        return self.linear2(self.ffn_conv(hidden))


def tokens_of(x: Float[Array, "b y x c"]) -> Float[Array, "b n c"]:
    """A map as tokens, row by row."""
    return x.reshape(len(x), -1, x.shape[-1])
