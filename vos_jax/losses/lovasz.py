"""The Lovász hinge: a convex surrogate of one minus intersection over union."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def lovasz_hinge(logits: Float[Array, " n"], labels: Bool[Array, " n"]) -> Float[Array, ""]:
    """Hinge errors weighted by what each adds to the Jaccard loss, the largest error first.

    Berman et al., CVPR 2018, algorithm 1 (`losses/_lovasz.py` of STEm-Seg). The weights carry
    no gradient.

    Args:
        logits: of the foreground, a margin of 1 on either side of 0.
        labels: the foreground.

    Returns:
        A scalar.
    """
    errors = 1 - jnp.where(labels, logits, -logits)
    order = jnp.argsort(-jax.lax.stop_gradient(errors))
    found = jnp.cumsum(labels[order])
    missed = labels.sum() - found
    jaccard = 1 - missed / (missed + jnp.arange(1, labels.size + 1))
    steps = jnp.diff(jaccard, prepend=0)
    return (jax.nn.relu(errors) * jnp.zeros_like(errors).at[order].set(steps)).sum()
