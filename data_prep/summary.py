"""What a prepared split holds, counted from its index without reading a record."""

from collections.abc import Mapping, Sequence

import numpy as np

from vos_jax.data.records import RecordSet

BAR = 40
"""Characters of the longest bar of a histogram."""
MOST_BINS = 12
LISTED_IDS = 10


def split_text(records: RecordSet, categories: Mapping[int, str]) -> str:
    """Counts, sizes, categories and the objects per annotated frame, in lines.

    Args:
        records: the split.
        categories: names by number.
    """
    index = records.index
    frames, videos, objects = index.frames, index.videos, index.objects
    size = int(frames["length"].sum(dtype=np.int64))
    lines = [
        f"{records.split}: {len(videos)} videos, {len(frames)} frames "
        f"({int(frames['annotated'].sum())} annotated), {count_objects(records)} objects "
        f"({len(objects)} masks), {size / 1e6:.1f} MB in {len(np.unique(frames['shard']))} shards"
    ]
    if len(frames):
        lines.append(f"  frames per video: {_spread(videos['frames'], str)}")
        lines.append(f"  image height x width: {_sizes(videos)}")
    numbers, counts = np.unique(objects["category"], return_counts=True)
    if numbers.any():
        order = np.argsort(-counts, kind="stable")
        named = [f"{categories.get(int(numbers[i]), numbers[i])} {counts[i]}" for i in order]
        lines.append(f"  {len(numbers)} categories, by masks: {_first(named, LISTED_IDS)}")
    if frames["annotated"].any():
        lines.append("  objects on an annotated frame:")
        lines += _histogram(frames["objects"][frames["annotated"]])
    return "\n".join(lines)


def count_objects(records: RecordSet) -> int:
    """How many different (video, id) pairs the split has."""
    index = records.index
    videos = np.repeat(index.frames["video"].astype(np.int64), index.frames["objects"])
    ids, numbers = np.unique(index.objects["id"], return_inverse=True)
    return len(np.unique(videos * len(ids) + numbers))


def videos_text(records: RecordSet, chosen: Sequence[int]) -> str:
    """A table of videos: name, size, frames, annotated frames, ids."""
    rows = [("video", "height x width", "frames", "annotated", "object ids")]
    for number in chosen:
        video = records.videos[number]
        first = int(records.index.videos[number]["first_frame"])
        annotated = records.index.frames["annotated"][first : first + video.frames].sum()
        size = f"{video.size[0]}x{video.size[1]}"
        ids = _first([str(i) for i in video.object_ids], LISTED_IDS) or "-"
        rows.append((video.name, size, str(video.frames), str(annotated), ids))
    lines = _table(rows)
    left_out = len(records.videos) - len(chosen)
    if left_out > 0:
        lines.append(f"  ... and {left_out} more (--videos N: N evenly spaced; --video NAME: one)")
    return "\n".join(lines)


def objects_text(records: RecordSet, video: int, categories: Mapping[int, str]) -> str:
    """A table of all ids of one video: category, frames it is on, area in pixels."""
    row = records.index.videos[video]
    first = int(row["first_frame"])
    frames = records.index.frames[first : first + int(row["frames"])]
    begin, end = (int(frames[at]["first_object"]) for at in (0, -1))
    objects = records.index.objects[begin : end + int(frames[-1]["objects"])]
    times = np.repeat(frames["time"], frames["objects"])
    rows = [("id", "category", "masks", "from", "to", "area in pixels")]
    for number in np.unique(objects["id"]):
        of_it = objects["id"] == number
        category = int(objects["category"][of_it][0])
        area = _spread(objects["area"][of_it], lambda value: f"{value:.0f}")
        seen = times[of_it]
        name = categories.get(category, str(category))
        rows.append((str(number), name, str(len(seen)), str(seen[0]), str(seen[-1]), area))
    return "\n".join(_table(rows))


def _spread(values: np.ndarray, show) -> str:
    """Smallest, largest and median of some numbers."""
    ordered = np.sort(values)
    return _range(*(show(ordered[at]) for at in (0, -1, len(ordered) // 2)))


def _sizes(videos: np.ndarray) -> str:
    """The sizes of smallest, largest and median area; the median is over frames."""
    order = np.argsort(videos["height"].astype(np.int64) * videos["width"], kind="stable")
    middle = np.searchsorted(np.cumsum(videos["frames"][order]), videos["frames"].sum() / 2)
    return _range(*(f"{videos[i]['height']}x{videos[i]['width']}" for i in order[[0, -1, middle]]))


def _range(low: str, high: str, median: str) -> str:
    return low if low == high else f"{low} to {high}, median {median}"


def _histogram(values: np.ndarray) -> list[str]:
    """One line per value with a bar, the largest values together."""
    counts = np.bincount(np.minimum(values, MOST_BINS))
    names = [f"{value}{'+' if value == MOST_BINS else ''}" for value in range(len(counts))]
    return [
        f"  {name:>5} {count:>9} {'#' * int(np.ceil(BAR * count / counts.max()))}".rstrip()
        for name, count in zip(names, counts.tolist(), strict=True)
    ]


def _first(names: Sequence[str], most: int) -> str:
    more = f" ... {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
