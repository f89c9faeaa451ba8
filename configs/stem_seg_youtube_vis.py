r"""STEm-Seg for YouTube-VIS, of 2019 or of 2021.

Command:
    python -m vos_jax.train --config configs/stem_seg_youtube_vis.py:2021 \
        --workdir runs/stem_seg_youtube_vis --config.data.root=prepared
    without a year: 2019
Data:
    as `stem_seg_davis_1.py`, without DAVIS; --year 2021 for YouTube-VIS 2021
Start:
    as `stem_seg_davis_1.py`
Published score:
    34.6 AP (AP50 55.8, AP75 37.9, AR1 34.4, AR10 41.6) on YouTube-VIS 2019 valid
Cost:
    160,000 updates of 2 clips of 8 frames of at most 640x1196 pixels
"""

from ml_collections import ConfigDict
from stem_seg_davis_1 import get_config as get_davis
from stem_seg_davis_1 import sources

SHARES = {"coco": 0.3, "pascal_voc": 0.1, "youtube_vis": 0.6}


def get_config(year: str = "2019", shares: dict[str, float] = SHARES) -> ConfigDict:
    """The recipe: 40 classes and a decoder for them; seediness comes with the embedding."""
    config = get_davis()
    config.steps = 160_000
    config.model = {"backbone": "resnet101", "classes": 41, "min_dim": 640, "max_dim": 1196}
    config.schedule.update({"factor": 0.01, "start": 60_000, "length": 160_000})
    named = {f"youtube_vis_{year}" if n == "youtube_vis" else n: s for n, s in shares.items()}
    config.data.sources = sources(f"youtube_vis_{year}", named)
    config.data.update({"short_side": 640, "long_side": 1196})
    config.data.canvases = ((640, 864), (640, 1216), (864, 640), (1216, 640))
    return config
