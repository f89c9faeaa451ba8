r"""Mask-Propagation on rendered video, BL30K (the second stage, after stage 0).

Command:
    python -m vos_jax.train --config configs/mask_propagation_stage1.py \
        --workdir runs/mask_propagation_stage1 --config.data.root=prepared
Data:
    python -m data_prep.bl30k --root BL30K --output prepared/bl30k
Start:
    the workdir of stage 0; the channel of the other objects is drawn orthogonal
Published score:
    none of this stage alone
Cost:
    500,000 updates of 8 clips of 3 frames of 384x384 pixels and two objects
"""

from mask_propagation_stage0 import get_config as get_stage0
from ml_collections import ConfigDict

JUMPS = (5, 10, 15, 20, 25, 5)


def get_config() -> ConfigDict:
    """The recipe as far as it differs from stage 0: spec section 8."""
    config = get_stage0()
    config.model.single_object = False
    config.init_from = "runs/mask_propagation_stage0"
    config.steps = 500_000
    config.batch = 8
    config.schedule.drops = (450_000,)
    config.data.sources = {"bl30k": bl30k()}
    config.data.slots = 2
    return config


def videos(folder: str, share: float = 1.0, divisor: int = 1) -> dict:
    """Two objects on three frames whose distances grow, and shrink again at the end.

    Args:
        folder: of the prepared set.
        share: of the samples.
        divisor: of the distances, for sets that are not labelled on every frame.
    """
    frames = {
        "kind": "jumps",
        "count": 3,
        "jumps": JUMPS,
        "fractions": (0.0, 0.1, 0.2, 0.3, 0.4, 0.9),
        "divisor": divisor,
    }
    objects = {"kind": "reference", "most": 2, "least": 1}
    return {
        "kind": "composed",
        "folder": folder,
        "share": share,
        "options": {"frames": frames, "objects": objects, "attempts": 5},
        "augmentation": {"recipe": "mask_propagation_video", "size": 384},
    }


def bl30k() -> dict:
    """Objects that are only briefly tiny do not count; crops may be smaller."""
    source = videos("bl30k")
    source["options"]["frames"]["fractions"] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.8)
    source["options"]["objects"] |= {"min_area": 100, "sure_area": 900, "brief_area": 400}
    source["augmentation"]["area"] = (0.25, 1.0)
    return source
