"""What Mask-Propagation, STCN and RDE share: sizes, preparation, memory, three-frame training."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int32, UInt8

from vos_jax.core.errors import ConfigError
from vos_jax.core.geometry import Geometry, Size, by_shorter_side, centred_padding
from vos_jax.core.resize import pad, resize
from vos_jax.losses.classification import kept_fraction
from vos_jax.nn.bank import FREE, Bank, empty_bank
from vos_jax.ops.memory_read import affinity
from vos_jax.systems.base import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Clip,
    Given,
    Masks,
    Segmenter,
    Spec,
    State,
    Visit,
)
from vos_jax.systems.resolve import odds
from vos_jax.systems.rollout import Run
from vos_jax.systems.space_time_losses import summed_losses

MULTIPLE = 16
BANK, EMBEDDING = "bank", "embedding"
"""Views of training: all frames stored so far, or RDE's one embedding of them."""


@dataclasses.dataclass(frozen=True)
class SpaceTimeSpec(Spec):
    """Static facts of a configured space-time memory network.

    Attributes:
        min_dim: short side of the frames in the network; 0 takes them as they are.
        memory_every: frames between two that stay in the memory.
        growing: whether the memory grows with the video.
        temporary: whether one entry more holds the newest frame that does not stay.
    """

    min_dim: int = 480
    memory_every: int = 5
    growing: bool = True
    temporary: bool = True

    def __post_init__(self):
        """Refuses numbers that cannot work."""
        if self.memory_every < 1 or self.min_dim < 0:
            raise ConfigError(
                f"memory_every is {self.memory_every} and min_dim {self.min_dim}: frames are"
                " remembered every 1 or more, and the short side is 0 (as it is) or positive"
            )

    def geometry(self, frame_size: Size) -> Geometry:
        """Short side `min_dim`, the image in the middle of multiples of 16."""
        resized = by_shorter_side(frame_size, self.min_dim) if self.min_dim else frame_size
        network, offset = centred_padding(resized, MULTIPLE)
        return Geometry(frame=frame_size, resized=resized, network=network, offset=offset)

    def prepare(
        self, frames: UInt8[Array, "n h w 3"], geometry: Geometry
    ) -> Float[Array, "n H W 3"]:
        """Normalised, then resized bicubically, then zero-padded."""
        frames = (frames.astype(jnp.float32) - jnp.asarray(IMAGENET_MEAN)) / jnp.asarray(
            IMAGENET_STD
        )
        return pad(resize(frames, geometry.resized, "bicubic"), geometry)

    def resolve(self, scores, known, given: Given | None, geometry: Geometry) -> Masks:
        """Objects weighed by their odds."""
        return odds(scores, known, given, geometry)

    def entries(self, frames: int, given_frames: int) -> int | None:
        """The given frames, every n-th one after them, and the temporary one."""
        if not self.growing:
            return None
        return given_frames + (frames - 1) // self.memory_every + self.temporary


@struct.dataclass
class SpaceTimeState(State):
    """The memory of a video.

    Attributes:
        bank: keys and values of the frames remembered, per slot.
        last: time of the last frame that stays.
        embedding: keys and values of RDE's recurrent embedding; None in networks without.
    """

    bank: Bank
    last: Int32[Array, " b"]
    embedding: tuple[Float[Array, "b o n c"], Float[Array, "b o n d"]] | None = None


class SpaceTimeSegmenter(Segmenter):
    """Base of the space-time memory networks.

    Attributes:
        channels: of the maps of the backbone "small".
        key_channels: of the keys.
        value_channels: of the values.
        decoder_channels: of the decoder at stride 16, and at strides 8 and 4.
        single_object: the network of stage 0, whose memory does not see other objects.
        top_k: memory cells that each cell of a frame is read from; 0 for all.
        memory_every: frames between two that stay in the memory.
        min_dim: short side of frames in the network; 0 takes them as they are.
        dtype: of the computation; parameters, affinity and norms stay float32.
        start_warm: update until which the loss counts all pixels.
        end_warm: update from which it counts the hardest share `top_p`.
        top_p: see `end_warm`.
    """

    similarity: ClassVar[str] = "dot"
    channels: int = 64
    key_channels: int = 64
    value_channels: int = 512
    decoder_channels: tuple[int, int] = (512, 256)
    single_object: bool = False
    top_k: int = 20
    memory_every: int = 5
    min_dim: int = 480
    dtype: str = "float32"
    start_warm: int = 20_000
    end_warm: int = 70_000
    top_p: float = 0.15

    def init_state(
        self, batch: int, geometry: Geometry, slots: int, memory: int, late: bool = True
    ) -> SpaceTimeState:
        """An empty memory of so many entries."""
        cells = geometry.network[0] // MULTIPLE * (geometry.network[1] // MULTIPLE)
        return SpaceTimeState(
            known=jnp.zeros((batch, slots), bool),
            time=jnp.zeros((batch,), jnp.int32),
            bank=empty_bank(batch, slots, memory, cells, self.key_channels, self.value_channels),
            last=jnp.zeros((batch,), jnp.int32),
        )

    def affinity(
        self, state: SpaceTimeState, features, top_k: int = 0, sigma: float = 0.0
    ) -> Float[Array, "b s n"]:
        """How the first slot's memory cells answer for each cell of a frame; columns sum to 1."""
        keys, valid = state.bank.keys[:, 0], state.bank.valid[:, 0]
        batch, entries, cells, width = keys.shape
        weights = affinity(
            features.key.reshape(batch, -1, width),
            keys.reshape(batch, entries * cells, width),
            jnp.repeat(valid, cells, axis=-1),
            similarity=self.similarity,
            top_k=top_k or None,
            sigma=sigma or None,
            grid=features.key.shape[1:3],
        )
        return jnp.swapaxes(weights, 1, 2)

    def plan(self, step: int, micro: int) -> tuple[Visit, ...]:
        """Three frames, the second one's prediction kept with its gradient."""
        return triplet()

    def losses(self, run: Run, clip: Clip, step: int) -> dict[str, Array]:
        """Bootstrapped cross entropy, summed over the frames that were read."""
        return summed_losses(run, clip, self.kept(step))

    def kept(self, step: int) -> Float[Array, ""]:
        """Share of the pixels that the loss counts."""
        return kept_fraction(step, self.start_warm, self.end_warm, self.top_p)


def begun(state: SpaceTimeState, given: Given | None) -> tuple[SpaceTimeState, Bool[Array, " b"]]:
    """The state in which given slots are known, new ones without a past; and who was given any."""
    if given is None:
        return state, jnp.zeros(len(state.known), bool)
    new = (given.slots & ~state.known)[..., None]
    written = jnp.where(new, FREE, state.bank.written)
    bank = state.bank.replace(written=written)
    return state.replace(known=state.known | given.slots, bank=bank), given.slots.any(-1)


def with_masks(
    images: Float[Array, "b h w 3"], planes: Float[Array, "b h w o"], others: bool
) -> Float[Array, "b*o h w c"]:
    """The image beside each object's plane, and the sum of the other objects' planes.

    Args:
        images: normalised.
        planes: of the objects.
        others: whether there is the channel of the others.
    """
    channels = [jnp.moveaxis(planes, -1, 1)]
    if others:
        rest = 1 - jnp.eye(planes.shape[-1])
        channels.append(jnp.einsum("bhwo,op->bphw", planes, rest, precision="highest"))
    repeated = jnp.broadcast_to(images[:, None], (*channels[0].shape, 3))
    joined = jnp.concatenate([repeated, jnp.stack(channels, axis=-1)], axis=-1)
    return joined.reshape(-1, *joined.shape[2:])


def triplet() -> tuple[Visit, ...]:
    """Three frames: the first is given, the second read and stored, the third read from both."""
    return (
        Visit(0, "given", read=False),
        Visit(1, "own", view=BANK),
        Visit(2, view=BANK),
    )
