r"""VIShv for DAVIS unsupervised, second step: the encoder stands still.

Command:
    python -m vos_jax.train --config configs/vishv_davis_2.py --workdir runs/vishv_davis_2 \
        --config.data.root=prepared
Data:
    as `stem_seg_davis_1.py`
Start:
    the workdir of `vishv_davis_1.py`
Published score:
    not known
Cost:
    10,000 updates of 2 clips of 8 frames of at most 736x1248 pixels
"""

from ml_collections import ConfigDict
from stem_seg_davis_1 import get_config as get_stem_seg
from vishv_davis_1 import get_config as get_first


def get_config() -> ConfigDict:
    """STEm-Seg's large frames, at a constant rate; the flow needs no warm-up again."""
    config = get_first()
    config.data = get_stem_seg().data
    config.data.sources.youtube_vis_2019.options.frames.span = (16, 16)
    config.steps, config.init_from = 10_000, "runs/vishv_davis_1"
    config.model.update({"freeze_encoder": True, "flow_warm_updates": 0})
    config.model.update({"min_dim": 736, "max_dim": 1248})
    config.schedule = {"kind": "constant", "rate": 1e-3}
    return config
