r"""STCN on YouTube-VOS and DAVIS, after BL30K ("s012").

Command:
    python -m vos_jax.train --config configs/stcn_stage2.py --workdir runs/stcn_stage2 \
        --config.data.root=prepared
Data:
    as `mask_propagation_stage2.py`
Start:
    the workdir of stage 1
Published score:
    J&F: DAVIS 2017 val 85.3, DAVIS 2016 val 91.7, DAVIS 2017 test-dev 79.9; YouTube-VOS 2018 val
    84.3, 2019 val 84.2
Cost:
    300,000 updates of 8 clips of 3 frames of 384x384 pixels and two objects, on 2 GPUs
"""

from mask_propagation_stage2 import get_config as get_stage2
from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The recipe as far as it differs from Mask-Propagation's: spec section 9 of RDE."""
    config = get_stage2()
    config.system = "stcn"
    config.init_from = "runs/stcn_stage1"
    config.steps = 300_000
    config.schedule.drops = (250_000,)
    return config
