"""Makes the generated set: objects cut from photographs, moving over other photographs.

    python -m data_prep.moving_objects --output DIR --split train --videos 200 --seed 0

Nothing is downloaded: the photographs come with scikit-image (`pip install 'vos_jax[demo]'`).
Held-out videos (`--split val`) use other photographs than training videos. Video v of seed s is
always the same, whatever else is made. `--davis_layout DIR` also writes the frames and masks as
folders in the layout of DAVIS 2017, for `vos_jax.infer` and `vos_jax.evaluate`;
`--youtube_vis_layout DIR` as those of YouTube-VIS.
"""

import argparse
import functools
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep.command import add_writing_flags, write_and_report
from data_prep.moving_layouts import write_davis_layout, write_youtube_vis_layout
from data_prep.moving_shapes import (
    CLASSES,
    PHOTOGRAPHS,
    Scene,
    draw_frame,
    make_scene,
    photograph_paths,
)
from data_prep.write import SplitPlan
from vos_jax.core.commands import run_command
from vos_jax.core.errors import ConfigError
from vos_jax.core.labels import object_ids
from vos_jax.data.frames import Frame, Objects
from vos_jax.io.images import encode_mask

DATASET = "moving_objects"
JPEG_QUALITY = 95


@dataclass(frozen=True)
class MovingVideo:
    """A video of the generated set, as a `VideoSource`.

    Attributes:
        split: "train" or "val", which photographs it is made of.
        seed: of the set.
        number: of the video in the set.
        length: frames.
        late: chance of each object but the first to appear after the first frame.
        classes: whether objects have a class, which their outline shows.
        generator: version of the drawing code; another one makes other pixels.
    """

    split: str
    seed: int
    number: int
    length: int
    late: float = 0.0
    classes: bool = False
    generator: int = 1

    @property
    def name(self) -> str:
        """Unique in its split."""
        return f"{self.split}_{self.number:05d}"

    @property
    def key(self) -> tuple[int, int, int]:
        """Seeds the video's random choices."""
        return self.seed, sorted(PHOTOGRAPHS).index(self.split), self.number

    def frames(self) -> Iterable["MovingFrame"]:
        """Its frames, not drawn yet."""
        return [MovingFrame(self, time) for time in range(self.length)]

    def draw(self, time: int) -> tuple[np.ndarray, np.ndarray]:
        """The frame, uint8 [h, w, 3], and its object ids, uint8 [h, w]."""
        return draw_frame(_scene(self), time, np.random.default_rng((*self.key, time)))

    @property
    def categories(self) -> dict[int, int]:
        """The class of each object by id, 0 without classes."""
        return {number: s.category for number, s in enumerate(_scene(self).shapes, start=1)}


@functools.lru_cache(maxsize=2)
def _scene(video: MovingVideo) -> Scene:
    rng = np.random.default_rng(video.key)
    photographs = photograph_paths(video.split)
    return make_scene(rng, photographs, video.length, video.late, video.classes)


@dataclass(frozen=True)
class MovingFrame:
    """A frame of a generated video, as a `FrameSource`."""

    video: MovingVideo
    time: int

    @property
    def name(self) -> str:
        """File name without ending."""
        return f"{self.time:05d}"

    @property
    def source(self) -> str:
        """Where the frame lies in the DAVIS layout."""
        return f"JPEGImages/480p/{self.video.name}/{self.name}.jpg"

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The photographs."""
        return photograph_paths(self.video.split)

    def load(self) -> Frame:
        """Draws and encodes the frame."""
        image, labels = self.video.draw(self.time)
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), options)
        return Frame(
            video=self.video.name,
            name=self.name,
            time=self.time,
            source=self.source,
            image=jpeg.tobytes(),
            height=labels.shape[0],
            width=labels.shape[1],
            annotated=True,
            mask=encode_mask(labels),
            objects=_objects(labels, self.video.categories),
        )


def _objects(labels: np.ndarray, categories: dict[int, int]) -> Objects:
    ids = object_ids(labels)
    return Objects(
        ids=np.array(ids, np.int64),
        categories=np.array([categories[i] for i in ids], np.int64),
        areas=np.array([(labels == i).sum() for i in ids], np.float32),
        boxes=np.array(
            [cv2.boundingRect((labels == i).astype(np.uint8)) for i in ids], np.float32
        ).reshape(-1, 4),
        crowds=np.zeros(len(ids), bool),
    )


def make_videos(
    split: str, videos: int, frames: int, seed: int, late: float = 0.0, classes: bool = False
) -> tuple[MovingVideo, ...]:
    """The videos of a set.

    Raises:
        ConfigError: a number that cannot work.
    """
    if videos < 1 or frames < 1 or seed < 0 or not 0 <= late <= 1:
        raise ConfigError(
            "--videos and --frames must be 1 or more, --seed 0 or more, --late from 0 to 1"
        )
    return tuple(
        MovingVideo(split, seed, number, frames, late, classes) for number in range(videos)
    )


def main(argv: list[str] | None = None) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.moving_objects",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_writing_flags(parser)
    parser.add_argument("--split", choices=sorted(PHOTOGRAPHS), default="train")
    parser.add_argument("--videos", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--frames", type=int, default=10, help="per video (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--late", type=float, default=0.0, help="chance of an object to appear later (default: 0)"
    )
    parser.add_argument(
        "--classes",
        action="store_true",
        help=f"objects that can be found without prompts: {', '.join(CLASSES)}, in colour on grey",
    )
    parser.add_argument("--davis_layout", type=Path, help="also write DAVIS folders here")
    parser.add_argument("--youtube_vis_layout", type=Path, help="and YouTube-VIS folders here")
    arguments = parser.parse_args(argv)
    videos = make_videos(
        arguments.split,
        arguments.videos,
        arguments.frames,
        arguments.seed,
        arguments.late,
        arguments.classes,
    )
    names = dict(enumerate(CLASSES, start=1)) if arguments.classes else {}
    code = write_and_report(SplitPlan(DATASET, arguments.split, videos, names), arguments)
    layouts = {"davis": write_davis_layout, "youtube_vis": write_youtube_vis_layout}
    for name, write in layouts.items():
        if folder := getattr(arguments, f"{name}_layout"):
            write(videos, folder)
            print(f"{name} layout: {folder}")
    return code


if __name__ == "__main__":
    sys.exit(run_command(main))
