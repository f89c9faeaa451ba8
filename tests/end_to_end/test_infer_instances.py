"""The infer command with a system that finds objects itself: a toy that knows colours."""

import json
import zipfile

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.infer_calls import call, write_workdir
from tests.toy_windows import ToyWindows, blocks
from tests.unit.io.test_videos import write_images, write_mp4
from vos_jax import evaluate
from vos_jax.core.commands import run_command
from vos_jax.io.images import read_image, read_mask
from vos_jax.io.videos import open_video
from vos_jax.systems import registry

LENGTH = 7
SIZE = (32, 48)
NAMES = [f"{t:05d}" for t in range(LENGTH)]

pytestmark = pytest.mark.usefixtures("private_cache")


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The toy among the systems."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.SYSTEMS, "toy_windows", registry.Entry(ToyWindows, None))
        yield


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A workdir as training leaves it."""
    folder = tmp_path_factory.mktemp("workdir")
    names = ["redness", "greenness", "blueness"]
    params = {"scale": np.float32(1)}
    return write_workdir(folder, "toy_windows", {}, params, class_names=names)


def colours(length: int = LENGTH) -> np.ndarray:
    """Which of red, green, blue a pixel is, counted from 1; 0 is grey."""
    clip = blocks(length).astype(int)
    return np.where(clip.max(-1) > 200, 1 + clip.argmax(-1), 0)


def vis_root(root, lengths=(LENGTH, 3)):
    """A YouTube-VIS folder whose validation videos 3 and 4 show the blocks, with their truth."""
    videos, tracks = [], []
    (root / "valid/JPEGImages").mkdir(parents=True)
    for number, length in enumerate(lengths, 3):
        files = [f"v{number}/{name}.png" for name in NAMES[:length]]
        write_images(root / "valid/JPEGImages" / f"v{number}", blocks(length), NAMES[:length])
        size = {"height": SIZE[0], "width": SIZE[1], "length": length}
        videos.append({"id": number, "file_names": files, **size})
        for colour in (1, 2, 3):
            masks = [np.asfortranarray(m == colour).view(np.uint8) for m in colours(length)]
            codes = [coco_mask.encode(mask) if mask.any() else None for mask in masks]
            for code in filter(None, codes):
                code["counts"] = code["counts"].decode()
            areas = [int(mask.sum()) or None for mask in masks]
            if not any(areas):
                continue
            about = {"id": len(tracks) + 1, "video_id": number, "category_id": colour}
            tracks.append(about | {"iscrowd": 0, "areas": areas, "segmentations": codes})
    categories = [{"id": n, "name": name} for n, name in enumerate("rgb", 1)]
    content = {"videos": videos, "categories": categories, "annotations": tracks}
    (root / "valid/instances.json").write_text(json.dumps(content))
    return root


def test_objects_of_a_video_are_found_tracked_and_named(workdir, tmp_path, capsys):
    write_images(tmp_path / "frames", blocks(LENGTH), NAMES)
    out = tmp_path / "out"
    assert call(workdir, "--video", tmp_path / "frames", "--output", out) == 0
    said = capsys.readouterr().out
    assert "3 instances: redness " in said and "blueness" in said and f"{LENGTH} frames" in said
    records = json.loads((out / "results.json").read_text())
    colour = {rank: record["category_id"] for rank, record in enumerate(records, 1)}
    assert sorted(colour.values()) == [1, 2, 3]
    assert max(record["score"] for record in records) == 1
    table = np.array([0, *colour.values()])
    for t, expected in enumerate(colours()):
        labels = read_mask(out / "masks" / f"{NAMES[t]}.png")
        assert (table[labels] != expected).mean() < 0.02
        for record in records:
            assert record["video_id"] == 1 and len(record["segmentations"]) == LENGTH
            mask = coco_mask.decode(record["segmentations"][t])
            assert ((expected == record["category_id"]) != mask).mean() < 0.02
    assert len(list(open_video(out / "overlay.mp4"))) == LENGTH


def test_a_video_file_shorter_than_a_clip_and_no_overlay(workdir, tmp_path):
    write_mp4(tmp_path / "clip.mp4", blocks(3))
    out = tmp_path / "out"
    arguments = ("--video", tmp_path / "clip.mp4", "--output", out, "--no_overlay")
    assert call(workdir, *arguments) == 0
    assert sorted(path.name for path in out.iterdir()) == ["masks", "results.json"]
    assert len(list((out / "masks").iterdir())) == 3


def test_a_video_with_nothing_in_it_has_empty_results(workdir, tmp_path, capsys):
    write_images(tmp_path / "frames", np.full((5, *SIZE, 3), 90, np.uint8), NAMES[:5])
    out = tmp_path / "out"
    assert call(workdir, "--video", tmp_path / "frames", "--output", out) == 0
    assert "0 instances" in capsys.readouterr().out
    assert json.loads((out / "results.json").read_text()) == []
    assert not any(read_mask(path).any() for path in (out / "masks").glob("*.png"))
    assert len(list((out / "masks").iterdir())) == 5


def test_more_instances_than_are_kept(workdir, tmp_path):
    write_images(tmp_path / "frames", blocks(LENGTH), NAMES)
    arguments = ("--video", tmp_path / "frames", "--no_overlay", "--output", tmp_path / "out")
    assert call(workdir, *arguments, "--max_tracks", "2", "--max_clusters", "3") == 0
    assert len(json.loads((tmp_path / "out/results.json").read_text())) == 2


def test_youtube_vis_results_are_gathered_zipped_scored_and_not_done_again(
    workdir, tmp_path, capsys
):
    root, out = vis_root(tmp_path / "vis"), tmp_path / "out"
    arguments = ("--dataset", "ytvis19_val", "--data_root", root, "--output", out, "--save_vis")
    assert call(workdir, *arguments) == 0
    records = json.loads((out / "results.json").read_text())
    assert [record["video_id"] for record in records] == [3] * 3 + [4] * 3
    with zipfile.ZipFile(out / "results.zip") as archive:
        assert archive.namelist() == ["results.json"]
        assert json.loads(archive.read("results.json")) == records
    for number, length in ((3, LENGTH), (4, 3)):
        shown = sorted((out / "vis" / str(number)).iterdir())
        assert [path.name for path in shown] == [f"{name}.jpg" for name in NAMES[:length]]
        plain = read_image(root / f"valid/JPEGImages/v{number}/00001.png").astype(int)
        drawn = np.abs(read_image(shown[1]).astype(int) - plain).max(-1) > 40
        assert drawn[colours(length)[1] > 0].mean() > 0.5 > drawn[18:, :16].mean()
    before = (out / "3.json").stat().st_mtime_ns
    capsys.readouterr()
    assert call(workdir, *arguments) == 0
    assert "2 of 2 videos are done already" in capsys.readouterr().out
    assert (out / "3.json").stat().st_mtime_ns == before
    scored = ["--dataset", "ytvis19_val", "--results", str(out), "--data_root", str(root)]
    assert run_command(evaluate.main, scored) == 0
    table = (out / "global_results-valid.csv").read_text().splitlines()
    assert table[0].startswith("class,AP,AP50,AP75,AP_small,AP_medium,AP_large,AR1,AR10,AR100")
    assert [row.split(",")[0] for row in table[1:]] == ["all", "r", "g", "b"]
    assert float(table[1].split(",")[2]) == 1.0


def test_videos_may_be_named(workdir, tmp_path):
    root, out = vis_root(tmp_path / "vis"), tmp_path / "out"
    arguments = ("--dataset", "ytvis19_val", "--data_root", root, "--output", out)
    assert call(workdir, *arguments, "--seqs", "4") == 0
    assert not (out / "3.json").exists()
    assert {r["video_id"] for r in json.loads((out / "results.json").read_text())} == {4}
    assert call(workdir, *arguments) == 0
    assert {r["video_id"] for r in json.loads((out / "results.json").read_text())} == {3, 4}
    assert call(workdir, *arguments, "--seqs", "4", "--save_vis") == 0
    assert [path.name for path in (out / "vis").iterdir()] == ["4"]
    assert len(list((out / "vis/4").iterdir())) == 3


def test_davis_style_results_are_ranked_pngs(workdir, tmp_path):
    (tmp_path / "set/JPEGImages").mkdir(parents=True)
    for name in ("a", "b"):
        write_images(tmp_path / "set/JPEGImages" / name, blocks(5), NAMES[:5])
    arguments = ("--dataset", "davis_like", "--data_root", tmp_path / "set")
    assert call(workdir, *arguments, "--output", tmp_path / "out") == 0
    for name in ("a", "b"):
        labels = [read_mask(tmp_path / "out" / name / f"{t}.png") for t in NAMES[:5]]
        assert set(np.unique(labels)) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--video", "v", "--masks", "m.png", "--output", "o"), "--masks: not with this system"),
        (("--video", "v", "--output", "o", "--flip"), "--flip: not with this system"),
        (("--video", "v"), "needs --output"),
        (("--video", "v", "--output", "o", "--save_vis"), "--seqs are for --dataset"),
        (("--video", "v", "--output", "o", "--max_tracks", "300"), "max_tracks=300"),
        (("--video", "v", "--output", "o", "--overlap", "4"), "overlap=4: windows of 4 frames"),
        (("--dataset", "ytvis21_val", "--data_root", "."), "has none of valid/instances.json"),
        (("--dataset", "ytvis21_val", "--data_root", "vis"), "no frames of 1 of 2 videos"),
        (("--dataset", "davis_like", "--data_root", "d", "--seqs", "b"), "--seqs b: no such video"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_one_line(workdir, tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "v", blocks(1), ["0"])
    vis_root(tmp_path / "vis", (2, 2))
    (tmp_path / "d/JPEGImages/a").mkdir(parents=True)
    write_images(tmp_path / "d/JPEGImages/a", blocks(1), ["0"])
    (tmp_path / "vis/valid").rename(tmp_path / "vis/val")
    for path in (tmp_path / "vis/val/JPEGImages/v4").iterdir():
        path.unlink()
    assert call(workdir, *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and error.startswith("error: ") and "\n" not in error
