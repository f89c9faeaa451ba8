"""Videos as iterables of frames, whatever they are stored in."""

import subprocess

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from vos_jax.io.videos import DEFAULT_FPS, open_video


def shades(count, size=(32, 48)):
    """Frames that differ in brightness and from left to right, blue rising."""
    frames = np.zeros((count, *size, 3), np.uint8)
    frames[..., 0] = (20 + 10 * np.arange(count))[:, None, None]
    frames[..., 2] = np.linspace(50, 200, size[1]).astype(np.uint8)
    return frames


def write_images(folder, frames, names, suffix=".png"):
    """The frames as image files."""
    folder.mkdir(exist_ok=True)
    for frame, name in zip(frames, names, strict=True):
        cv2.imwrite(str(folder / f"{name}{suffix}"), frame[..., ::-1])


def write_mp4(path, frames, fps=12):
    """The frames as H.264.

    Not by `imageio_ffmpeg.write_frames`: it runs Python between fork and exec, which is not safe
    beside the threads of other libraries.
    """
    size = f"{frames.shape[2]}x{frames.shape[1]}"
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(fps), "-i", "-"]
    wanted = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "5", str(path)]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *given, *wanted]
    subprocess.run(command, input=np.ascontiguousarray(frames).tobytes(), check=True)


def test_folder_gives_rgb_frames_in_order(tmp_path):
    frames = shades(3)
    write_images(tmp_path, frames, ["00000", "00001", "00002"])
    (tmp_path / "notes.txt").write_text("no frame")
    (tmp_path / ".hidden.png").write_bytes(b"no frame")
    video = open_video(tmp_path)
    assert (video.size, video.length, video.fps) == ((32, 48), 3, DEFAULT_FPS)
    assert video.names == ("00000", "00001", "00002")
    np.testing.assert_array_equal(list(video), frames)
    np.testing.assert_array_equal(list(video), frames)


def test_numbers_in_names_are_ordered_by_value(tmp_path):
    write_images(tmp_path, shades(3), ["frame10", "frame2", "frame1"])
    assert open_video(tmp_path).names == ("frame1", "frame2", "frame10")


@pytest.mark.parametrize("pattern, count", [("a*.png", 2), ("*.png", 3), ("?1.png", 1)])
def test_glob_chooses_frames(tmp_path, pattern, count):
    write_images(tmp_path, shades(3), ["a0", "a1", "b0"])
    assert open_video(str(tmp_path / pattern)).length == count


def test_single_image_is_a_video_of_one_frame(tmp_path):
    write_images(tmp_path, shades(1), ["only"])
    video = open_video(tmp_path / "only.png")
    assert len(list(video)) == video.length == 1


def test_mp4_gives_rgb_frames_and_rate(tmp_path):
    frames = shades(7)
    write_mp4(tmp_path / "clip.mp4", frames)
    video = open_video(tmp_path / "clip.mp4")
    assert (video.size, video.names, video.length) == ((32, 48), None, None)
    assert video.fps == pytest.approx(12)
    decoded = np.stack(list(video)).astype(int)
    assert decoded.shape == frames.shape
    assert np.abs(decoded - frames).mean() < 6
    assert len(list(video)) == 7


def test_results_are_named_like_the_frames(tmp_path):
    write_images(tmp_path / "folder", shades(2), ["x", "y"])
    write_mp4(tmp_path / "clip.mp4", shades(2))
    assert open_video(tmp_path / "folder").name(1) == "y"
    assert open_video(tmp_path / "clip.mp4").name(1) == "00001"
