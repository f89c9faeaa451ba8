"""Augmentation as a chain of steps over the frames of a clip.

An operation holds settings and draws changes; a change moves a frame, its labels and what is
known of it together. A step says which frames share a draw, and how probable it is. A still
image is a clip of the same frame several times, so one chain serves stills and video.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from vos_jax.core.errors import ConfigError

SCOPES = ("clip", "frame", "later")
FILL = (124, 116, 104)
"""The mean colour of ImageNet, where the published recipes have no image."""


class Change(Protocol):
    """One drawn change, to be applied to as many frames as shall share it."""

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """The changed frame, uint8 [h', w', 3] of uint8 [h, w, 3]."""

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """The changed labels, uint8 [h', w'] of uint8 [h, w], 0 where nothing is known."""

    def valid(self, valid: np.ndarray) -> np.ndarray:
        """Where the changed frame shows image: bool [h', w'] of bool [h, w]."""


class Repaint:
    """Base of changes of colour and sharpness: labels and what is known stay."""

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """The labels as they are."""
        return labels

    def valid(self, valid: np.ndarray) -> np.ndarray:
        """What is known as it is."""
        return valid


class Operation(Protocol):
    """Settings of a random change."""

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """Draws a change for frames of the size of `labels`, uint8 [h, w]."""


class View(NamedTuple):
    """A frame on its way through a chain: uint8 [h, w, 3], uint8 [h, w], bool [h, w]."""

    frame: np.ndarray
    labels: np.ndarray
    valid: np.ndarray

    def through(self, change: Change) -> "View":
        """The view after a change."""
        return View(change.frame(self.frame), change.labels(self.labels), change.valid(self.valid))


class ClipStep(Protocol):
    """What a chain is made of."""

    def __call__(self, views: list[View], rng: np.random.Generator) -> list[View]:
        """The views of a clip after the step."""


@dataclass(frozen=True)
class Step:
    """An operation, the frames that share a draw, and its probability per draw.

    Attributes:
        operation: draws the changes.
        scope: "clip" (one draw, made for frame 0, for all frames), "frame" (a draw of its own
            for every frame) or "later" (the same, frame 0 left as it is).
        probability: that a draw is made at all.
    """

    operation: Operation
    scope: str = "frame"
    probability: float = 1.0

    def __post_init__(self):
        """Refuses unknown scopes."""
        if self.scope not in SCOPES:
            raise ConfigError(f"scope must be one of {SCOPES}, not {self.scope!r}")

    def __call__(self, views: list[View], rng: np.random.Generator) -> list[View]:
        """Changes the views; a view that occurs several times is computed once where shared."""
        if self.scope != "clip":
            first = int(self.scope == "later")
            return [*views[:first], *(self._alone(view, rng) for view in views[first:])]
        if not self._happens(rng):
            return views
        change = self.operation.draw(rng, views[0].labels)
        distinct = {id(view): view for view in views}
        changed = {key: view.through(change) for key, view in distinct.items()}
        return [changed[id(view)] for view in views]

    def _alone(self, view: View, rng: np.random.Generator) -> View:
        if not self._happens(rng):
            return view
        return view.through(self.operation.draw(rng, view.labels))

    def _happens(self, rng: np.random.Generator) -> bool:
        return self.probability >= 1 or rng.random() < self.probability


@dataclass(frozen=True)
class Shuffle:
    """Puts the frames of a clip into random order."""

    def __call__(self, views: list[View], rng: np.random.Generator) -> list[View]:
        """The same views, all orders as likely."""
        return [views[t] for t in rng.permutation(len(views))]


@dataclass(frozen=True)
class Chain:
    """Steps one after the other.

    Attributes:
        steps: in order of application.
    """

    steps: tuple[ClipStep, ...]

    def __call__(
        self,
        frames: Sequence[np.ndarray],
        labels: Sequence[np.ndarray],
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Augments a clip.

        Args:
            frames: t arrays uint8 [h, w, 3], RGB; a still is the same array t times.
            labels: t arrays uint8 [h, w] of object ids, or soft planes of one object in 255ths
                where the chain interpolates labels.
            rng: every random choice comes from it.

        Returns:
            The frames uint8 [t, h', w', 3], the labels uint8 [t, h', w'] and `valid` bool
            [t, h', w'], False where there is no image.
        """
        known = {}
        views = [
            known.setdefault(
                (id(frame), id(mask)), View(frame, mask, np.ones(mask.shape, np.bool_))
            )
            for frame, mask in zip(frames, labels, strict=True)
        ]
        for step in self.steps:
            views = step(views, rng)
        frames, labels, valid = (np.stack(part) for part in zip(*views, strict=True))
        return frames, labels, valid


@dataclass(frozen=True)
class Flip:
    """A mirror image, left to right: an operation and its own only change."""

    def draw(self, rng: np.random.Generator, labels: np.ndarray) -> Change:
        """The change."""
        return self

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Mirrors the columns."""
        return cv2.flip(frame, 1)

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Mirrors the columns."""
        return cv2.flip(labels, 1)

    def valid(self, valid: np.ndarray) -> np.ndarray:
        """Mirrors the columns."""
        return valid[:, ::-1]
