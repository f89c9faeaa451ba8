r"""The small HODOR on video of which one frame each is labelled, after `quickstart_static.py`.

Objects are carried to two other frames and back, and the loss looks at the labelled frame alone
(cyclic consistency).

Command:
    python -m vos_jax.train --config configs/quickstart_sparse.py --workdir runs/small_sparse \
        --config.data.root=prepared/moving_objects --config.init_from=runs/small_static
    --config.model.cut_masks=False lets gradients through the masks in between
Data:
    as `quickstart_static.py`
Start:
    the workdir of `quickstart_static.py`
Score:
    nothing published: the set is our own. From 500 static updates on 103 COCO images (37.5 J&F on
    held-out generated videos) to 69.1; as many further updates on those images: 39.9
Cost:
    600 updates of 8 clips of 3 frames of 96x128 pixels, six predictions a clip: ten minutes on
    two cores
"""

from ml_collections import ConfigDict
from quickstart import LARGE_ENOUGH
from quickstart import get_config as get_quickstart


def get_config() -> ConfigDict:
    """The middle frame's labels, and the four frames before and after it."""
    config = get_quickstart()
    config.model.cycles = "full"
    config.init_from = "runs/small_static"
    config.steps = 600
    config.schedule.update({"rate": 5e-4, "warmup_steps": 20, "length": 600})
    config.data.sources = {"videos": sparse_videos()}
    return config


def sparse_videos() -> dict:
    """Clips of video as it is, colours varied frame by frame."""
    augmentation = {"crop_share": 0.0, "attempts": 0}
    options = {**LARGE_ENOUGH, "max_gap": 4}
    return {"kind": "sparse_videos", "options": options, "augmentation": augmentation}
