"""What was read, written and rejected: one JSON file per split, and a few lines for people."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

LISTED_REJECTIONS = 10


@dataclass
class Report:
    """The outcome of preparing one split.

    Attributes:
        dataset: its name.
        split: its name.
        read: frames looked at.
        written: frames in the records.
        videos: videos (stills) with at least one frame in the records.
        objects: objects over all frames.
        annotated: frames of `written` whose objects are known.
        size: bytes of all shards.
        shards: number of shards.
        shards_kept: shards that an earlier run had finished.
        seconds: wall time of this run.
        rejected: (source, reason) pairs: frames, and annotations that belong to no frame.
    """

    dataset: str
    split: str
    read: int = 0
    written: int = 0
    videos: int = 0
    objects: int = 0
    annotated: int = 0
    size: int = 0
    shards: int = 0
    shards_kept: int = 0
    seconds: float = 0.0
    rejected: list[tuple[str, str]] = field(default_factory=list)

    def save(self, output: Path) -> Path:
        """Writes `report-<split>.json` and returns its path."""
        path = output / f"report-{self.split}.json"
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return path

    def text(self) -> str:
        """The report in a few lines; the first rejections in full."""
        rate = self.read / self.seconds if self.seconds else 0.0
        lines = [
            f"{self.dataset} {self.split}: read {self.read} frames, wrote {self.written} of "
            f"{self.videos} videos ({self.annotated} annotated, {self.objects} objects), "
            f"rejected {len(self.rejected)}",
            f"{self.shards} shards ({self.shards_kept} finished before), "
            f"{self.size / 1e6:.1f} MB, {self.seconds:.1f} s, {rate:.0f} frames/s",
        ]
        for source, reason in self.rejected[:LISTED_REJECTIONS]:
            lines.append(f"  rejected {source}: {reason}")
        if len(self.rejected) > LISTED_REJECTIONS:
            folders = Counter(str(Path(source).parent) for source, _ in self.rejected)
            most = ", ".join(f"{count} in {name}" for name, count in folders.most_common(3))
            lines.append(f"  ... {len(self.rejected)} in all ({most}): see the report file")
        return "\n".join(lines)
