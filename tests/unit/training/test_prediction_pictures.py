"""Predictions as a picture."""

import numpy as np

from vos_jax.core.labels import DAVIS_PALETTE
from vos_jax.systems.base import Visit
from vos_jax.training.pictures import map_picture, prediction_picture

PLAN = (Visit(0, "given", None, read=False), Visit(2), Visit(1))


def test_truth_is_above_the_prediction_and_visits_stand_side_by_side():
    frames = np.zeros((2, 3, 8, 12, 3), np.uint8)
    frames[0, 1], frames[0, 2] = 10, 20
    labels = np.zeros((2, 3, 8, 12), np.uint8)
    labels[0, 2, :2] = 1
    predicted = [np.zeros((8, 12), np.uint8), np.full((8, 12), 2, np.uint8)]
    picture = prediction_picture({"frames": frames, "labels": labels}, PLAN, predicted)
    assert picture.shape == (16, 24, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[8:, :12], np.full((8, 12, 3), 20))
    np.testing.assert_array_equal(picture[4:8, :12], np.full((4, 12, 3), 20))
    np.testing.assert_array_equal(picture[:8, 12:], np.full((8, 12, 3), 10))
    assert (picture[:2, :12] != 20).any(-1).all()
    tinted = picture[8:, 12:].reshape(-1, 3).astype(int)
    assert np.all(np.abs(tinted - DAVIS_PALETTE[2]).sum(-1) < np.abs(10 - DAVIS_PALETTE[2]).sum())


def test_void_is_shown_as_background():
    batch = {
        "frames": np.full((1, 1, 8, 8, 3), 7, np.uint8),
        "labels": np.full((1, 1, 8, 8), 255, np.uint8),
    }
    picture = prediction_picture(batch, (Visit(0),), [np.zeros((8, 8), np.uint8)])
    assert (picture == 7).all()


def test_maps_stand_below_the_truth_a_column_per_frame():
    """Seediness in grey; of four dimensions the three that vary, over the whole clip."""
    frames = np.full((1, 2, 16, 24, 3), 9, np.uint8)
    labels = np.zeros((1, 2, 16, 24), np.uint8)
    labels[0, 0, :4], labels[0, 1] = 1, 255
    seediness = np.stack([np.zeros((4, 6)), np.ones((4, 6))])
    embedding = np.zeros((2, 4, 6, 4))
    embedding[..., 0], embedding[1, ..., 1], embedding[0, ..., 3] = 5, 2, -1
    picture = map_picture({"frames": frames, "labels": labels}, embedding, seediness)
    assert picture.shape == (48, 48, 3) and picture.dtype == np.uint8
    assert (picture[:4, :24] != 9).any() and (picture[4:16] == 9).all()
    assert (picture[:4, 24:] == 9).all()
    assert (picture[16:32, :24] == 0).all() and (picture[16:32, 24:] == 255).all()
    before, after = picture[40, 12], picture[40, 36]
    assert sorted(before.tolist()) == [0, 0, 0] and sorted(after.tolist()) == [0, 255, 255]
