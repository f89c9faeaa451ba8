r"""A small STCN: 24 minutes on one busy core, those of its start among them.

Command:
    python -m vos_jax.train --config configs/small_stcn.py --workdir runs/small_stcn \
        --config.data.root=prepared --config.init_from=runs/small_stcn_start
Data:
    as `small_mask_propagation.py`
Start:
    the workdir of `small_stcn_start.py`
Score:
    nothing published; 47.0 J&F (J 50.9, F 43.1) on 12 sequences of DAVIS 2016 val that it never
    saw, after 151 COCO images and 200 generated videos; the first mask copied has 29.1, masks
    moved along optical flow have 44.0
Cost:
    500 updates of 4 clips of 3 frames of 192x192 pixels and two objects
"""

from ml_collections import ConfigDict
from small_mask_propagation import goes_on
from small_stcn_start import get_config as get_start


def get_config() -> ConfigDict:
    """Crops of twice the size; frames are read from few cells, since there are many more."""
    config = get_start()
    config.model.top_k = 8
    config.init_from = "runs/small_stcn_start"
    config.batch = 4
    return goes_on(config, side=192, steps=500, start_warm=200)
