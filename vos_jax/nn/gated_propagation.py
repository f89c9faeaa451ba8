"""The layer of DeAOT (Yang and Yang, NeurIPS 2022): gated propagation of two streams."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.nn.blocks import DepthwiseConv, DropPath, Linear, layer_norm
from vos_jax.nn.long_short_term import (
    XAVIER,
    Current,
    LayerMemory,
    Pair,
    RelativeKey,
    tokens_of,
)
from vos_jax.ops.local_attention import local_attention
from vos_jax.ops.memory_attention import attend_memory

KERNEL = 5


class GatedProjection(nn.Module):
    """What follows every propagation: gate, depthwise convolution, linear map.

    Attributes:
        width: channels of the result.
        drop_channels: rate at which whole channels are dropped in training.
        dtype: compute dtype.
    """

    width: int
    drop_channels: float = 0.1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b y x c"], gate: Float[Array, "b y x c"]
    ) -> Float[Array, "b y x f"]:
        """Gates what was gathered and maps it to the streams' channels."""
        conv = DepthwiseConv(KERNEL, dtype=self.dtype, kernel_init=XAVIER, name="conv")
        drop = nn.Dropout(
            self.drop_channels, broadcast_dims=(1, 2), deterministic=not self.has_rng("dropout")
        )
        projection = Linear(self.width, kernel_init=XAVIER, dtype=self.dtype, name="projection")
        return projection(drop(conv(x * gate)))


class GatedPropagationLayer(nn.Module):
    """One layer: the visual stream and, but for the first layer's input, the identity stream.

    Attributes:
        width: channels of each stream.
        key_channels: of the single head's keys.
        expansion: channels of values per channel of a stream.
        first: whether there is no identity stream yet.
        radius: of the short-term window.
        drop_path: rate of stochastic depth in training.
        drop_channels: see `GatedProjection`.
        dtype: compute dtype.
    """

    width: int = 256
    key_channels: int = 128
    expansion: int = 2
    first: bool = False
    radius: int = 7
    drop_path: float = 0.1
    drop_channels: float = 0.1
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Makes the norms, the linear maps and the three propagations' ends."""
        linear = functools.partial(Linear, kernel_init=XAVIER, dtype=self.dtype)
        wide = self.expansion * self.width
        self.norm1, self.norm2, self.id_norm2 = (layer_norm(self.dtype) for _ in range(3))
        self.query_value, self.gate = linear(self.key_channels + wide), linear(wide)
        self.id_value = linear(wide)
        if not self.first:
            self.id_norm1, self.id_gate = layer_norm(self.dtype), linear(wide)
        self.relative_key = RelativeKey(1, self.radius, self.dtype)
        self.self_query, self.self_value, self.self_id_value = (
            linear(channels) for channels in (self.key_channels, wide, wide)
        )
        self.self_gate, self.self_id_gate = linear(wide), linear(wide)
        self.long, self.short, self.own = (
            GatedProjection(2 * self.width, self.drop_channels, self.dtype) for _ in range(3)
        )
        self.drop = DropPath(self.drop_path)

    def __call__(
        self,
        streams: tuple[Float[Array, "b y x c"], ...],
        position: Float[Array, "y x c"],
        memory: LayerMemory | None,
        identity: Float[Array, "b n c"] | None = None,
    ) -> tuple[tuple[Float[Array, "b y x c"], Float[Array, "b y x c"]], Current]:
        """Matches a frame with the memory, then with itself.

        Args:
            streams: visual features, and identity features but for the first layer.
            position: not looked at.
            memory: what is read; None in a reference pass, which reads the frame itself.
            identity: of the frame's masks, for a reference pass.

        Returns:
            Both streams and what `remember` makes a memory of.
        """
        visual, *rest = streams
        normed = self.norm1(visual)
        key, value = jnp.split(self.query_value(normed), [self.key_channels], axis=-1)
        gate, current = self.gate(normed), (tokens_of(key), tokens_of(jax.nn.silu(value)))
        if self.first:
            gate = jnp.concatenate([jax.nn.silu(gate), jnp.ones_like(gate)], axis=-1)
        else:
            tags = self.id_norm1(rest[0])
            gate = jax.nn.silu(jnp.concatenate([gate, self.id_gate(tags)], axis=-1))
            current = (*current, tokens_of(tags))
        if memory is None:
            memory = LayerMemory.of_frame(*self.remember(current, identity))
        found = self._look_back(key, gate, memory)
        streams = jnp.split(found, 2, axis=-1)
        visual, tags = visual + streams[0], sum(rest, streams[1])
        looked = jnp.split(self._look_around(visual, tags), 2, axis=-1)
        return (visual + self.drop(looked[0]), tags + self.drop(looked[1])), current

    def remember(self, current: Current, identity: Float[Array, "b n i"]) -> Pair:
        """Key and value of a frame, given the identities of its masks."""
        key, value, *tags = current
        tags = self.id_value(jnp.concatenate([*tags, identity], axis=-1))
        return key, jnp.concatenate([value, jax.nn.silu(tags)], axis=-1)

    def _look_back(self, key: Array, gate: Array, memory: LayerMemory) -> Array:
        """What long-term and short-term memory give for both streams together."""
        long = attend_memory(tokens_of(key), memory.keys, memory.values, memory.valid, heads=1)
        query, keys, values = (
            x.reshape(*key.shape[:3], 1, x.shape[-1]) for x in (key, *memory.short)
        )
        short = local_attention(query, keys, values, self.relative_key(query))
        return self.long(long.reshape(gate.shape), gate) + self.short(short[..., 0, :], gate)

    def _look_around(self, visual: Array, tags: Array) -> Array:
        """What the frame itself gives for both streams together."""
        visual, tags = self.norm2(visual), self.id_norm2(tags)
        query = tokens_of(self.self_query(jnp.concatenate([visual, tags], axis=-1)))
        value = jnp.concatenate([self.self_value(visual), self.self_id_value(tags)], axis=-1)
        gate = jnp.concatenate([self.self_gate(visual), self.self_id_gate(tags)], axis=-1)
        memory = LayerMemory.of_frame(query, tokens_of(jax.nn.silu(value)))
        found = attend_memory(query, memory.keys, memory.values, memory.valid, heads=1)
        return self.own(found.reshape(gate.shape), jax.nn.silu(gate))
