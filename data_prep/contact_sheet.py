"""A picture of a prepared set: frames in rows, masks drawn in, names and ids as captions."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vos_jax.core.labels import DAVIS_PALETTE, VOID
from vos_jax.data.frames import Frame
from vos_jax.data.planes import frame_labels, object_planes
from vos_jax.data.records import RecordSet
from vos_jax.io.images import decode_image
from vos_jax.io.overlays import draw_overlay

GAP = 6
LINE, SIZE = 16, 12
"""Height of a line of a caption, and of its letters."""
CHIP = 12
"""Room for the square of colour before an id."""
PAPER, INK, FAINT = (24, 24, 28), (235, 235, 235), (150, 150, 160)

Place = tuple[RecordSet, int, int]
"""A frame to show: its split, number of the video, number of the frame in it."""


def evenly(count: int, wanted: int) -> list[int]:
    """At most `wanted` of the numbers 0 to count - 1, evenly spaced, both ends among them."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int)).tolist()


def video_row(records: RecordSet, video: int, wanted: int) -> list[Place]:
    """Frames of a video, evenly spaced; annotated ones only if those are enough."""
    row = records.index.videos[video]
    first, count = int(row["first_frame"]), int(row["frames"])
    frames = np.arange(count)
    annotated = frames[records.index.frames["annotated"][first : first + count]]
    if len(annotated) >= min(wanted, count):
        frames = annotated
    return [(records, video, int(frames[i])) for i in evenly(len(frames), wanted)]


def draw_sheet(
    rows: Sequence[Sequence[Place]], categories: Mapping[int, str], side: int
) -> Image.Image:
    """The sheet.

    Args:
        rows: the frames of each row.
        categories: names by number.
        side: longer side of a frame on the sheet, in pixels.

    Raises:
        RecordError: a record or a mask cannot be read.
        ImageError: an image cannot be decoded.
    """
    drawn = [[_tile(*place, categories, side) for place in row] for row in rows]
    columns = max(map(len, drawn))
    heights = [max(tile.height for tile in row) for row in drawn]
    width = columns * (side + GAP) + GAP
    sheet = Image.new("RGB", (width, sum(heights) + GAP * (len(rows) + 1)), PAPER)
    top = GAP
    for row, height in zip(drawn, heights, strict=True):
        for column, tile in enumerate(row):
            sheet.paste(tile, (GAP + column * (side + GAP), top))
        top += height + GAP
    return sheet


def _tile(
    records: RecordSet, video: int, t: int, categories: Mapping[int, str], side: int
) -> Image.Image:
    """A frame with its masks over two lines of caption."""
    frame = records.frame(video, t)
    colours = _colours(frame, records.videos[video].object_ids)
    pixels = _paint(frame, colours, side)
    tile = Image.new("RGB", (side, pixels.shape[0] + 2 * LINE), PAPER)
    tile.paste(Image.fromarray(pixels), (0, 0))
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default(SIZE)
    top = pixels.shape[0] + 1
    where = frame.video if records.videos[video].frames == 1 else f"{frame.video} t={frame.time}"
    draw.text((0, top), f"{records.split} {where}", INK, font)
    named = [
        (f"{number} {categories.get(category, '')}".strip(), tuple(DAVIS_PALETTE[colour].tolist()))
        for number, category, colour in zip(
            frame.objects.ids.tolist(), frame.objects.categories.tolist(), colours, strict=True
        )
    ]
    _write_ids(tile, top + LINE, named)
    if not named:
        nothing = "no objects" if frame.annotated else "not annotated"
        draw.text((0, top + LINE), nothing, FAINT, font)
    return tile


def _colours(frame: Frame, ids: tuple[int, ...]) -> list[int]:
    """A place in the palette per object: its id in a label map, else its rank in the video."""
    if frame.mask is not None:
        return frame.objects.ids.tolist()
    return [1 + ids.index(number) % (VOID - 1) for number in frame.objects.ids.tolist()]


def _paint(frame: Frame, colours: Sequence[int], side: int) -> np.ndarray:
    """The frame with its masks, its longer side `side` pixels; small objects lie on top."""
    scale = side / max(frame.height, frame.width)
    size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    image = Image.fromarray(decode_image(frame.image, frame.source))
    pixels = np.array(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    if frame.mask is not None:
        layers = [frame_labels(frame)]
    else:
        order = np.argsort(-frame.objects.areas, kind="stable")
        planes = object_planes(frame)
        layers = [planes[i] * np.uint8(colours[i]) for i in order]
    for labels in layers:
        small = np.array(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
        pixels = draw_overlay(pixels, small)
    return pixels


def _write_ids(tile: Image.Image, top: int, words: list[tuple[str, tuple]]) -> None:
    """Words on a line, as many as fit, each after a square of its colour."""
    draw, font, left = ImageDraw.Draw(tile), ImageFont.load_default(SIZE), 0
    for number, (word, colour) in enumerate(words):
        more = f"+{len(words) - number}"
        room = draw.textlength(f"  {more}", font) if number + 1 < len(words) else 0
        if left and left + CHIP + draw.textlength(word, font) > tile.width - room:
            draw.text((left, top), more, FAINT, font)
            return
        draw.rectangle((left, top + 3, left + CHIP - 4, top + CHIP - 1), colour)
        draw.text((left + CHIP, top), word, INK, font)
        left += CHIP + draw.textlength(f"{word}  ", font)
