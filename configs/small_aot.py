r"""A small AOT or DeAOT: half an hour on one core, that of its start included.

Command:
    python -m vos_jax.train --config configs/small_aot.py:deaot --workdir runs/small_deaot \
        --config.data.root=prepared --config.init_from=runs/small_deaot_start
    without a family: aot, from runs/small_aot_start
Data:
    as `small_mask_propagation.py`
Start:
    the workdir of `small_aot_start.py` for the same family
Score:
    nothing published; AOT 44.9 J&F (J 49.3, F 40.6) and DeAOT 43.4 (J 47.1, F 39.8) on 12
    sequences of DAVIS 2016 val that they never saw, after 151 COCO images and 200 generated
    videos; the first mask copied has 29.1, masks moved along optical flow have 44.0
Cost:
    900 updates of 6 clips of 4 frames of 145x145 pixels and two objects (DeAOT: 717 of 4); with
    the start 29.4 minutes of processor time for AOT, 29.8 for DeAOT
"""

from ml_collections import ConfigDict
from small_aot_start import get_config as get_start
from small_aot_start import stills, videos

CLIPS, STEPS = {"aot": 6, "deaot": 4}, {"aot": 900, "deaot": 717}
LENGTH = {"aot": 900, "deaot": 760}
"""Of the schedule: DeAOT, whose updates cost more, stops when half an hour is over."""
SIDE, FRAMES = 145, 4


def get_config(family: str = "aot") -> ConfigDict:
    """Larger crops, of objects that move little too, followed by the network's own masks."""
    config = get_start(family)
    config.steps, config.batch = STEPS[family], CLIPS[family]
    config.model.update({"clip_frames": FRAMES, "aux_steps": 0, "own_from": 0, "end_warm": 1_200})
    config.init_from = f"runs/small_{family}_start"
    config.schedule.update({"length": LENGTH[family], "warmup_steps": 20})
    apart = {"recipe": "aot_stills", "size": SIDE, "version": 1, "area": (0.25, 1.0)}
    near = {"recipe": "mask_propagation_video", "size": SIDE, "area": (0.2, 1.0)}
    gaps = {"kind": "reflected_gaps", "count": FRAMES, "max_gap": 3}
    sources = stills(FRAMES, apart=apart, near=near)
    config.data.sources = sources | {"videos": videos(SIDE, gaps)}
    config.data.canvases = ((SIDE, SIDE),)
    return config
