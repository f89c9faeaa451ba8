r"""AOT and DeAOT on DAVIS after still images (PRE_DAV), every variant.

Command:
    python -m vos_jax.train --config configs/aot_pre_dav.py:aott --workdir runs/aott_pre_dav \
        --config.data.root=prepared
Data:
    python -m data_prep.davis --root DAVIS --year 2017 --split train --output prepared/davis2017
Start:
    the workdir of `aot_pre.py`; its moving average is what is taken
Published score:
    none
Cost:
    50,000 updates, else as `aot_pre.py`
"""

from aot_pre_ytb import get_config as get_ytb
from aot_ytb import videos
from ml_collections import ConfigDict


def get_config(variant: str = "aott") -> ConfigDict:
    """The recipe as far as it differs from that of YouTube-VOS: half as long."""
    config = get_ytb(variant, 50_000)
    config.data.sources = {"davis": davis(config)}
    return config


def davis(config: ConfigDict) -> dict:
    """All videos, five times over beside those of YouTube-VOS, with larger gaps."""
    return videos(config, "davis2017", 5 * 60.0, 12)
