r"""A small RDE: ten minutes on one core after the small STCN, whose network it keeps.

Command:
    python -m vos_jax.train --config configs/small_rde.py --workdir runs/small_rde \
        --config.data.root=prepared --config.init_from=runs/small_stcn
Data:
    as `small_mask_propagation.py`
Start:
    the workdir of `small_stcn.py`; the aggregation module from its own law
Score:
    nothing published; 38.8 J&F (J 42.4, F 35.3) on the 12 sequences of `small_stcn.py`
Cost:
    380 updates of 4 clips of 5 frames of 96x96 pixels and two objects
"""

from ml_collections import ConfigDict
from small_stcn_start import get_config as get_start


def get_config() -> ConfigDict:
    """The small clips with two more frames; first masks stay true, as in all merged clips."""
    config = get_start()
    config.system = "rde"
    config.model.update({"start_warm": 120, "end_warm": 380})
    config.init_from = "runs/small_stcn"
    config.steps, config.batch = 380, 4
    config.schedule.update({"warmup_steps": 20, "length": 380})
    for source in config.data.sources.values():
        source.options.frames.count = 5
    config.data.sources.videos.options.frames.jumps = (2,)
    return config
