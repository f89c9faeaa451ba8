r"""The start of a small AOT or DeAOT: ten minutes on small clips, from nothing.

Command:
    python -m vos_jax.train --config configs/small_aot_start.py:deaot \
        --workdir runs/small_deaot_start --config.data.root=prepared
    without a family: aot
Data:
    as `small_mask_propagation.py`
Start:
    from scratch
Score:
    nothing published; an overlap of 0.57 on its own clips, 0.35 if the first mask is copied
Cost:
    900 updates (DeAOT: 800) of 8 clips of 3 frames of 97x97 pixels and two objects
"""

from ml_collections import ConfigDict
from small_stcn_start import clips
from small_stcn_start import videos as generated

from vos_jax.systems.aot.variants import no_decay

STEPS, SIDE, FRAMES = {"aot": 900, "deaot": 800}, 97, 3


def get_config(family: str = "aot") -> ConfigDict:
    """Objects move far between frames: where they stay, copying masks would be learnt."""
    config = ConfigDict()
    config.system, config.seed, config.batch, config.steps = "aot", 0, 8, STEPS[family]
    config.model = {"backbone": "small", "channels": 48, "family": family, "group_size": 2}
    config.model.update({"embedding": 96, "heads": 2, "ffn": 192, "key_channels": 48, "radius": 4})
    config.model.update({"drop_path": 0.0, "drop_channels": 0.0, "clip_frames": FRAMES})
    config.model.update({"aux_steps": 300, "own_from": 100_000, "end_warm": 3_000})
    config.schedule = {"kind": "cosine", "rate": 1e-3, "factor": 0.02, "length": STEPS[family]}
    config.schedule["warmup_steps"] = 50
    config.optimiser = {"betas": (0.9, 0.99), "decay": 1e-3, "clip": 1.0}
    config.optimiser["no_decay"] = no_decay(config.model)
    jumps = {"kind": "jumps", "count": FRAMES, "jumps": (8,), "fractions": (0.0,)}
    apart = {"recipe": "aot_stills", "size": SIDE, "version": 1, "area": (0.25, 1.0)}
    config.data = {
        "root": "",
        "sources": stills(FRAMES, apart=apart) | {"videos": videos(SIDE, jumps)},
        "canvases": ((SIDE, SIDE),),
        "multiple": 1,
        "slots": 2,
        "workers": 0,
    }
    config.log = {"scalars_every": 20, "images_every": 0}
    config.checkpoints = {"every": 200, "keep": 1}
    return config


def stills(frames: int, **recipes: dict) -> dict:
    """Views of the stills of both splits by their size, augmented in every way that is named."""
    repeat = {"kind": "repeat", "count": frames}
    return {
        f"{split}_{name}": clips("coco", split, share / len(recipes), recipe, repeat, merge=0.6)
        for split, share in (("train", 1.4), ("val", 0.6))
        for name, recipe in recipes.items()
    }


def videos(side: int, frames: dict) -> dict:
    """Generated video, from near or as a whole."""
    source = generated(side, (0.3, 1.0), merge=0.5)
    source["options"]["frames"] = frames
    return source
