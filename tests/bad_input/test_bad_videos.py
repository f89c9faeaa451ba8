"""Videos that are none, and outputs that cannot be written: a named error each."""

import logging

import cv2
import numpy as np
import pytest

from tests.unit.io.test_videos import shades, write_images, write_mp4
from vos_jax.core.errors import ImageError, MissingInputError, OutputError, VideoError
from vos_jax.io.overlays import OverlayWriter
from vos_jax.io.rle import RleWriter
from vos_jax.io.videos import open_video
from vos_jax.io.writers import PngWriter, make_folder, write_text

LABELS = np.zeros((8, 8), np.uint8)


def test_missing_path(tmp_path):
    with pytest.raises(MissingInputError, match="nowhere.mp4: no such video"):
        open_video(tmp_path / "nowhere.mp4")


def test_empty_folder(tmp_path):
    (tmp_path / "readme.txt").write_text("")
    with pytest.raises(VideoError, match="no JPEG or PNG image"):
        open_video(tmp_path)


def test_glob_without_match(tmp_path):
    with pytest.raises(VideoError, match=r"\*.jpg: no JPEG"):
        open_video(str(tmp_path / "*.jpg"))


def test_frames_of_one_name(tmp_path):
    for suffix in (".png", ".jpg"):
        write_images(tmp_path, shades(1), ["00000"], suffix)
    with pytest.raises(VideoError, match="2 images are called '00000'"):
        open_video(tmp_path)


def test_mixed_frame_sizes(tmp_path):
    write_images(tmp_path, shades(2), ["0", "1"])
    write_images(tmp_path, shades(1, (32, 50)), ["2"])
    video = open_video(tmp_path)
    with pytest.raises(VideoError, match="2.png: is 50x32, the first frame 48x32"):
        list(video)


@pytest.mark.parametrize("broken", [0, 1])
def test_truncated_jpeg(tmp_path, broken):
    write_images(tmp_path, shades(2), ["0", "1"], ".jpg")
    data = (tmp_path / f"{broken}.jpg").read_bytes()
    (tmp_path / f"{broken}.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=f"{broken}.jpg"):
        list(open_video(tmp_path))


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"not a video at all"])
def test_file_that_is_no_video(tmp_path, content):
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"clip.mp4: is no video"):
        open_video(tmp_path / "clip.mp4")


def test_mp4_without_frames(tmp_path):
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (48, 32)
    )
    writer.release()
    with pytest.raises(VideoError, match="clip.mp4"):
        open_video(tmp_path / "clip.mp4")


def test_cut_mp4(tmp_path, caplog):
    noise = np.random.default_rng(0).integers(0, 256, (24, 64, 64, 3), dtype=np.uint8)
    write_mp4(tmp_path / "clip.mp4", noise)
    data = (tmp_path / "clip.mp4").read_bytes()
    (tmp_path / "clip.mp4").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(VideoError, match="is no video, or is cut off"):
        open_video(tmp_path / "clip.mp4")
    # Matroska has no table at the end: what there is can be played, and a note says how much.
    write_mp4(tmp_path / "clip.mkv", noise)
    data = (tmp_path / "clip.mkv").read_bytes()
    (tmp_path / "clip.mkv").write_bytes(data[: len(data) * 2 // 3])
    with caplog.at_level(logging.WARNING):
        frames = list(open_video(tmp_path / "clip.mkv"))
    assert 0 < len(frames) < 24
    assert "declared frames decoded" in caplog.text


def test_output_folder_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        PngWriter(tmp_path / "file" / "masks")


def test_output_folder_is_read_only(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(OutputError, match="is not writable"):
        make_folder(tmp_path)


def full_disk(folder, name):
    """Makes the next file of this name fail as on a full disk."""
    (folder / name).symlink_to("/dev/full")


def test_full_disk_while_writing_masks(tmp_path):
    full_disk(tmp_path, ".b.png.partial")
    with pytest.raises(OutputError, match="b.png: cannot be written .No space"):
        with PngWriter(tmp_path) as writer:
            writer.write("a", LABELS)
            writer.write("b", LABELS)
    assert (tmp_path / "a.png").is_file() and not (tmp_path / "b.png").exists()


def test_full_disk_while_writing_json(tmp_path):
    full_disk(tmp_path, ".masks.json.partial")
    writer = RleWriter(tmp_path / "masks.json", (8, 8))
    writer.add("0", LABELS)
    with pytest.raises(OutputError, match="masks.json: cannot be written"):
        writer.close()
    with pytest.raises(OutputError, match="nowhere"):
        write_text(tmp_path / "nowhere" / "x.json", "")


def test_overlay_into_a_folder_that_is_not_there(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 64, 64, 3), dtype=np.uint8)
    with pytest.raises(OutputError, match="overlay.mp4: the video cannot be written"):
        with OverlayWriter(tmp_path / "nowhere" / "overlay.mp4", (64, 64), 10) as writer:
            for frame in noise:
                writer.write(frame)
