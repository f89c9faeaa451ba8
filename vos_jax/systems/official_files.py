"""The official checkpoint files of every system: where their tensors lie and what they fill."""

import dataclasses

from vos_jax.checkpoints.names import NameMap
from vos_jax.systems.hodor import weights as hodor


@dataclasses.dataclass(frozen=True)
class OfficialFile:
    """One kind of file.

    Attributes:
        key: key of the file's outermost dictionary under which the tensors lie.
        names: official names and our paths.
        prefixes: only tensors whose names begin with one of these are looked at.
        fills: pattern of those parameter paths of ours that the file must fill; the others are
            left to be drawn at random.
        partial: whether the file lacks parameters that inference needs.
    """

    key: str
    names: NameMap
    prefixes: tuple[str, ...] = ("",)
    fills: str = ".*"
    partial: bool = False


OFFICIAL_FILES: dict[str, dict[str, OfficialFile]] = {
    "hodor": {
        "model": OfficialFile("model", hodor.HODOR),
        "backbone": OfficialFile(
            "state_dict",
            hodor.SWIN.under(r"backbone\.", "extractor/swin/")
            + hodor.PYRAMID.under(r"neck\.", "extractor/pyramid/"),
            prefixes=("backbone.", "neck."),
            fills=r"extractor/swin/.*|extractor/pyramid/(lateral|output)_\d/.*",
            partial=True,
        ),
    }
}
