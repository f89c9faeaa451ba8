"""The stages of STEm-Seg and VIShv: published numbers, and clips of the data they name."""

from pathlib import Path

import numpy as np
import pytest

from tests.clip_sets import pair_set
from vos_jax.training.configuration import load_settings
from vos_jax.training.schedules import learning_rate
from vos_jax.training.sources import open_source

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
PUBLISHED = {
    "stem_seg_davis_1": (50_000, 2, 1e-3, 40_000, 736, 1248, 8),
    "stem_seg_davis_2": (10_000, 2, 1e-3, None, 736, 1248, 16),
    "stem_seg_youtube_vis": (160_000, 2, 1e-3, 60_000, 640, 1196, 8),
    "stem_seg_kitti_mots_1": (80_000, 2, 1e-3, 60_000, 736, 1248, 8),
    "stem_seg_kitti_mots_2": (20_000, 2, 1e-3, None, 736, 1792, 8),
    "vishv_youtube_vis": (160_000, 4, 5e-5, 60_000, 352, 640, 8),
    "vishv_davis_1": (50_000, 2, 1e-3, 40_000, 368, 624, 8),
    "vishv_davis_2": (10_000, 2, 1e-3, None, 736, 1248, 8),
}
"""Updates, clips, rate, when it starts to fall, sizes, frames."""

DAVIS = {"coco": 0.25, "pascal_voc": 0.1, "youtube_vis_2019": 0.35, "davis2017": 0.3}
SHARES = {
    "stem_seg_davis_1": DAVIS,
    "stem_seg_davis_2": DAVIS,
    "stem_seg_youtube_vis": {"coco": 0.3, "pascal_voc": 0.1, "youtube_vis_2019": 0.6},
    "stem_seg_kitti_mots_1": {"mapillary": 1.0},
    "stem_seg_kitti_mots_2": {"kitti_mots": 1.0},
    "vishv_youtube_vis": {"coco": 0.15, "pascal_voc": 0.05, "youtube_vis_2019": 0.8},
    "vishv_davis_1": DAVIS,
    "vishv_davis_2": DAVIS,
}


def settings_of(stage: str, choice: str = "", *overrides: str):
    path = f"{CONFIGS}/{stage}.py{choice}"
    return load_settings(path, [f"--config.{each}" for each in overrides])


@pytest.mark.parametrize("stage", PUBLISHED)
def test_published_numbers(stage):
    settings = settings_of(stage)
    steps, batch, rate, start, shortest, longest, frames = PUBLISHED[stage]
    assert (settings.steps, settings.batch, settings.accumulate) == (steps, batch, batch)
    rates = learning_rate(settings.schedule)
    assert float(rates(0)) == pytest.approx(rate)
    falls = [step for step in (0, start or 0, steps - 1) if float(rates(step)) < 0.9999 * rate]
    assert bool(falls) == (start is not None)
    assert start is None or float(rates(start - 2)) == pytest.approx(rate)
    data, model, optimiser = settings.data, settings.model, settings.optimiser
    assert (data.short_side, data.long_side) == (shortest, longest)
    assert (model["min_dim"], model["max_dim"], model["clip_length"]) == (
        (shortest, longest, frames)
    )
    assert (optimiser.kind, optimiser.momentum, optimiser.l2, optimiser.decay) == (
        ("sgd", 0.9, 1e-4, 0.0)
    )
    assert {name: each.share for name, each in data.sources.items()} == SHARES[stage]
    assert {each.options["frames"]["count"] for each in data.sources.values()} == {frames}
    assert model["freeze_encoder"] == stage.endswith("davis_2")


@pytest.mark.parametrize("stage", ["stem_seg_youtube_vis", "vishv_youtube_vis"])
@pytest.mark.parametrize("year", ["2019", "2021"])
def test_either_year_has_its_videos_and_classes(stage, year):
    sources = settings_of(stage, f":{year}").data.sources
    rules = {name: each.options["classes"] for name, each in sources.items()}
    photographs = {f"{d}": f"{k}_youtube_vis_{year}" for d, k in (("coco", "coco"),)}
    photographs["pascal_voc"] = f"voc_youtube_vis_{year}"
    assert rules == {**photographs, f"youtube_vis_{year}": "stored"}


@pytest.mark.parametrize("system", ["stem_seg", "vishv"])
def test_only_davis_ignores_its_background_and_spans_are_those_of_the_step(system):
    for step, spans in ((1, (8, 16)), (2, (16, 16))):
        sources = settings_of(f"{system}_davis_{step}").data.sources
        ignoring = [n for n, each in sources.items() if each.options["objects"]["void_background"]]
        assert ignoring == ["davis2017"]
        videos = ("youtube_vis_2019", "davis2017")
        found = [sources[name].options["frames"]["span"] for name in videos]
        assert found == [(span, span) for span in spans]
        assert {each.options["classes"] for each in sources.values()} == {
            "object",
            "coco_object",
            "voc_object",
        }


@pytest.mark.parametrize("stage", PUBLISHED)
def test_every_source_opens_and_makes_clips(stage, tmp_path):
    """Two objects that move, of a category that is kept."""
    for name, source in settings_of(stage).data.sources.items():
        length = 1 if source.augmentation["recipe"] == "stem_seg_stills" else 18
        opened = open_source(pair_set(tmp_path / name, name, length), name, source)
        sample = opened.clip(0, 8, np.random.default_rng(0))
        known = {"mapillary": 2, "kitti_mots": 2, "coco": 1, "pascal_voc": 1}
        found = set(sample.categories.tolist())
        assert len(sample.frames) == source.options["frames"]["count"]
        wanted = 14 if stage.endswith("youtube_vis") else known.get(name, 1)
        assert found == {wanted}, name
