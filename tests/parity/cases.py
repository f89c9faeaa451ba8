"""The recorded cases that are copied into this repository, by what it takes to run them."""

import json
from pathlib import Path

FOLDER = Path(__file__).parent / "cases"
WHOLE = {
    "engine",
    "next_frame",
    "video",
    "video_youtube",
    "stcn_video",
    "stcn_video_youtube",
    "train_clip",
    "train_step",
    "forward",
    "vishv_video",
    "vishv_train",
}
"""Kinds (without their system) that run a whole system, and take minutes rather than seconds."""


def kind_of(path: Path) -> str:
    """The kind a case names."""
    return json.loads(path.read_text())["kind"]


def copied_cases(whole: bool) -> list[Path]:
    """The cases of whole systems, or those of parts; a dot marks files that belong to a case."""
    paths = [path for path in FOLDER.glob("*/*.json") if "." not in path.stem]
    paths = [path for path in paths if not path.name.startswith("expected")]
    return sorted(path for path in paths if (kind_of(path).split("/")[1] in WHOLE) == whole)


def name_of(path: Path) -> str:
    """How a case is called in test reports."""
    return f"{path.parent.name}/{path.stem}"
