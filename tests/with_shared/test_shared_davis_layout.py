"""The real part of DAVIS-2016 as a list of sequences."""

from pathlib import Path

import pytest

from vos_jax.core.errors import MissingInputError
from vos_jax.core.labels import object_ids
from vos_jax.io.images import read_image, read_mask
from vos_jax.io.layouts import davis

ROOT = Path(__file__).parents[3] / "shared/data/davis2016_val_part"
LENGTHS = [50, 80, 75, 40, 104, 60, 50, 90, 49, 80, 100, 43]


@pytest.mark.parametrize("year, masks", [(2016, "Annotations"), (2017, "Annotations_2017style")])
def test_all_frames_are_listed(year, masks):
    sequences = davis(ROOT, year, "val", annotations=masks)
    assert [len(sequence.frames) for sequence in sequences] == LENGTHS
    assert not any(None in sequence.annotations for sequence in sequences)


def test_both_kinds_of_masks_hold_the_same_object():
    sequence = davis(ROOT, 2016, "val")[0]
    mask = read_mask(sequence.annotations[0], binary=True, prompt=True)
    twin = read_mask(ROOT / "Annotations_2017style/480p/blackswan/00000.png", prompt=True)
    assert object_ids(mask) == [1] and (mask == twin).all()
    assert read_image(sequence.frames[0]).shape == (*mask.shape, 3)


def test_the_sequences_that_are_not_there_are_named(tmp_path):
    (tmp_path / "ImageSets/2016").mkdir(parents=True)
    listed = (ROOT / "ImageSets/2016/val.txt").read_text() + "breakdance\nsoapbox\n"
    (tmp_path / "ImageSets/2016/val.txt").write_text(listed)
    for name in ("JPEGImages", "Annotations"):
        (tmp_path / name).symlink_to(ROOT / name)
    with pytest.raises(MissingInputError, match="breakdance, soapbox"):
        davis(tmp_path, 2016, "val")
    assert len(davis(tmp_path, 2016, "val", skip_missing=True)) == 12
