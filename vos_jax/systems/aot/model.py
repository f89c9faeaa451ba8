"""AOT (Yang et al., NeurIPS 2021) and DeAOT (Yang and Yang, NeurIPS 2022): all variants."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from vos_jax.core.errors import ConfigError
from vos_jax.core.geometry import Geometry
from vos_jax.nn.blocks import Conv, GroupNorm, layer_norm, torch_bias
from vos_jax.nn.encoders import UNTRAINED, Encoder
from vos_jax.nn.gated_propagation import GatedPropagationLayer
from vos_jax.nn.long_short_term import XAVIER, Current, LongShortTermLayer, Pair, tokens_of
from vos_jax.nn.positions import sinusoidal_map
from vos_jax.systems.aot.decoder import Decoder
from vos_jax.systems.aot.losses import clip_losses, clip_plan
from vos_jax.systems.aot.memory import (
    TRAIN,
    AotState,
    Trace,
    empty_state,
    group_planes,
    layer_memories,
    remembered,
)
from vos_jax.systems.aot.spec import STRIDE, AotSpec
from vos_jax.systems.base import Clip, Given, Segmenter, Visit
from vos_jax.systems.rollout import Run

STREAMS = 2
"""Groups of DeAOT's last norm: visual and identity features are normalised apart."""


@struct.dataclass
class Features:
    """What is known of frames without any mask.

    Attributes:
        matched: what the layers take.
        f16: the encoder's map at stride 16.
        f8: at stride 8.
        f4: at stride 4.
    """

    matched: Float[Array, "n y x c"]
    f16: Array
    f8: Array
    f4: Array


class IdentityBank(nn.Module):
    """Identities of a frame's cells: a linear function of the one-hot labels in and around each.

    Attributes:
        width: channels of an identity.
        overlapping: whether a cell sees 17 pixels centred on it, or its own 16.
        dtype: compute dtype.
    """

    width: int = 256
    overlapping: bool = True
    dtype: str = "float32"

    @nn.compact
    def __call__(self, planes: Float[Array, "b h w k"]) -> Float[Array, "b n c"]:
        """Computes the identities of all cells, row by row.

        Args:
            planes: of the background and the group's slots.
        """
        size = STRIDE + self.overlapping
        shape = (size, size, planes.shape[-1], self.width)
        kernel = self.param("kernel", nn.initializers.orthogonal(size**-2), shape)
        bias = self.param("bias", torch_bias(size * size * shape[2]), shape[3:])
        padding = [(self.overlapping * (size // 2),) * 2] * 2
        out = jax.lax.conv_general_dilated(
            planes.astype(self.dtype),
            kernel.astype(self.dtype),
            window_strides=(STRIDE, STRIDE),
            padding=padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return tokens_of(out + bias.astype(self.dtype))


class Aot(Segmenter):
    """The network and its verbs.

    Attributes:
        backbone: the image encoder, see `nn.encoders`.
        channels: of the maps of the backbone "small".
        family: "aot" or "deaot".
        depth: number of layers.
        align_corners: whether maps are enlarged corner to corner (all but Swin).
        memory_gap: frames between two that enter the long-term memory.
        train_memory_gap: the same in training.
        radius: of the short-term window.
        embedding: channels of features and identities.
        heads: of AOT's attention.
        ffn: width inside AOT's feed-forward part.
        key_channels: of DeAOT's keys.
        group_size: objects per identity bank.
        max_resolution: see `AotSpec`, as the next two.
        scale: of one view among several.
        output_height: rows of the results.
        drop_path: rate of stochastic depth in training.
        drop_channels: rate at which DeAOT drops channels in training.
        dtype: of the computation; parameters, norms and softmax stay float32.
        clip_frames: frames of a training clip.
        aux_steps: updates in which the first frame's loss loses its weight.
        own_from: update from which own masks are remembered instead of true ones.
        end_warm: update from which the loss counts the hardest share `top_p` of the pixels.
        top_p: see `end_warm`.
    """

    backbone: str = "mobilenet_v2"
    channels: int = 64
    family: str = "aot"
    depth: int = 1
    align_corners: bool = True
    memory_gap: int = 9999
    train_memory_gap: int = 9999
    radius: int = 7
    embedding: int = 256
    heads: int = 8
    ffn: int = 1024
    key_channels: int = 128
    group_size: int = 10
    max_resolution: int = 624
    scale: float | None = None
    output_height: int | None = None
    drop_path: float = 0.1
    drop_channels: float = 0.1
    dtype: str = "float32"
    clip_frames: int = 5
    aux_steps: int = 100_000
    own_from: int = 50_000
    end_warm: int = 50_000
    top_p: float = 0.15

    def setup(self):
        """Makes encoder, layers, identity bank and decoder."""
        if self.family not in ("aot", "deaot"):
            raise ConfigError(f"model.family={self.family!r} is not known: use 'aot' or 'deaot'")
        dtype, width = jnp.dtype(self.dtype), self.embedding
        self.encoder = Encoder(self.backbone, self.channels, dtype)
        self.projector = Conv(width, 1, dtype=dtype, kernel_init=XAVIER)
        self.identity_bank = IdentityBank(width, self.align_corners, dtype)
        self.decoder = Decoder(width, self.group_size + 1, self.align_corners, dtype)
        if self._gated:
            shared = {"radius": self.radius, "drop_path": self.drop_path, "dtype": dtype}
            self.layers = [
                GatedPropagationLayer(
                    width,
                    self.key_channels,
                    first=number == 0,
                    drop_channels=self.drop_channels,
                    **shared,
                )
                for number in range(self.depth)
            ]
            self.identity_norm, self.norms = layer_norm(dtype), [GroupNorm(STREAMS, dtype)]
            return
        self.layers = [
            LongShortTermLayer(width, self.heads, self.ffn, self.radius, self.drop_path, dtype)
            for _ in range(self.depth)
        ]
        self.norms = [layer_norm(dtype) for _ in range(self.depth)]
        if self.is_initializing():
            self.param("mask_token", nn.initializers.normal(1.0), (1, 1, width))

    @property
    def _gated(self) -> bool:
        return self.family == "deaot"

    @property
    def untrained(self) -> tuple[str, ...]:
        """Patterns of the encoder's first part and norms, and of what nothing reads."""
        frozen = UNTRAINED.get(self.backbone, ())
        return ("mask_token", *(f"encoder/network/{pattern}" for pattern in frozen))

    @property
    def spec(self) -> AotSpec:
        """Static facts of this configuration."""
        return AotSpec(
            group=self.group_size,
            slot_step=self.group_size,
            align_corners=self.align_corners,
            memory_gap=self.memory_gap,
            clip_gap=self.train_memory_gap,
            max_resolution=self.max_resolution,
            scale=self.scale,
            output_height=self.output_height,
        )

    def init_state(
        self, batch: int, geometry: Geometry, slots: int, memory: int, late: bool = True
    ) -> AotState:
        """An empty memory of so many long-term entries."""
        rows, columns = (-(-side // STRIDE) for side in geometry.network)
        width = self.embedding
        pair = (self.key_channels, 4 * width) if self._gated else (width, width)
        groups, dtype = slots // self.group_size, jnp.dtype(self.dtype)
        pairs = [pair] * self.depth
        return empty_state(batch, slots, groups, memory, rows * columns, pairs, dtype)

    def encode(self, frames: Float[Array, "n h w 3"]) -> Features:
        """Features to match, and finer ones."""
        f4, f8, f16, last = self.encoder(frames)
        return Features(matched=self.projector(last), f16=f16, f8=f8, f4=f4)

    def read(self, state: AotState, features: Features, given=None, view: str | None = None):
        """Logits "b y x g k" at stride 4, and what `write` needs of the frame.

        Args:
            state: the memory.
            features: of the frame to be read.
            given: not looked at.
            view: `TRAIN` in training.
        """
        outputs, current = self.propagate(state, features)
        scores = self.decoder(outputs, features.f16, features.f8, features.f4)
        batch = len(features.matched)
        scores = jnp.moveaxis(scores.reshape(batch, -1, *scores.shape[1:]), 1, 3)
        gap = self.train_memory_gap if view == TRAIN else self.memory_gap
        return scores, Trace(current=current, gap=gap)

    def propagate(self, state: AotState, features: Features) -> tuple[Array, tuple[Current, ...]]:
        """What the decoder sees, groups beside videos, and what every layer knows of the frame."""
        groups = state.bank.written.shape[1]
        matched = jnp.repeat(features.matched, groups, axis=0)
        streams, position, seen, current = (matched,), self._position(features), [], []
        for layer, memory in zip(self.layers, layer_memories(state), strict=True):
            streams, here = layer(streams, position, memory)
            seen.append(streams)
            current.append(here)
        if self._gated:
            return self.norms[0](jnp.concatenate(streams, axis=-1)), tuple(current)
        normed = [norm(x) for norm, (x,) in zip(self.norms, seen, strict=True)]
        return jnp.concatenate([matched, *normed], axis=-1), tuple(current)

    def _position(self, features: Features) -> Array:
        return jnp.asarray(sinusoidal_map(*features.matched.shape[1:3], self.embedding, first=0))

    def identify(self, memory: Float[Array, "b h w o+1"]) -> Float[Array, "b*g n c"]:
        """Identities of the cells under masks, for every group."""
        groups = (memory.shape[-1] - 1) // self.group_size
        identity = self.identity_bank(group_planes(memory, groups))
        return self.identity_norm(identity) if self._gated else identity

    def write(
        self,
        state: AotState,
        features: Features,
        trace: Trace | None,
        memory: Float[Array, "b h w o+1"],
        given: Given | None = None,
    ) -> AotState:
        """Remembers a frame with its masks.

        Where something is given, the frame is a reference: it passes the layers once more, reading
        itself. Without a trace (a frame that was not read) something must be given in all videos.
        """
        identity = self.identify(memory)
        known, prompted = state.known, jnp.zeros(len(state.known), bool)
        pairs, gap = None, self.memory_gap
        if trace is not None:
            gap = trace.gap
            pairs = tuple(
                layer.remember(here, identity)
                for layer, here in zip(self.layers, trace.current, strict=True)
            )
        if given is not None:
            known, prompted = known | given.slots, given.slots.any(-1)
            pairs = self._chosen(prompted, self._refer(features, identity), pairs)
        return remembered(state, pairs, known, prompted, gap)

    def _refer(self, features: Features, identity: Array) -> tuple[Pair, ...]:
        """Key and value per layer of a frame that reads itself."""
        groups = len(identity) // len(features.matched)
        streams, pairs = (jnp.repeat(features.matched, groups, axis=0),), []
        for layer in self.layers:
            streams, here = layer(streams, self._position(features), None, identity)
            pairs.append(layer.remember(here, identity))
        return tuple(pairs)

    def _chosen(self, prompted: Bool[Array, " b"], yes, no):
        """`yes` for videos in which something was given, else `no`, where there is one."""
        if no is None:
            return yes
        groups = len(yes[0][0]) // len(prompted)
        chosen = jnp.repeat(prompted, groups)[:, None, None]
        return jax.tree.map(lambda a, b: jnp.where(chosen, a, b), yes, no)

    def plan(self, step: int, micro: int) -> tuple[Visit, ...]:
        """The clip's frames; true masks are remembered at first, own ones later."""
        return clip_plan(step < self.aux_steps, step >= self.own_from, self.clip_frames)

    def losses(self, run: Run, clip: Clip, step: int) -> dict[str, Array]:
        """The losses of the frames that were read."""
        return clip_losses(
            run,
            clip,
            step,
            aux_steps=self.aux_steps,
            end_warm=self.end_warm,
            top_p=self.top_p,
            align_corners=self.align_corners,
        )
