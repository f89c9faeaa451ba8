"""The data_prep commands themselves, run as a user runs them, on small folders."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_prep import coco, davis, hodor_json
from tests.official_layouts import LAYOUTS
from tests.prepared_sets import coco_folder, contents, davis_folder
from vos_jax.core.commands import run_command
from vos_jax.data.records import RecordSet

ROOT = Path(__file__).parents[2]


def command(module: str, *flags: object) -> list[str]:
    """The command line of a module."""
    return [sys.executable, "-m", f"data_prep.{module}", *map(str, flags)]


def run(module: str, *flags: object) -> subprocess.CompletedProcess:
    """Runs a command to its end."""
    return subprocess.run(
        command(module, *flags), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def coco_flags(tmp_path):
    """Flags for a small COCO set, without --output."""
    images, annotations = coco_folder(tmp_path / "coco")
    return ["--images", images, "--annotations", annotations]


def test_coco(tmp_path, coco_flags):
    (tmp_path / "coco" / "images" / "000000000003.jpg").write_bytes(b"broken")
    done = run("coco", *coco_flags, "--output", tmp_path / "set", "--shards", 2, "--processes", 2)
    assert done.returncode == 0, done.stderr
    assert "coco train: read 3 frames, wrote 2 of 2 videos" in done.stdout
    assert "rejected 000000000003.jpg: " in done.stdout
    assert "3/3" in done.stderr
    assert "frame/s" in done.stderr
    assert len(RecordSet(tmp_path / "set", "train")) == 2
    report = json.loads((tmp_path / "set" / "report-train.json").read_text())
    assert (report["read"], report["written"], report["shards"]) == (3, 2, 2)
    again = run("coco", *coco_flags, "--output", tmp_path / "set", "--shards", 2)
    assert "2 shards (2 finished before)" in again.stdout


def test_davis(tmp_path):
    root = davis_folder(tmp_path / "davis", 2016)
    flags = ["--root", root, "--year", 2016, "--split", "val", "--output", tmp_path / "set"]
    done = run("davis", *flags, "--processes", 1)
    assert done.returncode == 0, done.stderr
    assert [video.frames for video in RecordSet(tmp_path / "set", "val").videos] == [3, 3]


def test_davis_with_missing_sequences(tmp_path, capsys):
    root = davis_folder(tmp_path / "davis")
    with (root / "ImageSets" / "2017" / "val.txt").open("a") as listing:
        listing.write("horse\nkite\n")
    flags = ["--root", root, "--split", "val", "--output", tmp_path / "set", "--processes", 1]
    flags = [str(flag) for flag in flags]
    assert run_command(davis.main, flags) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "2 of 4 listed sequences: horse, kite" in message
    assert not (tmp_path / "set").exists()
    assert run_command(davis.main, [*flags, "--skip_missing"]) == 0
    assert "rejected JPEGImages/480p/horse: listed but not on disk" in capsys.readouterr().out


def test_hodor_json(tmp_path, capsys):
    images, _ = coco_folder(tmp_path / "coco")
    path = tmp_path / "hodor.json"
    stills = [
        {
            "image_path": f"{n:012d}.jpg",
            "height": 24,
            "width": 32,
            "categories": [],
            "segmentations": [],
        }
        for n in (1, 2)
    ]
    path.write_text(json.dumps({"images": stills}))
    flags = ["--images", images, "--annotations", path, "--output", tmp_path / "set"]
    flags = [str(flag) for flag in [*flags, "--name", "mine", "--split", "all", "--processes", 1]]
    assert run_command(hodor_json.main, flags) == 0
    assert "mine all: read 2 frames" in capsys.readouterr().out
    assert RecordSet(tmp_path / "set", "all").dataset == "mine"


def test_youtube_vos_shrunk_by_two_processes(tmp_path):
    LAYOUTS["youtube_vos"].build(tmp_path / "source")
    (tmp_path / "names.json").write_text('["sea", "air"]')
    flags = ["--root", tmp_path / "source", "--videos", tmp_path / "names.json", "--shards", 2]
    flags += ["--short_side", 48, "--output", tmp_path / "set"]
    done = run("youtube_vos", *flags, "--processes", 2)
    assert done.returncode == 0, done.stderr
    assert "youtube_vos_2019_48p train: read 8 frames, wrote 8 of 2 videos" in done.stdout
    found = RecordSet(tmp_path / "set", "train").videos
    assert [video.size for video in found] == [(48, 64), (48, 64)]
    (tmp_path / "source/train/Annotations/sea/00002.png").unlink()
    failed = run("youtube_vos", *flags, "--processes", 1)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ")
    assert "sea/00002.png: not there" in failed.stderr


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.2])
def test_killed_and_run_again(tmp_path, moment):
    names = tuple(f"sequence{number:02d}" for number in range(40))
    root = davis_folder(tmp_path / "davis", names=names)
    flags = ["--root", root, "--split", "val", "--shards", 20]
    run("davis", *flags, "--output", tmp_path / "whole", "--processes", 1)
    process = subprocess.Popen(
        command("davis", *flags, "--output", tmp_path / "set", "--processes", 1),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "set").glob("*tfrecord*")) and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(moment)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert run("davis", *flags, "--output", tmp_path / "set", "--processes", 1).returncode == 0
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


def test_output_that_cannot_be_written(tmp_path, coco_flags, capsys):
    (tmp_path / "file").write_text("in the way")
    flags = [*map(str, coco_flags), "--output", str(tmp_path / "file" / "set")]
    assert run_command(coco.main, flags) == 2
    assert "error: " in (message := capsys.readouterr().err)
    assert "cannot be written (Not a directory): choose another --output" in message


@pytest.mark.parametrize("module", [coco, davis, hodor_json])
def test_help_teaches_with_an_example(module, capsys):
    with pytest.raises(SystemExit) as ended:
        module.main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "example: python -m data_prep." in text
    for flag in ("--output", "--shards", "--processes", "--split"):
        assert flag in text


def test_reading_needs_neither_tfds_nor_tensorflow(tmp_path):
    """A process that can import neither reads what the command wrote."""
    root = davis_folder(tmp_path / "davis", names=("bear",))
    flags = ["--root", root, "--split", "val", "--output", tmp_path / "set", "--processes", 1]
    assert run("davis", *flags).returncode == 0
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'tensorflow_datasets', 'google.protobuf', 'grain', 'jax'):\n"
        "    sys.modules[name] = None\n"
        "from vos_jax.data.records import RecordSet\n"
        "print(len(RecordSet(sys.argv[1], 'val').frame('bear', 2).image))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "set"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    expected = (root / "JPEGImages" / "480p" / "bear" / "00002.jpg").stat().st_size
    assert done.stdout.strip() == str(expected), done.stderr
