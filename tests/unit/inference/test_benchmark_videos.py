"""Which frames and prompts a benchmark's videos have, from official folders and records."""

import numpy as np
import pytest

from data_prep import davis as prepare_davis
from tests.tiny_benchmarks import moving_blocks, write_davis, write_youtube_vos
from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.inference.benchmark_videos import benchmark_videos

LABELS = moving_blocks()[1]


def test_davis_gives_the_first_mask_only(tmp_path):
    root = write_davis(tmp_path, annotated=(0, 1, 3))
    videos = benchmark_videos("davis_val", root)
    assert [(video.name, video.length) for video in videos] == [("boat", 4), ("cat", 4)]
    prompts = videos[0].prompts()
    assert list(prompts) == [0]
    np.testing.assert_array_equal(prompts[0], LABELS[0])
    assert [name for name, _ in videos[0].frames()] == [f"{t:05d}" for t in range(4)]


def test_davis_2016_has_one_object(tmp_path):
    (video,) = benchmark_videos("davis2016_val", write_davis(tmp_path, ("boat",), 2016))
    np.testing.assert_array_equal(video.prompts()[0], LABELS[0] > 0)


def test_youtube_vos_gives_every_mask(tmp_path):
    (video,) = benchmark_videos("youtube_vos", write_youtube_vos(tmp_path))
    prompts = video.prompts()
    assert list(prompts) == [0, 2]
    np.testing.assert_array_equal(prompts[2], LABELS[2])


@pytest.mark.parametrize("year, dataset", [(2017, "davis_val"), (2016, "davis2016_val")])
def test_prepared_set_is_the_official_folder(tmp_path, year, dataset):
    root = write_davis(tmp_path / "DAVIS", year=year, annotated=(0, 2))
    out = tmp_path / "prepared"
    arguments = ["--root", root, "--year", year, "--split", "val", "--output", out]
    assert prepare_davis.main([str(argument) for argument in arguments]) == 0
    official, prepared = benchmark_videos(dataset, root), benchmark_videos(dataset, out)
    assert len(official) == len(prepared) == 2
    for a, b in zip(official, prepared, strict=True):
        assert (a.name, a.length) == (b.name, b.length)
        assert a.prompts().keys() == b.prompts().keys()
        for t, labels in a.prompts().items():
            np.testing.assert_array_equal(labels, b.prompts()[t])
        for (name, pixels), (other, others) in zip(a.frames(), b.frames(), strict=True):
            assert name == other
            np.testing.assert_array_equal(pixels, others)


def test_benchmarks_that_cannot_be_run(tmp_path):
    with pytest.raises(ConfigError, match="gives no masks to start from"):
        benchmark_videos("davis_unsupervised", tmp_path)
    with pytest.raises(MissingInputError, match="ImageSets"):
        benchmark_videos("davis_val", tmp_path)
    root = write_davis(tmp_path, ("boat",), annotated=())
    (video,) = benchmark_videos("davis_val", root)
    with pytest.raises(MissingInputError, match="boat: no frame has a mask"):
        video.prompts()
