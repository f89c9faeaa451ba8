"""Benchmarks by name."""

import pytest

from vos_jax.core.errors import ConfigError
from vos_jax.io.named_sets import NAMED_SETS, list_sequences, named_set


@pytest.mark.parametrize(
    "name, year, split, protocol",
    [
        ("davis_val", 2017, "val", "semi_supervised"),
        ("davis_testdev", 2017, "test-dev", "semi_supervised"),
        ("davis2016_val", 2016, "val", "single_object"),
        ("davis_unsupervised", 2017, "val", "unsupervised"),
    ],
)
def test_what_the_names_mean(tmp_path, name, year, split, protocol):
    chosen = named_set(name)
    assert (chosen.year, chosen.split, chosen.protocol) == (year, split, protocol)
    folder = "Annotations_unsupervised" if protocol == "unsupervised" else "Annotations"
    for path in (f"ImageSets/{year}/{split}.txt", f"{folder}/480p/a/00000.png"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("a")
    (a,) = list_sequences(name, tmp_path, images=False)
    assert a.annotations == (tmp_path / folder / "480p/a/00000.png",)


def test_youtube_vos_and_davis_like(tmp_path):
    (tmp_path / "Annotations/v").mkdir(parents=True)
    (tmp_path / "Annotations/v/00000.png").touch()
    (tmp_path / "meta.json").write_text(
        '{"videos": {"v": {"objects": {"1": {"category": "dog"}, "2": {}}}}}'
    )
    (youtube,) = list_sequences("youtube_vos", tmp_path, images=False)
    assert youtube.categories == {1: "dog"}
    (plain,) = list_sequences("davis_like", tmp_path, images=False)
    assert plain.annotations == youtube.annotations


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match="davis_valid.*davis_val"):
        named_set("davis_valid")


def test_without_a_root_the_usual_one_is_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAMED_SETS["davis_like"].root / "Annotations/v").mkdir(parents=True)
    (tmp_path / "data/Annotations/v/0.png").touch()
    assert list_sequences("davis_like", images=False)[0].name == "v"
