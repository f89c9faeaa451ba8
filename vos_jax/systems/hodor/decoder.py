"""The decoder of HODOR: descriptors of other frames segment a frame's features.

Agrees with hodor/modelling/decoder (section 3.2 of the paper). Norms follow the activation,
except in the catch-all head, and the attention has no output projection.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from vos_jax.core.resize import resize
from vos_jax.nn.blocks import TORCH_KERNEL, Conv, Dropout, GroupNorm, Linear, layer_norm, torch_bias
from vos_jax.nn.positions import sinusoidal_map
from vos_jax.nn.strips import in_strips
from vos_jax.ops.attention import attend
from vos_jax.ops.deformable_convolution import deformable_convolution
from vos_jax.ops.strips import strips


class DeformableConv(nn.Module):
    """A 3x3 deformable convolution that predicts its own offsets.

    Attributes:
        dtype: compute dtype.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y x c"]:
        """Convolves where the offsets point."""
        c = x.shape[-1]
        offsets = Conv(18, 3, dtype=self.dtype, name="offsets")(x)
        kernel = self.param("kernel", TORCH_KERNEL, (3, 3, c, c)).astype(self.dtype)
        bias = self.param("bias", torch_bias(9 * c), (c,)).astype(self.dtype)
        return deformable_convolution(x, offsets, kernel, bias)


class DecoderLayer(nn.Module):
    """A convolution, attention from pixels to descriptors, and a perceptron.

    Attributes:
        heads: number of attention heads.
        hidden: width of the perceptron.
        deformable: whether the convolution is deformable.
        groups: groups of the norm after the convolution.
        dropout: probability of all dropouts in training; that of the attention acts on its
            logits, as in the official program.
        dtype: compute dtype.
    """

    heads: int
    hidden: int
    deformable: bool
    groups: int
    dropout: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b y x c"],
        positions: Float[Array, "y x c"],
        descriptors: Float[Array, "b m n c"],
        embedding: Float[Array, "n c"],
        background: int,
        ignored: Bool[Array, "b m*n"] | None,
    ) -> Float[Array, "b y x c"]:
        """Refines the pixels' features.

        Args:
            x: features.
            positions: added to the attention's queries.
            descriptors: of all remembered frames, background cells first.
            embedding: of each descriptor, added to the attention's keys.
            background: number of background cells.
            ignored: descriptors nobody attends to.
        """
        c = x.shape[-1]
        if self.deformable:
            conv = DeformableConv(self.dtype, name="conv")
        else:
            conv = Conv(c, 3, dtype=self.dtype, name="conv")
        x = x + GroupNorm(self.groups, self.dtype, name="conv_norm")(jax.nn.relu(conv(x)))
        key = self._project("k_proj", descriptors + embedding, background)
        value = self._project("v_proj", descriptors, background)
        size = self.heads * key.shape[1] * x.size // c
        count = 1 if self.has_rng("dropout") else strips(x.shape[1], size)

        def read(layer, *rows):
            return layer._read(*rows, key, value, ignored)

        return in_strips(read, self, count, x.swapaxes(0, 1), positions[:, None]).swapaxes(0, 1)

    def _read(
        self,
        rows: Float[Array, "y b x c"],
        positions: Float[Array, "y 1 x c"],
        key: Float[Array, "b k c"],
        value: Float[Array, "b k c"],
        ignored: Bool[Array, "b k"] | None,
    ) -> Float[Array, "y b x c"]:
        c = rows.shape[-1]
        x = rows.swapaxes(0, 1)
        query = Linear(c, dtype=self.dtype, name="q_proj")(x + positions.swapaxes(0, 1))
        tokens = query.reshape(len(x), -1, c)
        drop = Dropout(self.dropout, name="drop")
        attended = attend(tokens, key, value, self.heads, ignored, drop_logits=drop)
        x = self._join("norm1", x, attended.reshape(x.shape))
        hidden = jax.nn.relu(Linear(self.hidden, dtype=self.dtype, name="fc1")(x))
        hidden = Dropout(self.dropout)(hidden)
        x = self._join("norm2", x, Linear(c, dtype=self.dtype, name="fc2")(hidden))
        return x.swapaxes(0, 1)

    def _project(self, name: str, x: Float[Array, "b m n c"], background: int) -> Array:
        b, c = x.shape[0], x.shape[-1]
        cells = Linear(c, dtype=self.dtype, name=f"{name}_background")(x[:, :, :background])
        objects = Linear(c, dtype=self.dtype, name=f"{name}_object")(x[:, :, background:])
        return jnp.concatenate([cells, objects], 2).reshape(b, -1, c)

    def _join(self, norm: str, x: Array, branch: Array) -> Array:
        return layer_norm(self.dtype, name=norm)(x + Dropout(self.dropout)(branch))


class CatchAll(nn.Module):
    """The logit of pixels that belong to nothing remembered.

    Attributes:
        groups: groups of the norm.
        dtype: compute dtype.
    """

    groups: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y x 1"]:
        """Computes the logits."""
        x = Conv(x.shape[-1] // 2, 3, use_bias=False, dtype=self.dtype, name="conv")(x)
        x = jax.nn.relu(GroupNorm(self.groups, self.dtype, name="norm")(x))
        return Conv(1, 1, use_bias=False, dtype=self.dtype, name="out")(x)


class PixelDecoder(nn.Module):
    """Segments a frame with the descriptors of other frames.

    Attributes:
        channels: channels of features and descriptors.
        heads: number of attention heads.
        layers: number of layers.
        hidden: width of the layers' perceptrons.
        background: number of background cells.
        deformable: whether the layers' convolutions are deformable.
        layer_groups: groups of the layers' norms.
        head_groups: groups of the heads' norms.
        dropout: probability of all dropouts in training.
        dtype: compute dtype.
    """

    channels: int = 256
    heads: int = 8
    layers: int = 5
    hidden: int = 256
    background: int = 9
    deformable: bool = True
    layer_groups: int = 16
    head_groups: int = 8
    dropout: float = 0.1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        features: dict[int, Float[Array, "b y x c"]],
        descriptors: Float[Array, "b m n c"],
        embedding: Float[Array, "n c"],
        valid: Bool[Array, "b m n"] | None = None,
    ) -> Float[Array, "b y4 x4 1+n"]:
        """Computes the frame's logits at stride 4.

        Args:
            features: the frame's maps by stride, of which 4 and 8 are read.
            descriptors: of the remembered frames m, background cells first; finite everywhere.
            embedding: of each descriptor (`DescriptorEncoder.embeddings`).
            valid: descriptors that take part, all if None.

        Returns:
            float32 logits of the catch-all, the background cells and the objects. A cell or
            object without a valid descriptor has -inf; the catch-all is always finite.
        """
        descriptors = descriptors.astype(self.dtype)
        x = self._refine(features[8].astype(self.dtype), descriptors, embedding, valid)
        x = self._enlarge(x, features[4].astype(self.dtype))
        catch_all = CatchAll(self.head_groups, self.dtype, name="catch_all")(x)
        cells = Linear(self.channels, dtype=self.dtype, name="background_query")
        objects = Linear(self.channels, dtype=self.dtype, name="object_query")
        queries = jnp.concatenate(
            [
                cells(descriptors[:, :, : self.background]),
                objects(descriptors[:, :, self.background :]),
            ],
            2,
        )
        logits = jnp.einsum("byxc,bmnc->byxmn", x, queries * self.channels**-0.5)
        logits = logits.astype(jnp.float32)
        if valid is not None:
            logits = jnp.where(valid[:, None, None], logits, -jnp.inf)
        return jnp.concatenate([catch_all.astype(jnp.float32), logits.max(3)], -1)

    def _refine(
        self,
        x: Float[Array, "b y x c"],
        descriptors: Float[Array, "b m n c"],
        embedding: Float[Array, "n c"],
        valid: Bool[Array, "b m n"] | None,
    ) -> Float[Array, "b y x c"]:
        positions = jnp.asarray(sinusoidal_map(*x.shape[1:]), self.dtype)
        ignored = None if valid is None else ~valid.reshape(len(x), -1)
        embedding = embedding.astype(self.dtype)
        for index in range(self.layers):
            layer = DecoderLayer(
                self.heads,
                self.hidden,
                self.deformable,
                self.layer_groups,
                self.dropout,
                self.dtype,
                name=f"layer_{index}",
            )
            x = layer(x, positions, descriptors, embedding, self.background, ignored)
        return x

    def _enlarge(
        self, x: Float[Array, "b y x c"], fine: Float[Array, "b y4 x4 c"]
    ) -> Float[Array, "b y4 x4 c"]:
        reduce = Conv(self.channels // 4, 1, use_bias=False, dtype=self.dtype, name="reduce")
        detail = jax.nn.relu(reduce(fine))
        detail = GroupNorm(self.head_groups, self.dtype, name="reduce_norm")(detail)
        x = resize(x, (2 * x.shape[1], 2 * x.shape[2]))
        rest = self.channels - detail.shape[-1]
        x = x + jnp.pad(detail, ((0, 0), (0, 0), (0, 0), (0, rest)))
        x = Conv(self.channels, 3, use_bias=False, dtype=self.dtype, name="merge")(x)
        return GroupNorm(self.head_groups, self.dtype, name="merge_norm")(jax.nn.relu(x))
