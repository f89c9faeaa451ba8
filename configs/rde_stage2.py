r"""RDE on YouTube-VOS and DAVIS, after BL30K ("s012").

Command:
    python -m vos_jax.train --config configs/rde_stage2.py --workdir runs/rde_stage2 \
        --config.data.root=prepared
Data:
    as `mask_propagation_stage2.py`
Start:
    the workdir of stage 1
Published score:
    J&F: DAVIS 2017 val 86.1 (85.7 with the weights below), DAVIS 2016 val 91.6, DAVIS 2017
    test-dev 78.9 (79.2); YouTube-VOS 2019 val 83.3. The paper had the weights of the three
    divergences at 10; the authors' second run has 5, as here.
Cost:
    75,000 updates of 16 clips of 5 frames of 384x384 pixels and two objects, on 2 GPUs
"""

from ml_collections import ConfigDict
from rde_stage3 import get_config as get_stage3


def get_config() -> ConfigDict:
    """The recipe as far as it differs from stage 3: spec section 9.2."""
    config = get_stage3()
    weights = {"klloss_weight": 5.0, "decoder_f2_weight": 5.0, "decoder_f4_weight": 5.0}
    config.model.update({**weights, "start_warm": 5_000, "end_warm": 17_500})
    config.init_from = "runs/rde_stage1"
    config.steps = 75_000
    config.batch = 16
    config.schedule.drops = (62_500,)
    return config
