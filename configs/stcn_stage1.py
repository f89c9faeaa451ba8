r"""STCN on rendered video, BL30K (after stage 0).

Command:
    python -m vos_jax.train --config configs/stcn_stage1.py --workdir runs/stcn_stage1 \
        --config.data.root=prepared
Data:
    python -m data_prep.bl30k --root BL30K --output prepared/bl30k
Start:
    the workdir of stage 0; the channel of the other objects is drawn orthogonal
Published score:
    none of this stage alone
Cost:
    500,000 updates of 8 clips of 3 frames of 384x384 pixels and two objects, on 2 GPUs
"""

from mask_propagation_stage1 import get_config as get_stage1
from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The recipe as far as it differs from Mask-Propagation's: spec section 9 of RDE."""
    config = get_stage1()
    config.system = "stcn"
    config.init_from = "runs/stcn_stage0"
    config.schedule.drops = (400_000,)
    return config
