"""Generated videos as folders in the layouts of DAVIS and YouTube-VIS."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from data_prep.moving_shapes import CLASSES
from data_prep.runs import area_and_box, label_rles
from data_prep.sources import FrameSource
from vos_jax.core.errors import OutputError
from vos_jax.data.planes import frame_labels


class GeneratedVideo(Protocol):
    """What is asked of a video.

    Attributes:
        name: of the video.
        split: it belongs to.
        categories: class of each object by id.
    """

    name: str
    split: str
    categories: dict[int, int]

    def frames(self) -> Sequence[FrameSource]:
        """Its frames."""


def write_davis_layout(videos: Sequence[GeneratedVideo], root: Path) -> None:
    """Writes videos of one split as JPEGImages, Annotations and ImageSets/2017.

    Raises:
        OutputError: the folder cannot be written.
    """
    with _writing(root, "--davis_layout"):
        for video in videos:
            for source in video.frames():
                frame = source.load()
                mask = root / "Annotations" / "480p" / frame.video / f"{frame.name}.png"
                _write(root / frame.source, frame.image)
                _write(mask, frame.mask)
        names = "".join(f"{video.name}\n" for video in videos)
        _write(root / "ImageSets" / "2017" / f"{videos[0].split}.txt", names.encode())


def write_youtube_vis_layout(videos: Sequence[GeneratedVideo], root: Path) -> None:
    """Writes videos of one split as SPLIT/JPEGImages and SPLIT/instances.json.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder = root / videos[0].split
    entries, tracks = [], []
    with _writing(root, "--youtube_vis_layout"):
        for number, video in enumerate(videos, start=1):
            frames = [source.load() for source in video.frames()]
            files = [f"{video.name}/{frame.name}.jpg" for frame in frames]
            for file, frame in zip(files, frames, strict=True):
                _write(folder / "JPEGImages" / file, frame.image)
            size = {"height": frames[0].height, "width": frames[0].width}
            entries.append({"id": number, "file_names": files, "length": len(files), **size})
            masks = [label_rles(frame_labels(frame).astype(int)) for frame in frames]
            for identity, category in video.categories.items():
                track = _track([each.get(identity) for each in masks], **size)
                if any(track["segmentations"]):
                    own = {"id": len(tracks) + 1, "video_id": number, "category_id": category}
                    tracks.append({**own, "iscrowd": 0, **track})
        classes = [{"id": n, "name": name} for n, name in enumerate(CLASSES, start=1)]
        content = {"videos": entries, "annotations": tracks, "categories": classes}
        _write(folder / "instances.json", json.dumps(content).encode())


def _track(codes: list[bytes | None], height: int, width: int) -> dict[str, list]:
    """Masks, areas and boxes of an object by frame, None where it is not seen."""
    measured = [code and area_and_box(code, height, width) for code in codes]
    size = [height, width]
    return {
        "segmentations": [code and {"size": size, "counts": code.decode()} for code in codes],
        "areas": [each and each[0] for each in measured],
        "bboxes": [each and each[1] for each in measured],
    }


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@contextlib.contextmanager
def _writing(root: Path, flag: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{root} cannot be written ({error.strerror}): choose another {flag}"
        ) from error
