"""Starting one stage of training from the parameters of another."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import traverse_util

SEPARATOR = "/"


class Transfer(NamedTuple):
    """What a transfer did.

    Attributes:
        params: the new tree, of the target's structure and element types.
        loaded: paths taken from the source.
        missing: paths kept as they were: the source lacks them or has another shape.
        unused: paths of the source that went nowhere.
    """

    params: dict[str, Any]
    loaded: list[str]
    missing: list[str]
    unused: list[str]


def initialise_from(params: Mapping[str, Any], source_params: Mapping[str, Any]) -> Transfer:
    """Takes from `source_params` whatever has the same path and shape.

    Args:
        params: nested dict of the parameters to start from.
        source_params: nested dict of another stage's or system's parameters.
    """
    target = traverse_util.flatten_dict(dict(params), sep=SEPARATOR)
    source = traverse_util.flatten_dict(dict(source_params), sep=SEPARATOR)
    loaded = [
        path
        for path, value in target.items()
        if path in source and np.shape(source[path]) == np.shape(value)
    ]
    taken = {path: np.asarray(source[path], target[path].dtype) for path in loaded}
    return Transfer(
        traverse_util.unflatten_dict(target | taken, sep=SEPARATOR),
        loaded,
        [path for path in target if path not in taken],
        [path for path in source if path not in taken],
    )
