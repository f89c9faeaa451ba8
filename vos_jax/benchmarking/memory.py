"""Memory of a long video: resident size of the process frame by frame, and what was compiled."""

import dataclasses
from pathlib import Path

import jax
import numpy as np

from vos_jax.benchmarking.inference import unresized
from vos_jax.benchmarking.pictures import moving_discs
from vos_jax.core.compilation import compilations
from vos_jax.inference.session import Session
from vos_jax.systems import registry
from vos_jax.systems.windows import WindowStream

SETTLED = 50
PICTURES = 8


@dataclasses.dataclass(frozen=True)
class MemoryCurve:
    """What a video took.

    Attributes:
        megabytes: resident size after each frame.
        arrays: bytes of all device arrays after the settling frames, and after the last.
        compilations: programs compiled in the session, the empty state included.
    """

    megabytes: tuple[float, ...]
    arrays: tuple[int, int]
    compilations: int

    @property
    def slope(self) -> float:
        """Megabytes a frame by least squares, after the frames in which it settles."""
        settled = np.array(self.megabytes[SETTLED:] or self.megabytes)
        return float(np.polyfit(np.arange(len(settled)), settled, 1)[0]) if len(settled) > 1 else 0

    def lines(self) -> list[str]:
        """The result as lines of text."""
        last = self.megabytes[-1]
        return [
            f"{len(self.megabytes)} frames: {last:.0f} MB at the end, {self.slope:+.4f} MB a frame"
            f" after frame {min(SETTLED, len(self.megabytes))}; device arrays"
            f" {self.arrays[0]} bytes then, {self.arrays[1]} at the end;"
            f" {self.compilations} programs compiled"
        ]


def measure_memory(
    system: str,
    *,
    size: tuple[int, int],
    frames: int,
    objects: int,
    memory: int | None = None,
    settings: dict | None = None,
) -> MemoryCurve:
    """Segments a long video with random weights ("untrained"), watching the process.

    Args:
        system: name of the system.
        size: of the frames.
        frames: of the video; some pictures in turn.
        objects: shown, and given on the first frame where the system takes masks.
        memory: entries after which a memory that grows drops old ones; None keeps all.
        settings: constructor arguments of the system besides those of `unresized`.
    """
    module = registry.build(system, **unresized(system, size) | (settings or {}))
    params = registry.initialise(system, module, jax.random.key(0))
    pictures, masks = moving_discs(size, objects, PICTURES)
    given = {number + 1: mask for number, mask in enumerate(masks)}
    if module.spec.prompted:
        step, first = Session(module, params, size, slots=objects, memory=memory).step, (given,)
    else:
        step, first = WindowStream(module, params, size).push, ()
    megabytes, arrays = [], []
    with compilations() as compiled:
        for t in range(frames):
            step(pictures[t % PICTURES], *(first if t == 0 else ()))
            megabytes.append(_resident_megabytes())
            if t in (min(SETTLED, frames) - 1, frames - 1):
                arrays.append(sum(array.nbytes for array in jax.live_arrays()))
    return MemoryCurve(tuple(megabytes), (arrays[0], arrays[-1]), compiled.count)


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20
