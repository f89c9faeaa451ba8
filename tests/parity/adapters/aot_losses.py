"""Adapters of AOT's loss of a frame on fixed logits, and of its learning rates."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.parity.adapters.space_time_losses import clip_of
from tests.parity.case import Case
from vos_jax.losses.classification import kept_fraction
from vos_jax.systems.aot.losses import clip_logits, frame_losses
from vos_jax.training.optimisers import optimiser
from vos_jax.training.settings import OptimiserSettings, ScheduleSettings


def losses(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """`ce_<step>`, `jaccard_<step>`, `total_<step>` per sample, `grad_<step>` of their mean."""
    config = case.config
    logits = jnp.moveaxis(jnp.asarray(case.inputs["logits"]), 1, -1)
    slots = np.arange(1, logits.shape[-1]) <= np.asarray(config["objects"])[:, None]
    clip = clip_of(case.inputs["label"], slots)
    end = round(config["hard_mining_ratio"] * config["total_steps"])
    weights = config["loss_weights"]

    @jax.jit
    def parts(scores, step):
        kept = kept_fraction(step, 0, end, config["top_k_fraction"])
        full = clip_logits(scores[..., None, :], clip, config["align_corners"])
        entropy, overlap = frame_losses(full, clip.labels[:, 0], kept)
        total = weights[0] * entropy + weights[1] * overlap
        return total.mean(), {"ce": entropy, "jaccard": overlap, "total": total}

    found = {}
    for name in case.outputs_wanted:
        kind, step = name.split("_")
        gradient, values = jax.grad(parts, has_aux=True)(logits, jnp.int32(int(step)))
        found[name] = np.asarray(
            jnp.moveaxis(gradient, -1, 1) if kind == "grad" else values[kind], np.float32
        )
    return found


def rates(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """The rates of an ordinary and of an encoder parameter: how far a slope of 1 moves them."""
    config = case.config
    columns = [case.inputs[name].tolist() for name in ("base", "min", "total", "step")]
    moves = [_moves(config, *row) for row in zip(*columns, strict=True)]
    ordinary, encoder = np.asarray(moves, np.float32).T
    return {"lr": ordinary, "lr_encoder": encoder}


def _moves(config: dict, base: float, floor: float, total: int, step: int) -> tuple[float, float]:
    schedule = ScheduleSettings(
        kind="power",
        rate=base,
        floor=floor,
        warmup_from=floor,
        warmup_steps=round(config["warm_up_fraction"] * total),
        length=total,
        power=config["power"],
    )
    rates = (("encoder", config["encoder_ratio"]),)
    settings = OptimiserSettings(betas=(0.0, 0.0), eps=0.0, decay=0.0, rates=rates)
    ones = {"encoder": jnp.ones(()), "other": jnp.ones(())}
    transform = optimiser(settings, schedule, ones)
    state = optax.tree_utils.tree_set(transform.init(ones), count=jnp.int32(step))
    updates, _ = transform.update(ones, state, ones)
    return -float(updates["other"]), -float(updates["encoder"])


ADAPTERS = {"aot/losses": losses, "aot/lr_schedule": rates}
