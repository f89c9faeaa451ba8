"""Results as files: palette PNGs, run-length codes, overlay videos."""

import json
import threading
import time

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from vos_jax.core.labels import DAVIS_PALETTE, YOUTUBE_VOS_PALETTE
from vos_jax.io.images import read_mask
from vos_jax.io.overlays import OverlayWriter, draw_overlay
from vos_jax.io.rle import RleWriter
from vos_jax.io.videos import open_video
from vos_jax.io.writers import Background, PngWriter


def label_maps(count, size=(30, 45)):
    """Random patches of the ids 3 and 200, none on the first map."""
    labels = np.zeros((count, *size), np.uint8)
    for t in range(1, count):
        labels[t, t : t + 12, 5:20] = 3
        labels[t, 8:22, 10 + t : 30 + t] = 200
    return labels


def test_png_writer_writes_every_map(tmp_path):
    maps = label_maps(9)
    with PngWriter(tmp_path / "a" / "b", YOUTUBE_VOS_PALETTE) as writer:
        for number, labels in enumerate(maps):
            writer.write(f"{number:05d}", labels)
    files = sorted((tmp_path / "a" / "b").iterdir())
    assert [file.name for file in files] == [f"{n:05d}.png" for n in range(9)]
    np.testing.assert_array_equal([read_mask(file) for file in files], maps)


def test_background_keeps_a_bounded_number_waiting():
    gate, done = threading.Event(), []
    with Background(threads=1, waiting=2) as background:
        feeder = threading.Thread(
            target=lambda: [
                background.submit(lambda n=n: (gate.wait(), done.append(n))) for n in range(6)
            ]
        )
        feeder.start()
        time.sleep(0.1)
        assert feeder.is_alive() and not done
        gate.set()
        feeder.join(timeout=5)
        assert not feeder.is_alive()
    assert done == list(range(6))


def test_background_raises_the_first_error_and_stops():
    with pytest.raises(ZeroDivisionError):
        with Background() as background:
            background.submit(lambda: 1 / 0)
            for _ in range(100):
                background.submit(time.sleep, 0.001)


def test_rle_decodes_to_the_masks(tmp_path):
    maps = label_maps(4)
    writer = RleWriter(tmp_path / "masks.json", maps.shape[1:])
    for number, labels in enumerate(maps):
        writer.add(f"f{number}", labels)
    writer.close()
    content = json.loads((tmp_path / "masks.json").read_text())
    assert content["size"] == [30, 45]
    assert [(f["number"], f["name"]) for f in content["frames"]] == [(n, f"f{n}") for n in range(4)]
    assert content["frames"][0]["objects"] == []
    for frame, labels in zip(content["frames"], maps, strict=True):
        drawn = np.zeros_like(labels)
        for item in frame["objects"]:
            plane = coco_mask.decode(item["segmentation"])
            assert item["area"] == plane.sum()
            ys, xs = np.nonzero(plane)
            box = [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
            assert item["bbox"] == [float(side) for side in box]
            drawn[plane > 0] = item["id"]
        np.testing.assert_array_equal(drawn, labels)


def test_overlay_tints_objects_and_draws_their_contour():
    frame = np.full((60, 80, 3), 100, np.uint8)
    labels = np.zeros((60, 80), np.uint8)
    labels[10:40, 10:40] = 1
    labels[10:40, 40:60] = 2
    drawn = draw_overlay(frame, labels)
    assert (drawn[labels == 0] == 100).all()
    for inner, object_id in ((drawn[25, 25], 1), (drawn[25, 50], 2)):
        np.testing.assert_allclose(inner, (100 + DAVIS_PALETTE[object_id].astype(int)) / 2, atol=1)
    for y, x in ((10, 25), (39, 25), (25, 10), (25, 39), (25, 40), (25, 59)):
        np.testing.assert_array_equal(drawn[y, x], DAVIS_PALETTE[labels[y, x]])
    assert (frame == 100).all()


@pytest.mark.parametrize("size", [(32, 48), (31, 47)])
def test_overlay_video_can_be_played(tmp_path, size):
    frames = [np.full((*size, 3), 10 * n, np.uint8) for n in range(5)]
    with OverlayWriter(tmp_path / "overlay.mp4", size, 8) as writer:
        for frame in frames:
            writer.write(frame)
    video = open_video(tmp_path / "overlay.mp4")
    assert video.size == (32, 48) and video.fps == pytest.approx(8)
    means = [frame.mean() for frame in video]
    np.testing.assert_allclose(means, 10 * np.arange(5), atol=4)
    assert [file.name for file in tmp_path.iterdir()] == ["overlay.mp4"]


def test_overlay_video_of_a_failed_run_is_not_left(tmp_path):
    with pytest.raises(RuntimeError):
        with OverlayWriter(tmp_path / "overlay.mp4", (32, 48), 8) as writer:
            writer.write(np.zeros((32, 48, 3), np.uint8))
            raise RuntimeError
    assert list(tmp_path.iterdir()) == []
