"""The two pictures somebody is comparing, encoded once and asked many times."""

import dataclasses
import threading

import numpy as np
from jaxtyping import PyTree

from vos_jax.correspondence.affinity import Correspondence, correspondences
from vos_jax.correspondence.pictures import fit
from vos_jax.systems.base import Segmenter

SIDES = ("source", "target")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture as it came: its name, and uint8 [h, w, 3] RGB."""

    name: str
    pixels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Pair:
    """What is on the desk.

    Attributes:
        revision: counts the changes of pictures.
        pictures: as they came, by side.
        shown: uint8 [h, w, 3] RGB, of the sizes they are compared in, by side.
        read: by whether the top-k read is meant; empty until both pictures are there.
    """

    revision: int = 0
    pictures: dict[str, Picture] = dataclasses.field(default_factory=dict)
    shown: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    read: dict[bool, Correspondence] = dataclasses.field(default_factory=dict)


class Desk:
    """Compares the pictures that are put on it; may be used from several threads.

    Args:
        system: one whose memory is of pixels.
        params: its parameters.
        top_k: source cells of the top-k read.
        sigma: spread of the kernelised memory in cells; 0 for none.
        short_side: that pictures are reduced to, in pixels.
    """

    def __init__(
        self, system: Segmenter, params: PyTree, top_k: int, sigma: float, short_side: int
    ):
        """Starts empty."""
        self.top_k, self.pair = top_k, Pair()
        self._arguments = (system, params)
        self._settings = {"top_ks": (0, top_k), "sigma": sigma, "short_side": short_side}
        self._lock = threading.Lock()

    def put(self, pictures: dict[str, Picture]) -> Pair:
        """Replaces pictures by side, and compares as soon as there are two.

        Raises:
            VosError: pictures or settings that cannot be; the pictures from before stay.
        """
        with self._lock:
            pictures = self.pair.pictures | pictures
            shown = {side: picture.pixels for side, picture in pictures.items()}
            read = {}
            if len(pictures) == len(SIDES):
                fitted = fit(*(shown[side] for side in SIDES), self._settings["short_side"])
                shown = dict(zip(SIDES, fitted, strict=True))
                plain, top = correspondences(*self._arguments, *fitted, **self._settings)
                plain.heat_map(np.zeros(plain.grid, np.float32))  # compiles what clicks need
                read = {False: plain, True: top}
            self.pair = Pair(self.pair.revision + 1, pictures, shown, read)
            return self.pair
