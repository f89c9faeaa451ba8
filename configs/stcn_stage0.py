r"""STCN on still images of one object (the first stage).

Command:
    python -m vos_jax.train --config configs/stcn_stage0.py --workdir runs/stcn_stage0 \
        --config.data.root=prepared
    --config.model.dtype=bfloat16 in place of the official float16
Data:
    as `mask_propagation_stage0.py`
Start:
    ImageNet's ResNet-50 for keys and ResNet-18 for values, torchvision's files:
    python -m vos_jax.convert --system stcn --what resnet50 \
        --checkpoint resnet50-19c8e357.pth --workdir runs/stcn_resnet50
    python -m vos_jax.convert --system stcn --what resnet18 \
        --checkpoint resnet18-5c106cde.pth --workdir runs/stcn_resnet18
Published score:
    none of this stage alone
Cost:
    300,000 updates of 16 clips of 3 frames of 384x384 pixels, on 2 GPUs
"""

from mask_propagation_stage0 import get_config as get_stage0
from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The recipe as far as it differs from Mask-Propagation's: spec section 9 of RDE."""
    config = get_stage0()
    config.system = "stcn"
    config.init_from = "runs/stcn_resnet50,runs/stcn_resnet18"
    config.batch = 16
    config.schedule.drops = (150_000,)
    return config
