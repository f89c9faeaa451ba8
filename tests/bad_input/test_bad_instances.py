"""What is wrong with files of video instances is said in one line by what reads them."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from vos_jax import evaluate
from vos_jax.core.commands import run_command

SIZE = (6, 8)


def code(**changes):
    packed = coco_mask.encode(np.ones(SIZE, np.uint8, order="F"))
    return {"size": list(SIZE), "counts": packed["counts"].decode()} | changes


def truth(**changes):
    """One video of two frames with one track."""
    video = {"id": 1, "height": 6, "width": 8, "file_names": ["v/0.jpg", "v/1.jpg"]}
    track = {"id": 1, "video_id": 1, "category_id": 2, "segmentations": [code(), None]}
    content = {"videos": [video], "categories": [{"id": 2, "name": "cat"}], "annotations": [track]}
    return content | changes


def result(**changes):
    whole = {"video_id": 1, "category_id": 2, "score": 0.5, "segmentations": [code(), None]}
    return whole | changes


def score(tmp_path, capsys, true, results, *more):
    """Exit code and what was said on stderr and stdout."""
    (tmp_path / "truth.json").write_text(json.dumps(true))
    (tmp_path / "results.json").write_text(json.dumps(results))
    files = ["--results", str(tmp_path), "--data_root", str(tmp_path / "truth.json")]
    done = run_command(evaluate.main, ["--dataset", "ytvis21_val", *files, *more])
    said = capsys.readouterr()
    return done, said.err, said.out


@pytest.mark.parametrize(
    "true, results, says",
    [
        (truth(), [result(video_id=7)], "video_id 7 is not among the videos"),
        (truth(videos=[]), [], "video_id 1 is not among the videos"),
        (truth(), [result(segmentations=[code()])], "2 frames, an instance 1 segmentations"),
        (truth(), [result(segmentations=[code(size=[8, 6]), None])], "is 8x6, a mask 6x8"),
        (truth(), [{"video_id": 1}], "cannot be scored ('category_id')"),
        (truth(), {"results": []}, "not a list of instances"),
        (truth(annotations=[]), [], "holds no annotations to score results with"),
        ([], [], "is not YouTube-VIS JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_cannot_be_scored(tmp_path, capsys, true, results, says):
    done, error, _ = score(tmp_path, capsys, true, results)
    assert done == 2 and error.startswith("error: ")
    assert says in error and ".json" in error and error.count("\n") == 1
    assert not (tmp_path / "global_results-valid.csv").exists()


def test_no_results_score_zero_and_videos_may_have_none(tmp_path, capsys):
    done, _, said = score(tmp_path, capsys, truth(), [])
    assert done == 0 and "0 instances of 1 videos" in said
    assert (tmp_path / "global_results-valid.csv").read_text().splitlines()[1].startswith("all,0.0")


def test_results_that_are_the_truth_score_one(tmp_path, capsys):
    assert score(tmp_path, capsys, truth(), [result()])[0] == 0
    rows = (tmp_path / "global_results-valid.csv").read_text().splitlines()
    assert rows[1].startswith("all,1.000,1.000") and rows[2].startswith("cat,1.000,1.000")


def test_tracks_have_one_protocol_and_files_must_be_there(tmp_path, capsys):
    done, error, _ = score(tmp_path, capsys, truth(), [], "--protocol", "unsupervised")
    assert done == 2 and "--protocol is not for ytvis21_val" in error
    arguments = ["--dataset", "ytvis21_val", "--data_root", str(tmp_path / "truth.json")]
    assert run_command(evaluate.main, [*arguments, "--results", str(tmp_path / "no.json")]) == 2
    assert "no.json: no such file" in capsys.readouterr().err
