"""Adapters of what STEm-Seg and VIShv train on: losses, targets, learning rates, classes."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.case import Case
from vos_jax.core.labels import VOID
from vos_jax.losses.lovasz import lovasz_hinge
from vos_jax.systems.vishv.losses import embedding_losses, semantic_losses
from vos_jax.systems.vishv.targets import instance_targets, semantic_targets
from vos_jax.training.schedules import learning_rate
from vos_jax.training.settings import ScheduleSettings

NAMES = {"total": "embedding", "variance_smoothness": "smoothness", "semseg": "semantic"}
"""What the recorded losses are called here."""


def hinge(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """`TAG.loss` and `TAG.grad` of flat vectors."""
    found = {}
    for tag in {name.rpartition(".")[0] for name in case.outputs_wanted}:
        logits, labels = case.inputs[f"{tag}.logits"], case.inputs[f"{tag}.labels"]
        loss, gradient = jax.value_and_grad(lovasz_hinge)(jnp.asarray(logits), labels > 0)
        found |= {f"{tag}.loss": np.asarray(loss), f"{tag}.grad": np.asarray(gradient)}
    return found


def embedding(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """The embedding loss, its parts and its gradient; `aligned.` without the official mistake."""
    config, maps = case.config, jnp.moveaxis(jnp.asarray(case.inputs["map"]), 1, -1)
    size = config["embedding_size"]
    masks, ignored = stacked(case, "masks") > 0, stacked(case, "ignore")[:, 0] > 0
    groups = np.stack([np.pad(m[m.any(axis=(1, 2, 3))], _missing(m)) for m in masks])

    def objective(maps, masks, wanted):
        parts = maps[..., :size], maps[..., size:-1], maps[..., -1]
        losses = embedding_losses(*parts, masks, ignored, tuple(config["free_dim_stds"]), wanted)
        return losses["embedding"], losses

    found = {}
    for prefix, *arguments in (("", groups, masks), ("aligned.", masks, None)):
        gradient, losses = jax.grad(objective, has_aux=True)(maps, *arguments)
        found |= _named(losses, prefix) | {f"{prefix}grad": jnp.moveaxis(gradient, -1, 1)}
    return {name: np.asarray(found[name]) for name in case.outputs_wanted}


def semantic(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Foreground and class losses, and the gradient of their sum."""
    logits = jnp.moveaxis(jnp.asarray(case.inputs["logits"]), 2, -1)
    classes = semantic_targets(stacked(case, "masks") > 0, stacked(case, "categories"))

    def objective(logits):
        losses = semantic_losses(logits, classes, stacked(case, "ignore")[:, 0] > 0)
        return sum(losses.values()), losses

    gradient, losses = jax.grad(objective, has_aux=True)(logits)
    found = _named(losses) | {"grad": jnp.moveaxis(gradient, -1, 2)}
    return {name: np.asarray(value) for name, value in found.items()}


def targets(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Masks, ignored pixels and classes at stride 4; every mask is a clip of its own."""
    masks, _ = instance_targets(jnp.asarray(case.inputs["masks"]), 1)
    _, ignored = instance_targets(VOID * jnp.asarray(case.inputs["ignore"])[None], 0)
    classes = semantic_targets(masks[None, :, 0], jnp.asarray(case.inputs["categories"])[None])
    found = {"masks": masks[:, 0], "ignore": ignored[0], "semseg": classes[0]}
    kinds = {"masks": np.uint8, "ignore": np.uint8, "semseg": np.int32}
    return {name: np.asarray(value, kinds[name]) for name, value in found.items()}


def rates(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """`SCHEDULE/UPDATE`, the rate of an update."""
    found = {}
    for name in case.outputs_wanted:
        schedule, _, update = name.partition("/")
        values = case.json["schedules"][schedule]
        start, steps = values["start"], values["steps"]
        settings = ScheduleSettings(
            kind={"none": "constant"}.get(values["decay"], values["decay"]),
            rate=values["initial_lr"],
            factor=values["factor"],
            start=start,
            length=start + steps,
        )
        found[name] = np.asarray(learning_rate(settings)(int(update)), np.float32)
    return found


def recorded_rates(full: dict) -> dict[str, np.ndarray]:
    """The rates that stand in the JSON."""
    return {
        f"{name}/{update}": np.float32(rate)
        for name, schedule in full["schedules"].items()
        for update, rate in schedule["lr_used_by_update"].items()
    }


def stacked(case: Case, name: str) -> np.ndarray:
    """An array of every sequence, `NAME0` and so on, padded to the most instances [b, o, ...]."""
    arrays = []
    while f"{name}{len(arrays)}" in case.inputs:
        arrays.append(case.inputs[f"{name}{len(arrays)}"])
    if name == "ignore":
        return np.stack(arrays)[:, None]
    most = max(map(len, arrays))
    return np.stack([np.pad(a, [(0, most - len(a))] + [(0, 0)] * (a.ndim - 1)) for a in arrays])


def _missing(masks: np.ndarray) -> list[tuple[int, int]]:
    """What `np.pad` adds to the masks that are not empty, to be as many again."""
    empty = len(masks) - int(masks.any(axis=(1, 2, 3)).sum())
    return [(0, empty), (0, 0), (0, 0), (0, 0)]


def _named(losses: dict, prefix: str = "") -> dict:
    ours = {ours: theirs for theirs, ours in NAMES.items()}
    return {f"{prefix}{ours.get(name, name)}": value for name, value in losses.items()}


ADAPTERS = {
    "vishv/lovasz_hinge": hinge,
    "vishv/embedding_loss": embedding,
    "vishv/semseg_losses": semantic,
    "vishv/target_downscale": targets,
    "vishv/lr_schedules": rates,
}
EXPECTED = {"vishv/lr_schedules": recorded_rates}
RESULT_KEYS = {"vishv/lr_schedules": ("lr_used_by_update",)}
