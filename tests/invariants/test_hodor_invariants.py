"""HODOR, small and with random weights, holds what the interface promises."""

import functools

import jax
import numpy as np
import pytest

from tests.invariants.interface_checks import (
    CHECKS,
    Case,
    check_saved_and_forked,
    moving_squares,
    run,
)
from vos_jax.inference.augmentation import AugmentedSession, View
from vos_jax.inference.session import Session
from vos_jax.systems import registry

SMALL = {
    "backbone": "small",
    "channels": 32,
    "heads": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn": 32,
    "decoder_ffn": 32,
    "deformable": False,
    "min_dim": 40,
    "max_dim": 80,
    "temporal_window": 3,
}


@functools.cache
def hodor_case():
    system = registry.build("hodor", **SMALL)
    params = registry.initialise("hodor", system, jax.random.key(1))
    return Case(system, params)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_hodor(check):
    check(hodor_case())


def test_hodor_saved_and_forked(tmp_path):
    check_saved_and_forked(hodor_case(), tmp_path)


def test_hodor_in_one_plain_view_is_hodor():
    case = hodor_case()
    frames, labels = moving_squares(case.size)
    plain = run(case.session(), frames[:4], {0: labels[0]})
    view = AugmentedSession([View(case.system)], case.params, case.size, slots=3)
    np.testing.assert_array_equal(run(view, frames[:4], {0: labels[0]}), plain)


def test_hodor_refuses_an_object_of_one_pixel(caplog):
    case = hodor_case()
    labels = np.zeros(case.size, np.uint8)
    labels[20, 20], labels[2:20, 2:20] = 5, 8
    session = Session(case.system, case.params, case.size, slots=3)
    frame = np.random.default_rng(0).integers(0, 255, (*case.size, 3)).astype(np.uint8)
    session.step(frame, labels)
    assert session.refused == (5,) and "objects [5] are too small" in caplog.text
    assert not (session.step(frame) == 5).any()
    session.step(frame)
    assert session.refused == (5,)
