r"""RDE on rendered video, BL30K (after stage 0).

Command:
    python -m vos_jax.train --config configs/rde_stage1.py --workdir runs/rde_stage1 \
        --config.data.root=prepared
Data:
    python -m data_prep.bl30k --root BL30K --output prepared/bl30k
Start:
    the workdir of stage 0; the channel of the other objects is drawn orthogonal, the aggregation
    module from its own law
Published score:
    none of this stage alone
Cost:
    500,000 updates of 8 clips of 5 frames of 384x384 pixels and two objects, on 2 GPUs
"""

from mask_propagation_stage1 import get_config as get_stage1
from ml_collections import ConfigDict
from rde_stage0 import OVERLAP


def get_config() -> ConfigDict:
    """The recipe as far as it differs from Mask-Propagation's: spec section 9.2."""
    config = five_frames(get_stage1())
    config.init_from = "runs/rde_stage0"
    config.schedule.drops = (400_000,)
    return config


def five_frames(config: ConfigDict) -> ConfigDict:
    """A config of three frames made RDE's: five, perturbed first masks, two more losses."""
    config.system = "rde"
    weights = {"klloss_weight": 10.0, "decoder_f2_weight": 10.0, "decoder_f4_weight": 10.0}
    config.model.update(weights)
    for source in config.data.sources.values():
        source.options.frames.update({"kind": "long_jumps", "count": 5})
        source.options.perturb = OVERLAP
    return config
