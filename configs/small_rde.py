r"""A small RDE: ten minutes on one core after the small STCN, whose network it keeps.

Command:
    python -m vos_jax.train --config configs/small_rde.py --workdir runs/small_rde \
        --config.data.root=prepared --config.init_from=runs/small_stcn
Data:
    as `small_mask_propagation.py`
Start:
    the workdir of `small_stcn.py`; the aggregation module from its own law
Score:
    nothing published; 44.2 J&F (J 47.5, F 40.8) on the 12 sequences of `small_stcn.py`
Cost:
    400 updates of 3 clips of 5 frames of 144x144 pixels and two objects
"""

from ml_collections import ConfigDict
from small_mask_propagation import goes_on
from small_stcn import get_config as get_stcn


def get_config() -> ConfigDict:
    """The small clips with two more frames; first masks stay true, as in all merged clips."""
    config = goes_on(get_stcn(), side=144, steps=400, start_warm=120)
    config.system = "rde"
    config.init_from = "runs/small_stcn"
    config.batch = 3
    for source in config.data.sources.values():
        source.options.frames.count = 5
    config.data.sources.videos.options.frames.jumps = (2,)
    return config
