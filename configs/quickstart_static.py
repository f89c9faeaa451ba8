r"""The small HODOR of `quickstart.py` on stills alone: the start of `quickstart_sparse.py`.

Command:
    python -m vos_jax.train --config configs/quickstart_static.py --workdir runs/small_static \
        --config.data.root=prepared/moving_objects
Data:
    python -m data_prep.moving_objects --split train --output prepared/moving_objects
Start:
    from scratch
Score:
    nothing published: the set is our own
Cost:
    500 updates of 8 clips of 3 frames of 96x128 pixels: a few minutes on two cores
"""

from ml_collections import ConfigDict
from quickstart import get_config as get_quickstart
from quickstart import stills


def get_config() -> ConfigDict:
    """Every frame of the set as a picture; nothing is known of how things move."""
    config = get_quickstart()
    config.data.sources = {"stills": stills()}
    return config
