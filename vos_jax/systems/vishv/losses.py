"""The losses of STEm-Seg: how well pixels gather around their instances, and their classes."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vos_jax.losses.classification import pixel_cross_entropy
from vos_jax.losses.lovasz import lovasz_hinge
from vos_jax.systems.base import Clip
from vos_jax.systems.tracks import BANDWIDTH
from vos_jax.systems.vishv.maps import DenseMaps
from vos_jax.systems.vishv.targets import instance_targets, semantic_targets

SMOOTHNESS_WEIGHT = 10.0


def clip_losses(maps: DenseMaps, clip: Clip, free_stds: tuple[float, ...]) -> dict[str, Array]:
    """All losses of the dense maps, and "loss", the sum of those that are minimised.

    Args:
        maps: of the clip's frames.
        clip: with categories where the maps have classes.
        free_stds: see `embedding_losses`.
    """
    masks, ignored = instance_targets(clip.labels, clip.slots.shape[1])
    maps = jax.tree.map(lambda x: x.astype(jnp.float32), maps)
    parts = maps.embedding, maps.bandwidth, maps.seediness
    losses = embedding_losses(*parts, masks, ignored, free_stds)
    total = losses["embedding"]
    if maps.semantic is not None:
        classes = semantic_targets(masks, clip.categories)
        semantic = semantic_losses(maps.semantic, classes, ignored)
        losses, total = losses | semantic, total + sum(semantic.values())
    return {"loss": total, **losses}


def embedding_losses(
    embedding: Float[Array, "b t y x e"],
    bandwidth: Float[Array, "b t y x v"],
    seediness: Float[Array, "b t y x"],
    masks: Bool[Array, "b o t y x"],
    ignored: Bool[Array, "b t y x"],
    free_stds: tuple[float, ...],
    wanted: Bool[Array, "b o t y x"] | None = None,
) -> dict[str, Float[Array, ""]]:
    """Lovász hinge, smoothness of the bandwidths, and seediness (`losses/embedding_loss.py`).

    An instance is a Gaussian around the mean of its pixels' embeddings: with b the mean over its
    pixels of 10 exp(bandwidth), 1 / std^2 for free dimensions, p = exp(-1/2 sum b (e - mean)^2).

    Args:
        embedding: mixed with coordinates.
        bandwidth: logarithms, of all dimensions but the last, free ones.
        seediness: in [0, 1].
        masks: of the instances; empty ones do not count.
        ignored: pixels where background need not have seediness 0.
        free_stds: standard deviations of the free dimensions.
        wanted: what each instance's probability is held against, where that is not its own mask;
            an empty one is not. The published code goes wrong so where an instance is empty.

    Returns:
        "lovasz", "smoothness", "seediness", and "embedding", their weighted sum.
    """
    wanted = masks if wanted is None else wanted
    terms = jax.vmap(functools.partial(_clip_terms, free_stds=free_stds))
    totals = terms(embedding, bandwidth, seediness, masks, ignored, wanted)
    instances = masks.any(axis=(2, 3, 4)).sum()
    losses = {
        "lovasz": totals["lovasz"].sum() / jnp.maximum(instances, 1),
        "smoothness": totals["smoothness"].mean(),
        "seediness": totals["seediness"].sum() / (instances + 1),
    }
    smooth = SMOOTHNESS_WEIGHT * losses["smoothness"]
    return {"embedding": losses["lovasz"] + smooth + losses["seediness"], **losses}


def _clip_terms(embedding, bandwidth, seediness, masks, ignored, wanted, *, free_stds):
    """The sums over one clip's instances, and the mean of their smoothness."""
    counted = masks.any(axis=(1, 2, 3))

    def terms(mask, target):
        own = mask[..., None] / jnp.maximum(mask.sum(), 1)
        centre = (embedding * own).sum(axis=(0, 1, 2))
        widths = (BANDWIDTH * jnp.exp(bandwidth) * own).sum(axis=(0, 1, 2))
        widths = jnp.concatenate([widths, jnp.asarray(free_stds) ** -2.0])
        probability = jnp.exp(-0.5 * (widths * (embedding - centre) ** 2).sum(-1))
        deviation = (bandwidth - (bandwidth * own).sum(axis=(0, 1, 2))) ** 2
        missed = (seediness - jax.lax.stop_gradient(probability)) ** 2
        held = target.any()
        return {
            "lovasz": held * lovasz_hinge(2 * probability.ravel() - 1, target.ravel()),
            "seediness": held * (missed * own[..., 0]).sum(),
            "smoothness": (deviation * own).sum() / bandwidth.shape[-1],
        }

    each = jax.vmap(terms)(masks, wanted)
    totals = {name: jnp.where(counted, value, 0).sum() for name, value in each.items()}
    background = ~masks.any(axis=0)
    stray = jnp.where(background & ~ignored, seediness**2, 0).sum()
    stray = jnp.where(counted.any(), stray / jnp.maximum(background.sum(), 1), 0)
    return {
        **totals,
        "smoothness": totals["smoothness"] / jnp.maximum(counted.sum(), 1),
        "seediness": totals["seediness"] + stray,
    }


def semantic_losses(
    logits: Float[Array, "b t y x c+1"],
    classes: Int[Array, "b t y x"],
    ignored: Bool[Array, "b t y x"],
) -> dict[str, Float[Array, ""]]:
    """Cross entropy of foreground and of classes (`model_builder.py`, `losses/cross_entropy.py`).

    Args:
        logits: of background and classes, then one of any class.
        classes: of the pixels, 0 for background.
        ignored: pixels that do not count as foreground or background; they do count for the
            classes, as in the published code.
    """
    signs = jnp.where(classes > 0, 1, -1)
    entropy = jax.nn.softplus(-signs * logits[..., -1])
    axes = (1, 2, 3)
    counted = jnp.maximum((~ignored).sum(axes), 1)
    return {
        "foreground": (jnp.where(ignored, 0, entropy).sum(axes) / counted).mean(),
        "semantic": pixel_cross_entropy(logits[..., :-1], classes).mean(),
    }
