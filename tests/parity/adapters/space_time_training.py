"""Adapters of whole training steps of Mask-Propagation and RDE: losses, logits, gradients."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.case import Case
from vos_jax.systems import registry
from vos_jax.systems.base import IMAGENET_MEAN, IMAGENET_STD, Clip, Verbs
from vos_jax.systems.rollout import rollout
from vos_jax.systems.space_time import EMBEDDING
from vos_jax.systems.space_time_losses import clip_logits, overlaps

SHORT = {
    "mask": "mask_rgb_encoder",
    "rgb": "rgb_encoder",
    "kv_m_key": "kv_m_f16_key_proj",
    "kv_m_val": "kv_m_f16_val_proj",
    "kv_q_key": "kv_q_f16_key_proj",
    "kv_q_val": "kv_q_f16_val_proj",
}
"""What the names of recorded gradients abbreviate."""

SCALARS = {
    "total_loss": "loss",
    "klloss_loss": "mask_consistency",
    "df2_distillation": "guidance_2",
    "df4_distillation": "guidance_4",
}
COUNTS = ("hide_iou/i", "hide_iou/u", "hide_iou/sec_i", "hide_iou/sec_u")


class Step:
    """One official training step: losses, logits by frame, and gradients by official name."""

    def __init__(self, case: Case, system: str, clip: Clip, names: list[str], **settings):
        """Runs it."""
        module = registry.build(system, **settings)
        params, _ = registry.entry(system).names.convert(case.weights())
        params = jax.tree.map(jnp.asarray, params)
        step = jnp.asarray(case.config["iteration"])
        gradient, self.losses, logits = forward_and_backward(module, params, clip, step)
        self.gradients = registry.entry(system).names.export(gradient, names)
        self.logits = {frame: np.asarray(each) for frame, each in logits.items()}
        self.norms = np.array([np.linalg.norm(self.gradients[name]) for name in names])


@functools.partial(jax.jit, static_argnums=0)
def forward_and_backward(module, params, clip, step):
    """Gradient, losses, and the logits that are supervised, by frame."""
    plan = module.plan(0, 0)

    def objective(params):
        verbs = Verbs(module, {"params": params})
        run = rollout(verbs, clip, plan)
        losses, logits = verbs.losses(run, clip, step), {}
        for visit, scores in zip(plan, run.scores, strict=True):
            if scores is not None and (visit.view == EMBEDDING or visit.frame not in logits):
                logits[visit.frame] = clip_logits(scores, clip)
        return losses["loss"], (losses, logits)

    gradient, (losses, logits) = jax.grad(objective, has_aux=True)(params)
    return gradient, losses, logits


def clips(frames, labels, slots, given=None) -> Clip:
    """Training clips, all of whose frames count."""
    return Clip(
        frames=jnp.asarray(frames),
        labels=jnp.asarray(labels),
        slots=jnp.asarray(slots) > 0.5,
        present=jnp.ones((*labels.shape[:2], np.shape(slots)[1]), bool),
        labelled=jnp.ones(labels.shape[:2], bool),
        valid=jnp.ones(labels.shape, bool),
        given=None if given is None else jnp.asarray(given),
    )


def mask_propagation(case: Case, data) -> dict[str, np.ndarray]:
    """Losses, log-odds and gradients; first masks as soft as the case says."""
    single = case.config["network"] == "single_object"
    ids = case.inputs["ids"]
    selector = np.ones((len(ids), 1)) if single else case.config["selector"]
    softened = re.search(r"masks times ([\d.]+) plus (\d*\.\d+)", case.json["what"])
    given = None
    if softened:
        planes = ids[:, 0, ..., None] == np.arange(1, np.shape(selector)[1] + 1)
        given = 255 * (planes * float(softened[1]) + float(softened[2]))
    names = case.config["grad_norm_order"]
    clip = clips(case.inputs["frames"], ids, selector, given)
    step = Step(case, "mask_propagation", clip, names, single_object=single)
    frames = [f"loss_{frame}" for frame in step.logits]
    found = {
        "losses": [step.losses[name] for name in ("loss", *frames, "p")],
        "grad_norm": step.norms,
        **{f"logits_{t}": np.moveaxis(each, -1, 1) for t, each in step.logits.items()},
    }
    for name in set(case.outputs_wanted) - set(found):
        found[name] = _gradient(step.gradients, name.removeprefix("grad_"))
    return {name: np.asarray(value, np.float32) for name, value in found.items()}


def _gradient(gradients: dict[str, np.ndarray], name: str) -> np.ndarray:
    """The gradient of an abbreviated name, underscores for dots; perhaps of mask channels only."""
    short = max((each for each in SHORT if name.startswith(f"{each}_")), key=len, default="")
    whole = SHORT[short] + name.removeprefix(short) if short else name
    extra = "_mask_channels"
    (official,) = (
        each for each in gradients if each.replace(".", "_") == whole.removesuffix(extra)
    )
    gradient = gradients[official]
    return gradient[:, 3:] if name.endswith(extra) else gradient


def rde(case: Case, data) -> dict[str, np.ndarray]:
    """Every scalar of the official step, logits, and gradients of all parameters."""
    inputs, config = case.inputs, case.config
    single = config["single_object"]
    labels = inputs["cls_gt"]
    selector = np.ones((len(labels), 1)) if single else inputs["selector"]
    perturbed = [inputs[name][:, 0, 0] for name in (("pgt",) if single else ("pgt", "sec_pgt"))]
    pixels = np.moveaxis(inputs["rgb"], 2, -1) * IMAGENET_STD + IMAGENET_MEAN
    clip = clips(pixels.astype(np.float32), labels, selector, 255 * np.stack(perturbed, axis=-1))
    weights = [f"{name}_weight" for name in ("klloss", "decoder_f2", "decoder_f4")]
    settings = {
        name: config[name] for name in (*weights, "temperature", "start_warm", "end_warm", "top_p")
    }
    names = config["parameter_names"]
    step = Step(case, "rde", clip, names, single_object=single, **settings)
    scalars = dict(zip(COUNTS, _counts(step.logits, clip), strict=False))
    for name in set(config["scalar_names"]) - set(scalars):
        scalars[name] = step.losses[SCALARS.get(name, name)]
    found = {
        "scalars": [scalars[name] for name in config["scalar_names"]],
        "grad_norm": step.norms,
        "grad_head": [_head(step.gradients[name]) for name in names],
        **{f"grad:{name}": value for name, value in step.gradients.items()},
        **{f"logits_{t}": np.moveaxis(x[:, ::2, ::2], -1, 1) for t, x in step.logits.items()},
    }
    return {name: np.asarray(found[name], np.float32) for name in case.outputs_wanted}


def _counts(logits: dict[int, np.ndarray], clip: Clip) -> np.ndarray:
    """Intersection and union per object over all frames."""
    return np.ravel(
        sum(
            overlaps(jax.nn.softmax(each)[..., 1:] > 0.5, clip.labels[:, frame].astype(jnp.int32))
            for frame, each in logits.items()
        ).T
    )


def _head(gradient: np.ndarray) -> np.ndarray:
    """The first twelve elements, zero where there are fewer."""
    return np.pad(gradient.ravel()[:12], (0, max(12 - gradient.size, 0)))


ADAPTERS = {"mask_propagation/train_step": mask_propagation, "rde/train_step": rde}
