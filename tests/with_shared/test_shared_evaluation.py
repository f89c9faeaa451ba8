"""Scores of real masks that every evaluator of DAVIS agrees on."""

import shutil
from pathlib import Path

import pytest

from vos_jax.io.named_sets import list_sequences
from vos_jax.metrics.report import summarise
from vos_jax.scoring import score_sequences

ROOT = Path(__file__).parents[3] / "shared/data/davis2016_val_part"


@pytest.fixture(scope="module")
def one_frame_late(tmp_path_factory):
    """Results that show at each frame the truth of the frame before."""
    folder = tmp_path_factory.mktemp("results")
    for source in (ROOT / "Annotations_2017style/480p").iterdir():
        (folder / source.name).mkdir()
        names = sorted(path.name for path in source.iterdir())
        for earlier, name in zip([names[0], *names], names, strict=False):
            shutil.copyfile(source / earlier, folder / source.name / name)
    return folder


@pytest.mark.parametrize(
    "name, masks", [("davis_val", "Annotations_2017style"), ("davis2016_val", "Annotations")]
)
def test_truth_one_frame_late(one_frame_late, name, masks):
    protocol = {"davis_val": "semi_supervised", "davis2016_val": "single_object"}[name]
    sequences = list_sequences(name, ROOT, annotations=masks, images=False)
    summary = summarise(score_sequences(sequences, one_frame_late, protocol, processes=1))
    assert summary.j.mean == pytest.approx(0.7669953684994791, abs=1e-14)
    assert summary.f.mean == pytest.approx(0.8462389040712256, abs=1e-14)
