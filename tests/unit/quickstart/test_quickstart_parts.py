"""The quickstart's parts: the journal of steps, the copied masks, pictures, the page."""

import base64
import html.parser
import json
import re

import cv2
import numpy as np
import pytest

from data_prep.moving_objects import make_videos, write_davis_layout
from vos_jax.core.errors import ConfigError, OutputError, VosError
from vos_jax.io.images import read_mask
from vos_jax.io.videos import open_video
from vos_jax.quickstart.__main__ import main
from vos_jax.quickstart.clips import copy_first_masks, held_out, read_clip
from vos_jax.quickstart.journal import FILE, Journal, Step, total_seconds
from vos_jax.quickstart.page import write_page
from vos_jax.quickstart.pictures import read_metrics, sheet, write_curve, write_video
from vos_jax.quickstart.scores import Scores, machine, read_scores

SETTINGS = {"seed": 0, "steps": 5}


class TestJournal:
    def test_steps_are_done_once(self, tmp_path):
        done = []
        for _ in range(2):
            journal = Journal(tmp_path / "out", SETTINGS)
            journal.do("first", lambda: done.append(1))
            journal.do("second", lambda: done.append(2), "scripts/second")
        assert done == [1, 2]
        assert [(s.name, s.command) for s in journal.steps] == [
            ("first", ""),
            ("second", "scripts/second"),
        ]

    def test_commands_run_as_modules_and_are_shown(self, tmp_path, capfd):
        journal = Journal(tmp_path, SETTINGS)
        journal.run("list", "json.tool", "--help")
        assert journal.steps[0].command == "python -m json.tool --help"
        assert journal.steps[0].seconds > 0
        assert "== list\n   python -m json.tool --help\nusage:" in capfd.readouterr().out

    def test_a_failed_command_is_named_and_done_again(self, tmp_path):
        journal = Journal(tmp_path, SETTINGS)
        with pytest.raises(VosError, match="break: `python -m json.tool nowhere` ended with"):
            journal.run("break", "json.tool", "nowhere")
        assert Journal(tmp_path, SETTINGS).steps == []

    def test_another_run_s_folder_is_refused(self, tmp_path):
        Journal(tmp_path, SETTINGS)
        with pytest.raises(OutputError, match="--seed 0 --steps 5, not --seed 1 --steps 5"):
            Journal(tmp_path, SETTINGS | {"seed": 1})

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"steps": [{"name": 1}]}'])
    def test_garbage_is_refused(self, tmp_path, content):
        (tmp_path / FILE).write_text(content)
        with pytest.raises(OutputError, match="garbage"):
            Journal(tmp_path, SETTINGS)

    def test_a_place_that_cannot_be_written_is_refused(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="choose another --output"):
            Journal(tmp_path / "file" / "out", SETTINGS)

    def test_times_add_up(self):
        assert total_seconds([Step("a", "", 1.5), Step("b", "", 2.0)]) == 3.5


@pytest.fixture(scope="module")
def davis_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("davis")
    write_davis_layout(make_videos("val", 2, 5, seed=0), root)
    return root


@pytest.fixture(scope="module")
def clips(davis_root, tmp_path_factory):
    copied = tmp_path_factory.mktemp("copied")
    copy_first_masks(davis_root, copied)
    return [read_clip(video, {"copied": copied}) for video in held_out(davis_root)]


def test_every_frame_is_answered_with_the_first_mask(clips, davis_root):
    for clip, video in zip(clips, held_out(davis_root), strict=True):
        assert clip.frames.shape == (5, 96, 128, 3)
        assert (clip.answers["copied"] == read_mask(video.annotations[0])).all()
        assert (clip.answers["truth"][0] == clip.answers["copied"][0]).all()
        assert (clip.answers["truth"][4] != clip.answers["copied"][4]).any()


def test_copies_need_a_place(davis_root, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        copy_first_masks(davis_root, tmp_path / "file")


def test_a_sheet_has_a_row_per_answer_and_first_and_last_frame(clips):
    picture = sheet(clips[0])
    assert picture.shape == (2 * 192 + 4, 4 * 256 + 3 * 4, 3)
    truth, copied = picture[:192], picture[196:]
    assert (truth[:, :256] == copied[:, :256]).all()
    assert (truth[:, -256:] != copied[:, -256:]).any()
    assert (picture[192:196] == 255).all()


def test_the_video_shows_all_frames_side_by_side(clips, tmp_path):
    write_video(tmp_path / "overlay.mp4", clips)
    frames = list(open_video(tmp_path / "overlay.mp4"))
    assert len(frames) == 10
    assert frames[0].shape == (288, 2 * 384 + 4, 3)


LINES = [{"step": 10, "loss": 2.0, "iou": 0.1, "x": 0}, {"step": 20, "loss": 1.0, "iou": 0.5}]


@pytest.mark.parametrize("lines", [LINES, []])
def test_the_curve_is_drawn_from_what_training_logged(tmp_path, lines):
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    metrics = read_metrics(tmp_path)
    assert metrics == {key: [line[key] for line in lines] for key in ("step", "loss", "iou")}
    write_curve(tmp_path / "curve.png", metrics)
    drawn = cv2.imread(str(tmp_path / "curve.png"))
    strong = (np.ptp(drawn.astype(int), axis=-1) > 60).sum()
    assert drawn.shape[:2] == (384, 960)
    assert (strong > 3000) == bool(lines)


def test_scores_are_read_in_percent(tmp_path):
    (tmp_path / "global_results-val.csv").write_text(
        "J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean,F-Recall,F-Decay\n0.5,0.6,1,0,0.4,1,0\n"
    )
    (tmp_path / "per-sequence_results-val.csv").write_text(
        "Sequence,J-Mean,F-Mean\nval_00000_1,0.7,0.5\nval_00000_2,0.5,0.3\n"
    )
    scores = read_scores(tmp_path)
    assert scores.overall == pytest.approx({"J&F": 50, "J": 60, "F": 40})
    assert scores.objects["val_00000_2"] == pytest.approx((50, 30))


def test_the_machine_is_described():
    facts = machine()
    assert "cores" in facts["processor"]
    assert facts["JAX runs on"].startswith("cpu")
    assert re.search(r"Python 3\.\d+.*, jax \d", facts["software"])


class Page(html.parser.HTMLParser):
    """Collects a page's text, its sources and whether its tags are closed."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.sources, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def page(tmp_path, clips):
    (tmp_path / "v.mp4").write_bytes(b"video")
    (tmp_path / "c.png").write_bytes(b"curve")
    write_page(
        tmp_path / "report.html",
        settings={"seed": 3, "steps": 500, "videos": 200, "held_out": 20},
        copied=Scores({"J&F": 43.21, "J": 50.0, "F": 36.4}, {"a_1": (50.0, 36.4)}),
        trained=Scores({"J&F": 80.0, "J": 82.0, "F": 78.0}, {"a_1": (82.0, 78.0)}),
        sheets={"one <clip>": sheet(clips[0])},
        video=tmp_path / "v.mp4",
        curve=tmp_path / "c.png",
        steps=[Step("train", "python -m x --a='<b>'", 61.0), Step("copy", "", 0.5)],
        machine={"processor": "A & B"},
    )
    return Page((tmp_path / "report.html").read_text())


def test_the_page_is_whole_and_carries_its_pictures(page):
    assert page.open == []
    assert len(page.sources) == 3
    contents = [base64.b64decode(re.fullmatch(r"data:\w+/\w+;base64,(.*)", s)[1])
                for s in page.sources]  # fmt: skip
    assert b"video" in contents and b"curve" in contents
    (picture,) = (content for content in contents if content not in (b"video", b"curve"))
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) is not None


@pytest.mark.parametrize(
    "words",
    [
        "43.2",
        "80.0",
        "+36.8",
        "one <clip>",
        "python -m x --a='<b>'",
        "61.5 s",
        "A & B",
        "200",
        "(seed 3)",
    ],
)
def test_the_page_says_what_was_done(page, words):
    assert words in "".join(page.text)


def test_a_page_that_cannot_be_written_is_refused(tmp_path):
    empty = Scores({"J&F": 0.0, "J": 0.0, "F": 0.0}, {})
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(OutputError, match="report"):
        write_page(
            tmp_path / "nowhere" / "report.html",
            settings={"seed": 3, "steps": 1, "videos": 1, "held_out": 1},
            copied=empty,
            trained=empty,
            sheets={},
            video=tmp_path / "x",
            curve=tmp_path / "x",
            steps=[],
            machine={},
        )


@pytest.mark.parametrize("flag", ["--steps", "--videos", "--held_out"])
def test_numbers_that_cannot_work_are_refused(flag, tmp_path):
    with pytest.raises(ConfigError, match=flag):
        main(["--output", str(tmp_path / "out"), flag, "0"])
    assert not (tmp_path / "out").exists()
