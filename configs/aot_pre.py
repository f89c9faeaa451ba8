r"""AOT and DeAOT on still images (PRE), every variant; the others' start.

Command:
    python -m vos_jax.train --config configs/aot_pre.py:r50_deaotl \
        --workdir runs/r50_deaotl_pre --config.data.root=prepared
    without a variant: aott; --config.model.dtype=bfloat16 in place of the official float16
Data:
    five sets, laid out as AOT's, in prepared/static_coco, static_ecssd and so on, each by
    python -m data_prep.stills --aot --set ECSSD --root static --output prepared/static_ecssd
Start:
    the image encoder learnt on ImageNet: resnet50-0676ba61.pth, converted by
    python -m vos_jax.convert --system aot --what resnet50 --checkpoint resnet50-0676ba61.pth \
        --workdir runs/aot_resnet50
    (mobilenet_v2, resnet101, resnest101 and swin_base alike); '' starts from scratch
Published score:
    none of this stage alone
Cost:
    100,000 updates of 16 clips of 5 frames of 465x465 pixels (Swin: 464x464) and ten objects;
    --config.accumulate=4 where memory is short
"""

from ml_collections import ConfigDict

from vos_jax.systems.aot.variants import model_settings, no_decay

STEPS = 100_000
SAMPLES = {"coco": 117_266, "msra10k": 10_000, "pascalvoc2012": 2_913, "ecssd": 1_000}
SAMPLES["pascal_s"] = 850
"""Images of each set, about; they only weigh the sources, and were not checked."""


def get_config(variant: str = "aott") -> ConfigDict:
    """The recipe: spec sections 11 and 12."""
    config = ConfigDict()
    config.system, config.seed, config.batch, config.steps = "aot", 42, 16, STEPS
    config.model = {**model_settings(variant), "aux_steps": STEPS // 10, "own_from": STEPS}
    config.init_from = f"runs/aot_{config.model.backbone}"
    side = 465 if config.model.get("align_corners", True) else 464
    config.schedule = {"kind": "power", "power": 0.9, "warmup_steps": STEPS // 20, "length": STEPS}
    config.schedule.update({"rate": 4e-4, "floor": 2e-5, "warmup_from": 2e-5})
    config.optimiser = {
        "decay": 0.03,
        "no_decay": no_decay(config.model),
        "clip": 5.0,
        "rates": (("encoder/*", 0.1),),
        "frozen": own_phase(config.model),
        "ema": 1 - 10 / STEPS,
    }
    version = 1 if config.model.family == "aot" else 2
    recipe = {"recipe": "aot_stills", "size": side, "version": version}
    config.data = {
        "root": "",
        "sources": {name: stills(name, recipe, share) for name, share in SAMPLES.items()},
        "canvases": ((side, side),),
        "multiple": 1,
        "slots": 10,
        "workers": 8,
    }
    config.log = {"scalars_every": 20, "images_every": 1000}
    config.checkpoints = {"every": 5_000, "keep": 8}
    return config


def own_phase(model: ConfigDict) -> tuple[tuple[str, int], ...]:
    """The identities stand still as soon as the network's own masks are remembered."""
    names = ("identity_bank/*", *(("identity_norm/*",) if model.family == "deaot" else ()))
    return tuple((name, model.own_from) for name in names)


def stills(name: str, recipe: dict, share: float) -> dict:
    """Five views of an image, the objects of another one pasted over them."""
    frames = {"kind": "repeat", "count": 5}
    return {
        "kind": "composed",
        "folder": f"static_{name}",
        "share": float(share),
        "options": {"frames": frames, "objects": {"kind": "reference"}, "merge": 1.0},
        "augmentation": dict(recipe),
    }
