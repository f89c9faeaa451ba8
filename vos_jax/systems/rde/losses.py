"""RDE's training loss: frames, consistency under perturbed first masks, guidance by the bank."""

from collections.abc import Iterable, Mapping

from jaxtyping import Array, Float

from vos_jax.losses.distillation import channel_divergence
from vos_jax.systems.base import Clip
from vos_jax.systems.rollout import Run
from vos_jax.systems.space_time import BANK, EMBEDDING
from vos_jax.systems.space_time_losses import clip_logits, frame_losses


def clip_losses(
    run: Run,
    clip: Clip,
    kept: Float[Array, ""],
    true_values: Float[Array, "b o n d"],
    *,
    consistency: float,
    guidance: Mapping[int, float],
    temperature: float,
) -> dict[str, Array]:
    """The total of the official program's `LossComputer` and `do_pass`.

    Frames read from the embedding count as read so, all others as read from the bank. The
    divergences run over all slots, with an object or without.

    Args:
        run: the rollout; its traces are what the decoder was given, [b o y x c].
        clip: its clips.
        kept: share of the pixels that counts.
        true_values: what would be stored of frame 0 had its masks not been perturbed.
        consistency: weight of the divergence of the stored from these.
        guidance: by frame, weight of the divergence of what is read from the embedding from
            what is read from the bank.
        temperature: of the divergences.

    Returns:
        "loss", "mask_consistency", "guidance_<frame>" and what `frame_losses` returns.
    """
    scores, traces = {}, {}
    for visit, score, trace in zip(run.plan, run.scores, run.traces, strict=True):
        if score is not None:
            scores[visit.frame, visit.view], traces[visit.frame, visit.view] = score, trace
    frames = sorted({frame for frame, _ in scores})
    logits = {
        frame: clip_logits(scores.get((frame, EMBEDDING), scores.get((frame, BANK))), clip)
        for frame in frames
    }
    slots = clip.slots.shape[1]
    stored = run.state.bank.values[:, :, 0]
    divergences = {
        "mask_consistency": consistency
        * slots
        * channel_divergence(stored, true_values, temperature)
    }
    for frame in frames:
        if (frame, EMBEDDING) in traces:
            pair = traces[frame, EMBEDDING], traces[frame, BANK]
            divergence = slots * channel_divergence(*pair, temperature)
            divergences[f"guidance_{frame}"] = guidance[frame] * divergence
    losses = frame_losses(logits, clip, kept)
    total = halved([losses[f"loss_{frame}"] for frame in frames]) + sum(divergences.values())
    return {"loss": total, **divergences, **losses}


def halved(losses: Iterable[Float[Array, ""]]) -> Float[Array, ""]:
    """A running total that is halved after each addition: the last of n counts 1/2."""
    total = 0.0
    for loss in losses:
        total = (total + loss) / 2
    return total
