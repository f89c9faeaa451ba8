"""Mask-Propagation (Cheng et al., MiVOS, CVPR 2021): a space-time memory with top-k reads."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vos_jax.nn.bank import read_bank, store
from vos_jax.nn.blocks import Conv
from vos_jax.nn.mask_decoder import MaskDecoder
from vos_jax.nn.resnet import UNTRAINED, image_encoder
from vos_jax.systems.base import Clip
from vos_jax.systems.mask_propagation.weights import SPREAD, alike, whitened
from vos_jax.systems.rollout import Run
from vos_jax.systems.space_time import (
    SpaceTimeSegmenter,
    SpaceTimeSpec,
    SpaceTimeState,
    begun,
    with_masks,
)
from vos_jax.systems.space_time_losses import disagreement, matching_loss

TINY = 1e-6


@struct.dataclass
class Features:
    """What is known of frames without any mask.

    Attributes:
        key: at stride 16.
        value: at stride 16.
        f8: at stride 8.
        f4: at stride 4.
        image: normalised.
    """

    key: Float[Array, "n y x c"]
    value: Float[Array, "n y x d"]
    f8: Array
    f4: Array
    image: Float[Array, "n h w 3"]


class KeyValue(nn.Module):
    """Keys and values of stride-16 features.

    The product of keys prefers the longest memory keys to those that are alike. From ImageNet
    weights that is learned away; keys that begin at random match better on a sphere.

    Attributes:
        key_channels: of the keys.
        value_channels: of the values.
        spread: root mean square of every key's channels; 0, as published, leaves keys as they are.
        dtype: compute dtype.
    """

    key_channels: int
    value_channels: int
    spread: float = 0.0
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Makes the two convolutions."""
        self.key = Conv(self.key_channels, dtype=self.dtype)
        self.value = Conv(self.value_channels, dtype=self.dtype)

    def __call__(self, features: Float[Array, "n y x c"]) -> tuple[Array, Array]:
        """Computes both."""
        key = self.key(features)
        if self.spread:
            squares = jnp.square(key).mean(-1, keepdims=True)
            key = key * (self.spread * jax.lax.rsqrt(squares + TINY))
        return key, self.value(features)


class MaskPropagation(SpaceTimeSegmenter):
    """The network and its verbs; `SpaceTimeSegmenter` has the other attributes.

    Attributes:
        backbone: "resnet50", or "small" (for quick experiments), whose keys are of one length.
        sigma: spread of the kernelised memory in cells of stride 16 (5.6); 0 for none.
        matching: weight of `matching_loss`; 0, as published, for none.
        agreement: weight of `disagreement`; likewise.
    """

    backbone: str = "resnet50"
    key_channels: int = 128
    top_k: int = 50
    sigma: float = 0.0
    matching: float = 0.0
    agreement: float = 0.0

    def setup(self):
        """Makes the two encoders with their heads, and the decoder."""
        dtype = jnp.dtype(self.dtype)
        self.query_encoder = image_encoder(self.backbone, self.channels, dtype)
        self.memory_encoder = image_encoder(self.backbone, self.channels, dtype, conv_bias=True)
        sizes = self.key_channels, self.value_channels, SPREAD if self._small else 0.0, dtype
        self.query_head, self.memory_head = KeyValue(*sizes), KeyValue(*sizes)
        self.decoder = MaskDecoder(tuple(self.decoder_channels), refined=True, dtype=dtype)

    @property
    def spec(self) -> SpaceTimeSpec:
        """Static facts of this configuration."""
        return SpaceTimeSpec(min_dim=self.min_dim, memory_every=self.memory_every)

    @property
    def untrained(self) -> tuple[str, ...]:
        """Patterns of the norms' statistics, and of levels of "small" that are not read."""
        if self._small:
            return ("memory_encoder/pyramid/*_[01]/*",)
        return UNTRAINED

    @property
    def _small(self) -> bool:
        return self.backbone == "small"

    def primed(self, params, clip: Clip):
        """The parameters, the keys of a small network that has not learned yet made `whitened`."""
        if not self._small or not alike(params):
            return params

        @jax.jit
        def keys(params, frames):
            prepared = self.spec.prepare(frames, self.spec.unchanged(frames.shape[1:3]))
            return self.apply({"params": params}, prepared, method="raw_keys")

        return whitened(params, keys(params, clip.frames[:, 0]))

    def raw_keys(self, frames: Float[Array, "n h w 3"]) -> Float[Array, "n y x c"]:
        """Query keys of any length."""
        return self.query_head.key(self.query_encoder(frames)[16])

    def encode(self, frames: Float[Array, "n h w 3"]) -> Features:
        """Query key and value, and finer features."""
        maps = self.query_encoder(frames)
        key, value = self.query_head(maps[16])
        return Features(key=key, value=value, f8=maps[8], f4=maps[4], image=frames)

    def recall(
        self, state: SpaceTimeState, features: Features, view=None
    ) -> Float[Array, "b o y x d"]:
        """What the memory holds for each cell of a frame, per slot; `view` as in `read`."""
        batch, rows, columns, width = features.key.shape
        plain = view is not None
        readout = read_bank(
            features.key.reshape(batch, -1, width),
            state.bank.keys,
            state.bank.values,
            state.bank.valid,
            state.known,
            grid=(rows, columns),
            similarity=self.similarity,
            top_k=None if plain else self.top_k or None,
            sigma=None if plain else self.sigma or None,
        )
        return readout.reshape(*readout.shape[:2], rows, columns, -1)

    def read(self, state: SpaceTimeState, features: Features, given=None, view=None):
        """Logits of the slots at stride 4, and an empty trace.

        Args:
            state: the memory.
            features: of the frame to be read.
            given: not looked at.
            view: None as configured for inference; any other reads all cells plainly (training).
        """
        readout = self.recall(state, features, view)
        return self.decoder(readout, features.value, features.f8, features.f4), None

    def memorise(
        self, features: Features, planes: Float[Array, "b h w o"]
    ) -> tuple[Float[Array, "b o n c"], Float[Array, "b o n d"]]:
        """Keys and values of a frame for each object, from soft planes."""
        inputs = with_masks(features.image, planes, others=not self.single_object)
        pair = self.memory_head(self.memory_encoder(inputs)[16])
        batch, objects = len(planes), planes.shape[-1]
        return tuple(x.reshape(batch, objects, -1, x.shape[-1]) for x in pair)

    def write(
        self, state: SpaceTimeState, features: Features, trace, memory, given=None
    ) -> SpaceTimeState:
        """Stores the frame for all known slots.

        Given frames stay, and so does every n-th frame after the last that stayed; another one
        only until the next frame.
        """
        state, prompted = begun(state, given)
        keys, values = self.memorise(features, memory[..., 1:])
        keep = prompted | (state.time - state.last >= self.memory_every)
        return state.replace(
            time=state.time + 1,
            bank=store(state.bank, keys, values, state.time, state.known, keep, stays=prompted),
            last=jnp.where(keep & state.known.any(-1), state.time, state.last),
        )

    def losses(self, run: Run, clip: Clip, step: int) -> dict[str, Array]:
        """Bootstrapped cross entropy, and what keys that begin at random need, weighed."""
        losses = super().losses(run, clip, step)
        queries = run.features.key
        if self.matching:
            missed = matching_loss(queries, run.state.bank.keys, clip)
            losses["matching"] = self.matching * missed
            losses["loss"] += losses["matching"]
        if self.agreement:
            apart = disagreement(queries, run.state.bank.keys, clip.slots)
            losses["disagreement"] = self.agreement * apart
            losses["loss"] += losses["disagreement"]
        return losses
