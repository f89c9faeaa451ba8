"""Canvases: the few sizes batches come in, so that few programs are compiled.

HODOR's reference groups samples of similar shape after sorting a finished list of all samples,
pads each micro-batch to its own largest size (multiples of 32) and drops those that do not
match. Here a batch has the size of one canvas of a short list, and every sample is known to
belong to one canvas before it is drawn, which needs no list of samples and no dropping.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from vos_jax.core.errors import ConfigError
from vos_jax.data.augment import Sample
from vos_jax.data.warps import Size, resize_frame, resize_labels, resize_valid

SizeRule = Callable[[Size], Size]
"""Size of a source image to its training size, e.g. `partial(by_area, pixels=300_000)`."""


def check_canvases(canvases: Sequence[Size], multiple: int) -> tuple[Size, ...]:
    """The canvases as pairs of whole numbers.

    Raises:
        ConfigError: none given, or one whose sides are not positive multiples of `multiple`.
    """
    checked = tuple((int(height), int(width)) for height, width in canvases)
    wrong = [size for size in checked if min(size) < multiple or any(s % multiple for s in size)]
    if wrong or not checked:
        raise ConfigError(
            f"canvases must be (height, width) pairs of multiples of {multiple}, not {canvases}"
        )
    return checked


def size_on(canvas: Size, size: Size, rule: SizeRule | None = None) -> Size:
    """The size a source image gets on a canvas.

    Args:
        canvas: (h, w).
        size: (h, w) of the source image.
        rule: gives the wanted size; None asks for the largest that fits.

    Returns:
        The wanted size, reduced at the same aspect ratio if the canvas is smaller.
    """
    wanted = rule(size) if rule else None
    if wanted and all(w <= c for w, c in zip(wanted, canvas, strict=True)):
        return wanted
    scale = min(c / s for c, s in zip(canvas, size, strict=True))
    return tuple(min(c, max(1, round(s * scale))) for c, s in zip(canvas, size, strict=True))


def choose_canvas(canvases: Sequence[Size], size: Size, rule: SizeRule | None = None) -> int:
    """The number of the canvas for images of a size: least reduction, then least padding."""

    def cost(number: int) -> tuple[int, int]:
        return -math.prod(size_on(canvases[number], size, rule)), math.prod(canvases[number])

    return min(range(len(canvases)), key=cost)


def choose_canvases(
    canvases: Sequence[Size], sizes: np.ndarray, rule: SizeRule | None = None
) -> np.ndarray:
    """`choose_canvas` for many sizes [n, 2]: uint8 [n]."""
    distinct, inverse = np.unique(sizes, axis=0, return_inverse=True)
    numbers = [choose_canvas(canvases, tuple(size), rule) for size in distinct.tolist()]
    return np.array(numbers, np.uint8)[inverse.reshape(-1)]


def place(
    sample: Sample, canvas: Size, slots: int, rule: SizeRule | None = None
) -> dict[str, np.ndarray]:
    """Resizes a clip and puts it into the upper left corner of a canvas.

    Args:
        sample: the clip, with at most `slots` objects.
        canvas: (h, w).
        slots: number of object slots o; object j takes slot j - 1, the rest stay unused.
        rule: the wanted size, see `size_on`.

    Returns:
        The fields of a training clip without the batch axis: frames uint8 [t, h, w, 3], labels
        uint8 [t, h, w], valid bool [t, h, w], slots bool [o], present bool [t, o], labelled
        bool [t]; and given uint8 [h, w, o], categories int32 [o] where the sample has them.
    """
    times, *source = sample.labels.shape
    height, width = size = size_on(canvas, tuple(source), rule)
    frames = np.zeros((times, *canvas, 3), np.uint8)
    labels = np.zeros((times, *canvas), np.uint8)
    valid = np.zeros((times, *canvas), bool)
    same = tuple(source) == size
    for made, part, resize in (
        (frames, sample.frames, resize_frame),
        (labels, sample.labels, resize_labels),
        (valid, sample.valid, resize_valid),
    ):
        for t in range(times):
            made[t, :height, :width] = part[t] if same else resize(part[t], size)
    objects = sample.present.shape[1]
    present = np.zeros((times, slots), bool)
    present[:, :objects] = sample.present
    some = {}
    if sample.given is not None:
        some["given"] = np.zeros((*canvas, slots), np.uint8)
        for slot in range(objects):
            plane = np.ascontiguousarray(sample.given[..., slot])
            some["given"][:height, :width, slot] = resize_frame(plane, size)
    if sample.categories is not None:
        some["categories"] = np.pad(sample.categories, (0, slots - objects))
    return {
        **some,
        "frames": frames,
        "labels": labels,
        "slots": np.arange(slots) < objects,
        "present": present,
        "labelled": sample.labelled,
        "valid": valid,
    }
