"""Frames brought to a given short side while they are written, as the published recipes do.

Mask-Propagation, STCN and RDE train on YouTube-VOS at a short side of 480: images bicubic
(Pillow) and saved as JPEG of Pillow's default quality, masks by nearest neighbour, both sides
truncated to whole pixels.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.masks import label_objects
from data_prep.sources import FrameSource, VideoSource
from vos_jax.data.frames import Frame
from vos_jax.data.planes import frame_labels
from vos_jax.io.images import decode_image, encode_mask


@dataclass(frozen=True)
class ShrunkFrame:
    """A frame of another size than its source; see `FrameSource`."""

    original: FrameSource
    short_side: int

    @property
    def source(self) -> str:
        """That of the original."""
        return self.original.source

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Those of the original."""
        return self.original.inputs

    def load(self) -> Frame:
        """Reads the original and resizes it."""
        return shrink(self.original.load(), self.short_side)


@dataclass(frozen=True)
class ShrunkVideo:
    """A video of `ShrunkFrame`; see `VideoSource`."""

    original: VideoSource
    short_side: int

    @property
    def name(self) -> str:
        """That of the original."""
        return self.original.name

    @property
    def length(self) -> int:
        """That of the original."""
        return self.original.length

    def frames(self) -> Iterator[ShrunkFrame]:
        """The frames in order."""
        return (ShrunkFrame(frame, self.short_side) for frame in self.original.frames())


def shrink(frame: Frame, short_side: int) -> Frame:
    """A frame whose short side has that many pixels; one that has them is left as it is.

    Args:
        frame: with a palette mask, or with none.
        short_side: pixels; smaller frames are enlarged.
    """
    ratio = short_side / min(frame.height, frame.width)
    size = int(frame.width * ratio), int(frame.height * ratio)
    if size == (frame.width, frame.height):
        return frame
    pixels = Image.fromarray(decode_image(frame.image, frame.source))
    stream = io.BytesIO()
    pixels.resize(size, Image.Resampling.BICUBIC).save(stream, format="JPEG")
    resized = replace(frame, image=stream.getvalue(), width=size[0], height=size[1])
    if frame.mask is None:
        return resized
    labels = Image.fromarray(frame_labels(frame)).resize(size, Image.Resampling.NEAREST)
    labels = np.array(labels)
    ids, categories = frame.objects.ids.tolist(), frame.objects.categories.tolist()
    objects = label_objects(labels, dict(zip(ids, categories, strict=True)))
    return replace(resized, mask=encode_mask(labels), objects=objects)
