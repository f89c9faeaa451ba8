r"""STEm-Seg for DAVIS unsupervised, first step: 8 frames, end to end.

Command:
    python -m vos_jax.train --config configs/stem_seg_davis_1.py \
        --workdir runs/stem_seg_davis_1 --config.data.root=prepared
Data:
    python -m data_prep.coco --images train2017 --annotations instances_train2017.json \
        --output prepared/coco
    python -m data_prep.pascal_voc --root VOCdevkit/VOC2012 --output prepared/pascal_voc
    python -m data_prep.youtube_vis --root youtube_vis_2019 --output prepared/youtube_vis_2019
    python -m data_prep.davis --root DAVIS --year 2017 --split train --output prepared/davis2017
Start:
    the backbone of Mask R-CNN, by
    python -m vos_jax.convert --system stem_seg --what resnet101 \
        --checkpoint mask_rcnn_R_101_FPN_backbone.pth --workdir runs/stem_seg_resnet101
Published score:
    none of this step alone
Cost:
    50,000 updates of 2 clips of 8 frames of at most 736x1248 pixels
"""

from ml_collections import ConfigDict

from vos_jax.systems.vishv.variants import VARIANTS

WIDE, HIGH = ((736, 992), (736, 1248)), ((992, 736), (1248, 736))


def get_config() -> ConfigDict:
    """The recipe: spec sections 9 and 10. Objects are of one class, there is no semantic head."""
    config = ConfigDict()
    config.system, config.seed, config.steps = "stem_seg", 42, 50_000
    config.batch = config.accumulate = 2
    config.model = {**VARIANTS["stem_seg"]["davis"], "backbone": "resnet101", "clip_length": 8}
    config.init_from = "runs/stem_seg_resnet101"
    config.optimiser = {"kind": "sgd", "momentum": 0.9, "l2": 1e-4, "decay": 0.0}
    config.schedule = {"kind": "exponential", "rate": 1e-3, "start": 40_000, "length": 50_000}
    config.data = {
        "root": "",
        "sources": sources("object", {"coco": 0.25, "pascal_voc": 0.1, "youtube_vis_2019": 0.35}),
        "canvases": WIDE + HIGH,
        "short_side": 736,
        "long_side": 1248,
        "slots": 16,
        "workers": 8,
    }
    config.data.sources.davis2017 = videos("davis2017", 0.3, "object", 16, void_background=True)
    config.log, config.checkpoints = {"scalars_every": 10}, {"every": 10_000, "keep": 2}
    return config


def sources(classes: str, shares: dict[str, float]) -> dict:
    """Stills of COCO and Pascal VOC, videos of YouTube-VIS, by folder."""
    coco, voc, (name, share) = shares["coco"], shares["pascal_voc"], list(shares.items())[-1]
    return {
        "coco": stills("coco", coco, f"coco_{classes}"),
        "pascal_voc": stills("pascal_voc", voc, f"voc_{classes}", min_area=50, rotate=10),
        name: videos(name, share, "object" if classes == "object" else "stored"),
    }


def stills(folder: str, share: float, classes: str, min_area: int = 0, **recipe) -> dict:
    """An image and random warps of it, shuffled."""
    objects = {"kind": "visible", "min_area": min_area}
    made = clips(folder, share, classes, {"kind": "repeat", "count": 8}, objects)
    return {**made, "augmentation": {"recipe": "stem_seg_stills", **recipe}}


def videos(folder: str, share: float, classes: str, span: int = 8, **objects) -> dict:
    """Eight frames over nine or more; a video's share of the clips is that of its length."""
    frames = {"kind": "evenly_spaced", "count": 8, "span": (span, span)}
    made = clips(folder, share, classes, frames, {"kind": "visible", **objects})
    made["options"]["by_length"] = True
    return {**made, "augmentation": {"recipe": "stem_seg_video"}}


def clips(folder: str, share: float, classes: str, frames: dict, objects: dict) -> dict:
    """What all sources share: frames without an object of a class are never drawn."""
    options = {"frames": frames, "objects": objects, "object_frames": 1, "classes": classes}
    return {"kind": "composed", "folder": folder, "share": share, "options": options}
