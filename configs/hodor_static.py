r"""HODOR on still images (the first stage of the paper).

Command:
    python -m vos_jax.train --config configs/hodor_static.py --workdir runs/hodor_static \
        --config.data.root=prepared/coco --config.init_from=runs/backbone
Data:
    COCO 2017 train, prepared by
    python -m data_prep.coco --images train2017 --annotations instances_train2017.json \
        --output prepared/coco
Start:
    the detection-pretrained Swin-T and pyramid, converted by
    python -m vos_jax.convert --system hodor --checkpoint swin_tiny_pretrained.pth \
        --workdir runs/backbone --what backbone
    or '' for from scratch
Published score:
    DAVIS 2017 val, J&F 77.5 (arXiv 2206.00182, still images only)
Cost:
    250,000 updates of 8 clips of 3 frames at up to 300,000 pixels; six predictions a clip. The
    official program splits a batch into micro-batches of at most 2 clips per device; where
    memory is short, --config.accumulate=4 does that.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The static recipe: spec section 13 and 14.4."""
    config = ConfigDict()
    config.system = "hodor"
    config.model = {"backbone": "swin_tiny", "dropout": 0.1, "cut_masks": True}
    config.init_from = ""
    config.seed = 42
    config.steps = 250_000
    config.batch = 8
    config.accumulate = 1

    config.schedule = {
        "kind": "step",
        "rate": 1e-4,
        "warmup_from": 1e-7,
        "warmup_steps": 10_000,
        "drops": (100_000,),
        "factor": 0.1,
    }
    config.optimiser = {"betas": (0.9, 0.999), "eps": 1e-8, "decay": 0.01}

    config.data = {
        "root": "",
        "sources": {"coco": {"kind": "stills", "split": "train"}},
        "canvases": ((480, 640), (640, 480), (448, 672), (672, 448), (576, 576)),
        "pixels": 300_000,
        "slots": 4,
        "workers": 8,
    }
    config.log = {"scalars_every": 50, "images_every": 1000}
    config.checkpoints = {"every": 10_000, "keep": 3}
    return config
