r"""RDE on still images of one object (the first stage): STCN's network, perturbed first masks.

Command:
    python -m vos_jax.train --config configs/rde_stage0.py --workdir runs/rde_stage0 \
        --config.data.root=prepared
    --config.model.dtype=bfloat16 in place of the official float16
Data:
    as `mask_propagation_stage0.py`
Start:
    as `stcn_stage0.py`, converted with --system rde into runs/rde_resnet50 and runs/rde_resnet18
Published score:
    none of this stage alone
Cost:
    75,000 updates of 64 clips of 3 frames of 384x384 pixels, on 4 GPUs
"""

from ml_collections import ConfigDict
from stcn_stage0 import get_config as get_stcn

OVERLAP = (0.85, 1.0)
"""First masks are perturbed until they overlap the true ones less than a draw from this range."""


def get_config() -> ConfigDict:
    """The recipe as far as it differs from STCN's: spec section 9.2."""
    config = get_stcn()
    config.system = "rde"
    config.model.update({"klloss_weight": 10.0, "start_warm": 5_000, "end_warm": 17_500})
    config.init_from = "runs/rde_resnet50,runs/rde_resnet18"
    config.steps = 75_000
    config.batch = 64
    config.schedule.update({"rate": 2e-5, "drops": (37_500,)})
    for source in config.data.sources.values():
        source.options.perturb = OVERLAP
    return config
