"""Runs stages of training one after the other, shrunk, in one process.

    python -m tests.tiny_stages PREPARED WORKDIRS STAGE+STAGE+... ...

The first stage of such a row starts from scratch, the others from it. What a stage says goes to
WORKDIRS/STAGE.txt. STEm-Seg and VIShv are as in `thin_windows`.
"""

import sys
from contextlib import redirect_stdout
from pathlib import Path

from tests.thin_windows import thin
from vos_jax.core.commands import run_command
from vos_jax.train import main as train
from vos_jax.training.configuration import load_settings
from vos_jax.training.settings import Settings

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SMALL = (
    "model.backbone=small model.channels=8 data.canvases=((64,64),) data.workers=0 steps=3 "
    "log.scalars_every=1 log.images_every=0"
)
WEIGHTS = [f"model.{name}_weight=10.0" for name in ("klloss", "decoder_f2", "decoder_f4")]
"""Of RDE: the same in all stages, so that they share one compilation."""

MEMORIES = (
    "model.key_channels=8 model.value_channels=8 model.decoder_channels=(8,8) "
    "model.start_warm=20000 model.end_warm=70000 batch=2"
)
WINDOWS = "data.short_side=48 data.long_side=64 checkpoints.every=1 checkpoints.keep=3"
FLOW = "model.flow_steps=1 model.flow_hidden=8"


def arguments(stage: str, prepared: str, workdir: Path, init_from: object) -> list[str]:
    """Of the training command."""
    published = load_settings(CONFIGS / f"{stage}.py")
    own = windows(published) if published.system in ("stem_seg", "vishv") else memories(published)
    settings = [*SMALL.split(), *own, f"data.root={prepared}", f"init_from={init_from}"]
    config = ["--config", str(CONFIGS / f"{stage}.py"), "--workdir", str(workdir)]
    return [*config, *(f"--config.{each}" for each in settings)]


def memories(published: Settings) -> list[str]:
    """Settings of a space-time memory."""
    sizes = [f"data.sources.{name}.augmentation.size=64" for name in published.data.sources]
    return [*MEMORIES.split(), *sizes, *(WEIGHTS if published.system == "rde" else [])]


def windows(published: Settings) -> list[str]:
    """Settings of a system of windows; a flow that learns alone at first does so in two updates."""
    splits = [f"data.sources.{name}.split=train" for name in published.data.sources]
    if published.system == "stem_seg":
        return [*WINDOWS.split(), *splits]
    warm = min(2, published.model["flow_warm_updates"])
    return [*WINDOWS.split(), *splits, *FLOW.split(), f"model.flow_warm_updates={warm}"]


def main(argv: list[str] | None = None) -> None:
    """Trains them all."""
    prepared, workdirs, *rows = sys.argv[1:] if argv is None else argv
    for row in rows:
        first = ""
        for stage in row.split("+"):
            workdir = Path(workdirs, stage)
            with Path(workdirs, f"{stage}.txt").open("w") as said, redirect_stdout(said), thin():
                train(arguments(stage, prepared, workdir, first))
            first = first or workdir


if __name__ == "__main__":
    sys.exit(run_command(main))
