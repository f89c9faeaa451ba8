"""Adapters of Mask-Propagation's data: the thin-plate-spline warp."""

from pathlib import Path

import numpy as np

from tests.parity.case import Case
from vos_jax.data.splines import Remap, spline_maps


def tps_warp(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Sampling maps of given control points, and an image and a mask warped by them."""
    image, mask = case.inputs["image"], case.inputs["mask"]
    columns, rows = spline_maps(case.inputs["c_src"], case.inputs["c_dst"], mask.shape)
    warp = Remap(columns, rows)
    return {
        "map_x": columns,
        "map_y": rows,
        "image": warp.frame(image),
        "mask": warp.labels(mask),
    }


ADAPTERS = {"mask_propagation/tps_warp": tps_warp}
