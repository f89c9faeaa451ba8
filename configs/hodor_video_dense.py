r"""HODOR on densely labelled video (second stage, after `hodor_static.py`).

Command:
    python -m vos_jax.train --config configs/hodor_video_dense.py --workdir runs/hodor_dense \
        --config.data.root=prepared --config.init_from=runs/hodor_static
Data:
    YouTube-VOS 2019 train in prepared/youtube_vos_2019 and DAVIS 2017 train in prepared/davis2017:
    python -m data_prep.youtube_vos --root data/YouTube --year 2019 --split train \
        --output prepared/youtube_vos_2019
    python -m data_prep.davis --root data/DAVIS --year 2017 --split train \
        --output prepared/davis2017
Start:
    the workdir of the static stage, or a converted official static checkpoint
Published score:
    none that could be verified; summaries of the paper (arXiv 2112.09131) say about 81 J&F on
    DAVIS 2017 val
Cost:
    100,000 updates of 8 clips of 3 frames at short side 576; six predictions a clip. The official
    program splits a batch into micro-batches of at most 2 clips per device
    (--config.accumulate=4).
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The dense recipe: spec sections 13 and 14.5."""
    config = ConfigDict()
    config.system = "hodor"
    config.model = {
        "backbone": "swin_tiny",
        "dropout": 0.1,
        "cut_masks": True,
        "min_dim": 576,
        "max_dim": 1200,
    }
    config.init_from = "runs/hodor_static"
    config.seed = 42
    config.steps = 100_000
    config.batch = 8
    config.accumulate = 1

    config.schedule = {
        "kind": "step",
        "rate": 1e-5,
        "warmup_from": 1e-8,
        "warmup_steps": 10_000,
        "drops": (),
    }
    config.optimiser = {"betas": (0.9, 0.999), "eps": 1e-8, "decay": 0.01}

    config.data = {
        "root": "",
        "sources": {
            "youtube_vos": _videos("youtube_vos_2019", share=0.8, max_gap=8),
            "davis": _videos("davis2017", share=0.2, max_gap=16),
        },
        "canvases": ((576, 1024), (576, 768), (1024, 576)),
        "short_side": 576,
        "long_side": 1200,
        "slots": 4,
        "workers": 8,
    }
    config.log = {"scalars_every": 50, "images_every": 1000}
    config.checkpoints = {"every": 10_000, "keep": 3}
    return config


def _videos(folder: str, share: float, max_gap: int) -> dict:
    options = {"max_gap": max_gap}
    return {"kind": "videos", "folder": folder, "share": share, "options": options}
