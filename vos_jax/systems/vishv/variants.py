"""The published variants of STEm-Seg and VIShv, as settings of the systems."""

_DAVIS = {
    "classes": 0,
    "seediness_head": True,
    "clip_length": 16,
    "overlap": 6,
    "min_dim": 736,
    "max_dim": 1248,
}
_KITTI_MOTS = {
    "classes": 3,
    "mode": "xyt",
    "free_stds": (),
    "semantic_widths": (256, 256, 128, 128),
    "min_seediness": 0.95,
    "min_dim": 736,
    "max_dim": 1792,
}
VARIANTS = {
    "stem_seg": {"davis": _DAVIS, "youtube_vis": {}, "kitti_mots": _KITTI_MOTS},
    "vishv": {
        "davis": {**_DAVIS, "clip_length": 8},
        "youtube_vis": {"min_dim": 352, "max_dim": 640},
    },
}
"""By system and data set: what differs from the system's defaults when a video is segmented."""
