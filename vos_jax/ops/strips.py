"""How to split large maps so that what is computed on the way stays in a processor's cache."""

import jax

CACHE = 2**19
"""Numbers that one strip's intermediates may have."""
LARGE = 2**21
"""Numbers from which on intermediates are worth splitting."""


def strips(rows: int, size: int) -> int:
    """Number of equal strips of a map, 1 for a small one or where the backend is no CPU.

    Args:
        rows: of the map; a strip has whole rows.
        size: numbers in the intermediates of the whole map.
    """
    if jax.default_backend() != "cpu" or size < LARGE:
        return 1
    return next(n for n in range(1, rows + 1) if rows % n == 0 and (size <= n * CACHE or n == rows))
