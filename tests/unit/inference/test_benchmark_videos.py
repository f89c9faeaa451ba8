"""Which frames and prompts a benchmark's videos have, from official folders and records."""

import numpy as np
import pytest

from data_prep import davis as prepare_davis
from tests.tiny_benchmarks import moving_blocks, write_davis, write_youtube_vos
from vos_jax.core.errors import ConfigError, MissingInputError
from vos_jax.inference.benchmark_videos import benchmark_videos, listed_only, named_only

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


@pytest.mark.parametrize("dataset", ["davis_unsupervised", "davis_val"])
@pytest.mark.parametrize("prepared", [False, True])
def test_systems_that_find_objects_get_every_frame(tmp_path, dataset, prepared):
    root = write_davis(tmp_path / "DAVIS", annotated=(2,))
    if prepared:
        out = tmp_path / "prepared"
        arguments = ("--root", root, "--year", 2017, "--split", "val", "--output", out)
        assert prepare_davis.main([str(argument) for argument in arguments]) == 0
        root = out
    for video in benchmark_videos(dataset, root, prompted=False):
        assert video.length == 4
        assert [name for name, _ in video.frames()] == [f"{t:05d}" for t in range(4)]
    videos = named_only(benchmark_videos(dataset, root, prompted=False), ["cat"])
    assert [video.name for video in videos] == ["cat"]


def test_benchmarks_that_cannot_be_run(tmp_path):
    with pytest.raises(ConfigError, match="gives no masks to start from"):
        benchmark_videos("davis_unsupervised", tmp_path)
    with pytest.raises(MissingInputError, match="ImageSets"):
        benchmark_videos("davis_val", tmp_path)
    root = write_davis(tmp_path, ("boat",), annotated=())
    (video,) = benchmark_videos("davis_val", root)
    with pytest.raises(MissingInputError, match="boat: no frame has a mask"):
        video.prompts()


@pytest.mark.parametrize("first", [0, 1, 3])
def test_frames_before_the_first_mask_are_left_out(tmp_path, first):
    root = write_youtube_vos(tmp_path, annotated=(first, 3))
    (video,) = benchmark_videos("youtube_vos", root)
    names = [f"{t:05d}" for t in range(first, 4)]
    assert video.length == len(names)
    assert [name for name, _ in video.frames()] == names
    assert list(video.prompts()) == sorted({0, 3 - first})
    np.testing.assert_array_equal(video.prompts()[3 - first], LABELS[3])


def test_a_prepared_set_begins_with_the_first_mask_too(tmp_path):
    root, out = write_davis(tmp_path / "DAVIS", annotated=(2, 3)), tmp_path / "prepared"
    arguments = ["--root", root, "--year", 2017, "--split", "val", "--output", out]
    assert prepare_davis.main([str(argument) for argument in arguments]) == 0
    for videos in (benchmark_videos("davis_val", root), benchmark_videos("davis_val", out)):
        assert [name for name, _ in videos[0].frames()] == ["00002", "00003"]
        assert videos[0].length == 2 and list(videos[0].prompts()) == [0]


def test_all_frames_of_youtube_vos_and_those_an_upload_must_hold(tmp_path):
    root = write_youtube_vos(tmp_path, annotated=(1, 3), listed=(1, 3, 7), count=9)
    (few,) = benchmark_videos("youtube_vos", root)
    (every,) = benchmark_videos("youtube_vos", root, all_frames=True)
    assert [name for name, _ in few.frames()] == ["00001", "00003", "00007"]
    assert [name for name, _ in every.frames()] == [f"{t:05d}" for t in range(1, 8)]
    assert few.listed == {0: "00001", 1: "00003", 2: "00007"}
    assert every.listed == {0: "00001", 2: "00003", 6: "00007"}
    assert list(few.prompts()) == [0, 1] and list(every.prompts()) == [0, 2]
    assert every.wanted is None and listed_only([every])[0].wanted == every.listed


def test_only_frames_asked_for_are_read(tmp_path):
    (video, _) = benchmark_videos("davis_val", write_davis(tmp_path))
    (tmp_path / "JPEGImages" / "480p" / "boat" / "00001.jpg").write_bytes(b"")
    pixels = dict(video.frames({0, 2, 3}))
    assert pixels["00001"] is None and pixels["00002"].shape == (32, 48, 3)


def test_what_only_an_official_youtube_vos_folder_can_give(tmp_path):
    root = write_davis(tmp_path, ("boat",))
    with pytest.raises(ConfigError, match="davis_val of .* leave out --all_frames"):
        benchmark_videos("davis_val", root, all_frames=True)
    with pytest.raises(ConfigError, match="boat: nothing says.*leave out --required_only"):
        listed_only(benchmark_videos("davis_val", root))
