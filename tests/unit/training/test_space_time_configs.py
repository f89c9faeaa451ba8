"""The stages of Mask-Propagation, STCN and RDE: published numbers, and the clips they draw."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from tests.drawn_sets import DrawnVideo, drawn
from vos_jax.training.configuration import load_settings
from vos_jax.training.data import open_loader

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
STAGES = sorted(path.stem for path in CONFIGS.glob("*_stage[0-3].py"))
PUBLISHED = {
    "mask_propagation_stage0": (300_000, 14, 1e-5, 250_000, 20_000),
    "mask_propagation_stage1": (500_000, 8, 1e-5, 450_000, 20_000),
    "mask_propagation_stage2": (150_000, 8, 1e-5, 125_000, 20_000),
    "stcn_stage0": (300_000, 16, 1e-5, 150_000, 20_000),
    "stcn_stage1": (500_000, 8, 1e-5, 400_000, 20_000),
    "stcn_stage2": (300_000, 8, 1e-5, 250_000, 20_000),
    "stcn_stage3": (150_000, 8, 1e-5, 125_000, 20_000),
    "rde_stage0": (75_000, 64, 2e-5, 37_500, 5_000),
    "rde_stage1": (500_000, 8, 1e-5, 400_000, 20_000),
    "rde_stage2": (75_000, 16, 2e-5, 62_500, 5_000),
    "rde_stage3": (150_000, 8, 2e-5, 125_000, 20_000),
}
SETS = "fss1000 duts_tr duts_te ecssd big_small hrsod_small bl30k davis2017 youtube_vos_480p"
BOXES = tuple({1: (2, 2 + t, 30, 28 + t), 2: (5, 32, 38, 55 - t)} for t in range(6))
SIDE = 64


def settings_of(stage, *overrides):
    return load_settings(CONFIGS / f"{stage}.py", [f"--config.{each}" for each in overrides])


def test_every_stage_is_listed():
    assert STAGES == sorted(PUBLISHED)


@pytest.mark.parametrize("stage", STAGES)
def test_published_numbers(stage):
    settings = settings_of(stage)
    steps, batch, rate, drop, warm = PUBLISHED[stage]
    assert (settings.steps, settings.batch, settings.schedule.rate) == (steps, batch, rate)
    assert (settings.schedule.kind, settings.schedule.drops) == ("step", (drop,))
    assert (settings.schedule.factor, settings.schedule.warmup_steps) == (0.1, 0)
    assert settings.optimiser.l2 == 1e-7 and settings.optimiser.decay == 0
    ends = {20_000: 70_000, 5_000: 17_500}
    model = settings.model
    assert (model["start_warm"], model["end_warm"], model["top_p"]) == (warm, ends[warm], 0.15)
    assert settings.system == stage.rpartition("_")[0]
    assert model["single_object"] == stage.endswith("0") == (settings.data.slots == 1)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage.startswith("rde")])
def test_weights_of_rde(stage):
    model = settings_of(stage).model
    names = ("klloss_weight", "decoder_f2_weight", "decoder_f4_weight")
    assert {model[name] for name in names} == {5.0 if stage == "rde_stage2" else 10.0}
    assert model["temperature"] == 1.0 and model["repeat"] == 0


@pytest.mark.parametrize("stage", STAGES)
def test_sources_and_their_clips(stage):
    settings, number = settings_of(stage), int(stage[-1])
    sources = settings.data.sources
    options = [each.options for each in sources.values()]
    recipes = {each.augmentation["recipe"] for each in sources.values()}
    assert recipes == {f"mask_propagation_{'video' if number else 'stills'}"}
    assert {each.augmentation["size"] for each in sources.values()} == {384}
    is_rde = settings.system == "rde"
    assert {each["perturb"] for each in options} == {(0.85, 1.0) if is_rde else ()}
    if not number:
        assert [each["frames"]["kind"] for each in options] == ["repeat"] * 6
        return
    assert {each["frames"]["count"] for each in options} == {5 if is_rde else 3}
    assert {each["frames"]["kind"] for each in options} == {"long_jumps" if is_rde else "jumps"}
    assert {each["frames"]["fractions"][-1] for each in options} == {0.8 if number == 1 else 0.9}
    assert {each["attempts"] for each in options} == {5}
    if number == 1:
        assert sources["bl30k"].augmentation["area"] == (0.25, 1.0)
        objects = sources["bl30k"].options["objects"]
        assert (objects["min_area"], objects["sure_area"], objects["brief_area"]) == (100, 900, 400)
    else:
        shares = {name: (s.share, s.options["frames"]["divisor"]) for name, s in sources.items()}
        assert shares == {"davis": (300, 1), "youtube_vos": (3464, 5)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """One drawn set under the names of all."""
    folder = tmp_path_factory.mktemp("sets")
    drawn(folder / "drawn", DrawnVideo("a", BOXES), DrawnVideo("b", BOXES[::-1]))
    for name in SETS.split():
        (folder / name).symlink_to(folder / "drawn")
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_the_clips_of_every_stage(stage, root):
    names = settings_of(stage).data.sources
    sizes = [f"data.sources.{name}.augmentation.size={SIDE}" for name in names]
    settings = settings_of(
        stage, *sizes, f"data.root={root}", "batch=2", "data.workers=0", "data.canvases=((64,64),)"
    )
    with contextlib.closing(open_loader(settings)) as loader:
        batches = [next(loader) for _ in range(4)]
    single, is_rde = stage.endswith("0"), settings.system == "rde"
    times, slots = (3 if single or not is_rde else 5), (1 if single else 2)
    for batch in batches:
        assert batch["frames"].shape == (2, times, SIDE, SIDE, 3)
        assert batch["slots"].shape == (2, slots) and batch["slots"][:, 0].all()
        assert batch["labels"].max() <= slots
        assert ("given" in batch) == (single or is_rde)
        if "given" in batch:
            assert batch["given"].shape == (2, SIDE, SIDE, slots)
    if is_rde:
        wanted = np.stack([b["labels"][:, 0, ..., None] == 1 + np.arange(slots) for b in batches])
        given = np.stack([b["given"] > 127 for b in batches])
        assert (wanted != given).any(axis=(2, 3)).mean() > 0.5
