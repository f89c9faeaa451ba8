"""Starting one stage of training from the parameters of another."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float

SEPARATOR = "/"


class Transfer(NamedTuple):
    """What a transfer did.

    Attributes:
        params: the new tree, of the target's structure and element types.
        loaded: paths taken from the source.
        widened: paths of convolutions taken from the source with new input channels behind.
        missing: paths kept as they were: the source lacks them or has another shape.
        unused: paths of the source that went nowhere.
    """

    params: dict[str, Any]
    loaded: list[str]
    widened: list[str]
    missing: list[str]
    unused: list[str]


def initialise_from(
    params: Mapping[str, Any], source_params: Mapping[str, Any], key: Array
) -> Transfer:
    """Takes from `source_params` whatever has the same path and shape.

    A convolution [y x i o] that differs only in having fewer input channels is taken too; see
    `widened`.

    Args:
        params: nested dict of the parameters to start from.
        source_params: nested dict of another stage's or system's parameters.
        key: of what is drawn for new input channels.
    """
    target = traverse_util.flatten_dict(dict(params), sep=SEPARATOR)
    source = traverse_util.flatten_dict(dict(source_params), sep=SEPARATOR)
    shapes = {
        path: (np.shape(source[path]), np.shape(target[path])) for path in source if path in target
    }
    loaded = [path for path in target if path in shapes and len(set(shapes[path])) == 1]
    wider = [path for path in target if path in shapes and _lacks_inputs(*shapes[path])]
    taken = {path: np.asarray(source[path], target[path].dtype) for path in loaded}
    for number, path in enumerate(wider):
        kernel = widened(source[path], target[path].shape[2], jax.random.fold_in(key, number))
        taken[path] = np.asarray(kernel, target[path].dtype)
    return Transfer(
        traverse_util.unflatten_dict(target | taken, sep=SEPARATOR),
        loaded,
        wider,
        [path for path in target if path not in taken],
        [path for path in source if path not in taken],
    )


def widened(
    kernel: Float[np.ndarray, "y x i o"], inputs: int, key: Array
) -> Float[Array, "y x j o"]:
    """A convolution that sees further channels, appended last.

    The new weights are orthogonal as a matrix of o rows, which is how Mask-Propagation, STCN and
    RDE add mask channels to an image encoder.

    Args:
        kernel: of the first channels.
        inputs: channels that the new kernel has.
        key: of the draw.
    """
    rows, columns, before, outputs = kernel.shape
    extra = inputs - before
    drawn = jax.nn.initializers.orthogonal()(key, (outputs, extra * rows * columns))
    drawn = drawn.reshape(outputs, extra, rows, columns).transpose(2, 3, 1, 0)
    return jnp.concatenate([kernel, drawn], axis=2)


def _lacks_inputs(source: tuple[int, ...], target: tuple[int, ...]) -> bool:
    return (
        len(source) == len(target) == 4
        and source[2] < target[2]
        and (*source[:2], source[3]) == (*target[:2], target[3])
    )
