"""What the losses of the space-time memory networks share."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vos_jax.core.labels import VOID
from vos_jax.core.resize import resize
from vos_jax.losses.classification import bootstrapped_cross_entropy
from vos_jax.ops.aggregate import log_odds
from vos_jax.systems.base import Clip
from vos_jax.systems.resolve import MASKED
from vos_jax.systems.rollout import Run


def summed_losses(run: Run, clip: Clip, kept: Float[Array, ""]) -> dict[str, Array]:
    """The loss of Mask-Propagation and STCN: the sum of all frames that were read.

    Args:
        run: the rollout.
        clip: its clips.
        kept: share of the pixels that counts.

    Returns:
        "loss" and what `frame_losses` returns.
    """
    visits = zip(run.plan, run.scores, strict=True)
    read = {visit.frame: scores for visit, scores in visits if scores is not None}
    logits = {frame: clip_logits(scores, clip) for frame, scores in read.items()}
    losses = frame_losses(logits, clip, kept)
    return {"loss": sum(losses[f"loss_{frame}"] for frame in logits), **losses}


def clip_logits(scores: Float[Array, "b y x o"], clip: Clip) -> Float[Array, "b h w o+1"]:
    """Log-odds of the aggregation at full size, background first."""
    full = resize(scores.astype(jnp.float32), clip.frames.shape[2:4])
    return log_odds(jax.nn.sigmoid(full), clip.slots)


def frame_losses(
    logits: Mapping[int, Float[Array, "b h w o+1"]], clip: Clip, kept: Float[Array, ""]
) -> dict[str, Array]:
    """Bootstrapped cross entropy of each frame; slots without an object take no part.

    Void pixels count as background, as in the official programs.

    Args:
        logits: by frame.
        clip: the clips.
        kept: share of the pixels that counts.

    Returns:
        "loss_<frame>", "p" (the share), and per object "iou_<slot + 1>" = (i + 1) / (u + 1) of
        masks above one half, over all these frames and the batch.
    """
    takes_part = jnp.pad(clip.slots, [(0, 0), (1, 0)], constant_values=True)[:, None, None]
    losses, counts = {}, 0
    for frame, each in logits.items():
        labels = clip.labels[:, frame].astype(jnp.int32)
        labels = jnp.where(labels == VOID, 0, labels)
        chosen = jnp.where(takes_part, each, MASKED)
        losses[f"loss_{frame}"] = bootstrapped_cross_entropy(chosen, labels, kept)
        counts += overlaps(jax.nn.softmax(chosen)[..., 1:] > 0.5, labels)
    ious = (counts[0] + 1) / (counts[1] + 1)
    return losses | {"p": kept} | {f"iou_{slot}": iou for slot, iou in enumerate(ious, start=1)}


def overlaps(masks: Bool[Array, "b h w o"], labels: Int[Array, "b h w"]) -> Float[Array, "2 o"]:
    """Pixels in both and in either of an object's mask and its labels, over the batch."""
    wanted = labels[..., None] == jnp.arange(1, masks.shape[-1] + 1)
    counted = jnp.stack([masks & wanted, masks | wanted])
    return counted.sum((1, 2, 3)).astype(jnp.float32)
