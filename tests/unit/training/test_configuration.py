"""Config files and overrides: every key is known, every value of its type."""

import dataclasses
import sys
from pathlib import Path

import pytest

from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.training.configuration import load_settings
from vos_jax.training.settings import Settings, from_mapping

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = sorted((ROOT / "configs").glob("*.py"))
STATIC = ROOT / "configs/hodor_static.py"
STAGES = ("static", "sparse")

HEAD = "from ml_collections import ConfigDict\ndef get_config():\n    return ConfigDict("


def written(folder: Path, content: str) -> Path:
    path = folder / "made.py"
    path.write_text(f"{HEAD}{content})\n")
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_of_ours_loads_and_is_short(path):
    assert isinstance(load_settings(path), Settings)
    text = path.read_text()
    assert len(text.splitlines()) <= 80
    for word in ("command:", "data:", "score:", "cost:"):
        assert word in text.lower()


def test_the_static_config_is_the_published_recipe():
    settings = load_settings(STATIC)
    assert (settings.steps, settings.batch) == (250_000, 8)
    assert settings.schedule.drops == (100_000,)
    assert settings.optimiser.clip == 0 and settings.optimiser.ema == 0
    assert settings.data.pixels == 300_000
    assert settings.data.sources["coco"].options == {"min_area": 2000, "min_side": 20}


@pytest.mark.parametrize(
    "name, updates, kind, near, far",
    [("sparse", 120_000, "sparse_videos", 6, 12), ("dense", 100_000, "videos", 8, 16)],
)
def test_the_video_configs_are_the_published_recipes(name, updates, kind, near, far):
    settings = load_settings(ROOT / f"configs/hodor_video_{name}.py")
    assert (settings.steps, settings.batch, settings.schedule.rate) == (updates, 8, 1e-5)
    assert settings.schedule.warmup_from == 1e-8 and settings.schedule.drops == ()
    assert (settings.data.short_side, settings.data.long_side) == (576, 1200)
    assert settings.model["cut_masks"] and settings.model["cycles"] == "full"
    sources = settings.data.sources
    assert {each.kind for each in sources.values()} == {kind}
    gaps = {source: (each.share, each.options["max_gap"]) for source, each in sources.items()}
    assert gaps == {"youtube_vos": (0.8, near), "davis": (0.2, far)}
    per_frame = {each.augmentation["colour_per_frame"] for each in sources.values()}
    assert per_frame == {name == "sparse"}
    assert {each.augmentation["colour"]["brightness"] for each in sources.values()} == {20}


def test_the_small_sparse_stage_goes_on_with_the_model_of_the_static_one():
    static, sparse = (load_settings(ROOT / f"configs/quickstart_{n}.py") for n in STAGES)
    assert {**static.model, "cycles": "full"} == sparse.model
    assert [each.kind for each in sparse.data.sources.values()] == ["sparse_videos"]
    assert [each.kind for each in static.data.sources.values()] == ["stills"]


def test_a_config_may_import_its_neighbours(tmp_path):
    written(tmp_path, "{'steps': 7}")
    (tmp_path / "user.py").write_text("from made import get_config\n")
    path = list(sys.path)
    assert load_settings(tmp_path / "user.py").steps == 7
    assert sys.path == path


@pytest.mark.parametrize(
    "override, read, expected",
    [
        ("steps=7", lambda s: s.steps, 7),
        ("schedule.rate=1e-3", lambda s: s.schedule.rate, 1e-3),
        ("optimiser.clip=1", lambda s: s.optimiser.clip, 1.0),
        ("model.dtype=bfloat16", lambda s: s.model["dtype"], "bfloat16"),
        ("model.deformable=False", lambda s: s.model["deformable"], False),
        ("init_from=", lambda s: s.init_from, ""),
        ("data.canvases=((64,96),)", lambda s: s.data.canvases, ((64, 96),)),
        ("optimiser.frozen=(('a/*',5),)", lambda s: s.optimiser.frozen, (("a/*", 5),)),
        (
            "data.sources.coco.augmentation.colour.hue=3",
            lambda s: s.data.sources["coco"].augmentation["colour"]["hue"],
            3,
        ),
    ],
)
def test_overrides_reach_every_key(override, read, expected):
    assert read(load_settings(STATIC, [f"--config.{override}"])) == expected


@pytest.mark.parametrize(
    "override, said",
    [
        ("--config.stepss=7", "unknown config.stepss; known are"),
        ("--config.model.fo=1", "unknown config.model.fo"),
        ("--config.data.sources.coco.options.max_gap=3", "unknown config.data.sources.coco"),
        ("--config.steps=many", "many"),
        ("--config.steps=0", "must be positive"),
        ("--config.accumulate=3", "does not divide"),
        ("--config.data.canvases=3", "pairs"),
        ("--configs.steps=3", "write --config.key=value"),
        ("steps=3", "write --config.key=value"),
    ],
)
def test_bad_overrides_are_named(override, said):
    with pytest.raises(ConfigError, match=said):
        load_settings(STATIC, [override])


@pytest.mark.parametrize(
    "content, said",
    [
        ("{'sistem': 'hodor'}", "unknown config.sistem"),
        ("{'system': 'hodr'}", "unknown system 'hodr'"),
        ("{'model': {'chanels': 3}}", "unknown config.model.chanels"),
        ("{'steps': 'many'}", "config"),
        ("{'data': {'sources': {'a': {'kind': 'film'}}}}", "known are stills, videos"),
        ("{'data': {'sources': {'a': {'augmentation': {'blur': 1}}}}}", "augmentation.blur"),
        ("{'schedule': {'lr': 1.0}}", "unknown config.schedule.lr"),
    ],
)
def test_bad_config_files_are_named(tmp_path, content, said):
    with pytest.raises(ConfigError, match=said):
        load_settings(written(tmp_path, content))


def test_what_a_config_leaves_out_has_its_default(tmp_path):
    settings = load_settings(written(tmp_path, "{'seed': 1}"))
    assert settings.steps == Settings().steps
    assert settings.model["backbone"] == "swin_tiny"


def test_a_missing_file_and_one_without_get_config(tmp_path):
    with pytest.raises(MissingInputError, match=r"no config file .*none\.py"):
        load_settings(tmp_path / "none.py")
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(ConfigError, match="no function get_config"):
        load_settings(tmp_path / "empty.py")


def test_settings_survive_their_dict():
    settings = load_settings(STATIC)
    assert from_mapping(dataclasses.asdict(settings)) == settings


def test_from_mapping_names_the_unknown_key_with_its_path():
    with pytest.raises(ConfigError, match=r"unknown config\.mesh\.dat"):
        from_mapping({"mesh": {"dat": 1}})
