"""From scores to masks: the only place where objects are weighed against each other.

Objects are aggregated, masks resized, labels taken, given masks pasted and soft or hard decided
here. Three policies: `softmax` (HODOR), `odds` (Mask-Propagation, RDE, STCN) and `labels` (AOT,
DeAOT). Common to all: slots that are not known take no part; a video in which nothing is known
is background everywhere; scores of None stand for a frame that was not read, likewise
background; where a given plane is set it wins over every prediction.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vos_jax.core.geometry import Geometry
from vos_jax.core.resize import crop, resize
from vos_jax.ops.aggregate import aggregate
from vos_jax.systems.base import Given, Masks

GROUP_CLAMP = 1e-5
MASKED = -1e9


def background_only(size: tuple[int, int], known: Bool[Array, "b o"]) -> Float[Array, "b h w o+1"]:
    """Planes that are background everywhere."""
    planes = jnp.zeros((known.shape[0], *size, known.shape[1] + 1))
    return planes.at[..., 0].set(1.0)


def paste(
    planes: Float[Array, "b h w k+o"],
    masks: Float[Array, "b h w o"],
    slots: Bool[Array, "b o"],
) -> Float[Array, "b h w k+o"]:
    """Lets given planes win: all else is cleared under them, given slots are cleared elsewhere.

    Args:
        planes: predicted, one or more background channels first.
        masks: given planes; those of a slot outside `slots` are laid over it where they are set.
        slots: the slots to replace.

    Returns:
        The planes after pasting; under given pixels the first background channel has what
        their planes leave over.
    """
    backgrounds = planes.shape[-1] - masks.shape[-1]
    total = masks.sum(-1, keepdims=True)
    covered = total > 0
    objects = jnp.where(covered | slots[:, None, None, :], masks, planes[..., backgrounds:])
    left = jnp.pad(jnp.clip(1 - total, 0, 1), [(0, 0)] * 3 + [(0, backgrounds - 1)])
    background = jnp.where(covered, left, planes[..., :backgrounds])
    return jnp.concatenate([background, objects], axis=-1)


def _where_video(condition: Bool[Array, " b"], yes, no):
    return jnp.where(condition.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)


def _labels(probabilities) -> Array:
    return jnp.argmax(probabilities, axis=-1).astype(jnp.uint8)


def odds(
    scores: Float[Array, "b y x o"] | None,
    known: Bool[Array, "b o"],
    given: Given | None,
    geometry: Geometry,
) -> Masks:
    """Independent object logits, aggregated by their odds (Mask-Propagation, RDE, STCN).

    Memory holds soft planes. Pasted planes are aggregated a second time, as the references do.

    Args:
        scores: object logits at the network's stride.
        known: slots that hold an object.
        given: planes at network size, or None.
        geometry: of the video.

    Returns:
        The masks.
    """
    planes = background_only(geometry.network, known)
    if scores is not None:
        single = jax.nn.sigmoid(resize(scores, geometry.network))
        planes = _where_video(known.any(-1), aggregate(single, known), planes)
    if given is not None:
        again = paste(planes, given.masks, given.slots)[..., 1:]
        again = aggregate(again, known | given.slots)
        touched = given.slots.any(-1) | (given.masks > 0).any((1, 2, 3))
        planes = _where_video(touched, again, planes)
    shown = resize(crop(planes, geometry), geometry.output)
    return Masks(memory=planes, labels=_labels(shown), probabilities=shown)


def softmax(
    scores: Float[Array, "b y x k+o"] | None,
    known: Bool[Array, "b o"],
    given: Given | None,
    geometry: Geometry,
    bare_first: bool = False,
) -> Masks:
    """Several background channels before the objects', one softmax over all (HODOR).

    Memory is the enlarged softmax; what the user sees is the softmax of the enlarged logits. An
    object wins a pixel when it beats each background channel, not their sum; the background's
    probability is their sum.

    Args:
        scores: logits at the network's stride, background channels first.
        known: slots that hold an object.
        given: planes at network size, or None.
        geometry: of the video.
        bare_first: give a video's first masks no background, as the official program does, so
            that their border grows when the output is resized.

    Returns:
        The masks.
    """
    memory = shown = background_only(geometry.network, known)
    if scores is not None:
        backgrounds = scores.shape[-1] - known.shape[-1]
        takes_part = known if given is None else known | given.slots
        takes_part = jnp.pad(takes_part, [(0, 0), (backgrounds, 0)], constant_values=True)
        scores = jnp.maximum(jnp.where(takes_part[:, None, None, :], scores, MASKED), MASKED)
        blank = jnp.zeros_like(scores, shape=(*memory.shape[:3], scores.shape[-1]))
        blank = blank.at[..., 0].set(1.0)
        tracked = known.any(-1)
        soft = resize(jax.nn.softmax(scores, axis=-1), geometry.network)
        sharp = jax.nn.softmax(resize(scores, geometry.network), axis=-1)
        memory, shown = _where_video(tracked, soft, blank), _where_video(tracked, sharp, blank)
    if given is not None:
        memory = paste(memory, given.masks, given.slots)
        shown = paste(shown, given.masks, given.slots)
    backgrounds = shown.shape[-1] - known.shape[-1]
    if given is not None and bare_first:
        first = given.slots.any(-1) & ~known.any(-1)
        bare = shown.at[..., :backgrounds].set(0.0)
        shown = _where_video(first, bare, shown)
    objects = memory[..., backgrounds:]
    memory = jnp.concatenate([1 - objects.sum(-1, keepdims=True), objects], axis=-1)
    shown = resize(crop(shown, geometry), geometry.output)
    labels = jnp.maximum(jnp.argmax(shown, axis=-1) - (backgrounds - 1), 0)
    background = shown[..., :backgrounds].sum(-1, keepdims=True)
    probabilities = jnp.concatenate([background, shown[..., backgrounds:]], axis=-1)
    return Masks(memory=memory, labels=labels.astype(jnp.uint8), probabilities=probabilities)


def labels(
    scores: Float[Array, "b y x g c"] | None,
    known: Bool[Array, "b o"],
    given: Given | None,
    geometry: Geometry,
) -> Masks:
    """Groups of identity channels, hard labels at output size (AOT, DeAOT).

    Each group is a softmax over its background and its slots; several open groups are merged by
    the odds of their clamped probabilities, a closed group has no part. Memory is the one-hot
    map of the labels, nearest-resized to network size.

    Args:
        scores: logits at the network's stride; per group the background, then its slots.
        known: slots that hold an object, the groups' slots one after another.
        given: planes at network size with `shown` at output size, or None.
        geometry: of the video.

    Returns:
        The masks.
    """
    merged = background_only(geometry.output, known)
    if scores is not None:
        groups = scores.shape[-2]
        flat = scores.reshape(*scores.shape[:3], -1)
        shown = resize(flat, geometry.output, "bilinear", geometry.align_corners)
        merged = _merge_groups(shown.reshape(*shown.shape[:3], groups, -1), known, merged)
    if given is not None:
        merged = paste(merged, given.masks if given.shown is None else given.shown, given.slots)
    chosen = _labels(merged)
    small = resize(chosen[..., None], geometry.resized, "nearest")[..., 0]
    memory = jax.nn.one_hot(small, known.shape[-1] + 1)
    return Masks(memory=memory, labels=chosen, probabilities=merged)


def _merge_groups(logits: Float[Array, "b h w g c"], known: Bool[Array, "b o"], blank):
    """Probabilities over one background and all slots, from each group's own softmax."""
    planes, odds = group_odds(logits, known)
    groups = known.reshape(len(known), logits.shape[-2], -1).any(-1).sum(-1)
    merged = _where_video(groups > 1, odds / odds.sum(-1, keepdims=True), planes)
    return _where_video(groups > 0, merged, blank)


def group_odds(
    logits: Float[Array, "b h w g c"], known: Bool[Array, "b o"]
) -> tuple[Float[Array, "b h w o+1"], Float[Array, "b h w o+1"]]:
    """Planes of all groups after the product of their backgrounds, and their clamped odds.

    Args:
        logits: per group the background, then its slots.
        known: slots that hold an object; the odds of groups without any are zero.
    """
    batch, groups = known.shape[0], logits.shape[-2]
    known = known.reshape(batch, groups, -1)
    takes_part = jnp.pad(known, [(0, 0), (0, 0), (1, 0)], constant_values=True)
    single = jax.nn.softmax(jnp.where(takes_part[:, None, None], logits, MASKED), axis=-1)
    is_open = known.any(-1)
    shut = ~is_open[:, None, None, :]
    background = jnp.where(shut, 1.0, single[..., 0]).prod(-1, keepdims=True)
    objects = jnp.where(shut[..., None], 0.0, single[..., 1:])
    planes = jnp.concatenate([background, objects.reshape(*background.shape[:3], -1)], axis=-1)
    clamped = jnp.clip(planes, GROUP_CLAMP, 1 - GROUP_CLAMP)
    in_open = jnp.repeat(is_open, known.shape[-1], axis=-1)
    in_open = jnp.pad(in_open, [(0, 0), (1, 0)], constant_values=True)[:, None, None, :]
    return planes, jnp.where(in_open, clamped / (1 - clamped), 0.0)
