"""Plans: which videos they take, how small they stay, what is wrong with lists and JSON."""

import json
import re
import tracemalloc

import numpy as np
import pytest

from data_prep import bl30k, folder, youtube_vos
from data_prep.folder import plan_folder
from data_prep.mapillary import plan_mapillary
from data_prep.sequences import read_names
from data_prep.stills import plan_stills
from data_prep.write import write_split
from data_prep.youtube_vis import plan_youtube_vis
from data_prep.youtube_vos import plan_youtube_vos
from tests.official_folders import grey, put, put_frame, put_meta
from tests.official_layouts import LAYOUTS
from tests.prepared_sets import edit_json, photograph, square_labels
from vos_jax.core.commands import run_command
from vos_jax.core.errors import AnnotationError, ConfigError, MissingInputError
from vos_jax.data.planes import frame_labels
from vos_jax.data.records import RecordSet
from vos_jax.io.images import encode_mask


@pytest.fixture
def source(tmp_path):
    """A function that builds a layout and returns its root."""

    def build(name):
        LAYOUTS[name].build(tmp_path / "source")
        return tmp_path / "source"

    return build


class TestSmall:
    """A plan holds videos, not frames."""

    @staticmethod
    def kept_bytes(root, videos, frames):
        """Memory that a plan of empty files keeps, and its peak."""
        for name in (
            f"video{number:05d}/{t:05d}" for number in range(videos) for t in range(frames)
        ):
            put(root / f"JPEGImages/{name}.jpg", "")
            put(root / f"Annotations/{name}.png", "")
        plan_folder(root, "train", "warm_up")
        tracemalloc.start()
        plan = plan_folder(root, "train", "big", complete=True)
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sum(video.length for video in plan.videos) == videos * frames
        return kept, peak

    def test_memory_does_not_grow_with_the_frames(self, tmp_path):
        few, _ = self.kept_bytes(tmp_path / "few", 10, 4)
        many, peak = self.kept_bytes(tmp_path / "many", 10, 160)
        assert many < few + 5_000
        assert peak < many + 160 * 2_000

    def test_files_are_listed_when_they_are_needed(self, source):
        root = source("bl30k")
        air, sea = plan_folder(root, "train", "mine").videos
        put(root / "JPEGImages/sea/00009.jpg", photograph(0))
        assert [frame.source[-9:] for frame in sea.frames()][-1] == "00009.jpg"
        (root / "JPEGImages/air/00002.jpg").unlink()
        with pytest.raises(MissingInputError, match="air/00002.png.*no frame of that name"):
            list(air.frames())


class TestLists:
    """--videos."""

    @pytest.mark.parametrize(
        "text", ["b\na\n", "b a", '["b", "a"]', "  b\r\n\r\na\r\n", '\n["b",\n"a"]\n']
    )
    def test_text_and_json(self, tmp_path, text):
        assert read_names(put(tmp_path / "list", text)) == ["b", "a"]
        assert read_names(None) is None

    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ("", "holds no list of video names"),
            ("[]", "holds no list of video names"),
            ("[1, 2]", "holds no list of video names"),
            ('{"train": ["a"]}', "holds no list of video names"),
            ('["a", ', "neither text nor JSON"),
        ],
    )
    def test_unusable_lists(self, tmp_path, text, what):
        with pytest.raises(AnnotationError, match=f"names.txt (is )?{what}"):
            read_names(put(tmp_path / "names.txt", text))

    def test_binary_and_missing_lists(self, tmp_path):
        with pytest.raises(AnnotationError, match="neither text nor JSON"):
            read_names(put(tmp_path / "names.txt", b"\xff\xfe\x00"))
        with pytest.raises(MissingInputError, match="nowhere.*check --videos"):
            read_names(tmp_path / "nowhere")

    @pytest.mark.parametrize(
        ("module", "name"), [(folder, "folder"), (bl30k, "bl30k"), (youtube_vos, "youtube_vos")]
    )
    def test_commands_take_these_videos_only(self, tmp_path, source, capsys, module, name):
        flags = ["--root", source(name), "--output", tmp_path / "set", "--processes", 1]
        flags = [str(flag) for flag in flags]
        chosen = ["--videos", str(put(tmp_path / "list.txt", "sea\n"))]
        assert run_command(module.main, [*flags, *chosen]) == 0
        assert [video.name for video in RecordSet(tmp_path / "set", "train").videos] == ["sea"]
        put(tmp_path / "list.txt", "lake\nsea\npond\n")
        assert run_command(module.main, [*flags, *chosen]) == 2
        assert "2 of 3 chosen videos are not there: lake, pond" in capsys.readouterr().err

    def test_videos_that_are_not_chosen_may_be_missing(self, source):
        root = source("youtube_vos")
        (root / "train/JPEGImages/air").rename(root / "elsewhere")
        with pytest.raises(MissingInputError, match="no folder for 1 of 2 listed sequences: air"):
            plan_youtube_vos(root, 2019, "train")
        assert len(plan_youtube_vos(root, 2019, "train", names=["sea"]).videos) == 1


class TestYoutubeVos:
    """meta.json against the files."""

    def test_listed_frames_must_be_there_in_every_split(self, source):
        root = source("youtube_vos")
        put_meta(root / "train/meta.json", ["00000", "00002", "00007", "00009"])
        with pytest.raises(MissingInputError, match=r"air: no frame 00007, .* \(2 such frames\)"):
            plan_youtube_vos(root, 2019, "train")

    def test_only_training_frames_need_masks(self, source):
        root = source("youtube_vos")
        (root / "train/Annotations/air/00001.png").unlink()
        with pytest.raises(MissingInputError, match=r"air/00001.png: not there.*\(1 such"):
            plan_youtube_vos(root, 2019, "train")
        (root / "train").rename(root / "valid")
        assert len(plan_youtube_vos(root, 2019, "valid").videos) == 2

    def test_masks_between_listed_frames_may_be_missing(self, source):
        root = source("youtube_vos")
        put_meta(root / "train/meta.json", ["00000", "00003"])
        (root / "train/Annotations/air/00001.png").unlink()
        assert plan_youtube_vos(root, 2019, "train").videos[0].length == 4

    def test_objects_that_meta_does_not_name_have_no_category(self, source, tmp_path):
        root = source("youtube_vos")
        edit_json(root / "train/meta.json", lambda m: m["videos"]["air"]["objects"].pop("2"))
        write_split(plan_youtube_vos(root, 2019, "train"), tmp_path / "set")
        frame = RecordSet(tmp_path / "set", "train").frame("air", 0)
        assert frame.objects.ids.tolist() == [1, 2]
        assert frame.objects.categories[0] > 0
        assert frame.objects.categories[1] == 0

    def test_categories_have_the_same_number_in_every_split(self, source):
        root = source("youtube_vos")
        before = plan_youtube_vos(root, 2019, "train").categories
        (one,) = plan_youtube_vos(root, 2018, "train", names=["sea"]).categories.items() - {
            item for item in before.items() if item[1] == "bird"
        }
        assert one in before.items()
        assert one[1] == "earless_seal"


def change_videos(key, value):
    """A change of the first video of a YouTube-VIS file."""
    return lambda content: content["videos"][0].update({key: value})


def change_track(key, value):
    """A change of the first track."""
    return lambda content: content["annotations"][0].update({key: value})


class TestYoutubeVis:
    """The JSON."""

    @pytest.mark.parametrize(
        ("change", "what"),
        [
            (lambda content: content.pop("videos"), "KeyError"),
            (change_videos("file_names", None), "TypeError"),
            (change_videos("height", "tall"), "ValueError"),
            (change_track("segmentations", [None]), "annotation 11: 1 segmentations for 3 frames"),
            (lambda content: content["annotations"][0].pop("video_id"), "KeyError"),
            (lambda content: content["annotations"][0].pop("category_id"), "KeyError"),
            (lambda content: content["categories"][0].pop("name"), "KeyError"),
        ],
    )
    def test_files_that_are_not(self, source, change, what):
        root = source("youtube_vis_2019")
        edit_json(root / "train.json", change)
        with pytest.raises(AnnotationError, match=f"train.json is no YouTube-VIS file .*{what}"):
            plan_youtube_vis(root, 2019, "train")

    @pytest.mark.parametrize(
        ("change", "what"),
        [
            (change_track("segmentations", [[[1, 2]], None, None]), "annotation 11 is unusable"),
            (
                change_track("segmentations", [{"size": [9, 9], "counts": [81]}, None, None]),
                r"its mask is for \[9, 9\]",
            ),
            (change_videos("width", 33), "24x32 pixels .* says 24x33"),
        ],
    )
    def test_bad_frames(self, source, tmp_path, change, what):
        root = source("youtube_vis_2019")
        edit_json(root / "train.json", change)
        report = write_split(plan_youtube_vis(root, 2019, "train"), tmp_path / "set")
        assert report.rejected[0][0] == "air/00000.jpg"
        assert re.search(what, report.rejected[0][1])

    def test_tracks_of_unlisted_videos_are_reported(self, source):
        root = source("youtube_vis_2019")
        edit_json(root / "train.json", change_track("video_id", 99))
        plan = plan_youtube_vis(root, 2019, "train")
        assert plan.rejected == [("annotation 11", "its video 99 is not listed")]

    def test_stated_areas_and_boxes(self, source, tmp_path):
        root = source("youtube_vis_2019")
        edit_json(root / "train.json", change_track("areas", [7, None, None]))
        edit_json(root / "train.json", change_track("bboxes", [[1, 2, 3, 4], None, None]))
        write_split(plan_youtube_vis(root, 2019, "train"), tmp_path / "set")
        found = RecordSet(tmp_path / "set", "train")
        first, third = found.frame("1", 0).objects, found.frame("1", 2).objects
        assert (first.areas[0], first.boxes[0].tolist()) == (7, [1, 2, 3, 4])
        assert (third.areas[0], third.boxes[0].tolist()) == (80, [2, 3, 10, 8])
        assert first.crowds.tolist() == [False, True]

    def test_another_file(self, source, tmp_path):
        root = source("youtube_vis_2019")
        (root / "train.json").rename(tmp_path / "mine.json")
        assert len(plan_youtube_vis(root, 2019, "train", tmp_path / "mine.json").videos) == 2


class TestStills:
    """Pairs."""

    def test_images_and_masks_without_partner_are_reported(self, source, tmp_path):
        root = source("fss1000")
        put(root / "new/7.jpg", photograph(7))
        put(root / "new/8.png", encode_mask(square_labels(0)))
        report = write_split(plan_stills(root, "fss1000", "train"), tmp_path / "set")
        assert report.rejected == [
            ("new/7.jpg", "it has no mask"),
            ("new/8.png", "it has no image"),
        ]
        assert report.written == 3

    def test_unequal_counts_in_the_layout_of_aot(self, source):
        root = source("aot")
        (root / "Annotations/PASCAL-S/2.png").unlink()
        with pytest.raises(MissingInputError, match="has 3 images, .*Annotations/PASCAL-S 2 masks"):
            plan_stills(root, "PASCAL-S", "train", aot=True)

    def test_unknown_sets(self, tmp_path):
        with pytest.raises(ConfigError, match="--set imagenet: choose from big_small, .* --aot"):
            plan_stills(tmp_path, "imagenet", "train")

    def test_empty_folders(self, tmp_path):
        with pytest.raises(MissingInputError, match=r"DUTS-TR-Image and .* \(0 images|0 images"):
            plan_stills(tmp_path, "duts_tr", "train")
        with pytest.raises(MissingInputError, match="nowhere is no folder"):
            plan_stills(tmp_path / "nowhere", "duts_tr", "train")


@pytest.mark.parametrize("text", ["{}", '{"labels": 3}', '{"labels": [{"readable": "Bird"}]}'])
def test_foreign_configs_of_mapillary(source, text):
    root = source("mapillary")
    put(root / "config.json", text)
    with pytest.raises(AnnotationError, match=r"config.json is not that of Mapillary Vistas 1\.2"):
        plan_mapillary(root, "training")


def test_test_images_of_mapillary_have_no_masks(source, tmp_path):
    root = source("mapillary")
    put(root / "testing/images/x.jpg", photograph(0))
    write_split(plan_mapillary(root, "testing"), tmp_path / "set")
    assert not RecordSet(tmp_path / "set", "testing")[0].annotated
    (root / "testing/images/x.jpg").unlink()
    with pytest.raises(MissingInputError, match="testing/images: no image"):
        plan_mapillary(root, "testing")


def test_the_folder_around_voc_will_do(source, tmp_path):
    root = source("pascal_voc")
    around = tmp_path / "VOCdevkit"
    around.mkdir()
    root.rename(around / "VOC2012")
    assert len(LAYOUTS["pascal_voc"].plan(around).videos) == 2


@pytest.mark.parametrize("name", ["", "a-b", "a b"])
def test_names_of_data_sets(tmp_path, name):
    with pytest.raises(ConfigError, match="take letters, digits and underscores"):
        plan_folder(tmp_path, "train", name)


def test_two_videos_of_one_name_are_refused(tmp_path):
    put_frame(tmp_path, "JPEGImages/x", "Annotations/x", "a", 0, 2)
    put(tmp_path / "JPEGImages/x/a.png", photograph(1, ending=".png"))
    put(tmp_path / "Annotations/x/b.png", encode_mask(square_labels(0)))
    with pytest.raises(AnnotationError, match="lists a twice"):
        write_split(plan_stills(tmp_path, "x", "train", aot=True), tmp_path / "set")


def test_bl30k_names_the_first_frame_without_mask(source, tmp_path, capsys):
    root = source("bl30k")
    for t in (1, 3):
        (root / f"Annotations/sea/{t:05d}.png").unlink()
    assert run_command(bl30k.main, ["--root", str(root), "--output", str(tmp_path / "set")]) == 2
    message = capsys.readouterr().err
    assert re.search(r"error: .*sea/00001.png: not there.*\(2 such frames\)", message)
    assert not (tmp_path / "set").exists()


def test_black_and_white_masks_of_ones_own_have_one_object(source, tmp_path):
    root = source("folder")
    labels = square_labels(0)
    put(root / "Annotations/air/00000.png", grey(np.where(labels, 255, 0).astype(np.uint8)))
    write_split(plan_folder(root, "train", "mine"), tmp_path / "set")
    frame = RecordSet(tmp_path / "set", "train").frame("air", 0)
    np.testing.assert_array_equal(frame_labels(frame), labels > 0)


def test_meta_of_another_kind(source):
    root = source("youtube_vos")
    put(root / "train/meta.json", json.dumps({"videos": []}))
    with pytest.raises(AnnotationError, match="not a YouTube-VOS meta.json"):
        plan_youtube_vos(root, 2019, "train")
