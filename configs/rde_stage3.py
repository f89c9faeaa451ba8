r"""RDE on YouTube-VOS and DAVIS, straight after stage 0 ("s03", without BL30K).

Command:
    python -m vos_jax.train --config configs/rde_stage3.py --workdir runs/rde_stage3 \
        --config.data.root=prepared
Data:
    as `mask_propagation_stage2.py`
Start:
    the workdir of stage 0; the channel of the other objects is drawn orthogonal, the aggregation
    module from its own law
Published score:
    J&F: DAVIS 2017 val 84.2, DAVIS 2016 val 91.1, DAVIS 2017 test-dev 77.4; YouTube-VOS 2019 val
    81.9
Cost:
    150,000 updates of 8 clips of 5 frames of 384x384 pixels and two objects, on 2 GPUs
"""

from mask_propagation_stage2 import get_config as get_stage2
from ml_collections import ConfigDict
from rde_stage1 import five_frames


def get_config() -> ConfigDict:
    """The recipe as far as it differs from Mask-Propagation's: spec section 9.2."""
    config = five_frames(get_stage2())
    config.init_from = "runs/rde_stage0"
    config.schedule.rate = 2e-5
    return config
