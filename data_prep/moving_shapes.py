"""Scenes of the generated set: star-shaped cut-outs of photographs moving over another one.

Everything is a pure function of a `Scene`'s numbers, so any frame of any video can be drawn
again at any time. Units are pixels, degrees and frames.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vos_jax.core.errors import MissingInputError
from vos_jax.io.images import read_image

FRAME_SIZE = (96, 128)
OBJECTS = (2, 3)
RADIUS = (15.0, 24.0)
SPEED = (1.5, 2.5)
TURN = 8.0
GROWTH = 0.03
SCALES = (0.8, 1.25)
DRIFT = 1.0
TINT = 0.1
NOISE = 2.0
ZOOM = (1.0, 2.5)

LOBES = np.arange(2, 6)
"""Waves around the outline of a shape."""

LOBE_SHARE = 0.12
"""Height of each wave, at most, as a share of the radius."""

CLASSES = ("red oval", "green trefoil", "blue quatrefoil")
"""Shapes with a class: their outline is a single wave of 2, 3 or 4 lobes."""

CLASS_LOBE_SHARE = 0.3
GREY_CONTRAST = 0.6

MARGIN = 12
"""How close to the border the centre of an object comes, and how far the background reaches
beyond the frame."""

TEXTURE = 80
"""Side of the square of photograph an object is cut from; holds the largest outline."""

SPREAD_TRIES = 20

PHOTOGRAPHS = {
    "train": (
        "astronaut.png",
        "coffee.png",
        "brick.png",
        "grass.png",
        "motorcycle_left.png",
        "motorcycle_right.png",
    ),
    "val": ("chelsea.png", "rocket.jpg", "gravel.png"),
}
"""Photographs in scikit-image's package by split: held-out videos show none of the training's."""


@dataclass(frozen=True, eq=False)
class Shape:
    """One moving object.

    Attributes:
        texture: float32 [TEXTURE, TEXTURE, 3], the photograph it is cut from, centred on it.
        radius: of the outline without its waves.
        waves: [lobe, 2], the cosine and sine coefficients of the outline's waves.
        centres: [t, 2], (x, y) in each frame.
        angles: [t], radians.
        scales: [t].
        start: the first frame that shows it.
        category: number of its class, from 1; 0 without classes.
    """

    texture: np.ndarray
    radius: float
    waves: np.ndarray
    centres: np.ndarray
    angles: np.ndarray
    scales: np.ndarray
    start: int
    category: int


@dataclass(frozen=True, eq=False)
class Scene:
    """All that is drawn in one video: a drifting background and shapes, the last in front."""

    background: np.ndarray
    offsets: np.ndarray
    shapes: tuple[Shape, ...]


def photograph_paths(split: str) -> tuple[Path, ...]:
    """The photographs of a split, in the installed scikit-image package.

    Raises:
        MissingInputError: scikit-image, or a photograph in it, is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise MissingInputError(
            "scikit-image, whose photographs the set is made of, is not installed: "
            "pip install 'vos_jax[demo]'"
        ) from error
    folder = Path(data.__file__).parent
    missing = [name for name in PHOTOGRAPHS[split] if not (folder / name).is_file()]
    if missing:
        raise MissingInputError(f"{folder} has no {missing[0]}: reinstall scikit-image")
    return tuple(folder / name for name in PHOTOGRAPHS[split])


@functools.cache
def read_photograph(path: Path) -> np.ndarray:
    """A photograph as float32 [h, w, 3]."""
    return read_image(path).astype(np.float32)


def make_scene(
    rng: np.random.Generator,
    photographs: tuple[Path, ...],
    frames: int,
    late: float = 0.0,
    classes: bool = False,
) -> Scene:
    """Draws the numbers of a video.

    Args:
        rng: the source of every choice.
        photographs: at least two; the objects come from others than the background.
        frames: length of the video.
        late: chance of an object (never the first) to appear after the first frame.
        classes: whether shapes have one of `CLASSES`, in colour on a pale grey background, so
            that they can be told from it without being pointed out.
    """
    order = rng.permutation(len(photographs))
    height, width = FRAME_SIZE
    size = (height + 2 * MARGIN, width + 2 * MARGIN)
    background = cut_window(rng, read_photograph(photographs[order[0]]), size)
    if classes:
        grey = background.mean(axis=2, keepdims=True)
        background = np.repeat(255 + GREY_CONTRAST * (grey - 255), 3, axis=2)
    drift = DRIFT * _direction(rng) * np.arange(frames)[:, None]
    offsets = _bounce(MARGIN + drift, np.zeros(2), np.full(2, 2.0 * MARGIN))
    places = _spread_places(rng, int(rng.integers(OBJECTS[0], OBJECTS[1] + 1)))
    shapes = []
    for number, place in enumerate(places):
        photograph = photographs[order[1 + number % (len(order) - 1)]]
        is_late = number > 0 and frames > 1 and rng.random() < late
        start = int(rng.integers(1, frames)) if is_late else 0
        category = int(rng.integers(1, 1 + len(CLASSES))) if classes else 0
        picture = read_photograph(photograph)
        shapes.append(_make_shape(rng, picture, place, frames, start, category))
    return Scene(background, offsets, tuple(shapes))


def cut_window(
    rng: np.random.Generator, photograph: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """A random window of a photograph at a random zoom, perhaps mirrored, slightly tinted."""
    height, width = size
    limit = min(photograph.shape[0] / height, photograph.shape[1] / width, ZOOM[1])
    zoom = rng.uniform(min(ZOOM[0], limit), limit)
    h, w = int(height * zoom), int(width * zoom)
    top = int(rng.integers(photograph.shape[0] - h + 1))
    left = int(rng.integers(photograph.shape[1] - w + 1))
    window = photograph[top : top + h, left : left + w]
    window = window[:, ::-1] if rng.random() < 0.5 else window
    window = cv2.resize(window, (width, height), interpolation=cv2.INTER_AREA)
    return window * rng.uniform(1 - TINT, 1 + TINT, 3).astype(np.float32)


def draw_frame(scene: Scene, t: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws frame t.

    Args:
        scene: what to draw.
        t: the frame.
        rng: the source of the camera's noise.

    Returns:
        The frame, uint8 [h, w, 3], and its object ids, uint8 [h, w]: shape s is object s + 1.
    """
    height, width = FRAME_SIZE
    left, top = scene.offsets[t]
    shift = np.float32([[1, 0, left], [0, 1, top]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    image = cv2.warpAffine(scene.background, shift, (width, height), flags=flags)
    labels = np.zeros(FRAME_SIZE, np.uint8)
    for number, shape in enumerate(scene.shapes):
        if t >= shape.start:
            colours, cover = draw_shape(shape, t)
            image += cover[..., None] * (colours - image)
            labels[cover > 0.5] = number + 1
    image += rng.normal(0, NOISE, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), labels


def draw_shape(shape: Shape, t: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours, float32 [h, w, 3], and cover in [0, 1], float32 [h, w], of a shape in frame t."""
    height, width = FRAME_SIZE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - shape.centres[t, 0], y - shape.centres[t, 1]
    turn, scale = shape.angles[t], shape.scales[t]
    u = ((np.cos(turn) * x + np.sin(turn) * y) / scale).astype(np.float32)
    v = ((np.cos(turn) * y - np.sin(turn) * x) / scale).astype(np.float32)
    angle = LOBES[:, None, None] * np.arctan2(v, u)
    waves = np.einsum("lk,lkhw->hw", shape.waves, np.stack([np.cos(angle), np.sin(angle)], 1))
    inside = scale * (shape.radius * (1 + waves) - np.hypot(u, v))
    middle = np.float32((TEXTURE - 1) / 2)
    colours = cv2.remap(
        shape.texture, u + middle, v + middle, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return colours, np.clip(inside + 0.5, 0, 1).astype(np.float32)


def _make_shape(
    rng: np.random.Generator,
    photograph: np.ndarray,
    place: np.ndarray,
    frames: int,
    start: int,
    category: int,
) -> Shape:
    steps = np.arange(frames)
    height, width = FRAME_SIZE
    path = place + rng.uniform(*SPEED) * _direction(rng) * steps[:, None]
    limits = np.array([width, height], float) - 1 - MARGIN
    growth = 1 + rng.uniform(-GROWTH, GROWTH)
    scales = np.exp(_bounce(steps * np.log(growth), *np.log(SCALES)))
    texture = cut_window(rng, photograph, (TEXTURE, TEXTURE))
    radius = rng.uniform(*RADIUS)
    waves = rng.uniform(-LOBE_SHARE, LOBE_SHARE, (len(LOBES), 2))
    if category:
        texture = _coloured(rng, texture, category)
        waves = np.zeros_like(waves)
        waves[LOBES == 1 + category, 0] = CLASS_LOBE_SHARE
    return Shape(
        texture=texture,
        radius=radius,
        waves=waves,
        centres=_bounce(path, np.full(2, float(MARGIN)), limits),
        angles=np.radians(rng.uniform(-180, 180) + rng.uniform(-TURN, TURN) * steps),
        scales=scales,
        start=start,
        category=category,
    )


def _coloured(rng: np.random.Generator, texture: np.ndarray, category: int) -> np.ndarray:
    """The texture's light and dark in a strong colour: of class 1 red, of 2 green, of 3 blue."""
    colour = np.zeros(3, np.float32)
    colour[(category + rng.integers(2)) % 3] = rng.uniform(0, 0.5)
    colour[category - 1] = 1
    return (80 + 0.7 * texture.mean(axis=2, keepdims=True)) * colour


def _spread_places(rng: np.random.Generator, count: int) -> np.ndarray:
    """First places, [object, 2]: of some random draws the one with the widest gaps."""
    height, width = FRAME_SIZE
    low, high = np.full(2, 2.0 * MARGIN), np.array([width, height]) - 1 - 2.0 * MARGIN
    draws = rng.uniform(low, high, (SPREAD_TRIES, count, 2))
    gaps = np.linalg.norm(draws[:, :, None] - draws[:, None], axis=-1)
    gaps += np.where(np.eye(count, dtype=bool), np.inf, 0)
    return draws[gaps.min((1, 2)).argmax()]


def _direction(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def _bounce(path: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Folds a straight path back and forth between two walls."""
    span = high - low
    position = np.mod(path - low, 2 * span)
    return low + np.minimum(position, 2 * span - position)
