"""STCN (Cheng et al., NeurIPS 2021) and RDE (Li et al., CVPR 2022), which adds an embedding."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from vos_jax.core.errors import ConfigError
from vos_jax.core.geometry import Geometry
from vos_jax.nn.bank import read_bank, store
from vos_jax.nn.blocks import FACTORS, Conv
from vos_jax.nn.mask_decoder import MaskDecoder
from vos_jax.nn.resnet import UNTRAINED, image_encoder
from vos_jax.ops.memory_read import read_memory
from vos_jax.systems.base import Clip, Visit
from vos_jax.systems.rde.aggregation import AggregationModule
from vos_jax.systems.rde.losses import clip_losses
from vos_jax.systems.rde.memory import FIRST_AND_NEWEST, MODES, parts_read
from vos_jax.systems.rde.value_encoder import ValueEncoder
from vos_jax.systems.rollout import Run, planes_of
from vos_jax.systems.space_time import (
    BANK,
    EMBEDDING,
    SpaceTimeSegmenter,
    SpaceTimeSpec,
    SpaceTimeState,
    begun,
    triplet,
    with_masks,
)

BACKBONES = {"resnet": ("resnet50", "resnet18"), "small": ("small", "small")}


@struct.dataclass
class Features:
    """What is known of frames without any mask.

    Attributes:
        key: at stride 16.
        thin: what the decoder sees of the frame at stride 16.
        f16: what the value encoder sees of it.
        f8: at stride 8.
        f4: at stride 4.
        image: normalised.
    """

    key: Float[Array, "n y x c"]
    thin: Float[Array, "n y x d"]
    f16: Array
    f8: Array
    f4: Array
    image: Float[Array, "n h w 3"]


class Stcn(SpaceTimeSegmenter):
    """STCN and its verbs: a growing memory whose keys depend on the image alone.

    `SpaceTimeSegmenter` has the other attributes.

    Attributes:
        backbone: "resnet" (50 for keys, 18 for values), or "small" (for quick experiments).
        include_last: whether the newest frame is remembered for one frame more.
    """

    similarity: ClassVar[str] = "l2"
    backbone: str = "resnet"
    include_last: bool = False

    def setup(self):
        """Makes the two encoders with the key's and the frame's heads, and the decoder."""
        dtype = jnp.dtype(self.dtype)
        if self.backbone not in BACKBONES:
            raise ConfigError(
                f"model.backbone={self.backbone!r} is not known: use 'resnet' or 'small'"
            )
        key, value = BACKBONES[self.backbone]
        orthogonal, zeros = nn.initializers.orthogonal(), nn.initializers.zeros_init()
        self.key_encoder = image_encoder(key, self.channels, dtype)
        self.key_head = Conv(
            self.key_channels, dtype=dtype, kernel_init=orthogonal, bias_init=zeros
        )
        self.thin_head = Conv(self.value_channels, dtype=dtype)
        self.value_encoder = ValueEncoder(value, self.channels, self.value_channels, dtype)
        self.decoder = MaskDecoder(tuple(self.decoder_channels), dtype=dtype)

    @property
    def spec(self) -> SpaceTimeSpec:
        """Static facts of this configuration."""
        return SpaceTimeSpec(
            min_dim=self.min_dim,
            memory_every=self.memory_every,
            temporary=self.include_last,
            skippable=not self.include_last,
        )

    @property
    def untrained(self) -> tuple[str, ...]:
        """Patterns of the norms' statistics, and of levels of "small" that are not read."""
        if self.backbone == "small":
            return ("value_encoder/image_encoder/pyramid/*_[01]/*",)
        return UNTRAINED

    def encode(self, frames: Float[Array, "n h w 3"]) -> Features:
        """Keys, what decoder and value encoder see of frames, and finer features."""
        maps = self.key_encoder(frames)
        return Features(
            key=self.key_head(maps[16]),
            thin=self.thin_head(maps[16]),
            f16=maps[16],
            f8=maps[8],
            f4=maps[4],
            image=frames,
        )

    def read(self, state: SpaceTimeState, features: Features, given=None, view=None):
        """Logits of the slots at stride 4; in training, the decoder's input as the trace.

        Args:
            state: the memory.
            features: of the frame to be read.
            given: not looked at.
            view: None as configured for inference; "bank" or "embedding" read all their cells
                plainly (training), for which all slots must have started together.
        """
        readout = self.recall(state, features, view)
        scores = self.decoder(readout, features.thin, features.f8, features.f4)
        if view is None:
            return scores, None
        thin = jnp.broadcast_to(features.thin[:, None], readout.shape)
        return scores, jnp.concatenate([readout, thin], axis=-1)

    def recall(
        self, state: SpaceTimeState, features: Features, view: str | None = None
    ) -> Float[Array, "b o y x d"]:
        """What the memory of every slot gives for a frame; arguments as for `read`."""
        batch, rows, columns, width = features.key.shape
        query = features.key.reshape(batch, rows * columns, width)
        keys, values, valid = self._entries(state, view)
        if view is None:
            options = {"grid": (rows, columns), "similarity": self.similarity, "top_k": self.top_k}
            starts = state.bank.starts
            found = read_bank(query, keys, values, valid, state.known, starts=starts, **options)
        else:
            keys = keys[:, 0].reshape(batch, -1, width)
            values = values.reshape(*values.shape[:2], -1, values.shape[-1])
            valid = jnp.repeat(valid[:, 0], rows * columns, axis=-1)
            found = read_memory(query, keys, values, valid, similarity=self.similarity)
        return found.reshape(*found.shape[:2], rows, columns, -1)

    def _entries(self, state: SpaceTimeState, view: str | None) -> tuple[Array, Array, Array]:
        """Keys, values and validity of the entries that a view reads."""
        return state.bank.keys, state.bank.values, state.bank.valid

    def values(
        self, features: Features, planes: Float[Array, "b h w o"]
    ) -> Float[Array, "b o n d"]:
        """Values of a frame for each object, from soft planes."""
        inputs = with_masks(features.image, planes, others=not self.single_object)
        maps = self.value_encoder(inputs, features.f16)
        return maps.reshape(len(planes), planes.shape[-1], -1, maps.shape[-1])

    def write(
        self, state: SpaceTimeState, features: Features, trace, memory, given=None
    ) -> SpaceTimeState:
        """Remembers the frame for all known slots if it is due; otherwise only counts it.

        Due are frames of training clips (they come with a trace), given ones and every n-th
        after the last that was. Nothing is encoded where no video has a frame to remember.
        """
        state, prompted = begun(state, given)
        known = state.known
        due = prompted | (state.time - state.last >= self.spec.memory_every) | (trace is not None)
        remembered = known & (due | self.spec.temporary)[:, None]
        arguments = (self, state, features, memory[..., 1:])
        remember, pass_by = type(self)._remember, type(self)._pass_by
        if trace is not None or self.is_initializing() or self.is_mutable_collection(FACTORS):
            values, embedding = remember(*arguments)
        else:
            values, embedding = nn.cond(remembered.any(), remember, pass_by, *arguments)
        keys = features.key.reshape(len(known), 1, -1, self.key_channels)
        keys = jnp.broadcast_to(keys, (*known.shape, *keys.shape[2:]))
        chosen = remembered[..., None, None]
        return state.replace(
            time=state.time + 1,
            bank=store(state.bank, keys, values, state.time, remembered, due, prompted),
            last=jnp.where(due & known.any(-1), state.time, state.last),
            embedding=jax.tree.map(
                lambda new, old: jnp.where(chosen, new, old), embedding, state.embedding
            ),
        )

    def _remember(self, state: SpaceTimeState, features: Features, planes: Array):
        """The frame's values, and what the embedding becomes."""
        return self.values(features, planes).astype(jnp.float32), state.embedding

    def _pass_by(self, state: SpaceTimeState, features: Features, planes: Array):
        """In place of `_remember` for a frame of which nothing is kept."""
        return jnp.zeros_like(state.bank.values[:, :, 0]), state.embedding


class Rde(Stcn):
    """RDE and its verbs: STCN whose memory is one embedding that every remembered frame changes.

    Attributes:
        top_k: see `Stcn`.
        memory_every: frames between two that are remembered.
        include_last: whether every frame is remembered, which is what the official option does.
        mode: what a frame is read from at inference, see `memory.MODES`; the network of stage 0
            has no embedding and always reads all frames.
        repeat: squeeze-excitation blocks of the aggregation module.
        klloss_weight: of the loss between values of true and perturbed first masks.
        decoder_f2_weight: of the loss between reads of embedding and bank at frame 2.
        decoder_f4_weight: at frame 4.
        temperature: of these losses.
    """

    top_k: int = 40
    memory_every: int = 3
    mode: str = "two-frames-compress"
    repeat: int = 0
    klloss_weight: float = 10.0
    decoder_f2_weight: float = 10.0
    decoder_f4_weight: float = 10.0
    temperature: float = 1.0

    def setup(self):
        """Makes STCN and the aggregation module."""
        super().setup()
        if self.mode not in MODES:
            raise ConfigError(f"model.mode={self.mode!r} is not known: use {', '.join(MODES)}")
        if not self.single_object:
            self.aggregation = AggregationModule(
                self.key_channels, self.value_channels, self.repeat, jnp.dtype(self.dtype)
            )

    @property
    def spec(self) -> SpaceTimeSpec:
        """Static facts of this configuration."""
        return SpaceTimeSpec(
            min_dim=self.min_dim,
            memory_every=1 if self.include_last else self.memory_every,
            growing=not self._parts,
            temporary=False,
            skippable=True,
        )

    @property
    def _parts(self) -> tuple[str, ...]:
        return () if self.single_object else MODES[self.mode]

    def init_state(
        self,
        batch: int,
        geometry: Geometry,
        slots: int,
        memory: int | None = None,
        late: bool = True,
    ) -> SpaceTimeState:
        """An empty memory; one that does not grow needs two entries (training keeps all)."""
        state = super().init_state(batch, geometry, slots, memory or FIRST_AND_NEWEST)
        if self.single_object:
            return state
        bank = state.bank
        return state.replace(embedding=(bank.keys[:, :, 0], bank.values[:, :, 0]))

    def _entries(self, state: SpaceTimeState, view: str | None) -> tuple[Array, Array, Array]:
        if view == EMBEDDING:
            return parts_read(state, ("embedding",))
        if view == BANK or not self._parts:
            return super()._entries(state, view)
        return parts_read(state, self._parts)

    def _remember(self, state: SpaceTimeState, features: Features, planes: Array):
        values, _ = super()._remember(state, features, planes)
        if state.embedding is None:
            return values, None
        batch, rows, columns, _ = features.key.shape
        keys = jnp.broadcast_to(
            features.key.reshape(batch, 1, rows * columns, -1), state.embedding[0].shape
        ).astype(jnp.float32)
        pairs = [
            jnp.stack(pair, axis=2).reshape(-1, 2, rows, columns, pair[0].shape[-1])
            for pair in zip(state.embedding, (keys, values), strict=True)
        ]
        first = state.bank.used[..., None, None] == 0
        embedding = tuple(
            jnp.where(first, new, joined.reshape(new.shape).astype(jnp.float32))
            for new, joined in zip((keys, values), self.aggregation(*pairs), strict=True)
        )
        return values, embedding

    def plan(self, step: int, micro: int) -> tuple[Visit, ...]:
        """Five frames: frames 2 and 4 are read from the embedding, and from the bank beside it.

        Stage 0 has STCN's three frames.
        """
        if self.single_object:
            return triplet()
        return (
            Visit(0, "given", read=False),
            Visit(1, "own", view=BANK),
            Visit(2, view=EMBEDDING),
            Visit(2, "own", view=BANK),
            Visit(3, "own", view=BANK),
            Visit(4, view=EMBEDDING),
            Visit(4, view=BANK),
        )

    def losses(self, run: Run, clip: Clip, step: int) -> dict[str, Array]:
        """The frames' losses with a halved running total, consistency and guidance."""
        first = jax.tree.map(lambda x: x[:, 0], run.features)
        planes = planes_of(clip.labels[:, 0], clip)[..., 1:]
        return clip_losses(
            run,
            clip,
            self.kept(step),
            self.values(first, planes),
            consistency=self.klloss_weight,
            guidance={2: self.decoder_f2_weight, 4: self.decoder_f4_weight},
            temperature=self.temperature,
        )
