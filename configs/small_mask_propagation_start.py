r"""The start of a small Mask-Propagation: five minutes on small clips, from nothing.

Command:
    python -m vos_jax.train --config configs/small_mask_propagation_start.py \
        --workdir runs/small_mask_propagation_start --config.data.root=prepared
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
from small_stcn_start import get_config as get_stcn_start

QUERIES = ("query_encoder/*", "query_head/key/*")
"""What frames are read by."""


def get_config() -> ConfigDict:
    """Keys that learn to match with help, on the clips of the small STCN.

    The published network begins with keys that match, those of ImageNet. Keys drawn at random do
    so a little. Left alone, the memory's soon differ from the frame's, or both encode places, which
    small crops give away and larger frames do not have. So the frame's learn slowly, the memory's
    are held to them, and true masks tell which cells belong together.
    """
    config = get_stcn_start()
    config.system = "mask_propagation"
    config.model.update({"key_channels": 64, "matching": 1.0, "agreement": 0.3})
    config.optimiser.rates = tuple((name, 0.1) for name in QUERIES)
    return config
