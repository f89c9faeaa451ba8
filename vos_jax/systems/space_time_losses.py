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
from vos_jax.systems.rollout import Run, planes_of

LEAST = 1e-3
"""The least and, from 1, the most that a carried mask counts as."""


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


def disagreement(
    queries: Float[Array, "b t y x c"], keys: Float[Array, "b o m n c"], slots: Bool[Array, "b o"]
) -> Float[Array, ""]:
    """How far the keys a frame is remembered by are from those it is read by, which stay.

    Not part of any paper: networks whose keys learn from nothing need it, see
    `configs/small_mask_propagation_start.py`.

    Args:
        queries: keys of the frames as they are read.
        keys: of the same frames as they are remembered, from the first frame on.
        slots: which objects there are; others take no part.

    Returns:
        Their squared distance, relative to the squared length of the former.
    """
    batch, entries, width = len(keys), keys.shape[2], keys.shape[-1]
    wanted = jax.lax.stop_gradient(queries[:, :entries]).reshape(batch, 1, entries, -1, width)
    apart = jnp.square(keys - wanted).mean((2, 3, 4)) / jnp.square(wanted).mean((2, 3, 4))
    return jnp.where(slots, apart, 0).sum() / jnp.maximum(slots.sum(), 1)


def matching_loss(
    queries: Float[Array, "b t y x c"], keys: Float[Array, "b o m n c"], clip: Clip
) -> Float[Array, ""]:
    """How badly the affinity by itself carries true masks to later frames: a cross entropy.

    The true masks of what is remembered, averaged over cells, are read in place of values by every
    later frame. Not part of any paper: networks whose keys learn from nothing need it, see
    `configs/small_mask_propagation_start.py`.

    Args:
        queries: keys of the frames as they are read.
        keys: of the same frames as they are remembered, from the first frame on.
        clip: with the true masks; slots without an object take no part.
    """
    time, rows, columns, width = queries.shape[1:]
    planes = planes_of(clip.labels, clip)[..., 1:]
    height, breadth = planes.shape[2] // rows, planes.shape[3] // columns
    cells = planes.reshape(len(planes), time, rows, height, columns, breadth, -1).mean((3, 5))
    cells = cells.reshape(len(planes), time, rows * columns, -1)
    queries = queries.reshape(len(planes), time, rows * columns, width) * width**-0.5
    total, last = 0.0, min(time, keys.shape[2] + 1)
    for frame in range(1, last):
        logits = jnp.einsum("bqc,bomkc->boqmk", queries[:, frame], keys[:, :, :frame])
        weights = jax.nn.softmax(logits, axis=(-2, -1))
        carried = jnp.einsum("boqmk,bmko->bqo", weights, cells[:, :frame])
        carried = LEAST + (1 - 2 * LEAST) * carried
        true = cells[:, frame]
        entropy = true * jnp.log(carried) + (1 - true) * jnp.log1p(-carried)
        total -= jnp.where(clip.slots, entropy.mean(1), 0).sum()
    return total / (jnp.maximum(clip.slots.sum(), 1) * (last - 1))


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
