r"""AOT and DeAOT on YouTube-VOS and DAVIS after still images (PRE_YTB_DAV), every variant.

Command:
    python -m vos_jax.train --config configs/aot_pre_ytb_dav.py:aott \
        --workdir runs/aott_pre_ytb_dav --config.data.root=prepared
Data:
    as `aot_ytb.py` and `aot_pre_dav.py`
Start:
    the workdir of `aot_pre.py`; its moving average is what is taken
Published score:
    J&F: DAVIS 2017 val AOTT 79.2, AOTS 82.1, AOTB 83.3, AOTL 83.6, R50-AOTL 85.2, SwinB-AOTL
    85.9; YouTube-VOS 2019 val at 6 fps AOTT 80.0, AOTS 82.7, AOTB 84.0, AOTL 84.0, R50-AOTL 84.4,
    SwinB-AOTL 84.7, DeAOTT 82.0, DeAOTS 83.8, DeAOTB 84.6, DeAOTL 84.7, R50-DeAOTL 85.9,
    SwinB-DeAOTL 86.1
Cost:
    as `aot_pre.py`; encoders larger than ResNet-50 may stop after 80,000 updates
"""

from aot_pre_dav import davis
from aot_pre_ytb import get_config as get_ytb
from ml_collections import ConfigDict


def get_config(variant: str = "aott") -> ConfigDict:
    """The recipe as far as it differs from that of YouTube-VOS alone."""
    config = get_ytb(variant)
    config.data.sources.davis = davis(config)
    return config
