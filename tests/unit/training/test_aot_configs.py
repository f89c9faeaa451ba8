"""The stages of AOT and DeAOT: published numbers, every variant, and the clips they draw."""

import contextlib
from pathlib import Path

import pytest

from tests.drawn_sets import DrawnVideo, drawn
from vos_jax.core.errors import ConfigError
from vos_jax.systems import registry
from vos_jax.systems.aot.variants import VARIANTS, model_settings
from vos_jax.training.configuration import load_settings
from vos_jax.training.data import open_loader
from vos_jax.training.schedules import learning_rate

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
PUBLISHED = {
    "pre": (100_000, 4e-4, 0.03, 10_000, 100_000, 1.0),
    "ytb": (100_000, 2e-4, 0.07, 100_000, 50_000, 0.3),
    "pre_ytb": (100_000, 2e-4, 0.07, 100_000, 50_000, 0.3),
    "pre_dav": (50_000, 2e-4, 0.07, 50_000, 25_000, 0.3),
    "pre_ytb_dav": (100_000, 2e-4, 0.07, 100_000, 50_000, 0.3),
}
"""Steps, peak rate, decay, updates with auxiliary loss, own masks from, merge probability."""

SOURCES = {
    "pre": {"coco", "msra10k", "pascalvoc2012", "ecssd", "pascal_s"},
    "ytb": {"youtube_vos"},
    "pre_ytb": {"youtube_vos"},
    "pre_dav": {"davis"},
    "pre_ytb_dav": {"youtube_vos", "davis"},
}
BOXES = tuple({1: (2, 2 + t, 30, 28 + t), 2: (5, 32, 38, 55 - t)} for t in range(6))


def settings_of(stage, variant="aott", *overrides):
    path = f"{CONFIGS}/aot_{stage}.py:{variant}"
    return load_settings(path, [f"--config.{each}" for each in overrides])


@pytest.mark.parametrize("stage", PUBLISHED)
@pytest.mark.parametrize("variant", ["aott", "r50_deaotl", "swinb_aotl"])
def test_published_numbers(stage, variant):
    settings = settings_of(stage, variant)
    steps, rate, decay, auxiliary, own, merge = PUBLISHED[stage]
    floor = 2e-5 if stage == "pre" or variant == "aott" else 1e-5
    rates = learning_rate(settings.schedule)
    assert (settings.steps, settings.batch, settings.optimiser.decay) == (steps, 16, decay)
    for step, expected in ((0, floor), (steps // 20, rate), (steps + 1, floor)):
        assert float(rates(step)) == pytest.approx(expected, rel=1e-5)
    model, optimiser = settings.model, settings.optimiser
    assert (model["aux_steps"], model["own_from"]) == (auxiliary, own)
    assert (model["end_warm"], model["top_p"]) == (steps // 2, 0.15)
    assert (optimiser.clip, optimiser.betas, optimiser.eps) == (5.0, (0.9, 0.999), 1e-8)
    assert optimiser.ema == pytest.approx(1 - 1 / (0.1 * steps))
    assert {first for _, first in optimiser.frozen} == {own}
    assert {each.options["merge"] for each in settings.data.sources.values()} == {merge}


@pytest.mark.parametrize("variant", VARIANTS)
def test_sizes_and_augmentation_of_a_variant(variant):
    settings, static = settings_of("pre_ytb_dav", variant), settings_of("pre", variant)
    side = 464 if "swin" in variant else 465
    assert settings.data.canvases == static.data.canvases == ((side, side),)
    for source in (*settings.data.sources.values(), *static.data.sources.values()):
        assert source.augmentation["size"] == side
        assert source.augmentation["version"] == (2 if "deaot" in variant else 1)
        assert source.options["frames"]["count"] == 5
    gaps = {n: s.options["frames"]["max_gap"] for n, s in settings.data.sources.items()}
    assert gaps == {"youtube_vos": 3, "davis": 12}
    assert settings.data.slots == 10
    assert settings.init_from == f"runs/{variant}_pre"
    assert static.init_from == f"runs/aot_{settings.model['backbone']}"


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_table_of_variants(variant):
    module = registry.build("aot", **model_settings(variant))
    assert module.depth == {"t": 1, "s": 2}.get(variant[-1], 3)
    gaps = (5, 2) if variant.endswith("l") else (9999, 9999)
    assert (module.memory_gap, module.train_memory_gap) == gaps
    assert module.family == ("deaot" if "deaot" in variant else "aot")
    assert module.align_corners == ("swin" not in variant)
    backbones = {"r50": "resnet50", "r101": "resnet101", "rs101": "resnest101"}
    backbones |= {"swinb": "swin_base"}
    assert module.backbone == backbones.get(variant.partition("_")[0], "mobilenet_v2")


@pytest.mark.parametrize(
    "name, said",
    [
        ("aot_pre.py:aotx", "no variant 'aotx' of AOT; choose one of aott"),
        ("rde_stage0.py:aott", "leaves no choice: leave out :aott"),
    ],
)
def test_refuses_a_variant_that_there_is_not(name, said):
    with pytest.raises(ConfigError, match=said):
        load_settings(f"{CONFIGS}/{name}")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """One drawn set under the names of all."""
    folder = tmp_path_factory.mktemp("sets")
    drawn(folder / "drawn", DrawnVideo("a", BOXES), DrawnVideo("b", BOXES[::-1]))
    for stage in PUBLISHED:
        for source in settings_of(stage).data.sources.values():
            link = folder / source.folder
            if not link.exists():
                link.symlink_to(folder / "drawn")
    return folder


@pytest.mark.parametrize("stage", PUBLISHED)
def test_the_clips_of_every_stage(stage, root):
    names = settings_of(stage).data.sources
    assert set(names) == SOURCES[stage]
    sizes = [f"data.sources.{name}.augmentation.size=65" for name in names]
    more = [f"data.root={root}", "batch=2", "data.workers=0", "data.canvases=((65,65),)"]
    with contextlib.closing(open_loader(settings_of(stage, "aott", *sizes, *more))) as loader:
        batches = [next(loader) for _ in range(4)]
    for batch in batches:
        assert batch["frames"].shape == (2, 5, 65, 65, 3)
        assert batch["slots"].shape == (2, 10)
        assert "given" not in batch
        for labels, slots in zip(batch["labels"], batch["slots"], strict=True):
            assert labels[labels < 255].max() <= slots.sum()
    objects = max(batch["slots"].sum(axis=-1).max() for batch in batches)
    assert objects >= (3 if stage == "pre" else 1)
