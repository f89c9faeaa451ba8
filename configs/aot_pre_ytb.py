r"""AOT and DeAOT on YouTube-VOS after still images (PRE_YTB), every variant.

Command:
    python -m vos_jax.train --config configs/aot_pre_ytb.py:aott --workdir runs/aott_pre_ytb \
        --config.data.root=prepared
Data:
    as `aot_ytb.py`
Start:
    the workdir of `aot_pre.py`; its moving average is what is taken
Published score:
    none in numbers; better on unseen classes of YouTube-VOS than `aot_pre_ytb_dav.py`
Cost:
    as `aot_pre.py`
"""

from aot_ytb import STEPS
from aot_ytb import get_config as get_ytb
from ml_collections import ConfigDict


def get_config(variant: str = "aott", steps: int = STEPS) -> ConfigDict:
    """The recipe as far as it differs from training without still images."""
    config = get_ytb(variant, steps)
    config.init_from = f"runs/{variant}_pre"
    return config
