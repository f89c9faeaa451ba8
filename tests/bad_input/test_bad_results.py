"""Results that cannot be scored: a named error that says which file, and exit status 2."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.result_sets import squares, write_davis, write_results
from vos_jax.core.commands import run_command
from vos_jax.core.errors import MaskError, MissingInputError, ResultsError
from vos_jax.evaluate import main
from vos_jax.io.images import write_mask
from vos_jax.io.named_sets import list_sequences
from vos_jax.scoring import score_sequences


@pytest.fixture
def folders(tmp_path):
    """Truth and results of two sequences."""
    write_davis(tmp_path / "truth")
    write_results(tmp_path / "results")
    return tmp_path / "truth", tmp_path / "results"


def remove_frame(results):
    """One frame is missing."""
    os.remove(results / "b/00003.png")


def remove_sequence(results):
    """One sequence is missing."""
    shutil.rmtree(results / "a")


def remove_all(results):
    """No sequence is there."""
    for name in ("a", "b"):
        shutil.rmtree(results / name)


def empty_sequence(results):
    """The folder of a sequence is empty."""
    shutil.rmtree(results / "a")
    (results / "a").mkdir()


def other_size(results):
    """A mask has another size than its annotation."""
    write_mask(results / "b/00002.png", np.zeros((48, 63), np.uint8))


def too_many_labels(results):
    """A label is larger than the number of objects."""
    write_mask(results / "b/00002.png", squares((3, 4, 4)))


def void_label(results):
    """A result has the label 255, which no object may have."""
    write_mask(results / "b/00002.png", squares((255, 4, 4)))


def cut_file(results):
    """A file ends early."""
    path = results / "b/00002.png"
    path.write_bytes(path.read_bytes()[:60])


def no_image(results):
    """A file is no image."""
    (results / "b/00002.png").write_text("hello")


def overlay(results):
    """A picture was handed in instead of a mask."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(results / "b/00002.png")


SPOILED = [
    (remove_frame, r"b/00003.png: no such result \(1 of 4 frames"),
    (remove_sequence, "no results for 1 of 2 sequences: a"),
    (remove_all, "no folder of a sequence in it; expected .*results/b"),
    (empty_sequence, r"a/00001.png: no such result \(3 of 3"),
    (other_size, "b/00002.png: the mask is 63x48, its frame 64x48"),
    (too_many_labels, "b/00002.png: has the label 3, but b may have 2"),
    (void_label, "b/00002.png: has the label 255"),
    (cut_file, "b/00002.png: cannot be decoded"),
    (no_image, "b/00002.png: cannot be decoded"),
    (overlay, "b/00002.png: is an RGB image"),
]


@pytest.mark.parametrize("spoil, message", SPOILED, ids=[spoil.__name__ for spoil, _ in SPOILED])
def test_spoiled_results_are_named(folders, spoil, message):
    truth, results = folders
    spoil(results)
    sequences = list_sequences("davis_val", truth, images=False)
    with pytest.raises(ResultsError, match=message):
        score_sequences(sequences, results, "semi_supervised", processes=1)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_command_prints_one_line_and_ends_with_2(folders, capsys, processes):
    truth, results = folders
    too_many_labels(results)
    arguments = ["--dataset", "davis_val", "--data_root", str(truth), "--results", str(results)]
    assert run_command(main, [*arguments, "--processes", processes]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1
    assert "b/00002.png" in printed.err and "Traceback" not in printed.err
    assert not list(results.glob("*.csv"))


def test_a_proposal_above_20_is_refused(tmp_path):
    write_davis(tmp_path, masks="Annotations_unsupervised")
    write_results(tmp_path / "results")
    write_mask(tmp_path / "results/a/00000.png", squares((21, 4, 4)))
    sequences = list_sequences("davis_unsupervised", tmp_path, images=False)
    with pytest.raises(ResultsError, match="a/00000.png: has the label 21, but a may have 20"):
        score_sequences(sequences, tmp_path / "results", "unsupervised", processes=1)


def test_a_broken_annotation_is_not_blamed_on_the_results(folders):
    truth, results = folders
    (truth / "Annotations/480p/b/00002.png").write_text("hello")
    sequences = list_sequences("davis_val", truth, images=False)
    with pytest.raises(MaskError, match="Annotations/480p/b/00002.png"):
        score_sequences(sequences, results, "semi_supervised", processes=1)


def test_a_first_annotation_without_object(folders):
    truth, results = folders
    write_mask(truth / "Annotations/480p/b/00000.png", squares())
    sequences = list_sequences("davis_val", truth, images=False)
    with pytest.raises(MaskError, match="b/00000.png: the first annotation of b shows no object"):
        score_sequences(sequences, results, "semi_supervised", processes=1)


@pytest.mark.parametrize("length", [1, 2])
def test_too_few_annotated_frames(tmp_path, length):
    write_davis(tmp_path, lengths=(length,))
    write_results(tmp_path / "results", lengths=(length,))
    sequences = list_sequences("davis_val", tmp_path, images=False)
    with pytest.raises(MissingInputError, match=f"b: {length} annotated frames are too few"):
        score_sequences(sequences, tmp_path / "results", "semi_supervised", processes=1)


def test_a_results_folder_that_is_not_there(folders):
    truth, results = folders
    sequences = list_sequences("davis_val", truth, images=False)
    with pytest.raises(ResultsError, match="nowhere: no folder of a sequence"):
        score_sequences(sequences, results / "nowhere", "semi_supervised", processes=1)


@pytest.mark.parametrize(
    "extra, message",
    [
        (["--processes", "0"], "--processes 0"),
        (["--data_root", "/nowhere"], "/nowhere"),
    ],
)
def test_bad_arguments(folders, capsys, extra, message):
    truth, results = folders
    arguments = ["--dataset", "davis_val", "--data_root", str(truth), "--results", str(results)]
    assert run_command(main, [*arguments, *extra]) == 2
    assert message in capsys.readouterr().err
