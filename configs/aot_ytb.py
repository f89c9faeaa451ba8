r"""AOT and DeAOT on YouTube-VOS alone, straight from ImageNet (YTB), every variant.

Command:
    python -m vos_jax.train --config configs/aot_ytb.py:aott --workdir runs/aott_ytb \
        --config.data.root=prepared
Data:
    YouTube-VOS 2019 train as it is:
    python -m data_prep.youtube_vos --root YouTube --year 2019 --split train \
        --output prepared/youtube_vos_2019
Start:
    as `aot_pre.py`
Published score:
    none; about one or two points below `aot_pre_ytb.py`
Cost:
    as `aot_pre.py`
"""

from aot_pre import STEPS, own_phase
from aot_pre import get_config as get_pre
from ml_collections import ConfigDict


def get_config(variant: str = "aott", steps: int = STEPS) -> ConfigDict:
    """The recipe of all stages on video: spec sections 11 and 12.3."""
    config = get_pre(variant)
    floor = 2e-5 if config.model.backbone == "mobilenet_v2" else 1e-5
    config.schedule.update({"rate": 2e-4, "floor": floor, "warmup_from": floor})
    config.schedule.update({"warmup_steps": steps // 20, "length": steps})
    config.steps = config.model.aux_steps = steps
    config.model.own_from = config.model.end_warm = steps // 2
    config.optimiser.decay, config.optimiser.ema = 0.07, 1 - 10 / steps
    config.optimiser.frozen = own_phase(config.model)
    config.data.sources = {"youtube_vos": youtube_vos(config)}
    return config


def videos(config: ConfigDict, folder: str, share: float, max_gap: int) -> dict:
    """Five frames with random gaps, merged with another clip three times in ten."""
    (side, _), family = config.data.canvases[0], config.model.family
    version = 1 if family == "aot" else 2
    return {
        "kind": "composed",
        "folder": folder,
        "share": share,
        "options": {
            "frames": {"kind": "reflected_gaps", "count": 5, "max_gap": max_gap},
            "objects": {"kind": "reference", "min_area": 100},
            "merge": 0.3,
        },
        "augmentation": {"recipe": "aot_video", "size": side, "version": version},
    }


def youtube_vos(config: ConfigDict) -> dict:
    """All videos of which two frames show an object that another frame shows too."""
    source = videos(config, "youtube_vos_2019", 3471.0, 3)
    source["options"]["object_frames"] = 2
    return source
