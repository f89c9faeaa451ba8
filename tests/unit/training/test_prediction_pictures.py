"""Predictions as a picture."""

import numpy as np

from vos_jax.core.labels import DAVIS_PALETTE
from vos_jax.systems.base import Visit
from vos_jax.training.pictures import prediction_picture

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
