r"""VIShv for DAVIS unsupervised, first step.

Command:
    python -m vos_jax.train --config configs/vishv_davis_1.py --workdir runs/vishv_davis_1 \
        --config.data.root=prepared
Data:
    as `stem_seg_davis_1.py`
Start:
    as `vishv_youtube_vis.py`
Published score:
    not known; the published config of this step cannot run, its embedding is ours
Cost:
    50,000 updates of 2 clips of 8 frames of at most 368x624 pixels, the flow alone in 3,000
"""

from ml_collections import ConfigDict
from stem_seg_davis_1 import get_config as get_stem_seg


def get_config() -> ConfigDict:
    """STEm-Seg's first step on small frames."""
    config = get_stem_seg()
    config.system, config.init_from = "vishv", "runs/stem_seg_resnet50"
    config.model.update({"backbone": "resnet50", "min_dim": 368, "max_dim": 624})
    config.model.flow_warm_updates = 3_000
    config.data.update({"short_side": 368, "long_side": 624})
    config.data.canvases = ((384, 512), (384, 640), (512, 384), (640, 384))
    return config
