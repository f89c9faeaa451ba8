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

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The sparse recipe: spec sections 13, 14.2 and 14.5."""
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
    config.steps = 120_000
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
            "youtube_vos": _videos("youtube_vos_2019", share=0.8, max_gap=6),
            "davis": _videos("davis2017", share=0.2, max_gap=12),
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
    options = {"max_gap": max_gap, "reference": "middle"}
    return {"kind": "sparse_videos", "folder": folder, "share": share, "options": options}
