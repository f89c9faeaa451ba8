"""Object labels: what a pixel's number means, its colour in a PNG, and its slot in a model."""

import numpy as np

from vos_jax.core.errors import CapacityError, ConfigError

BACKGROUND = 0
VOID = 255


def _davis_palette() -> np.ndarray:
    index = np.arange(256)[:, None]
    bits = (index >> (3 * np.arange(8)[:, None, None] + np.arange(3))) & 1
    return (bits << (7 - np.arange(8)[:, None, None])).sum(0).astype(np.uint8)


def _youtube_vos_palette() -> np.ndarray:
    named = "000000 ec5f67 f99157 fac863 99c794 62b3b2 6699cc c594c5 ab7967 ffffff 65737e"
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    colours = np.frombuffer(bytes.fromhex(named), np.uint8).reshape(-1, 3)
    palette[: len(colours)] = colours
    return palette


DAVIS_PALETTE = _davis_palette()
"""RGB of each label, uint8 [256, 3]: bits 3j, 3j+1, 3j+2 of a label are bit 7-j of R, G, B."""

YOUTUBE_VOS_PALETTE = _youtube_vos_palette()
"""RGB of each label in the official YouTube-VOS annotations, uint8 [256, 3]."""


class SlotMap:
    """Which slot of a model's state holds which object id.

    Slots count from 0; in a label map of slots, slot s is drawn as s + 1. Object ids are 1 to
    254, with gaps if the user likes. Ids take slots in the order they come; the slot of a removed
    id is never given to another one, because a memory may still hold traces of it.

    Args:
        capacity: number of slots.
        ids: object id per used slot, None where it was removed; `SlotMap(m.capacity, m.ids)`
            is a copy of m.

    Raises:
        CapacityError: more ids than slots.
        ConfigError: an id outside 1 to 254, or one given twice.
    """

    def __init__(self, capacity: int, ids: tuple[int | None, ...] = ()):
        self._capacity = capacity
        self._ids: list[int | None] = []
        for object_id in ids:
            if object_id in self.slots and object_id is not None:
                raise ConfigError(f"object id {object_id} is given two slots; name each id once")
            self._append([object_id])

    @property
    def capacity(self) -> int:
        """Number of slots, used or not."""
        return self._capacity

    @property
    def ids(self) -> tuple[int | None, ...]:
        """The object id of each slot handed out so far; None where it was removed."""
        return tuple(self._ids)

    @property
    def slots(self) -> dict[int, int]:
        """Slot by object id, for the objects that are there now."""
        return {i: slot for slot, i in enumerate(self._ids) if i is not None}

    def add(self, ids) -> list[int]:
        """Gives every id its slot; ids that have one keep it.

        Args:
            ids: object ids, in the order in which new ones take slots.

        Returns:
            The slot of each id.

        Raises:
            CapacityError: the new ids do not fit; nothing is added then.
            ConfigError: an id outside 1 to 254.
        """
        ids = [int(i) for i in ids]
        self._append([i for i in dict.fromkeys(ids) if i not in self.slots])
        return [self.slots[i] for i in ids]

    def remove(self, object_id: int) -> int:
        """Forgets an object and returns the slot it had, which stays unused.

        Raises:
            ConfigError: no object has this id.
        """
        if object_id not in self.slots:
            raise ConfigError(f"no object {object_id} to remove; there are {sorted(self.slots)}")
        slot = self.slots[object_id]
        self._ids[slot] = None
        return slot

    def grow(self, capacity: int) -> None:
        """Offers more slots; what is there stays.

        Raises:
            CapacityError: fewer slots than were handed out.
        """
        if capacity < len(self._ids):
            raise CapacityError(f"{len(self._ids)} slots are in use, {capacity} cannot hold them")
        self._capacity = capacity

    def to_ids(self, labels: np.ndarray) -> np.ndarray:
        """Turns slot labels (slot + 1, 0 background) into object ids; removed ones become 0."""
        table = np.zeros(256, np.uint8)
        for object_id, slot in self.slots.items():
            table[slot + 1] = object_id
        return table[labels]

    def to_slots(self, labels: np.ndarray) -> np.ndarray:
        """Turns object ids into slot labels (slot + 1); void stays, unknown ids become 0."""
        table = np.zeros(256, np.uint8)
        table[VOID] = VOID
        for object_id, slot in self.slots.items():
            table[object_id] = slot + 1
        return table[labels]

    def _append(self, ids: list[int | None]) -> None:
        strange = [i for i in ids if i is not None and not BACKGROUND < i < VOID]
        if strange:
            raise ConfigError(f"object ids must be 1 to 254, not {strange}; renumber them")
        free = self._capacity - len(self._ids)
        if len(ids) > free:
            raise CapacityError(
                f"no slot left for objects {ids[max(free, 0) :]}: all {self._capacity} are taken "
                f"(by {sorted(self.slots) + ids[: max(free, 0)]}); ask for more slots"
            )
        self._ids.extend(ids)


def object_ids(labels: np.ndarray) -> list[int]:
    """The object ids in a label map, ascending, without background and void."""
    counts = np.bincount(np.asarray(labels, np.uint8).ravel(), minlength=256)
    return [int(i) for i in np.flatnonzero(counts) if i not in (BACKGROUND, VOID)]
