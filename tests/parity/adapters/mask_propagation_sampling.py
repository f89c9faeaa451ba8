"""How three frames of a video are chosen, from recorded draws."""

import numpy as np

from tests.parity.case import Case
from vos_jax.data.frame_sampling import Jumps


class Recorded:
    """Stands in for a random generator: returns recorded integers within recorded bounds."""

    def __init__(self, bounds_and_values: list[tuple[int, int]], reversed_order: bool):
        """Takes (exclusive bound, value) of every draw, in order."""
        self._draws = iter(bounds_and_values)
        self._uniform = 0.0 if reversed_order else 1.0

    def integers(self, bound: int) -> int:
        """The next value; the bound must be the recorded one."""
        expected, value = next(self._draws)
        if bound != expected:
            raise ValueError(f"draw below {bound} where {expected} was recorded")
        return value

    def random(self) -> float:
        """Below any probability exactly when the order was reversed."""
        return self._uniform


def frame_sampling(case: Case, data_dir) -> dict[str, np.ndarray]:
    """Frames of every recorded draw."""
    probability = case.json["config"]["reverse_probability"]
    return {"frames": np.array([_frames(row, probability) for row in case.inputs["draws"]])}


def _frames(row: np.ndarray, reverse: float) -> list[int]:
    length, jump, starts, start, gaps, first, second, was_reversed = row.tolist()
    rng = Recorded([(starts, start), (gaps, first), (gaps, second)], bool(was_reversed))
    sampler = Jumps(jumps=(jump,), fractions=(0.0,), reverse=reverse)
    return sampler.frames(np.ones((length, 1)), rng, 0.0)


ADAPTERS = {"mask_propagation/frame_sampling": frame_sampling}
