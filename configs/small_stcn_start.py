r"""The start of a small STCN: seven minutes on small clips, from nothing.

Command:
    python -m vos_jax.train --config configs/small_stcn_start.py \
        --workdir runs/small_stcn_start --config.data.root=prepared
Data:
    as `small_mask_propagation.py`
Start:
    from scratch
Score:
    nothing published
Cost:
    400 updates of 8 clips of 3 frames of 96x96 pixels and two objects, two predictions a clip
"""

from ml_collections import ConfigDict

SIDE = 96


def get_config() -> ConfigDict:
    """Two objects at a time: with one, finding objects would do, and nothing would be matched."""
    config = ConfigDict()
    config.system = "stcn"
    config.model = {"backbone": "small", "channels": 48, "decoder_channels": (96, 48)}
    config.model.update({"key_channels": 32, "value_channels": 96, "min_dim": 480, "top_k": 30})
    config.seed, config.steps, config.batch = 0, 400, 8
    config.schedule = {"kind": "cosine", "rate": 1e-3, "warmup_steps": 50, "factor": 0.02}
    config.schedule["length"] = 800
    config.optimiser = {"betas": (0.9, 0.99), "decay": 1e-4, "clip": 1.0}

    config.data = {
        "root": "",
        "sources": sources(SIDE),
        "canvases": ((SIDE, SIDE),),
        "multiple": 16,
        "slots": 2,
        "workers": 0,
    }
    config.log = {"scalars_every": 20, "images_every": 0}
    config.checkpoints = {"every": 400, "keep": 1}
    return config


def sources(side: int) -> dict:
    """Stills from near and as a whole, of both splits by their size, and generated video."""
    near = {"recipe": "mask_propagation_video", "size": side, "area": (0.2, 0.8)}
    whole = {"recipe": "aot_stills", "size": side, "version": 1}
    repeat = {"kind": "repeat", "count": 3}
    stills = {
        f"{split}_{name}": clips("coco", split, share, recipe, repeat, merge=0.6)
        for split, share in (("train", 0.7), ("val", 0.3))
        for name, recipe in (("near", near), ("whole", whole))
    }
    return stills | {"videos": videos(side, (0.5, 1.0), merge=0.2)}


def videos(side: int, area: tuple[float, float], merge: float) -> dict:
    """Generated video, of which a share of the frame is seen."""
    jumps = {"kind": "jumps", "count": 3, "jumps": (3,), "fractions": (0.0,)}
    recipe = {"recipe": "mask_propagation_video", "size": side, "area": area}
    return clips("moving_objects", "train", 0.7, recipe, jumps, merge)


def clips(folder: str, split: str, share: float, recipe: dict, frames: dict, merge: float) -> dict:
    """Two objects of a clip, over a share of which the objects of another clip are pasted."""
    objects = {"kind": "reference", "most": 2, "least": 1, "min_area": 100}
    options = {"frames": frames, "objects": objects, "attempts": 6, "merge": merge}
    source = {"kind": "composed", "folder": folder, "split": split, "share": share}
    return {**source, "options": options, "augmentation": recipe}
