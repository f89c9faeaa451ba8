r"""A small STCN: 20 minutes on one core, those of its start among them.

Command:
    python -m vos_jax.train --config configs/small_stcn.py --workdir runs/small_stcn \
        --config.data.root=prepared --config.init_from=runs/small_stcn_start
Data:
    as `small_mask_propagation.py`
Start:
    the workdir of `small_stcn_start.py`
Score:
    nothing published; 44.1 J&F (J 48.6, F 39.6) on 12 sequences of DAVIS 2016 val that it never
    saw, after 151 COCO images and 200 generated videos; the first mask copied has 29.1, masks
    moved along optical flow have 44.0
Cost:
    700 updates of 6 clips of 3 frames of 128x128 pixels and two objects
"""

from ml_collections import ConfigDict
from small_mask_propagation import goes_on
from small_stcn_start import get_config as get_start


def get_config() -> ConfigDict:
    """The same clips on smaller crops."""
    config = get_start()
    config.init_from = "runs/small_stcn_start"
    config.batch = 6
    return goes_on(config, side=128, steps=700, start_warm=250)
