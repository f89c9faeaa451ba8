r"""The start of a small STCN: seven minutes on small clips, from nothing.

Command:
    python -m vos_jax.train --config configs/small_stcn_start.py \
        --workdir runs/small_stcn_start --config.data.root=prepared
Data:
    as `small_mask_propagation.py`
Start:
    from scratch
Score:
    nothing published
Cost:
    400 updates of 8 clips of 3 frames of 96x96 pixels and two objects, two predictions a clip
"""

from ml_collections import ConfigDict
from small_mask_propagation_start import get_config as get_start


def get_config() -> ConfigDict:
    """The same clips; everything learns at one rate, since the key encoder sees no masks."""
    config = get_start()
    config.system, config.optimiser.rates = "stcn", ()
    return config
