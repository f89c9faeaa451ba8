"""Losses that hold one map of features against another."""

import jax
from jaxtyping import Array, Float


def channel_divergence(
    student: Float[Array, "*s c"], teacher: Float[Array, "*s c"], temperature: float = 1.0
) -> Float[Array, ""]:
    """Kullback-Leibler divergence between softmaxes over channels, as RDE has it.

    T^2 times the mean over all elements, channels included, of t (log t - log s), where s and t
    are the softmaxes of the maps over the temperature T. Gradients go into both maps
    (`KLDivLoss` of RDE's `model/model.py`).

    Args:
        student: features.
        teacher: features that the student should resemble.
        temperature: T.

    Returns:
        A scalar.
    """
    log_student = jax.nn.log_softmax(student / temperature)
    log_teacher = jax.nn.log_softmax(teacher / temperature)
    divergence = jax.nn.softmax(teacher / temperature) * (log_teacher - log_student)
    return divergence.mean() * temperature**2
