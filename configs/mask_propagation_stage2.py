r"""Mask-Propagation on YouTube-VOS and DAVIS (the main stage, after stage 1 or 0).

Command:
    python -m vos_jax.train --config configs/mask_propagation_stage2.py \
        --workdir runs/mask_propagation_stage2 --config.data.root=prepared
    "s02", without BL30K: --config.init_from=runs/mask_propagation_stage0 --config.steps=300000
Data:
    YouTube-VOS train at short side 480 in prepared/youtube_vos_480p (3464 videos) and DAVIS 2017
    train in prepared/davis2017:
    python -m data_prep.youtube_vos --root YouTube --year 2019 --split train --short_side 480 \
        --videos names.txt --output prepared/youtube_vos_480p
    python -m data_prep.davis --root DAVIS --year 2017 --split train --output prepared/davis2017
Start:
    the workdir of stage 1, or of stage 0
Published score:
    J&F with top-k: DAVIS 2017 val 84.5 (s02: 83.1), DAVIS 2016 val 91.0 (90.9); YouTube-VOS val
    82.0, with the kernelised memory 82.8
Cost:
    150,000 updates of 8 clips of 3 frames of 384x384 pixels and two objects
"""

from mask_propagation_stage1 import get_config as get_stage1
from mask_propagation_stage1 import videos
from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The recipe as far as it differs from stage 1: spec section 8."""
    config = get_stage1()
    config.init_from = "runs/mask_propagation_stage1"
    config.steps = 150_000
    config.schedule.drops = (125_000,)
    config.data.sources = {
        "davis": videos("davis2017", share=5 * 60.0),
        "youtube_vos": videos("youtube_vos_480p", share=3464.0, divisor=5),
    }
    return config
