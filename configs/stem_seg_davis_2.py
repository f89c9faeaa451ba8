r"""STEm-Seg for DAVIS unsupervised, second step: 16 frames, the encoder stands still.

Command:
    python -m vos_jax.train --config configs/stem_seg_davis_2.py \
        --workdir runs/stem_seg_davis_2 --config.data.root=prepared
Data:
    as `stem_seg_davis_1.py`
Start:
    the workdir of `stem_seg_davis_1.py`
Published score:
    64.7 J&F (J 61.5, F 67.8) on DAVIS 2017 unsupervised val
Cost:
    10,000 updates of 2 clips of 16 frames of at most 736x1248 pixels
"""

from ml_collections import ConfigDict
from stem_seg_davis_1 import get_config as get_first


def get_config() -> ConfigDict:
    """The first step's clips made longer, at a constant rate."""
    config = get_first()
    config.steps, config.init_from = 10_000, "runs/stem_seg_davis_1"
    config.model.update({"clip_length": 16, "freeze_encoder": True})
    config.schedule = {"kind": "constant", "rate": 1e-3}
    for source in config.data.sources.values():
        source.options.frames.count = 16
        if "span" in source.options.frames:
            source.options.frames.span = (16, 16)
    return config
