"""The encoder of HODOR: a frame's features and soft masks become descriptors.

One vector per object and nine for the background (section 3.1 of the paper;
hodor/modelling/encoder). Descriptors are always ordered background first, then object slots.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from vos_jax.nn.attention import MultiHeadAttention, SoftMaskedAttention
from vos_jax.nn.blocks import Dropout, Linear, layer_norm
from vos_jax.nn.positions import sinusoidal_map

MASK_THRESHOLD = 0.5


def initial_descriptors(
    tokens: Float[Array, "b s c"], masks: Float[Array, "b n s"], background: int
) -> Float[Array, "b n c"]:
    """Averages the tokens whose mask exceeds one half; passes no gradient.

    A background cell without such tokens starts as zeros, an object without them as the token
    where its mask is largest, the first of equals.

    Args:
        tokens: features, row by row.
        masks: one per descriptor, background cells first.
        background: number of background cells.
    """
    tokens, masks = jax.lax.stop_gradient((tokens.astype(jnp.float32), masks))
    inside = (masks > MASK_THRESHOLD).astype(jnp.float32)
    count = inside.sum(-1, keepdims=True)
    mean = jnp.einsum("bns,bsc->bnc", inside, tokens) / jnp.maximum(count, 1)
    best = jnp.argmax(masks[:, background:], -1)[..., None]
    fallback = jnp.take_along_axis(tokens, best, 1)
    fallback = jnp.pad(fallback, ((0, 0), (background, 0), (0, 0)))
    return jnp.where(count > 0, mean, fallback)


class DescriptorLayer(nn.Module):
    """Self-attention, soft-masked attention and a perceptron, each followed by its norm.

    Attributes:
        heads: number of heads of both attentions.
        hidden: width of the perceptron.
        dropout: probability of all dropouts in training.
        dtype: compute dtype.
    """

    heads: int
    hidden: int
    dropout: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b n c"],
        embedding: Float[Array, "n c"],
        key: Float[Array, "b s c"],
        value: Float[Array, "b s c"],
        masks: Float[Array, "b n s"],
        unused: Bool[Array, "b n"],
    ) -> Float[Array, "b n c"]:
        """Refines the descriptors.

        Args:
            x: descriptors.
            embedding: added to self-attention's queries and keys.
            key: features to compare with, positions included where they are used.
            value: features to collect.
            masks: where each descriptor collects.
            unused: descriptors nobody attends to.
        """
        self_attention = MultiHeadAttention(self.heads, self.dropout, self.dtype, name="self_attn")
        collect = SoftMaskedAttention(self.heads, self.dropout, dtype=self.dtype, name="soft_attn")
        placed = x + embedding
        x = self._join("norm1", x, self_attention(placed, placed, x, unused))
        x = self._join("norm2", x, collect(x, key, value, masks))
        hidden = jax.nn.relu(Linear(self.hidden, dtype=self.dtype, name="fc1")(x))
        hidden = Dropout(self.dropout)(hidden)
        return self._join("norm3", x, Linear(x.shape[-1], dtype=self.dtype, name="fc2")(hidden))

    def _join(self, norm: str, x: Array, branch: Array) -> Array:
        return layer_norm(self.dtype, name=norm)(x + Dropout(self.dropout)(branch))


class DescriptorEncoder(nn.Module):
    """Condenses a frame into descriptors of its background and objects.

    Attributes:
        channels: channels of features and descriptors.
        heads: number of attention heads.
        layers: number of layers.
        hidden: width of the layers' perceptrons.
        background: number of background cells.
        positions: whether keys carry the position map.
        dropout: probability of all dropouts in training.
        dtype: compute dtype.
    """

    channels: int = 256
    heads: int = 8
    layers: int = 5
    hidden: int = 1024
    background: int = 9
    positions: bool = False
    dropout: float = 0.1
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Creates the embeddings and the layers."""
        normal = nn.initializers.normal(1.0)
        self.object_embedding = self.param("object_embedding", normal, (self.channels,))
        shape = (self.background, self.channels)
        self.background_embedding = self.param("background_embedding", normal, shape)
        self.layer = [
            DescriptorLayer(self.heads, self.hidden, self.dropout, self.dtype)
            for _ in range(self.layers)
        ]

    def embeddings(self, slots: int) -> Float[Array, "n c"]:
        """Returns the embedding of every descriptor for a number of object slots."""
        objects = jnp.broadcast_to(self.object_embedding, (slots, self.channels))
        return jnp.concatenate([self.background_embedding, objects])

    def __call__(
        self,
        features: Float[Array, "b y x c"],
        background_masks: Float[Array, "b y x k"],
        object_masks: Float[Array, "b y x o"],
        known: Bool[Array, "b o"] | None = None,
    ) -> Float[Array, "b n c"]:
        """Computes the descriptors.

        Args:
            features: the frame's map at stride 8.
            background_masks: one soft mask per background cell, at stride 8.
            object_masks: one soft mask per slot, at stride 8.
            known: slots that hold an object, all if None; the others' descriptors are zero and
                change nothing else.
        """
        return self.trace(features, background_masks, object_masks, known)[-1]

    def trace(
        self,
        features: Float[Array, "b y x c"],
        background_masks: Float[Array, "b y x k"],
        object_masks: Float[Array, "b y x o"],
        known: Bool[Array, "b o"] | None = None,
    ) -> tuple[Float[Array, "b n c"], ...]:
        """Computes the initial descriptors and those after every layer, as `__call__`."""
        b, height, width, c = features.shape
        tokens = features.reshape(b, -1, c).astype(self.dtype)
        masks = jnp.concatenate([background_masks, object_masks], -1)
        masks = masks.reshape(b, height * width, -1).swapaxes(1, 2)
        slots = object_masks.shape[-1]
        if known is None:
            known = jnp.ones((b, slots), bool)
        used = jnp.pad(known, ((0, 0), (self.background, 0)), constant_values=True)
        key = tokens
        if self.positions:
            key = tokens + sinusoidal_map(height, width, c).reshape(-1, c).astype(self.dtype)
        embedding = self.embeddings(slots).astype(self.dtype)
        x = initial_descriptors(tokens, masks, self.background).astype(self.dtype)
        steps = [x]
        for layer in self.layer:
            x = layer(x, embedding, key, tokens, masks, ~used)
            steps.append(x)
        return tuple(jnp.where(used[..., None], step, 0) for step in steps)
