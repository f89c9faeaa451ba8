"""Parts of modules computed strip by strip."""

from collections.abc import Callable

import flax.linen as nn
from jaxtyping import Array, Shaped


def in_strips(
    function: Callable[..., Array], module: nn.Module, count: int, *maps: Shaped[Array, "n *_"]
) -> Shaped[Array, "n *_"]:
    """Computes `function(module, *maps)`, cutting the first axis into strips.

    Args:
        function: of maps that treats the entries of their first axis alike; draws no numbers.
        module: whose parameters it uses.
        count: of strips.
        maps: arrays with the same first axis, a multiple of the count.
    """
    if count == 1 or module.is_initializing():
        return function(module, *maps)
    cut = tuple(x.reshape(count, -1, *x.shape[1:]) for x in maps)
    walk = nn.scan(
        lambda module, _, strip: (None, function(module, *strip)),
        variable_broadcast="params",
        split_rngs={"params": False},
    )
    out = walk(module, None, cut)[1]
    return out.reshape(-1, *out.shape[2:])
