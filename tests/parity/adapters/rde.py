"""Adapters of RDE's data: masks perturbed by replayed random numbers."""

from pathlib import Path

import numpy as np

from tests.parity.case import Case
from vos_jax.data.perturbation import perturb_mask


class Replay:
    """NumPy's legacy generator behind the interface of the new one."""

    def __init__(self, seed: int):
        self._state = np.random.RandomState(seed)

    def integers(self, low: int, high: int) -> int:
        """A whole number of low..high-1."""
        return self._state.randint(low, high)

    def random(self) -> float:
        """A number of [0, 1)."""
        return self._state.rand()


def mask_perturbation(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """The perturbed mask of every seed and target overlap, named `seed<s>_iou<percent>`."""
    mask = 255 * case.inputs["mask"]
    return {
        f"seed{run['seed']}_iou{round(100 * run['target'])}": perturb_mask(
            mask, run["target"], Replay(run["seed"])
        )
        // 255
        for run in case.config["runs"]
    }


ADAPTERS = {"rde/mask_perturbation": mask_perturbation}
RESULT_KEYS = {"rde/mask_perturbation": ("result_iou", "next_rand")}
