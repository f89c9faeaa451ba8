"""Frame sizes on their way through a network: resized, padded, and back to what the user sees."""

import dataclasses
import math

Size = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Geometry:
    """The sizes of one video; static, so that it can select a compiled step.

    Attributes:
        frame: height and width of the frames as they arrive.
        resized: size after the system's resize rule.
        network: size after padding, which the network sees.
        offset: rows and columns of padding before the image (top, left).
        output: size of the masks the user gets.
        align_corners: whether score maps are enlarged corner to corner.
    """

    frame: Size
    resized: Size
    network: Size
    offset: Size = (0, 0)
    output: Size | None = None
    align_corners: bool = False

    def __post_init__(self):
        """Fills in the output size, which is the frame's own unless it was named."""
        if self.output is None:
            object.__setattr__(self, "output", self.frame)

    @classmethod
    def unchanged(cls, size: Size, align_corners: bool = False) -> "Geometry":
        """The geometry of frames that already have network size, as in training."""
        return cls(frame=size, resized=size, network=size, align_corners=align_corners)

    @property
    def padding(self) -> tuple[Size, Size]:
        """Rows before and after, columns before and after the resized image."""
        return tuple(
            (before, network - resized - before)
            for before, network, resized in zip(
                self.offset, self.network, self.resized, strict=True
            )
        )


def by_short_side(size: Size, shortest: int, longest: int) -> Size:
    """The size with the given short side, reduced if the long side would exceed `longest`.

    Each side is rounded half to even (HODOR's inference and video training).
    """
    short, long = min(size), max(size)
    scale = shortest / short
    if long * scale > longest:
        scale = longest / long
    return round(size[0] * scale), round(size[1] * scale)


def by_shorter_side(size: Size, shortest: int) -> Size:
    """The size whose shorter side is `shortest`; the longer side is cut to whole pixels.

    The official space-time memory tools' rule for YouTube-VOS (Mask-Propagation, STCN, RDE).
    """
    short = min(size)
    return tuple(shortest if side == short else int(shortest * side / short) for side in size)


def by_area(size: Size, pixels: int) -> Size:
    """The size of the same aspect ratio with at most `pixels` pixels; enlarges small images too."""
    height = math.floor(math.sqrt(pixels * size[0] / size[1]))
    return height, pixels // height


def by_limits(size: Size, shortest: float | None, longest: float, scale: float = 1.0) -> Size:
    """The size scaled after its sides were brought within limits, cut to whole pixels.

    First the shorter side is brought down to `shortest`, then the longer one to `longest`; nothing
    holds after scaling (AOT's MultiRestrictSize).
    """
    height, width = size
    for limit, side in ((shortest, min), (longest, max)):
        factor = 1.0
        if limit is not None and side(height, width) > limit:
            factor = limit / side(height, width)
        height, width = factor * height, factor * width
    return int(height * scale), int(width * scale)


def pad_to_multiple(size: Size, multiple: int) -> Size:
    """The smallest size not below `size` whose sides are multiples of `multiple`."""
    return tuple(-(-side // multiple) * multiple for side in size)


def centred_padding(size: Size, multiple: int) -> tuple[Size, Size]:
    """The size padded to multiples of `multiple`, and the rows and columns before the image.

    Half of each total goes before the image, rounded down, as in Mask-Propagation's tools.
    """
    network = pad_to_multiple(size, multiple)
    return network, tuple((padded - side) // 2 for padded, side in zip(network, size, strict=True))
