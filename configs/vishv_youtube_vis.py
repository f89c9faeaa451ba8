r"""VIShv for YouTube-VIS, of 2019 or of 2021.

Command:
    python -m vos_jax.train --config configs/vishv_youtube_vis.py:2019 \
        --workdir runs/vishv_youtube_vis --config.data.root=prepared
    --config.model.appearance=conditional for the flow that knows the masks
Data:
    as `stem_seg_youtube_vis.py`
Start:
    as `stem_seg_davis_1.py`, --what resnet50 and mask_rcnn_R_50_FPN_backbone.pth (VIShv's README
    names the one of ResNet-101: --config.model.backbone=resnet101)
Published score:
    not known
Cost:
    160,000 updates of 4 clips of 8 frames of at most 352x640 pixels, the flow alone in 2,000
"""

from ml_collections import ConfigDict
from stem_seg_youtube_vis import get_config as get_stem_seg

SHARES = {"coco": 0.15, "pascal_voc": 0.05, "youtube_vis": 0.8}


def get_config(year: str = "2019") -> ConfigDict:
    """STEm-Seg's recipe on small frames, with more clips and a lower rate."""
    config = get_stem_seg(year, SHARES)
    config.system, config.init_from = "vishv", "runs/stem_seg_resnet50"
    config.model.update({"backbone": "resnet50", "min_dim": 352, "max_dim": 640})
    config.model.flow_warm_updates = 2_000
    config.batch = config.accumulate = 4
    config.schedule.rate = 5e-5
    config.data.update({"short_side": 352, "long_side": 640})
    config.data.canvases = ((352, 480), (352, 640), (480, 352), (640, 352))
    return config
