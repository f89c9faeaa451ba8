"""Small source folders and toy videos for tests of records and data preparation."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep.write import SplitPlan, write_split
from vos_jax.core.errors import ImageError
from vos_jax.data.frames import Frame, Objects
from vos_jax.io.images import encode_mask

SIZE = (24, 32)


def photograph(seed: int, size: tuple[int, int] = SIZE, ending: str = ".jpg") -> bytes:
    """An encoded image of smooth noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    pixels = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(ending, pixels)[1].tobytes()


def square_labels(time: int, objects: int = 2, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Label map of squares 1..objects that move right by one pixel a frame."""
    labels = np.zeros(size, np.uint8)
    for number in range(1, objects + 1):
        labels[4 * number : 4 * number + 3, 3 * number + time : 3 * number + time + 5] = number
    return labels


@dataclass(frozen=True)
class ToyFrame:
    """A frame made on the spot; `fails` makes it unusable."""

    video: str
    time: int
    fails: bool = False
    path: Path | None = None

    @property
    def source(self) -> str:
        """Its name in reports."""
        return f"{self.video}/{self.time:05d}.jpg"

    @property
    def inputs(self) -> tuple[Path, ...]:
        """A file that counts as its input, if any."""
        return (self.path,) if self.path else ()

    def load(self) -> Frame:
        """Makes the frame."""
        if self.fails:
            raise ImageError(f"{self.source} is broken on purpose")
        seed = sum(self.video.encode()) + self.time
        labels = square_labels(self.time)
        return Frame(
            video=self.video,
            name=f"{self.time:05d}",
            time=self.time,
            source=self.source,
            image=photograph(seed),
            height=SIZE[0],
            width=SIZE[1],
            annotated=True,
            mask=encode_mask(labels),
            objects=Objects(
                ids=np.array([1, 2]),
                categories=np.array([7, 9]),
                areas=np.array([15.0, 15.0], np.float32),
                boxes=np.array([[3 + self.time, 4, 5, 3], [6 + self.time, 8, 5, 3]], np.float32),
                crowds=np.array([False, True]),
            ),
        )


@dataclass(frozen=True)
class ToyVideo:
    """A video of toy frames."""

    name: str
    length: int = 3
    failing: tuple[int, ...] = ()
    path: Path | None = None

    def frames(self) -> Iterator[ToyFrame]:
        """The frames."""
        for time in range(self.length):
            yield ToyFrame(self.name, time, time in self.failing, self.path)


def toy_plan(*videos: ToyVideo, split: str = "train") -> SplitPlan:
    """A plan of toy videos; five of three frames by default."""
    videos = videos or tuple(ToyVideo(f"video{number}") for number in range(5))
    return SplitPlan("toy", split, videos, {7: "cat", 9: "dog"})


def toy_set(output: Path, *videos: ToyVideo, shards: int = 2) -> Path:
    """Writes a prepared set of toy videos and returns its folder."""
    write_split(toy_plan(*videos), output, shards)
    return output


def contents(folder: Path, ignore: tuple[str, ...] = ()) -> dict[str, bytes]:
    """All files under a folder by relative path, without the report (it holds times)."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(("report-", *ignore))
    }


def polygon(x: float, y: float, width: float, height: float) -> list[float]:
    """A rectangle as a flat list of corners."""
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def coco_folder(root: Path) -> tuple[Path, Path]:
    """Three images in COCO form: polygons that overlap, a crowd, no annotation.

    Returns:
        Image folder and JSON.
    """
    images = root / "images"
    images.mkdir(parents=True)
    for number in (1, 2, 3):
        (images / f"{number:012d}.jpg").write_bytes(photograph(number))
    crowd = np.zeros(SIZE, np.uint8)
    crowd[3:9, 5:20] = 1
    annotations = [
        annotation(900100000001, 1, [polygon(2, 3, 10, 8)], category_id=18, area=80.5),
        annotation(55, 1, [polygon(6, 5, 12, 9), polygon(24, 1, 4, 4)], category_id=3),
        annotation(
            7,
            2,
            {"size": list(SIZE), "counts": plain_counts(crowd)},
            iscrowd=1,
            category_id=1,
            bbox=[5, 3, 15, 6],
        ),
    ]
    content = {
        "images": [
            {"id": n, "file_name": f"{n:012d}.jpg", "height": SIZE[0], "width": SIZE[1]}
            for n in (1, 2, 3)
        ],
        "annotations": annotations,
        "categories": [{"id": 3, "name": "car"}, {"id": 18, "name": "dog"}],
    }
    path = root / "instances.json"
    path.write_text(json.dumps(content))
    return images, path


def plain_counts(mask: np.ndarray) -> list[int]:
    """Column-major run lengths, background first, the slow way."""
    runs, value = [0], 0
    for pixel in mask.ravel(order="F").tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


def annotation(number: int, image: int, segmentation, **others) -> dict:
    """A COCO annotation."""
    return {"id": number, "image_id": image, "segmentation": segmentation, **others}


def edit_json(path: Path, change) -> None:
    """Applies a function to the content of a JSON file, in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def davis_folder(root: Path, year: int = 2017, names: tuple[str, ...] = ("bear", "dance")) -> Path:
    """A DAVIS root of three frames per sequence; 2016 masks are grey with 0 and 255."""
    for name in names:
        for time in range(3):
            image = root / "JPEGImages" / "480p" / name / f"{time:05d}.jpg"
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(photograph(sum(name.encode()) + time))
            mask = root / "Annotations" / "480p" / name / f"{time:05d}.png"
            mask.parent.mkdir(parents=True, exist_ok=True)
            labels = square_labels(time)
            if year == 2016:
                grey = np.where(labels > 0, 255, 0).astype(np.uint8)
                mask.write_bytes(cv2.imencode(".png", grey)[1].tobytes())
            else:
                mask.write_bytes(encode_mask(labels))
    listing = root / "ImageSets" / str(year) / "val.txt"
    listing.parent.mkdir(parents=True, exist_ok=True)
    listing.write_text("".join(f"{name}\n" for name in names))
    return root
