r"""HODOR on video with one labelled frame each: cyclic consistency (after `hodor_static.py`).

The two other frames of a clip have no labels: objects are carried to them and back, and the loss
looks at the reference frame alone.

Command:
    python -m vos_jax.train --config configs/hodor_video_sparse.py --workdir runs/hodor_sparse \
        --config.data.root=prepared --config.init_from=runs/hodor_static
    --config.model.cut_masks=False also sends gradients through the soft masks in between, by
    soft-masked attention; the published recipes keep them cut.
Data:
    as `hodor_video_dense.py`, of which one frame per video is used
Start:
    the workdir of the static stage, or a converted official static checkpoint
Published score:
    DAVIS 2017 val, J&F 80.6 (arXiv 2206.00182; static stage 77.5)
Cost:
    120,000 updates of 8 clips of 3 frames at short side 576; six predictions a clip. The official
    program splits a batch into micro-batches of at most 2 clips per device
    (--config.accumulate=4).
"""

from hodor_video_dense import get_config as get_dense
from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The sparse recipe, as far as it differs from the dense one: spec sections 13, 14.2, 14.5."""
    config = get_dense()
    config.steps = 120_000
    for source, max_gap in (("youtube_vos", 6), ("davis", 12)):
        options = {"max_gap": max_gap, "reference": "middle"}
        config.data.sources[source].update({"kind": "sparse_videos", "options": options})
    return config
