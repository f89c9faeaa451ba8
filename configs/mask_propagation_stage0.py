r"""Mask-Propagation on still images of one object (the first stage of MiVOS).

Command:
    python -m vos_jax.train --config configs/mask_propagation_stage0.py \
        --workdir runs/mask_propagation_stage0 --config.data.root=prepared
Data:
    six sets in prepared/fss1000, duts_tr, duts_te, ecssd, big_small and hrsod_small, each by
    python -m data_prep.stills --set duts_tr --root DUTS-TR --output prepared/duts_tr
Start:
    ImageNet's ResNet-50 in both encoders (torchvision's resnet50-19c8e357.pth):
    python -m vos_jax.convert --system mask_propagation --what resnet50 \
        --checkpoint resnet50-19c8e357.pth --workdir runs/mask_propagation_resnet50
    Mask channels are drawn orthogonal; --config.init_from='' starts from scratch.
Published score:
    none of this stage alone
Cost:
    300,000 updates of 14 clips of 3 frames of 384x384 pixels, two predictions a clip; the
    official program ran on 2 GPUs of 11 GB
"""

from ml_collections import ConfigDict

SAMPLES = {
    "fss1000": 10_000,
    "duts_tr": 10_553,
    "duts_te": 5_019,
    "ecssd": 1_000,
    "big_small": 5 * 150,
    "hrsod_small": 5 * 2_010,
}
"""Images of each set, about, times how often the official program lists it (BIG and HRSOD: five).

The numbers of images were not checked against the sets; they only weigh the sources.
"""


def get_config() -> ConfigDict:
    """The recipe: spec sections 8 and 9."""
    config = ConfigDict()
    config.system = "mask_propagation"
    config.model = {"single_object": True}
    config.init_from = "runs/mask_propagation_resnet50"
    config.seed = 14159265
    config.steps = 300_000
    config.batch = 14

    config.schedule = {"kind": "step", "rate": 1e-5, "drops": (250_000,), "factor": 0.1}
    config.optimiser = {"decay": 0.0, "l2": 1e-7}

    config.data = {
        "root": "",
        "sources": {name: stills(name, float(share)) for name, share in SAMPLES.items()},
        "canvases": ((384, 384),),
        "multiple": 16,
        "slots": 1,
        "workers": 8,
    }
    config.log = {"scalars_every": 100, "images_every": 800}
    config.checkpoints = {"every": 10_000, "keep": 3}
    return config


def stills(folder: str, share: float) -> dict:
    """A soft object of an image, moved twice."""
    return {
        "kind": "composed",
        "folder": folder,
        "share": share,
        "options": {"frames": {"kind": "repeat", "count": 3}, "objects": {"kind": "soft"}},
        "augmentation": {"recipe": "mask_propagation_stills", "size": 384},
    }
