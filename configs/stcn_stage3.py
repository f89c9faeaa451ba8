r"""STCN on YouTube-VOS and DAVIS, straight after stage 0 ("s03", without BL30K).

Command:
    python -m vos_jax.train --config configs/stcn_stage3.py --workdir runs/stcn_stage3 \
        --config.data.root=prepared
Data:
    as `mask_propagation_stage2.py`
Start:
    the workdir of stage 0; the channel of the other objects is drawn orthogonal
Published score:
    none that our notes hold (with BL30K: `stcn_stage2.py`)
Cost:
    150,000 updates of 8 clips of 3 frames of 384x384 pixels and two objects, on 2 GPUs
"""

from ml_collections import ConfigDict
from stcn_stage2 import get_config as get_stage2


def get_config() -> ConfigDict:
    """The recipe as far as it differs from stage 2: spec section 9 of RDE."""
    config = get_stage2()
    config.init_from = "runs/stcn_stage0"
    config.steps = 150_000
    config.schedule.drops = (125_000,)
    return config
