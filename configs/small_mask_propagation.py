r"""A small Mask-Propagation: 20 minutes on one core, those of its start among them.

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
    nothing published; 45.6 J&F (J 50.2, F 40.9) on the 12 sequences of `small_stcn.py`
Cost:
    500 updates of 4 clips of 3 frames of 192x192 pixels and two objects
"""

from ml_collections import ConfigDict
from small_mask_propagation_start import get_config as get_start
from small_stcn_start import sources


def get_config() -> ConfigDict:
    """Crops of twice the size; frames are read from few cells, since there are many more."""
    config = get_start()
    config.model.top_k = 8
    config.init_from = "runs/small_mask_propagation_start"
    config.batch = 4
    return goes_on(config, side=192, steps=500, start_warm=200)


def goes_on(config: ConfigDict, side: int, steps: int, start_warm: int) -> ConfigDict:
    """Larger crops, and more and more of the loss on the pixels that are hard."""
    config.model.update({"start_warm": start_warm, "end_warm": steps})
    config.steps = steps
    config.schedule.update({"warmup_steps": 20, "length": steps})
    config.data.sources = sources(side)
    config.data.canvases = ((side, side),)
    return config
