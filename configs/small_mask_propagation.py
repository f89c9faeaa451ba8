r"""A small Mask-Propagation: half an hour on one core; for small frames only, see its score.

Command:
    python -m vos_jax.train --config configs/small_mask_propagation.py \
        --workdir runs/small_mask_propagation --config.data.root=prepared \
        --config.init_from=runs/small_mask_propagation_start
Data:
    some COCO images in prepared/coco (two splits) and the generated set:
    python -m data_prep.coco --split train --images train2017 \
        --annotations instances_train2017.json --output prepared/coco
    python -m data_prep.coco --split val --images val2017 \
        --annotations instances_val2017.json --output prepared/coco
    python -m data_prep.moving_objects --split train --output prepared/moving_objects
Start:
    the workdir of `small_mask_propagation_start.py`
Score:
    nothing published; 24.4 J&F (J 32.4, F 16.5) on the 12 sequences of `small_stcn.py`, at 128
    pixels and with kernelised reads as set here: below the first mask copied; on larger frames
    masks spread over the background
Cost:
    1,000 updates of 6 clips of 3 frames of 128x128 pixels and two objects
"""

from ml_collections import ConfigDict
from small_mask_propagation_start import get_config as get_start
from small_mask_propagation_start import sources

SIDE = 128


def get_config() -> ConfigDict:
    """Larger crops, and more and more of the loss on the pixels that are hard."""
    config = get_start()
    config.model.update({"start_warm": 400, "end_warm": 1_000, "min_dim": 128, "sigma": 1.2})
    config.init_from = "runs/small_mask_propagation_start"
    config.steps, config.batch = 1_000, 6
    config.schedule.update({"warmup_steps": 20, "length": 1_000})
    config.optimiser.rates = ()
    config.data.sources = sources(SIDE)
    config.data.canvases = ((SIDE, SIDE),)
    return config
