"""What AOT and DeAOT do with a training clip, and its loss."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vos_jax.core.labels import VOID
from vos_jax.core.resize import resize
from vos_jax.losses.classification import hardest_mean, kept_fraction, pixel_cross_entropy
from vos_jax.losses.region import soft_jaccard
from vos_jax.systems.aot.memory import TRAIN
from vos_jax.systems.base import Clip, Visit
from vos_jax.systems.resolve import MASKED
from vos_jax.systems.rollout import Run


def clip_plan(auxiliary: bool, own: bool, frames: int = 5) -> tuple[Visit, ...]:
    """The visits of a clip: the first frame is given, all later ones but the last remembered.

    Args:
        auxiliary: whether the first frame is read back, for the auxiliary loss.
        own: whether the network's own labels are remembered, or the true ones.
        frames: of the clip.
    """
    feed = "own" if own else "truth"
    return (
        Visit(0, "given", read=False),
        *([Visit(0, view=TRAIN)] if auxiliary else []),
        *(Visit(frame, feed, view=TRAIN) for frame in range(1, frames - 1)),
        Visit(frames - 1, view=TRAIN),
    )


def clip_losses(
    run: Run,
    clip: Clip,
    step: int | Int[Array, ""],
    *,
    aux_steps: int,
    end_warm: int,
    top_p: float,
    align_corners: bool,
) -> dict[str, Array]:
    """The mean loss of the later frames, and that of the first one while it has a weight.

    Args:
        run: the rollout of `clip_plan`.
        clip: its clips.
        step: number of finished updates.
        aux_steps: updates in which the weight of the first frame falls from 1 to 0.
        end_warm: update from which the hardest share `top_p` of the pixels counts.
        top_p: see `end_warm`.
        align_corners: how scores are enlarged.

    Returns:
        "loss", "auxiliary" (what of it the first frame adds), "loss_<frame>", "p" (the share
        of the pixels) and "iou" (of the later frames' foreground, over the batch).
    """
    kept = kept_fraction(step, 0, end_warm, top_p)
    weight = jnp.maximum(aux_steps - step, 0) / (aux_steps + 1e-5)
    visits = zip(run.plan, run.scores, strict=True)
    read = {
        visit.frame: clip_logits(scores, clip, align_corners)
        for visit, scores in visits
        if scores is not None
    }
    losses = {
        frame: sum(frame_losses(each, clip.labels[:, frame], kept)) / 2
        for frame, each in read.items()
    }
    auxiliary = weight * losses.pop(0).mean() if 0 in losses else jnp.zeros(())
    later = {f"loss_{frame}": loss.mean() for frame, loss in losses.items()}
    return {
        "loss": auxiliary + sum(later.values()) / len(later),
        "auxiliary": auxiliary,
        **later,
        "p": kept,
        "iou": _foreground_iou({frame: read[frame] for frame in losses}, clip),
    }


def clip_logits(
    scores: Float[Array, "b y x g c"], clip: Clip, align_corners: bool
) -> Float[Array, "b h w o+1"]:
    """Logits of the one group that training has at full size; slots without object are masked."""
    takes_part = jnp.pad(clip.slots, [(0, 0), (1, 0)], constant_values=True)[:, None, None]
    chosen = jnp.where(takes_part, scores[..., 0, :].astype(jnp.float32), MASKED)
    return resize(chosen, clip.frames.shape[2:4], "bilinear", align_corners)


def frame_losses(
    logits: Float[Array, "b h w o+1"], labels: Int[Array, "b h w"], kept: Float[Array, ""]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Bootstrapped cross entropy and soft Jaccard of each sample (`networks/layers/loss.py`).

    Void pixels have no cross entropy, but are among the pixels whose share counts.

    Args:
        logits: of a frame; those of slots without object are masked.
        labels: slot numbers.
        kept: share of the pixels that counts.
    """
    counts = (labels != VOID).astype(jnp.float32)
    entropy = hardest_mean(pixel_cross_entropy(logits, labels.astype(jnp.int32)) * counts, kept)
    targets = jax.nn.one_hot(labels, logits.shape[-1])
    return entropy, soft_jaccard(jax.nn.softmax(logits), targets, counts)


def _foreground_iou(logits: Mapping[int, Float[Array, "b h w o+1"]], clip: Clip):
    """Object pixels labelled right over pixels that are an object in truth or prediction."""
    found = jnp.stack([jnp.argmax(each, -1) for each in logits.values()], axis=1)
    labels = clip.labels[:, jnp.array(list(logits))].astype(jnp.int32)
    either = ((found > 0) | (labels > 0)) & (labels != VOID)
    return (((found == labels) & either).sum() + 1) / (either.sum() + 1)
