"""Frames and masks on disk: images to RGB, masks to object ids, and masks back to palette PNG.

Masks go through Pillow because OpenCV decodes a palette PNG to colours, not to indices.
"""

import io
import os
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from vos_jax.core.errors import ImageError, MaskError, MissingInputError, OutputError
from vos_jax.core.labels import DAVIS_PALETTE, VOID

MOST_GREY_IDS = 32


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Reads a frame.

    Args:
        path: JPEG, PNG or another format OpenCV knows.

    Returns:
        uint8 [h, w, 3], RGB, turned upright where EXIF says so; 16-bit images lose the low byte.

    Raises:
        MissingInputError: there is no such file.
        ImageError: the file is no image or is cut off.
    """
    return decode_image(_read_bytes(path, ImageError), str(path))


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Decodes an encoded frame; `name` stands in the error. Otherwise as `read_image`."""
    if data[:2] == b"\xff\xd8" and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        raise ImageError(f"{name}: the JPEG is cut off after {len(data)} bytes; copy it again")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    if image is None:
        raise ImageError(f"{name}: cannot be decoded (no image, cut off or damaged); copy it again")
    return image


def read_mask(
    path: str | os.PathLike,
    *,
    binary: bool = False,
    prompt: bool = False,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Reads a mask as object ids.

    A palette image gives its indices, a grey one its values, an RGB one whose colours all belong
    to the DAVIS palette their indices, any other RGB image with equal channels its grey values.
    255 stays 255 (void).

    Args:
        path: PNG or another lossless format.
        binary: a grey mask of 0 and 255 only means 0 and 1 (DAVIS 2016).
        prompt: the mask came from a person: a grey mask with soft edges is refused (many values
            with gaps between them; objects numbered from 1 on are taken, however many).
        size: (h, w) the mask must have.

    Returns:
        uint8 [h, w].

    Raises:
        MissingInputError: there is no such file.
        MaskError: it is no image, is cut off, does not hold object ids, or has another size.
    """
    data = _read_bytes(path, MaskError)
    return decode_mask(data, str(path), binary=binary, prompt=prompt, size=size)


def decode_mask(
    data: bytes,
    name: str,
    *,
    binary: bool = False,
    prompt: bool = False,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Decodes an encoded mask; `name` stands in the error. Otherwise as `read_mask`."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            kind, mode, pixels = image.format, image.mode, np.array(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MaskError(f"{name}: cannot be decoded as a mask ({error}); copy it again") from error
    if kind == "JPEG":
        raise MaskError(f"{name}: JPEG blurs the object ids; save the mask as PNG")
    grey = mode != "P"
    labels = _grey_labels(pixels, name) if pixels.ndim == 2 else _colour_labels(pixels, name)
    if size is not None and labels.shape != tuple(size):
        raise MaskError(
            f"{name}: the mask is {_size(labels.shape)}, its frame {_size(size)} (width x height); "
            "resize the mask with nearest neighbour"
        )
    if grey and prompt:
        _check_hard(labels, name)
    if grey and binary and np.isin(labels, (0, VOID)).all():
        return (labels > 0).astype(np.uint8)
    return labels


def encode_mask(labels: np.ndarray, palette: np.ndarray = DAVIS_PALETTE) -> bytes:
    """Encodes object ids as a palette PNG.

    Args:
        labels: uint8 [h, w].
        palette: uint8 [256, 3] RGB.

    Raises:
        MaskError: labels of another type or rank.
    """
    labels = np.asarray(labels)
    if labels.dtype != np.uint8 or labels.ndim != 2:
        raise MaskError(f"a mask must be uint8 [h, w], not {labels.dtype} {list(labels.shape)}")
    image = Image.fromarray(np.ascontiguousarray(labels))
    image.putpalette(palette.tobytes())
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def write_mask(
    path: str | os.PathLike, labels: np.ndarray, palette: np.ndarray = DAVIS_PALETTE
) -> None:
    """Writes object ids as a palette PNG; a reader never sees half a file.

    Raises:
        MaskError: labels that are not uint8 [h, w].
        OutputError: the file cannot be written.
    """
    data, path = encode_mask(labels, palette), Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error


def _read_bytes(path: str | os.PathLike, error_type: type[Exception]) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise error_type(f"{path}: cannot be read ({error.strerror})") from error


def _grey_labels(pixels: np.ndarray, name: str) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind not in "biu" or pixels.max(initial=0) > VOID or pixels.min(initial=0) < 0:
        raise MaskError(
            f"{name}: has values up to {pixels.max()}; object ids must be whole numbers from 1 "
            "to 254, renumber them and save 8 bits per pixel"
        )
    return pixels.astype(np.uint8)


def _colour_labels(pixels: np.ndarray, name: str) -> np.ndarray:
    if pixels.dtype != np.uint8 or pixels.shape[2] not in (2, 3, 4):
        raise MaskError(f"{name}: is neither a palette, a grey nor an RGB image; save it as PNG")
    if pixels.shape[2] in (2, 4) and (pixels[..., -1] != 255).any():
        raise MaskError(f"{name}: has transparent pixels; save the mask without transparency")
    colours = pixels[..., :3] if pixels.shape[2] > 2 else pixels[..., :1].repeat(3, axis=2)
    packed = colours.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, inverse = np.unique(packed, return_inverse=True)
    palette = DAVIS_PALETTE.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    if pixels.shape[2] > 2 and np.isin(found, palette).all():
        ids = np.argsort(palette)[np.searchsorted(np.sort(palette), found)]
        return ids.astype(np.uint8)[inverse].reshape(packed.shape)
    if (colours == colours[..., :1]).all():
        return np.ascontiguousarray(colours[..., 0])
    strange = int(found[~np.isin(found, palette)][0])
    raise MaskError(
        f"{name}: is an RGB image with the colour #{strange:06x}, which is not of the DAVIS "
        "palette; save it as palette or grey PNG whose values are the object ids"
    )


def _check_hard(labels: np.ndarray, name: str) -> None:
    ids = np.setdiff1d(np.unique(labels), (0, VOID))
    if len(ids) == ids.max(initial=0) < VOID - 1:
        return
    if len(ids) > MOST_GREY_IDS or (ids.max(initial=0) >= MOST_GREY_IDS and (labels == VOID).any()):
        raise MaskError(
            f"{name}: a grey mask with {len(ids)} values between 0 and 255 looks soft-edged; "
            "threshold it, or save it as palette or grey PNG with one value per object"
        )


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[1]}x{shape[0]}"
