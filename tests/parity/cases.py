"""The recorded cases that are copied into this repository, by what it takes to run them."""

import json
from pathlib import Path

FOLDER = Path(__file__).parent / "cases"
WHOLE = {"next_frame", "video", "train_clip"}
"""Kinds (without their system) that run a whole system, and take minutes rather than seconds."""


def kind_of(path: Path) -> str:
    """The kind a case names."""
    return json.loads(path.read_text())["kind"]


def copied_cases(whole: bool) -> list[Path]:
    """The cases of whole systems, or those of parts."""
    paths = [path for path in FOLDER.glob("*/*.json") if not path.name.startswith("expected")]
    return sorted(path for path in paths if (kind_of(path).split("/")[1] in WHOLE) == whole)


def name_of(path: Path) -> str:
    """How a case is called in test reports."""
    return f"{path.parent.name}/{path.stem}"
