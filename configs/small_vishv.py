r"""A small VIShv that finds and follows generated objects, a quarter of an hour on one core.

Command:
    python -m vos_jax.train --config configs/small_vishv.py --workdir runs/small_vishv \
        --config.data.root=prepared
Data:
    python -m data_prep.moving_objects --classes --split train --videos 240 --frames 12 \
        --output prepared/moving_instances
Start:
    from scratch
Score:
    nothing published; 65.2, 69.5 and 70.5 AP (AP50 91.2, 94.6, 92.9) with seeds 0, 1, 2 on the 24
    videos of --classes --split val --videos 24 --frames 20 --late 0.3, other photographs than in
    training; an earlier run had 68.7 AP and 85.9 J&F
    with --config.model.appearance=conditional, the flow that knows the masks: 67.3, 66.7, 70.8 AP
Cost:
    350 updates of 4 clips of 8 frames of 96x128 pixels and at most three objects
"""

from ml_collections import ConfigDict

STEPS = 350


def get_config() -> ConfigDict:
    """Three classes of colour and outline, embedded in space, time and appearance."""
    config = ConfigDict()
    config.system, config.seed, config.batch, config.steps = "vishv", 0, 4, STEPS
    config.model = {
        "backbone": "small",
        "channels": 32,
        "widths": (32, 32, 32, 32),
        "semantic_widths": (32, 32, 32, 32),
        "groups": 8,
        "classes": 4,
        "min_dim": 96,
        "max_dim": 128,
        "flow_steps": 4,
        "flow_hidden": 32,
        "flow_warm_updates": 10,
    }
    config.schedule = {"kind": "cosine", "rate": 2e-3, "factor": 0.02, "length": STEPS}
    config.schedule.warmup_steps = STEPS // 20
    config.optimiser = {"decay": 1e-4, "clip": 5.0, "ema": 0.99}
    config.data = {
        "root": "",
        "sources": {"videos": videos()},
        "canvases": ((96, 128),),
        "slots": 4,
        "workers": 0,
    }
    config.log = {"scalars_every": 20, "images_every": 0}
    config.checkpoints = {"every": 100, "keep": 1}
    return config


def videos() -> dict:
    """Eight frames in a row or nearly so, as they are."""
    return {
        "kind": "composed",
        "folder": "moving_instances",
        "options": {
            "frames": {"kind": "evenly_spaced", "count": 8, "span": (7, 10)},
            "objects": {"kind": "visible", "min_area": 20},
            "object_frames": 1,
            "classes": "stored",
        },
        "augmentation": {"recipe": "stem_seg_video"},
    }
