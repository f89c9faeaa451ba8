"""Swin transformer in the form used for detection: any image size, four maps.

Agrees with hodor/modelling/backbone/swin.py: windows are filled up with zeros that are not masked,
the shift is applied even where the map is one window, and pairs from different regions get -100.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int8, Shaped

from vos_jax.core.errors import ConfigError
from vos_jax.nn.blocks import DropPath, Linear, layer_norm
from vos_jax.nn.strips import in_strips
from vos_jax.ops.strips import strips

VARIANTS = {
    "tiny": {"width": 96, "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 24), "drop_path": 0.2},
    "small": {"width": 96, "depths": (2, 2, 18, 2), "heads": (3, 6, 12, 24), "drop_path": 0.2},
    "base": {"width": 128, "depths": (2, 2, 18, 2), "heads": (4, 8, 16, 32), "drop_path": 0.3},
}
"""Arguments of `Swin` by the size's published name."""

REGION_PENALTY = -100.0


def relative_position_index(window: int) -> np.ndarray:
    """Returns the row of the bias table for each pair of window positions, int [n n]."""
    rows, columns = np.divmod(np.arange(window * window), window)
    row_shift = rows[:, None] - rows[None] + window - 1
    column_shift = columns[:, None] - columns[None] + window - 1
    return row_shift * (2 * window - 1) + column_shift


def shift_regions(height: int, width: int, window: int, shift: int) -> np.ndarray:
    """Labels the cells of a rolled map by the region they came from.

    Args:
        height: rows, a multiple of the window.
        width: columns, a multiple of the window.
        window: side of a window.
        shift: cells by which the map was rolled.

    Returns:
        Region numbers, int [windows, window * window].
    """

    def slices(size: int) -> np.ndarray:
        cell = np.arange(size)
        return (cell >= size - window).astype(int) + (cell >= size - shift)

    regions = 3 * slices(height)[:, None] + slices(width)[None]
    regions = regions.reshape(height // window, window, width // window, window)
    return regions.swapaxes(1, 2).reshape(-1, window * window)


def to_windows(
    x: Shaped[Array | np.ndarray, "b y x c"], window: int
) -> Shaped[Array | np.ndarray, "w n c"]:
    """Cuts maps into windows, row by row; sizes are multiples of the window."""
    b, y, x_size, c = x.shape
    x = x.reshape(b, y // window, window, x_size // window, window, c)
    return x.swapaxes(2, 3).reshape(-1, window * window, c)


def from_windows(
    windows: Float[Array, "w n c"], window: int, height: int, width: int
) -> Float[Array, "b y x c"]:
    """Puts windows back into maps of the given size."""
    c = windows.shape[-1]
    x = windows.reshape(-1, height // window, width // window, window, window, c)
    return x.swapaxes(2, 3).reshape(-1, height, width, c)


class WindowAttention(nn.Module):
    """Multi-head attention inside windows with a learned bias per relative position.

    Attributes:
        heads: number of heads.
        window: side of a window in cells.
        shift: cells by which windows are shifted; 0 for none.
        dtype: compute dtype.
    """

    heads: int
    window: int
    shift: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y x c"]:
        """Lets every cell attend to its window."""
        height, width, c = x.shape[1:]
        pad_y, pad_x = -height % self.window, -width % self.window
        x = jnp.pad(x, ((0, 0), (0, pad_y), (0, pad_x), (0, 0)))
        if self.shift:
            x = jnp.roll(x, (-self.shift, -self.shift), (1, 2))
        padded = x.shape[1:3]
        tokens = to_windows(x, self.window)
        regions = shift_regions(*padded, self.window, self.shift).astype(np.int8)
        regions = jnp.tile(regions, (len(x), 1))
        rows = len(x) * padded[0] // self.window
        count = strips(rows, 3 * tokens.size)
        out = in_strips(WindowAttention._attend, self, count, tokens, regions)
        out = from_windows(out, self.window, *padded)
        if self.shift:
            out = jnp.roll(out, (self.shift, self.shift), (1, 2))
        return out[:, :height, :width]

    def _attend(
        self, tokens: Float[Array, "w n c"], regions: Int8[Array, "w n"]
    ) -> Float[Array, "w n c"]:
        windows, n, c = tokens.shape
        qkv = Linear(3 * c, dtype=self.dtype, name="qkv")(tokens)
        q, k, v = jnp.moveaxis(qkv.reshape(windows, n, 3, self.heads, -1), 2, 0)
        scale = (c // self.heads) ** -0.5
        logits = jnp.einsum("wnhd,wshd->whns", q * scale, k).astype(jnp.float32)
        logits = logits + self._bias()
        if self.shift:
            apart = regions[:, None, :, None] != regions[:, None, None]
            logits = logits + jnp.where(apart, REGION_PENALTY, 0.0)
        weights = jax.nn.softmax(logits, -1).astype(self.dtype)
        attended = jnp.einsum("whns,wshd->wnhd", weights, v).reshape(windows, n, c)
        return Linear(c, dtype=self.dtype, name="proj")(attended)

    def _bias(self) -> Float[Array, "h n n"]:
        rows = (2 * self.window - 1) ** 2
        init = nn.initializers.truncated_normal(0.02)
        table = self.param("relative_position_bias_table", init, (rows, self.heads))
        return jnp.moveaxis(table[relative_position_index(self.window)], -1, 0)


class Block(nn.Module):
    """A transformer block: window attention and a two-layer perceptron, both pre-norm.

    Attributes:
        heads: number of heads.
        window: side of a window.
        shift: cells by which windows are shifted.
        drop_path: probability of dropping each branch in training.
        dtype: compute dtype.
    """

    heads: int
    window: int
    shift: int
    drop_path: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y x c"]:
        """Adds both branches to the map."""
        attention = WindowAttention(self.heads, self.window, self.shift, self.dtype, name="attn")
        normed = layer_norm(self.dtype, name="norm1")(x)
        x = x + DropPath(self.drop_path)(attention(normed))
        rows = x.reshape(-1, *x.shape[2:])
        count = strips(len(rows), 4 * rows.size)
        branch = in_strips(Block._perceptron, self, count, rows).reshape(x.shape)
        return x + DropPath(self.drop_path)(branch)

    def _perceptron(self, x: Float[Array, "y x c"]) -> Float[Array, "y x c"]:
        normed = layer_norm(self.dtype, name="norm2")(x)
        hidden = Linear(4 * x.shape[-1], dtype=self.dtype, name="fc1")(normed)
        hidden = jax.nn.gelu(hidden, approximate=False)
        return Linear(x.shape[-1], dtype=self.dtype, name="fc2")(hidden)


class PatchMerging(nn.Module):
    """Halves a map: four neighbouring cells become one of twice the channels."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b y x c"]) -> Float[Array, "b y2 x2 2*c"]:
        """Merges 2x2 cells, after zero padding to even sizes."""
        height, width, c = x.shape[1:]
        x = jnp.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
        corners = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        merged = layer_norm(self.dtype, name="norm")(jnp.concatenate(corners, -1))
        return Linear(2 * c, use_bias=False, dtype=self.dtype, name="reduction")(merged)


class PatchEmbedding(nn.Module):
    """Turns 4x4 patches of an image into tokens.

    Attributes:
        width: channels of a token.
        dtype: compute dtype.
    """

    width: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images: Float[Array, "b h w 3"]) -> Float[Array, "b y x c"]:
        """Embeds the patches, after zero padding to multiples of 4."""
        height, width = images.shape[1:3]
        images = jnp.pad(images, ((0, 0), (0, -height % 4), (0, -width % 4), (0, 0)))
        b, height, width, colours = images.shape
        patches = images.reshape(b, height // 4, 4, width // 4, 4, colours).swapaxes(2, 3)
        patches = patches.reshape(b, height // 4, width // 4, 16 * colours)
        tokens = Linear(self.width, dtype=self.dtype, name="proj")(patches)
        return layer_norm(self.dtype, name="norm")(tokens)


class Swin(nn.Module):
    """Swin transformer with an output map per stage, each through its own LayerNorm.

    Attributes:
        width: channels of the first stage; each later one doubles it.
        depths: blocks per stage.
        heads: heads per stage.
        drop_path: stochastic depth of the last block; it grows linearly from 0.
        window: side of a window.
        dtype: compute dtype.
        kept: stages, from the first, whose blocks are never dropped.
    """

    width: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (3, 6, 12, 24)
    drop_path: float = 0.2
    window: int = 7
    dtype: DTypeLike = jnp.float32
    kept: int = 0

    @nn.compact
    def __call__(self, images: Float[Array, "b h w 3"]) -> tuple[Float[Array, "b _ _ _"], ...]:
        """Computes the maps at strides 4, 8, 16, ... of as many stages as there are.

        Args:
            images: normalised RGB images.
        """
        x = PatchEmbedding(self.width, self.dtype, name="patch_embed")(images)
        rates = np.linspace(0, self.drop_path, sum(self.depths))
        rates[: sum(self.depths[: self.kept])] = 0
        rates = iter(rates)
        maps = []
        for stage, depth in enumerate(self.depths):
            for block in range(depth):
                shift = self.window // 2 * (block % 2)
                name = f"stage_{stage}_block_{block}"
                arguments = (self.heads[stage], self.window, shift, float(next(rates)), self.dtype)
                x = Block(*arguments, name=name)(x)
            maps.append(layer_norm(self.dtype, name=f"norm_{stage}")(x))
            if stage + 1 < len(self.depths):
                x = PatchMerging(self.dtype, name=f"merge_{stage}")(x)
        return tuple(maps)


def swin(variant: str, dtype=jnp.float32) -> Swin:
    """Builds a published size; raises ConfigError for an unknown one."""
    if variant not in VARIANTS:
        raise ConfigError(f"no Swin variant {variant!r}; choose one of {sorted(VARIANTS)}")
    return Swin(**VARIANTS[variant], dtype=dtype)
