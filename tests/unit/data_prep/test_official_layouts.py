"""Every data set's official layout to records: what is kept, missing, corrupt, resumed."""

import json
import pickle
import shutil

import numpy as np
import pytest

from data_prep.write import write_split
from tests.official_layouts import LAYOUTS
from tests.prepared_sets import contents
from vos_jax.core.commands import run_command
from vos_jax.core.errors import MissingInputError
from vos_jax.data.planes import object_planes
from vos_jax.data.records import RecordSet

REQUIRED = [(name, path) for name, layout in LAYOUTS.items() for path in layout.required]


@pytest.fixture(params=LAYOUTS)
def layout(request):
    """One layout after the other."""
    return LAYOUTS[request.param]


@pytest.fixture
def expected(layout, tmp_path):
    """The frames by video that the layout, built in `source`, holds."""
    return layout.build(tmp_path / "source")


def write(layout, folder, shards=None):
    """Plans and writes; returns (report, records)."""
    plan = layout.plan(folder / "source")
    report = write_split(plan, folder / "set", shards)
    return report, RecordSet(folder / "set", plan.split)


def test_everything_is_kept(layout, expected, tmp_path):
    report, found = write(layout, tmp_path)
    images = tmp_path / "source" / layout.images
    assert (found.dataset, report.rejected) == (layout.dataset, [])
    assert [video.name for video in found.videos] == list(expected)
    assert report.written == sum(map(len, expected.values())) == len(found)
    for name, frames in expected.items():
        for t, wanted in enumerate(frames):
            frame = found.frame(name, t)
            assert (frame.video, frame.time, frame.source) == (name, t, wanted.source)
            assert frame.image == (images / wanted.source).read_bytes()
            assert frame.annotated == (wanted.objects is not None)
            objects = wanted.objects or {}
            assert sorted(frame.objects.ids.tolist()) == sorted(objects)
            for i, plane, category, area in zip(
                frame.objects.ids.tolist(),
                object_planes(frame),
                frame.objects.categories.tolist(),
                frame.objects.areas.tolist(),
                strict=True,
            ):
                np.testing.assert_array_equal(plane, objects[i])
                assert category == wanted.categories.get(i, 0)
                assert area == objects[i].sum()
            assert wanted.kept is None or frame.mask == wanted.kept.read_bytes()


def test_names_of_categories(layout, expected, tmp_path):
    write(layout, tmp_path)
    found = json.loads((tmp_path / "set" / "metadata.json").read_text())["categories"]
    assert found == {str(number): name for number, name in layout.names.items()}


@pytest.mark.parametrize(("name", "path"), REQUIRED)
def test_what_is_missing_is_named(name, path, tmp_path):
    layout, source = LAYOUTS[name], tmp_path / "source"
    layout.build(source)
    plan = layout.plan(source)
    gone = source / path
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    with pytest.raises(MissingInputError) as caught:
        layout.plan(source)
    message = str(caught.value)
    assert str(source) in message
    assert path in message or (str(gone.parent) in message and gone.stem in message)
    assert len(plan.videos) > 0


def test_a_corrupt_image_is_rejected_and_counted(layout, expected, tmp_path):
    name, frames = next(iter(expected.items()))
    path = tmp_path / "source" / layout.images / frames[-1].source
    path.write_bytes(path.read_bytes()[:100])
    report, found = write(layout, tmp_path)
    total = sum(map(len, expected.values()))
    assert [source for source, _ in report.rejected] == [frames[-1].source]
    assert str(path) in report.rejected[0][1]
    assert (report.read, report.written, len(found)) == (total, total - 1, total - 1)


def test_a_second_run_goes_on_where_the_first_was_stopped(layout, expected, tmp_path):
    write(layout, tmp_path, shards=2)
    whole = contents(tmp_path / "set")
    assert write(layout, tmp_path, shards=2)[0].shards_kept == 2
    (lost,) = (tmp_path / "set").glob("*.tfrecord-00001-of-00002")
    lost.unlink()
    assert write(layout, tmp_path, shards=2)[0].shards_kept == 1
    assert contents(tmp_path / "set") == whole


def test_plans_pickle(layout, expected, tmp_path):
    plan = layout.plan(tmp_path / "source")
    again = pickle.loads(pickle.dumps(plan.videos))
    assert again == list(plan.videos)
    frames = [repr(frame) for video in plan.videos for frame in video.frames()]
    assert [repr(frame) for video in again for frame in video.frames()] == frames


def test_the_command_writes_the_same_set(layout, expected, tmp_path, capsys):
    write(layout, tmp_path)
    module, *flags = layout.command
    flags = [flag.format(root=tmp_path / "source") for flag in flags]
    flags += ["--output", str(tmp_path / "commanded"), "--processes", "1"]
    assert run_command(module.main, flags) == 0
    assert contents(tmp_path / "commanded") == contents(tmp_path / "set")
    total = sum(map(len, expected.values()))
    assert (
        f"read {total} frames, wrote {total} of {len(expected)} videos" in capsys.readouterr().out
    )


@pytest.mark.parametrize("module", sorted({case.command[0].__name__ for case in LAYOUTS.values()}))
def test_help_teaches_with_an_example(module, capsys):
    main = next(c.command[0].main for c in LAYOUTS.values() if c.command[0].__name__ == module)
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"example: python -m {module} --" in text
    for flag in ("--root", "--output", "--shards", "--processes", "--split"):
        assert flag in text
