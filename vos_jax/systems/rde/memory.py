"""What RDE and STCN remember, and which of it a frame is read from.

One bank holds keys and values per slot. In every mode but "stm" it has two entries, which the
bank's own rule of replacement makes a slot's first frame and its newest one; the recurrent
embedding stands beside it.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vos_jax.systems.space_time import SpaceTimeState

FIRST_AND_NEWEST = 2
MODES = {
    "stm": (),
    "gt": ("first",),
    "last": ("newest", "start"),
    "two-frames": ("newest", "first", "again"),
    "compress": ("embedding",),
    "gt-compress": ("embedding", "first"),
    "last-compress": ("embedding", "newest"),
    "two-frames-compress": ("embedding", "newest", "first", "again"),
}
"""Parts of the memory that each mode reads. "start" is the first frame while there is no newer
one; "again" is the first frame a second time once there is: its cells then count twice in the
softmax and among the best k, as in the official program."""


def parts_read(
    state: SpaceTimeState, parts: tuple[str, ...]
) -> tuple[Float[Array, "b o m n c"], Float[Array, "b o m n d"], Bool[Array, "b o m"]]:
    """Keys, values and validity of the named parts of a memory.

    Args:
        state: the memory.
        parts: of `MODES`.
    """
    bank = state.bank
    begun, more = bank.used > 0, bank.used > 1
    latest = bank.written.argmax(-1)[..., None, None, None]
    entries = bank.keys, bank.values
    first = tuple(x[:, :, 0] for x in entries)
    newest = tuple(jnp.take_along_axis(x, latest, axis=2)[:, :, 0] for x in entries)
    found = {
        "embedding": (state.embedding, begun),
        "newest": (newest, more),
        "first": (first, begun),
        "start": (first, begun & ~more),
        "again": (first, more),
    }
    pairs, valid = zip(*(found[part] for part in parts), strict=True)
    keys, values = (jnp.stack(arrays, axis=2) for arrays in zip(*pairs, strict=True))
    return keys, values, jnp.stack(valid, axis=2)
