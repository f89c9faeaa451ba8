"""HODOR's training loss: all predictions of a clip at full size, dice and cross entropy."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vos_jax.core.labels import VOID
from vos_jax.core.resize import resize
from vos_jax.losses.classification import cross_entropy
from vos_jax.losses.region import dice
from vos_jax.systems.base import Clip
from vos_jax.systems.hodor.cycles import alive_objects
from vos_jax.systems.resolve import MASKED
from vos_jax.systems.rollout import Run


def merge_background(logits: Float[Array, "*b y x k+o"], slots: int) -> Float[Array, "*b y x o+1"]:
    """The largest background logit, then the objects'."""
    backgrounds = logits.shape[-1] - slots
    background = logits[..., :backgrounds].max(-1, keepdims=True)
    return jnp.concatenate([background, logits[..., backgrounds:]], axis=-1)


def predictions(run: Run, clip: Clip) -> tuple[Array, Array, Array]:
    """What a rollout predicted and what it should have, one entry per visit that read.

    Args:
        run: the rollout.
        clip: its clips.

    Returns:
        Logits at full size, background first [b v h w o+1]; the wanted labels [b v h w], in which
        objects that the visit could not know, or that were too small to be stored, are
        background; 1 for each pixel that counts [b v h w].
    """
    clip = clip.replace(slots=clip.slots & run.state.known)
    alive = alive_objects(run.plan, clip.present)
    parts = [
        _prediction(scores, flags, clip, visit.frame)
        for visit, scores, flags in zip(run.plan, run.scores, alive, strict=True)
        if scores is not None
    ]
    return tuple(jnp.stack(part, axis=1) for part in zip(*parts, strict=True))


def _prediction(scores, flags, clip: Clip, frame: int):
    slots = clip.slots.shape[1]
    takes_part = jnp.pad(clip.slots, [(0, 0), (1, 0)], constant_values=True)[:, None, None]
    logits = jnp.where(takes_part, merge_background(scores, slots), MASKED)
    logits = resize(jnp.maximum(logits, MASKED), clip.frames.shape[2:4])
    labels = clip.labels[:, frame].astype(jnp.int32)
    shown = jax.nn.one_hot(labels - 1, slots) * (flags & clip.slots)[:, None, None]
    targets = jnp.where(shown.any(-1), labels, 0)
    counts = clip.labelled[:, frame, None, None] & (labels != VOID)
    return logits, targets, counts.astype(jnp.float32)


def prediction_losses(run: Run, clip: Clip) -> dict[str, Array]:
    """The loss of a rollout, its two parts, and the mean overlap with the targets."""
    return segmentation_loss(*predictions(run, clip), clip.slots)


def segmentation_loss(
    logits: Float[Array, "b v h w o+1"], targets, weights, slots
) -> dict[str, Array]:
    """Dice without the background class, plus cross entropy.

    Args:
        logits: background first.
        targets: class of each pixel.
        weights: 0 where a pixel does not count.
        slots: which slots hold an object.

    Returns:
        "loss", its parts "dice" and "cross_entropy", and "iou", the mean over objects.
    """
    probabilities = jax.nn.softmax(logits, axis=-1)[..., 1:]
    wanted = jax.nn.one_hot(targets - 1, slots.shape[-1])
    region = dice(probabilities, wanted, weights, slots.astype(jnp.float32))
    pixels = cross_entropy(logits, targets, weights)
    chosen = jax.nn.one_hot(jnp.argmax(logits, axis=-1) - 1, slots.shape[-1])
    counted = weights[..., None]
    shared = (chosen * wanted * counted).sum((1, 2, 3))
    either = (jnp.maximum(chosen, wanted) * counted).sum((1, 2, 3))
    there = (either > 0) & slots
    iou = jnp.where(there, shared / jnp.maximum(either, 1), 0).sum() / jnp.maximum(there.sum(), 1)
    return {"loss": region + pixels, "dice": region, "cross_entropy": pixels, "iou": iou}
