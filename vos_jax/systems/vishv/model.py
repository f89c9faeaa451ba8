"""STEm-Seg (Athar et al., ECCV 2020)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from vos_jax.core.errors import ConfigError
from vos_jax.nn.resnet_pyramid import BLOCKS, UNTRAINED, ResNetPyramid
from vos_jax.nn.small_backbone import SmallBackbone
from vos_jax.systems.base import Clip, Segmenter, Visit
from vos_jax.systems.rollout import Run
from vos_jax.systems.vishv.decoders import Decoder
from vos_jax.systems.vishv.losses import clip_losses
from vos_jax.systems.vishv.maps import DenseMaps, free_dimensions, mixed
from vos_jax.systems.vishv.spec import StemSegSpec

Features = dict[int, Float[Array, "b t y x c"]]
STEEPNESS = 0.25
"""Factor before the hyperbolic tangent of the offsets."""


class StemSeg(Segmenter):
    """The network and its verbs.

    Attributes:
        backbone: "resnet101", "resnet50", or "small" for quick trials.
        channels: of the pyramid.
        clip_length: frames of a clip: 2, 4, 8, 16, 24 or 32.
        overlap: frames that neighbouring clips of a video share.
        mode: dimensions of the embedding: x, y, t, and an f for each free one.
        free_stds: standard deviations of the free dimensions.
        classes: with the background; 0 for no semantic head.
        seediness_head: whether seediness has a decoder of its own.
        widths: channels of the decoders at strides 32, 16, 8 and 4.
        semantic_widths: of the semantic one.
        groups: of the decoders' normalisations.
        min_dim: short side of frames.
        max_dim: bound of their long side.
        foreground: seediness above which a pixel is foreground where there are no classes.
        full_size: whether maps are enlarged before pixels are clustered.
        min_seediness: see `tracks.Rules`, as the next four.
        primary: probability at which a pixel joins a seed.
        secondary: the same for those left over.
        secondary_to: which cluster these join, "farthest" or "nearest".
        max_clusters: of a clip.
        max_tracks: that are kept of a video; None for what its data set is scored with.
        freeze_encoder: whether the encoder learns nothing.
        dtype: of the computation; parameters, norms and maps stay float32.
    """

    backbone: str = "resnet101"
    channels: int = 256
    clip_length: int = 8
    overlap: int = 4
    mode: str = "xyff"
    free_stds: tuple[float, ...] = (0.3, 0.3)
    classes: int = 41
    seediness_head: bool = False
    widths: tuple[int, ...] = (256, 256, 128, 128)
    semantic_widths: tuple[int, ...] = (256, 256, 256, 256)
    groups: int = 32
    min_dim: int = 640
    max_dim: int = 1196
    foreground: float = 0.25
    full_size: bool = False
    min_seediness: float = 0.8
    primary: float = 0.5
    secondary: float = 0.3
    secondary_to: str = "farthest"
    max_clusters: int = 20
    max_tracks: int | None = None
    freeze_encoder: bool = False
    dtype: str = "float32"

    def setup(self):
        """Makes the encoder and the decoders."""
        dtype, free = jnp.dtype(self.dtype), free_dimensions(self.mode)
        if len(self.free_stds) != free:
            raise ConfigError(
                f"model.free_stds={self.free_stds}: mode {self.mode!r} has {free} free dimensions"
            )
        if self.backbone == "small":
            self.encoder = SmallBackbone(self.channels, dtype=dtype, levels=4)
        elif self.backbone in BLOCKS:
            self.encoder = ResNetPyramid(self.backbone, self.channels, dtype)
        else:
            known = ", ".join(["small", *BLOCKS])
            raise ConfigError(f"model.backbone={self.backbone!r} is not known: use one of {known}")
        size = len(self.mode)
        outputs = (("embedding", size), ("bandwidth", size - free), ("seediness", 1))
        kept = outputs[:2] if self.seediness_head else outputs
        shared = {"clip_length": self.clip_length, "groups": self.groups, "dtype": dtype}
        self.embedding = Decoder(self.widths, outputs=kept, biased=("bandwidth",), **shared)
        if self.seediness_head:
            self.seediness = Decoder(self.widths, outputs=outputs[2:], **shared)
        if self.classes:
            logits = (("semantic", self.classes + 1),)
            self.semantic = Decoder(self.semantic_widths, outputs=logits, **shared)
        self.time_scale = self.param("time_scale", nn.initializers.ones_init(), ())

    @property
    def spec(self) -> StemSegSpec:
        """Static facts of this configuration."""
        return StemSegSpec(
            window=self.clip_length,
            overlap=self.overlap,
            min_dim=self.min_dim,
            max_dim=self.max_dim,
        )

    @property
    def untrained(self) -> tuple[str, ...]:
        """Patterns of the encoder's first part and norms, or of all of it, and of a constant."""
        if self.freeze_encoder:
            return ("time_scale", "encoder/*")
        frozen = () if self.backbone == "small" else UNTRAINED
        return ("time_scale", *(f"encoder/{pattern}" for pattern in frozen))

    def initialise(self, frames: UInt8[Array, "b h w 3"]):
        """Touches every parameter: encodes frames, reads a clip of the first one, repeated."""
        features = self.encode(self.spec.prepare(frames, self.spec.unchanged(frames.shape[1:3])))
        clip = jax.tree.map(lambda x: jnp.repeat(x[:1, None], self.clip_length, 1), features)
        return self.read(None, clip)

    def encode(self, frames: Float[Array, "n h w 3"]) -> dict[int, Float[Array, "n y x c"]]:
        """The pyramid's maps of single frames by stride: 4, 8, 16, 32."""
        features = self.encoder(frames)
        return jax.lax.stop_gradient(features) if self.freeze_encoder else features

    def read(self, state, features: Features, given=None, view=None) -> tuple[DenseMaps, None]:
        """The dense maps of a window.

        Args:
            state: None; windows know nothing of each other.
            features: of the window's frames.
            given: None.
            view: None.
        """
        return self.maps_of(features), None

    def maps_of(self, features: Features, added: Array | None = None) -> DenseMaps:
        """The decoders' maps of a window; `added` is the appearance as part of the embedding."""
        found = self.embedding(features)
        raw = found["seediness"] if "seediness" in found else self.seediness(features)["seediness"]
        offsets = jnp.tanh(STEEPNESS * found["embedding"])
        return DenseMaps(
            embedding=mixed(offsets, self.mode, self.time_scale, added),
            bandwidth=found["bandwidth"],
            seediness=jax.nn.sigmoid(raw[..., 0]),
            semantic=self.semantic(features)["semantic"] if self.classes else None,
        )

    def plan(self, step: int, micro: int) -> tuple[Visit, ...]:
        """The whole clip at once."""
        return (Visit(None),)

    def losses(self, run: Run, clip: Clip, step: int) -> dict[str, Array]:
        """The losses of the clip's maps, see `losses.clip_losses`."""
        return clip_losses(run.scores[0], clip, self.free_stds)
