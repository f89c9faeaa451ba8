"""Adapter of AOT's training clips: losses, predicted labels and gradients in both phases."""

import fnmatch
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.adapters.space_time_training import clips
from tests.parity.case import Case
from vos_jax.losses.classification import kept_fraction
from vos_jax.systems import registry
from vos_jax.systems.aot.losses import clip_logits, frame_losses
from vos_jax.systems.aot.weights import aot_names
from vos_jax.systems.base import Clip, Verbs
from vos_jax.systems.rollout import rollout
from vos_jax.training.configuration import load_settings
from vos_jax.training.optimisers import named
from vos_jax.training.settings import Settings
from vos_jax.training.slots import move_slots

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
SLOTS = 10


def train_clip(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Per run: `TAG_loss`, `TAG_frame_losses`, `TAG_preds`, `TAG_grad_norms`, `TAG_grad:NAME`."""
    settings = stage(case.config)
    names = aot_names(settings.model["backbone"], settings.model["family"])
    params, _ = names.convert(case.weights())
    params, target = jax.tree.map(jnp.asarray, params), case.inputs["id_permutation"][:, 1:] - 1
    clip = move_slots(clip_of(case), jnp.asarray(target))
    back = jnp.pad(jnp.argsort(target, axis=-1) + 1, [(0, 0), (1, 0)])
    found = {}
    for run in case.config["runs"]:
        gradient, loss, losses, labels = forward_and_backward(settings, params, clip, run["step"])
        gradient = standing_still(gradient, settings.optimiser.frozen, run["step"])
        gradients = names.export(gradient, case.config["grad_names"])
        norms = [np.linalg.norm(gradients[name]) for name in case.config["grad_names"]]
        labels = np.stack([jax.vmap(jnp.take)(back, each) for each in labels])
        found |= {
            f"{run['tag']}_loss": loss,
            f"{run['tag']}_frame_losses": losses,
            f"{run['tag']}_preds": labels.astype(np.uint8),
            f"{run['tag']}_grad_norms": norms,
            **{f"{run['tag']}_grad:{name}": each for name, each in gradients.items()},
        }
    kinds = {name: np.uint8 if name.endswith("preds") else np.float32 for name in found}
    return {name: np.asarray(found[name], kinds[name]) for name in case.outputs_wanted}


def stage(config: dict) -> Settings:
    """Our config of the case's stage and variant, with what the case says of the network."""
    overrides = {
        "depth": config["lstt_layers"],
        "train_memory_gap": config["long_term_mem_gap"],
        "align_corners": config["MODEL_ALIGN_CORNERS"],
        "top_p": config["top_k_fraction"],
        "end_warm": round(config["hard_mining_ratio"] * config["total_steps"]),
    }
    path = CONFIGS / f"aot_{config['stage']}.py:{config['model'].lower()}"
    return load_settings(path, [f"--config.model.{key}={each}" for key, each in overrides.items()])


def clip_of(case: Case) -> Clip:
    """The case's clips, objects in the first slots."""
    frames, labels = (np.swapaxes(case.inputs[name], 0, 1) for name in ("images", "labels"))
    return clips(frames, labels, np.arange(SLOTS) < np.array(case.config["objects"])[:, None])


def forward_and_backward(settings: Settings, params, clip: Clip, step: int):
    """Gradient and loss of an update, losses of the frames per clip, predicted labels."""
    module = registry.build(settings.system, **settings.model)
    return _compiled(module, module.plan(step, 0))(params, clip, jnp.int32(step))


@functools.cache
def _compiled(module, plan):
    def objective(params, clip, step):
        verbs = Verbs(module, {"params": params})
        run = rollout(verbs, clip, plan)
        logits = {
            visit.frame: clip_logits(scores, clip, module.align_corners)
            for visit, scores in zip(plan, run.scores, strict=True)
            if scores is not None
        }
        kept = kept_fraction(step, 0, module.end_warm, module.top_p)
        losses = jnp.stack(
            [sum(frame_losses(x, clip.labels[:, t], kept)) / 2 for t, x in logits.items()]
        )
        labels = jnp.stack([jnp.argmax(each, -1) for each in logits.values()])
        return verbs.losses(run, clip, step)["loss"], (losses, labels)

    def run(params, clip, step):
        (loss, rest), gradient = jax.value_and_grad(objective, has_aux=True)(params, clip, step)
        return gradient, loss, *rest

    return jax.jit(run)


def standing_still(gradient, frozen, step: int):
    """The gradient as the optimiser takes it: zero for what stands still at this update."""

    def moves(path: str) -> bool:
        return not any(fnmatch.fnmatchcase(path, each) and step >= first for each, first in frozen)

    return jax.tree.map(lambda x, keep: x * keep, gradient, named(gradient, moves))


ADAPTERS = {"aot/train_clip": train_clip}
