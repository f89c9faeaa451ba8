"""Official folder layouts become lists of sequences; what is missing is named."""

import json

import pytest

from vos_jax.core.errors import AnnotationError, ConfigError, MissingInputError
from vos_jax.io.layouts import davis, davis_folders, davis_like, youtube_vos


def touch(root, *names):
    """Makes empty files, with their folders."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write(root, name, text):
    """Makes a text file, with its folder."""
    touch(root, name)
    (root / name).write_text(text)


def make_video(root, images, masks, name, frames, annotated=None):
    """Makes the files of one video."""
    touch(root, *[f"{images}/{name}/{t:05d}.jpg" for t in frames])
    annotated = frames if annotated is None else annotated
    touch(root, *[f"{masks}/{name}/{t:05d}.png" for t in annotated])


@pytest.fixture
def davis_root(tmp_path):
    """A DAVIS folder with sequences b and a, listed in that order."""
    for name, length in (("b", 3), ("a", 2)):
        make_video(tmp_path, "JPEGImages/480p", "Annotations/480p", name, range(length))
    write(tmp_path, "ImageSets/2017/val.txt", "b\na\n")
    return tmp_path


class TestDavis:
    """davis."""

    def test_sequences_keep_the_order_of_the_list(self, davis_root):
        b, a = davis(davis_root, 2017, "val")
        assert (b.name, a.name) == ("b", "a")
        assert b.stems == ("00000", "00001", "00002")
        assert b.frames[1] == davis_root / "JPEGImages/480p/b/00001.jpg"
        assert b.annotations[2] == davis_root / "Annotations/480p/b/00002.png"
        assert b.categories == {} and b.listed == ()

    def test_only_listed_sequences_are_there(self, davis_root):
        write(davis_root, "ImageSets/2017/train.txt", "a")
        assert [sequence.name for sequence in davis(davis_root, 2017, "train")] == ["a"]

    def test_windows_line_ends_and_blank_lines(self, davis_root):
        (davis_root / "ImageSets/2017/val.txt").write_bytes(b"a\r\n\r\nb\r\n")
        assert [sequence.name for sequence in davis(davis_root, 2017, "val")] == ["a", "b"]

    def test_frames_without_mask(self, davis_root):
        make_video(davis_root, "JPEGImages/480p", "Annotations/480p", "c", range(3), [0])
        write(davis_root, "ImageSets/2017/test-dev.txt", "c")
        (c,) = davis(davis_root, 2017, "test-dev")
        assert c.annotations[0].name == "00000.png" and c.annotations[1:] == (None, None)

    def test_other_resolution(self, davis_root):
        make_video(
            davis_root, "JPEGImages/Full-Resolution", "Annotations/Full-Resolution", "a", [4]
        )
        write(davis_root, "ImageSets/2017/val.txt", "a")
        (a,) = davis(davis_root, 2017, "val", resolution="Full-Resolution")
        assert a.stems == ("00004",)

    def test_2016_list(self, davis_root):
        write(davis_root, "ImageSets/2016/val.txt", "a\n")
        assert [sequence.name for sequence in davis(davis_root, 2016, "val")] == ["a"]

    def test_2016_list_of_the_first_release(self, davis_root):
        lines = [f"/JPEGImages/480p/{s}.jpg /Annotations/480p/{s}.png" for s in ("a/00000", "a/1")]
        write(davis_root, "ImageSets/480p/val.txt", "\n".join(lines))
        assert [sequence.name for sequence in davis(davis_root, 2016, "val")] == ["a"]
        with pytest.raises(MissingInputError, match="2017/train.txt"):
            davis(davis_root, 2017, "train")

    @pytest.mark.parametrize("split, year", [("val", "2017"), ("test-dev", "2019")])
    def test_unsupervised(self, tmp_path, split, year):
        make_video(tmp_path, "JPEGImages/480p", "Annotations_unsupervised/480p", "a", range(2))
        write(tmp_path, f"ImageSets/{year}/{split}.txt", "a")
        (a,) = davis(tmp_path, 2017, split, unsupervised=True)
        assert a.annotations[1] == tmp_path / "Annotations_unsupervised/480p/a/00001.png"

    def test_named_folder_of_masks(self, davis_root):
        make_video(davis_root, "JPEGImages/480p", "Mine/480p", "a", range(2))
        write(davis_root, "ImageSets/2017/val.txt", "a")
        (a,) = davis(davis_root, 2017, "val", annotations="Mine")
        assert a.annotations[0] == davis_root / "Mine/480p/a/00000.png"

    def test_masks_alone(self, tmp_path):
        touch(tmp_path, "Annotations/480p/a/00000.png", "Annotations/480p/a/00005.png")
        write(tmp_path, "ImageSets/2017/val.txt", "a")
        (a,) = davis(tmp_path, 2017, "val", images=False)
        assert a.stems == ("00000", "00005") and a.frames == () and len(a.annotations) == 2

    def test_hidden_and_foreign_files_are_left_out(self, davis_root):
        touch(davis_root, "JPEGImages/480p/a/.00009.jpg", "JPEGImages/480p/a/notes.txt")
        touch(davis_root, "Annotations/480p/a/Thumbs.db", "Annotations/480p/a/._00000.png")
        assert davis(davis_root, 2017, "val")[1].stems == ("00000", "00001")

    def test_folders_are_found_without_looking_into_them(self, davis_root):
        b, a = davis_folders(davis_root, 2017, "val")
        assert b.sequence() == davis(davis_root, 2017, "val")[0]
        touch(davis_root, "JPEGImages/480p/a/00002.jpg")
        assert a.sequence().stems == ("00000", "00001", "00002")


class TestDavisFaults:
    """What davis says of a folder that is not complete."""

    def test_listed_but_absent_sequences_are_all_named(self, davis_root):
        write(davis_root, "ImageSets/2017/val.txt", "b\nx\na\ny\n")
        with pytest.raises(MissingInputError, match="2 of 4 listed sequences: x, y"):
            davis(davis_root, 2017, "val")

    def test_absent_sequences_can_be_skipped(self, davis_root):
        write(davis_root, "ImageSets/2017/val.txt", "b\nx\na\n")
        found = davis(davis_root, 2017, "val", skip_missing=True)
        assert [sequence.name for sequence in found] == ["b", "a"]

    def test_nothing_left_after_skipping_is_an_error(self, davis_root):
        write(davis_root, "ImageSets/2017/val.txt", "x")
        with pytest.raises(MissingInputError, match="x"):
            davis(davis_root, 2017, "val", skip_missing=True)

    def test_missing_list_names_those_there_are(self, davis_root):
        with pytest.raises(MissingInputError, match=r"test.txt: no such list.*2017/val.txt"):
            davis(davis_root, 2017, "test")

    def test_empty_list(self, davis_root):
        write(davis_root, "ImageSets/2017/val.txt", "\n")
        with pytest.raises(MissingInputError, match="val.txt: the list of sequences is empty"):
            davis(davis_root, 2017, "val")

    def test_unknown_year(self, davis_root):
        with pytest.raises(ConfigError, match="2018"):
            davis(davis_root, 2018, "val")

    def test_missing_root(self, tmp_path):
        with pytest.raises(MissingInputError, match="nowhere"):
            davis(tmp_path / "nowhere", 2017, "val")

    def test_missing_images(self, davis_root):
        with pytest.raises(MissingInputError, match="JPEGImages/1080p"):
            davis(davis_root, 2017, "val", resolution="1080p")

    def test_sequence_without_frames(self, davis_root):
        (davis_root / "JPEGImages/480p/x").mkdir()
        write(davis_root, "ImageSets/2017/val.txt", "x")
        with pytest.raises(MissingInputError, match="480p/x: no frame"):
            davis(davis_root, 2017, "val")

    def test_masks_alone_without_masks(self, davis_root):
        (davis_root / "Annotations/480p/x").mkdir()
        write(davis_root, "ImageSets/2017/val.txt", "x")
        with pytest.raises(MissingInputError, match="480p/x: no PNG mask"):
            davis(davis_root, 2017, "val", images=False)

    def test_mask_without_frame(self, davis_root):
        touch(davis_root, "Annotations/480p/a/00007.png")
        with pytest.raises(MissingInputError, match="a/00007.png.*no frame of that name"):
            davis(davis_root, 2017, "val")


META = {
    "videos": {
        "v2": {"objects": {"1": {"category": "dog", "frames": ["00005", "00010"]}}},
        "v1": {
            "objects": {
                "3": {"category": "cat", "frames": ["00000", "00005"]},
                "1": {"category": "fish", "frames": ["00005"]},
            }
        },
    }
}


@pytest.fixture
def youtube_root(tmp_path):
    """A YouTube-VOS folder with a split valid of two videos."""
    make_video(tmp_path, "valid/JPEGImages", "valid/Annotations", "v1", [0, 5], [0])
    make_video(tmp_path, "valid/JPEGImages", "valid/Annotations", "v2", [5, 10], [5])
    write(tmp_path, "valid/meta.json", json.dumps(META))
    return tmp_path


class TestYoutubeVos:
    """youtube_vos."""

    def test_videos_by_name_with_categories(self, youtube_root):
        v1, v2 = youtube_vos(youtube_root)
        assert (v1.name, v2.name) == ("v1", "v2")
        assert v1.categories == {3: "cat", 1: "fish"}
        assert v1.listed == ("00000", "00005") and v2.listed == ("00005", "00010")
        assert v1.annotations == (youtube_root / "valid/Annotations/v1/00000.png", None)

    def test_the_split_folder_itself_may_be_given(self, youtube_root):
        assert youtube_vos(youtube_root / "valid") == youtube_vos(youtube_root)

    @pytest.mark.parametrize("place", ["valid_all_frames", "all_frames/valid_all_frames"])
    def test_all_frames_between_the_listed_ones(self, youtube_root, place):
        for name in ("v1", "v2"):
            make_video(youtube_root, f"{place}/JPEGImages", "unused", name, range(13))
        v1, v2 = youtube_vos(youtube_root, all_frames=True)
        assert v1.stems == tuple(f"{t:05d}" for t in range(6))
        assert v2.stems == tuple(f"{t:05d}" for t in range(5, 11))
        assert v2.frames[0] == youtube_root / place / "JPEGImages/v2/00005.jpg"
        assert v2.annotations[0].name == "00005.png" and v2.annotations[1] is None

    def test_masks_alone(self, youtube_root):
        v1, _ = youtube_vos(youtube_root / "valid", images=False)
        assert v1.frames == () and v1.stems == ("00000",)

    def test_missing_video_is_named(self, youtube_root):
        meta = {"videos": META["videos"] | {"v9": {"objects": {}}}}
        write(youtube_root, "valid/meta.json", json.dumps(meta))
        with pytest.raises(MissingInputError, match="1 of 3.*v9"):
            youtube_vos(youtube_root)
        assert len(youtube_vos(youtube_root, skip_missing=True)) == 2

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"videos": {"v1": {}}}', '{"videos": 3}'])
    def test_foreign_meta(self, youtube_root, text):
        write(youtube_root, "valid/meta.json", text)
        with pytest.raises(AnnotationError, match="meta.json"):
            youtube_vos(youtube_root)

    @pytest.mark.parametrize("all_frames", [False, True])
    def test_listed_frame_without_image(self, youtube_root, all_frames):
        place = "valid_all_frames" if all_frames else "valid"
        make_video(youtube_root, f"{place}/JPEGImages", "unused", "v1", range(0, 7, 6))
        make_video(youtube_root, f"{place}/JPEGImages", "unused", "v2", range(13))
        (youtube_root / "valid/JPEGImages/v1/00005.jpg").unlink()
        with pytest.raises(MissingInputError, match="v1: no frame 00005, which meta.json lists"):
            youtube_vos(youtube_root, all_frames=all_frames)

    def test_videos_that_are_asked_for(self, youtube_root):
        assert [v.name for v in youtube_vos(youtube_root, names=["v2"])] == ["v2"]
        assert [v.name for v in youtube_vos(youtube_root, names=("v2", "v1"))] == ["v1", "v2"]
        with pytest.raises(MissingInputError, match="1 of 2 chosen videos are not there: v7"):
            youtube_vos(youtube_root, names=["v7", "v1"])

    def test_missing_meta(self, tmp_path):
        (tmp_path / "valid").mkdir()
        with pytest.raises(MissingInputError, match="valid/meta.json"):
            youtube_vos(tmp_path)

    def test_missing_all_frames(self, youtube_root):
        with pytest.raises(MissingInputError, match="valid_all_frames"):
            youtube_vos(youtube_root, all_frames=True)


class TestDavisLike:
    """davis_like."""

    def test_videos_by_name_masks_where_there_are_some(self, tmp_path):
        make_video(tmp_path, "JPEGImages", "Annotations", "z", range(2), [0])
        make_video(tmp_path, "JPEGImages", "Annotations", "k", range(1), [])
        k, z = davis_like(tmp_path)
        assert (k.name, z.name) == ("k", "z")
        assert k.annotations == (None,) and z.annotations[0].name == "00000.png"

    def test_masks_alone(self, tmp_path):
        touch(tmp_path, "Annotations/z/00003.png")
        (z,) = davis_like(tmp_path, images=False)
        assert z.stems == ("00003",)

    def test_png_frames(self, tmp_path):
        touch(tmp_path, "JPEGImages/z/a.png", "JPEGImages/z/b.JPG")
        assert davis_like(tmp_path)[0].stems == ("a", "b")

    def test_empty_folder(self, tmp_path):
        (tmp_path / "JPEGImages").mkdir()
        with pytest.raises(MissingInputError, match="one folder per video"):
            davis_like(tmp_path)

    def test_a_folder_of_the_resolution_may_stand_between(self, tmp_path):
        make_video(tmp_path, "JPEGImages/480p", "Annotations/480p", "z", range(2), [0])
        (z,) = davis_like(tmp_path)
        assert (z.name, z.stems) == ("z", ("00000", "00001"))
        assert z.annotations[0] == tmp_path / "Annotations/480p/z/00000.png"
        assert davis_like(tmp_path, images=False)[0].stems == ("00000",)

    def test_a_video_may_be_called_480p(self, tmp_path):
        make_video(tmp_path, "JPEGImages", "Annotations", "480p", range(2))
        assert davis_like(tmp_path)[0].name == "480p"

    def test_hidden_folders_are_no_videos(self, tmp_path):
        make_video(tmp_path, "JPEGImages", "Annotations", "z", range(1))
        (tmp_path / "JPEGImages/.cache").mkdir()
        assert [video.name for video in davis_like(tmp_path)] == ["z"]

    def test_videos_that_are_asked_for(self, tmp_path):
        for name in "abc":
            make_video(tmp_path, "JPEGImages", "Annotations", name, range(1))
        assert [v.name for v in davis_like(tmp_path, names=["c", "a"])] == ["a", "c"]
        many = [f"x{number:02d}" for number in range(30)]
        with pytest.raises(MissingInputError, match=r"30 of 30 .*: x00, x01, .*x19, \.\.\.$"):
            davis_like(tmp_path, names=many)
