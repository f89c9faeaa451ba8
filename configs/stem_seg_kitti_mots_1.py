r"""STEm-Seg for KITTI-MOTS, first step: cars and pedestrians of Mapillary Vistas.

Command:
    python -m vos_jax.train --config configs/stem_seg_kitti_mots_1.py \
        --workdir runs/stem_seg_kitti_mots_1 --config.data.root=prepared
Data:
    python -m data_prep.mapillary --root mapillary-vistas --split training \
        --output prepared/mapillary
Start:
    as `stem_seg_davis_1.py`
Published score:
    none of this step alone
Cost:
    80,000 updates of 2 clips of 8 frames of at most 736x1248 pixels and 30 objects
"""

from ml_collections import ConfigDict
from stem_seg_davis_1 import HIGH, WIDE, stills
from stem_seg_davis_1 import get_config as get_davis

from vos_jax.systems.vishv.variants import VARIANTS


def get_config() -> ConfigDict:
    """The recipe: two classes; no free dimensions, time is one of the embedding's."""
    config = get_davis()
    config.steps = 80_000
    config.model = {**VARIANTS["stem_seg"]["kitti_mots"], "max_dim": 1248, "max_tracks": 1000}
    config.schedule.update({"start": 60_000, "length": 80_000})
    recipe = {"min_area": 30, "rotate": 10, "motion_blur": 0.0}
    source = stills("mapillary", 1.0, "mapillary_kitti_mots", **recipe)
    config.data.sources = {"mapillary": {**source, "split": "training"}}
    config.data.update({"canvases": (*WIDE, HIGH[0]), "slots": 30})
    return config
