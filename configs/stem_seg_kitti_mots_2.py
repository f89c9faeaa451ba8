r"""STEm-Seg for KITTI-MOTS, second step: its videos.

Command:
    python -m vos_jax.train --config configs/stem_seg_kitti_mots_2.py \
        --workdir runs/stem_seg_kitti_mots_2 --config.data.root=prepared
Data:
    STEm-Seg's file of the sequences to train on, of which 0050 is 0002 of MOTSChallenge:
    python -m data_prep.stem_seg_json --images KITTI_MOTS --annotations kittimots_train.json \
        --dataset kitti_mots --output prepared/kitti_mots
Start:
    the workdir of `stem_seg_kitti_mots_1.py`
Published score:
    not known
Cost:
    20,000 updates of 2 clips of 8 frames of at most 736x1792 pixels and 30 objects
"""

from ml_collections import ConfigDict
from stem_seg_davis_1 import videos
from stem_seg_kitti_mots_1 import get_config as get_first


def get_config() -> ConfigDict:
    """Videos as they are, cut where six frames in a row show neither car nor pedestrian."""
    config = get_first()
    config.steps, config.init_from = 20_000, "runs/stem_seg_kitti_mots_1"
    config.model.max_dim = config.data.long_side = 1792
    config.schedule = {"kind": "constant", "rate": 1e-3}
    source = videos("kitti_mots", 1.0, "kitti_mots")
    source["options"]["longest_gap"] = 6
    source["augmentation"]["duplicate"] = False
    config.data.sources = {"kitti_mots": source}
    config.data.canvases = ((544, 1792), (736, 1312))
    return config
