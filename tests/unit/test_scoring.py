"""Scoring a folder of results against sequences."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.result_sets import squares, two_objects, write_davis, write_results, write_video
from vos_jax.core.errors import ConfigError
from vos_jax.io.images import write_mask
from vos_jax.io.named_sets import list_sequences
from vos_jax.metrics.region_boundary import boundary_radius, object_scores
from vos_jax.scoring import core_count, score_sequences


@pytest.fixture
def folders(tmp_path):
    """Truth and results of two sequences."""
    write_davis(tmp_path / "truth")
    write_results(tmp_path / "results")
    return tmp_path / "truth", tmp_path / "results"


def sequences_of(root, name="davis_val"):
    """The sequences of the truth."""
    return list_sequences(name, root, images=False)


def rows(videos):
    """All numbers of the scores, by object."""
    return {(name, s.number): (s.j.tolist(), s.f.tolist()) for name, v in videos.items() for s in v}


def test_values_are_those_of_the_frames_without_the_ends(folders):
    truth, results = folders
    videos = score_sequences(sequences_of(truth), results, "semi_supervised", processes=1)
    assert list(videos) == ["b", "a"]
    frames = [(two_objects(t), two_objects(t, 3)) for t in range(1, 5)]
    radius = boundary_radius(frames[0][0].shape)
    expected = [object_scores(*frame, [1, 2], radius) for frame in frames]
    for row, scores in enumerate(videos["b"]):
        assert scores.j.tolist() == [j[row] for j, _ in expected]
        assert scores.f.tolist() == [f[row] for _, f in expected]


def test_several_processes_give_the_same(folders):
    truth, results = folders
    one, two = (
        score_sequences(sequences_of(truth), results, "semi_supervised", processes=n)
        for n in (1, 2)
    )
    assert rows(one) == rows(two) and list(one) == list(two)


def test_progress_tells_the_frames_of_each_sequence(folders):
    truth, results = folders
    told = []
    score_sequences(
        sequences_of(truth), results, "semi_supervised", processes=1, progress=told.append
    )
    assert told == [4, 3]


@pytest.mark.parametrize(
    "protocol, skip_ends, frames",
    [
        ("semi_supervised", None, 4),
        ("semi_supervised", False, 6),
        ("single_object", None, 4),
        ("unsupervised", None, 6),
        ("unsupervised", True, 4),
        ("youtube_vos", None, 4),
        ("youtube_vos", False, 6),
    ],
)
def test_frames_that_count(folders, protocol, skip_ends, frames):
    truth, results = folders
    videos = score_sequences(
        sequences_of(truth), results, protocol, skip_ends=skip_ends, processes=1
    )
    assert {len(s.j) for s in videos["b"]} == {frames}


def test_results_of_the_ends_are_not_needed(folders):
    truth, results = folders
    for name in ("00000.png", "00005.png"):
        os.remove(results / "b" / name)
    score_sequences(sequences_of(truth), results, "semi_supervised", processes=1)


@pytest.mark.parametrize("place", ["results", "Annotations"])
def test_results_in_the_folder_that_infer_writes(folders, place):
    truth, results = folders
    expected = score_sequences(sequences_of(truth), results, "semi_supervised", processes=1)
    shutil.move(results, truth / "out" / place)
    found = score_sequences(sequences_of(truth), truth / "out", "semi_supervised", processes=1)
    assert rows(found) == rows(expected)


def test_the_number_of_objects_is_that_of_the_first_annotation(tmp_path):
    truth = [squares((1, 0, 0), (3, 20, 20)), squares((1, 0, 0)), squares((4, 0, 0)), squares()]
    write_video(tmp_path / "truth/Annotations", "v", truth)
    write_video(tmp_path / "results", "v", [squares((3, 0, 0))] * 4)
    (video,) = score_sequences(
        sequences_of(tmp_path / "truth", "davis_like"),
        tmp_path / "results",
        "semi_supervised",
        processes=1,
    ).values()
    assert [s.object_id for s in video] == [1, 2, 3]
    assert [s.j.tolist() for s in video] == [[0, 1], [1, 1], [0, 0]]


def test_void_in_the_first_annotation_is_no_object(tmp_path):
    frames = [squares((1, 0, 0), (255, 20, 20))] * 3
    write_video(tmp_path / "truth/Annotations", "v", frames)
    write_video(tmp_path / "results", "v", [squares((1, 0, 0))] * 3)
    (video,) = score_sequences(
        sequences_of(tmp_path / "truth", "davis_like"),
        tmp_path / "results",
        "semi_supervised",
        processes=1,
    ).values()
    assert [s.j.tolist() for s in video] == [[1.0]]


def test_single_object_takes_grey_masks_and_merges_objects(tmp_path):
    write_davis(tmp_path, 2016, lengths=(4,))
    for path in (tmp_path / "Annotations/480p/b").iterdir():
        labels = np.array(Image.open(path))
        Image.fromarray((labels > 0).astype(np.uint8) * 255).save(path)
    write_results(tmp_path / "results", shift=0, lengths=(4,))
    for name, value in (("00001.png", 255), ("00002.png", 1)):
        mask = (two_objects(int(name[4])) > 0).astype(np.uint8) * np.uint8(value)
        Image.fromarray(mask).save(tmp_path / "results/b" / name)
    videos = score_sequences(
        sequences_of(tmp_path, "davis2016_val"), tmp_path / "results", "single_object", processes=1
    )
    assert rows(videos) == {("b", 1): ([1.0, 1.0], [1.0, 1.0])}


def test_only_annotated_frames_count(folders):
    truth, results = folders
    os.remove(truth / "Annotations/480p/b/00002.png")
    write_mask(results / "b/00099.png", two_objects(0))
    videos = score_sequences(sequences_of(truth), results, "semi_supervised", processes=1)
    assert len(videos["b"][0].j) == 3


def test_an_unknown_protocol_is_refused(folders):
    with pytest.raises(ConfigError, match="interactive"):
        score_sequences(sequences_of(folders[0]), folders[1], "interactive")


def test_there_is_a_core():
    assert core_count() >= 1
