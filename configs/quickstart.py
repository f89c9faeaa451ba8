r"""A small HODOR that learns on the generated set in minutes; `scripts/quickstart` runs it.

Command:
    python -m vos_jax.train --config configs/quickstart.py --workdir runs/quickstart \
        --config.data.root=prepared/moving_objects
Data:
    python -m data_prep.moving_objects --split train --output prepared/moving_objects
Start:
    from scratch
Score:
    nothing published: the set is our own. Copying the first mask scores about 43 J&F on
    held-out videos.
Cost:
    500 updates of 8 clips of 3 frames of 96x128 pixels, three predictions a clip: a few
    minutes on two cores.
"""

from ml_collections import ConfigDict

LARGE_ENOUGH = {"min_area": 100, "min_side": 8}


def get_config() -> ConfigDict:
    """Half of the clips are made of stills with large jumps, half are video."""
    config = ConfigDict()
    config.system = "hodor"
    config.model = {
        "backbone": "small",
        "channels": 64,
        "heads": 4,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_ffn": 128,
        "decoder_ffn": 128,
        "deformable": False,
        "dropout": 0.0,
        "cycles": "short",
        "min_dim": 96,
        "max_dim": 128,
    }
    config.seed = 0
    config.steps = 500
    config.batch = 8

    config.schedule = {
        "kind": "cosine",
        "rate": 1e-3,
        "warmup_steps": 50,
        "factor": 0.05,
        "length": 500,
    }
    config.optimiser = {"betas": (0.9, 0.99), "decay": 1e-4, "clip": 1.0}

    config.data = {
        "root": "",
        "sources": {"stills": stills(), "videos": videos()},
        "canvases": ((96, 128),),
        "slots": 3,
        "workers": 1,
    }
    config.log = {"scalars_every": 10, "images_every": 100}
    config.checkpoints = {"every": 250, "keep": 1}
    return config


def stills() -> dict:
    """Clips of one frame that is moved far."""
    augmentation = {"crop_share": 0.0, "warps": ("affine",), "shear": 0.0, "scale": (0.85, 1.15)}
    return {"kind": "stills", "options": LARGE_ENOUGH, "augmentation": augmentation}


def videos() -> dict:
    """Clips of video as it is, at most five frames from first to last."""
    augmentation = {"crop_share": 0.0, "attempts": 0}
    options = {**LARGE_ENOUGH, "max_gap": 6}
    return {"kind": "videos", "options": options, "augmentation": augmentation}
