"""HODOR (Athar et al., CVPR 2022): frames condensed to object descriptors, and read from them."""

import dataclasses

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from vos_jax.core.errors import ConfigError
from vos_jax.core.geometry import Geometry, Size, by_short_side, pad_to_multiple
from vos_jax.core.resize import resize
from vos_jax.nn.pyramid import SwinPyramid
from vos_jax.nn.small_backbone import SmallBackbone
from vos_jax.systems.base import Clip, Given, Masks, Segmenter, Spec, State, Visit
from vos_jax.systems.hodor.cycles import training_plan
from vos_jax.systems.hodor.decoder import PixelDecoder
from vos_jax.systems.hodor.descriptors import DescriptorEncoder
from vos_jax.systems.hodor.losses import prediction_losses
from vos_jax.systems.hodor.masks import predicted_masks, reference_masks
from vos_jax.systems.resolve import softmax
from vos_jax.systems.rollout import Run

CELLS = 9


@dataclasses.dataclass(frozen=True)
class HodorSpec(Spec):
    """Static facts of a configured HODOR.

    Attributes:
        min_dim: the short side of frames at inference.
        max_dim: the most their long side may be.
        bare_first: the official program's first masks, see `resolve.softmax`.
    """

    min_dim: int = 448
    max_dim: int = 864
    bare_first: bool = False

    def geometry(self, frame_size: Size) -> Geometry:
        """Short side `min_dim`, padded right and bottom to multiples of 32."""
        resized = by_short_side(frame_size, self.min_dim, self.max_dim)
        return Geometry(frame=frame_size, resized=resized, network=pad_to_multiple(resized, 32))

    def resolve(self, scores, known, given: Given | None, geometry: Geometry) -> Masks:
        """Softmax over ten background channels and the objects."""
        return softmax(scores, known, given, geometry, self.bare_first)

    def entries(self, frames: int, given_frames: int) -> int | None:
        """None: the temporal window is all that is kept."""
        return None

    def place(self, given: Given, geometry: Geometry) -> Given:
        """Given planes at network size: bilinear, then above one half."""
        resized = resize(given.masks, geometry.resized) > 0.5
        return given.placed(resized.astype(jnp.float32), geometry)


@struct.dataclass
class HodorState(State):
    """Descriptors of the last frames, a ring whose oldest entry the newest replaces.

    Attributes:
        descriptors: per entry: background cells, then slots.
        valid: which of them there are.
    """

    descriptors: Float[Array, "b m n c"]
    valid: Bool[Array, "b m n"]


class Hodor(Segmenter):
    """The network and its verbs.

    Attributes:
        backbone: "swin_tiny", "swin_small", "swin_base", or "small" (for quick experiments).
        channels: of features and descriptors.
        heads: of every attention.
        encoder_layers: of the descriptor encoder.
        decoder_layers: of the pixel decoder.
        encoder_ffn: hidden width of the encoder's feed-forward parts.
        decoder_ffn: hidden width of the decoder's.
        deformable: whether the decoder's convolutions are deformable.
        position_in_encoder: whether the encoder's keys carry the position map.
        dropout: rate in encoder and decoder.
        dtype: of the computation; parameters, softmax and norms stay float32.
        temporal_window: past frames that a frame is read from.
        min_dim: short side of frames at inference.
        max_dim: most their long side may be.
        bare_first: see `HodorSpec`.
        cut_masks: whether predictions that become memory pass no gradient.
        cycles: "full" (the published six predictions) or "short" (three, forward only).
        clip_frames: frames of a training clip, 1 to 3.
    """

    backbone: str = "swin_tiny"
    channels: int = 256
    heads: int = 8
    encoder_layers: int = 5
    decoder_layers: int = 5
    encoder_ffn: int = 1024
    decoder_ffn: int = 256
    deformable: bool = True
    position_in_encoder: bool = False
    dropout: float = 0.1
    dtype: str = "float32"
    temporal_window: int = 7
    min_dim: int = 448
    max_dim: int = 864
    bare_first: bool = False
    cut_masks: bool = True
    cycles: str = "full"
    clip_frames: int = 3

    def setup(self):
        """Makes the three networks."""
        if self.channels % 32 or self.channels % self.heads or self.heads % 4:
            raise ConfigError(
                f"model.channels={self.channels}, model.heads={self.heads}: channels must be a"
                " multiple of 32 and of the heads, and the heads of 4"
            )
        shared = {"channels": self.channels, "dtype": jnp.dtype(self.dtype)}
        attending = {"heads": self.heads, "dropout": self.dropout, **shared}
        family, _, variant = self.backbone.partition("_")
        if family == "swin":
            self.extractor = SwinPyramid(variant, **shared)
        elif self.backbone == "small":
            self.extractor = SmallBackbone(**shared)
        else:
            raise ConfigError(
                f"model.backbone={self.backbone!r} is not known: use 'swin_tiny', 'swin_small',"
                " 'swin_base' or 'small'"
            )
        self.encoder = DescriptorEncoder(
            layers=self.encoder_layers,
            hidden=self.encoder_ffn,
            background=CELLS,
            positions=self.position_in_encoder,
            **attending,
        )
        self.decoder = PixelDecoder(
            layers=self.decoder_layers,
            hidden=self.decoder_ffn,
            background=CELLS,
            deformable=self.deformable,
            **attending,
        )

    @property
    def spec(self) -> HodorSpec:
        """Static facts of this configuration."""
        return HodorSpec(min_dim=self.min_dim, max_dim=self.max_dim, bare_first=self.bare_first)

    @property
    def untrained(self) -> tuple[str, ...]:
        """Patterns of parameters that no gradient reaches: pyramid levels that are not read."""
        return ("extractor/pyramid/output_[2-9]/*", "extractor/pyramid/norm_[2-9]/*")

    def init_state(
        self,
        batch: int,
        geometry: Geometry,
        slots: int,
        memory: int | None = None,
        late: bool = True,
    ) -> HodorState:
        """An empty ring of `memory` entries, by default as many as the temporal window."""
        entries = max(self.temporal_window, 1) if memory is None else memory
        size = (batch, entries, CELLS + slots)
        return HodorState(
            known=jnp.zeros((batch, slots), bool),
            time=jnp.zeros((batch,), jnp.int32),
            descriptors=jnp.zeros((*size, self.channels)),
            valid=jnp.zeros(size, bool),
        )

    def encode(self, frames: Float[Array, "n h w 3"]) -> dict[int, Float[Array, "n y x c"]]:
        """Features at strides 4 and 8."""
        features = self.extractor(frames)
        return {stride: features[stride] for stride in (4, 8)}

    def read(self, state: HodorState, features, given: Given | None = None, view=None):
        """Logits at stride 4: ten background channels, then the slots. The trace is empty.

        Args:
            state: the memory.
            features: of the frame to be read.
            given: objects given on this frame are read from their reference descriptors.
            view: entry numbers to read from (training); None reads the whole ring and this
                frame's own entry.
        """
        if view is None:
            own, own_valid = self._own_entry(state, features, given)
            descriptors = jnp.concatenate([state.descriptors, own[:, None]], axis=1)
            valid = jnp.concatenate([state.valid, own_valid[:, None]], axis=1)
        else:
            descriptors = jnp.stack([state.descriptors[:, entry] for entry in view], axis=1)
            valid = jnp.stack([state.valid[:, entry] for entry in view], axis=1)
        embeddings = self.encoder.embeddings(state.known.shape[1])
        return self.decoder(features, descriptors, embeddings, valid), None

    def _own_entry(self, state: HodorState, features, given: Given | None):
        """Reference descriptors of the objects given on this frame, and which there are.

        Only the given objects are foreground in this call, known ones count as background; the
        background's descriptors take part if nothing was known before.
        """
        if given is None:
            return jnp.zeros_like(state.descriptors[:, 0]), jnp.zeros_like(state.valid[:, 0])
        planes = given.masks * given.slots[:, None, None, :]
        objects, background = reference_masks(planes, CELLS)
        valid = given.slots & _substantial(objects)
        descriptors = self.encoder(features[8], background, objects, valid)
        first = given.slots.any(-1) & ~state.known.any(-1)
        return descriptors, _with_background(valid, first)

    def write(self, state: HodorState, features, trace, memory, given: Given | None = None):
        """Encodes all objects together from their planes and replaces the oldest entry.

        A video whose first objects these are is encoded from the given planes alone. A given
        object too small to be seen at stride 8 stays unknown.
        """
        objects, background = predicted_masks(memory[..., 1:], CELLS)
        known = state.known
        if given is not None:
            planes = given.masks * given.slots[:, None, None, :]
            reference, rest = reference_masks(planes, CELLS)
            first = (given.slots.any(-1) & ~known.any(-1))[:, None, None, None]
            objects = jnp.where(first, reference, objects)
            background = jnp.where(first, rest, background)
            known = known | (given.slots & _substantial(reference))
        new = self.encoder(features[8], background, objects, known)
        videos = jnp.arange(len(known))
        place = state.time % state.valid.shape[1]
        return state.replace(
            known=known,
            time=state.time + 1,
            descriptors=state.descriptors.at[videos, place].set(new.astype(jnp.float32)),
            valid=state.valid.at[videos, place].set(_with_background(known, known.any(-1))),
        )

    def plan(self, step: int, micro: int) -> tuple[Visit, ...]:
        """The published cycles; updates and micro-batches alternate between two versions."""
        return training_plan(self.clip_frames, (step + micro) % 2 == 1, self.cycles, self.cut_masks)

    def losses(self, run: Run, clip: Clip, step: int) -> dict[str, Array]:
        """Dice and cross entropy over all predictions of labelled frames."""
        return prediction_losses(run, clip)


def _with_background(objects: Bool[Array, "b o"], background: Bool[Array, " b"]):
    cells = jnp.broadcast_to(background[:, None], (len(background), CELLS))
    return jnp.concatenate([cells, objects], axis=1)


def _substantial(masks: Float[Array, "b y x o"]) -> Bool[Array, "b o"]:
    """Whether an object fills more than half of any cell."""
    return (masks > 0.5).any((1, 2))
