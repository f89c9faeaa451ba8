"""Several views of a video, averaged."""

import numpy as np
import pytest

from tests.invariants.interface_checks import Case, moving_squares, only, probabilities, run
from tests.toy_systems import Toy, toy_params
from vos_jax.core.errors import ConfigError
from vos_jax.inference.augmentation import AugmentedSession, View, scaled_views
from vos_jax.inference.offline import segment_stream
from vos_jax.systems.aot.model import Aot


def case(policy):
    system = Toy(policy=policy)
    return Case(system, toy_params(system))


def augmented(case, flips):
    views = [View(case.system, flip) for flip in flips]
    return AugmentedSession(views, case.params, case.size, slots=case.slots(3))


@pytest.mark.parametrize("policy", ["odds", "labels", "softmax"])
def test_one_plain_view_is_no_augmentation(policy):
    toy = case(policy)
    frames, labels = moving_squares(toy.size)
    prompts = {0: only(labels[0], 7), 3: {3: labels[3] == 3}}
    plain = run(toy.session(), frames[:5], prompts)
    np.testing.assert_array_equal(run(augmented(toy, [False]), frames[:5], prompts), plain)


def test_one_flipped_view_turns_its_labels_back():
    toy = case("softmax")
    frames, labels = moving_squares(toy.size)
    mirrored = run(toy.session(), frames[:3, :, ::-1], {0: labels[0][:, ::-1]})
    got = run(augmented(toy, [True]), frames[:3], {0: labels[0]})
    np.testing.assert_array_equal(got, np.asarray(mirrored)[:, :, ::-1])


def test_two_views_are_averaged_after_turning_back():
    toy = case("odds")
    frames, labels = moving_squares(toy.size)
    frames, prompts = frames[:4], {0: labels[0]}
    mirrored = probabilities(toy.session(soft=True), frames[:, :, ::-1], {0: labels[0][:, ::-1]})
    upright = probabilities(toy.session(soft=True), frames, prompts)
    got = run(augmented(toy, [False, True]), frames, prompts)
    np.testing.assert_array_equal(got[0], labels[0])
    assert (mirrored[2][:, ::-1] != upright[2]).any()
    for t in (1, 2, 3):
        mean = (upright[t] + mirrored[t][:, ::-1]) / 2
        want = np.array([0, 3, 7, 120])[mean.argmax(-1)]
        np.testing.assert_array_equal(got[t], want)


def test_no_view():
    with pytest.raises(ConfigError, match="at least one view"):
        AugmentedSession([], {}, (8, 8))


@pytest.mark.parametrize(
    "scales, flip, expected",
    [
        ((1.0,), True, [(None, False), (None, True)]),
        ((1.3,), False, [(1.3, False)]),
        ((1.0, 1.3), True, [(1.0, False), (1.0, True), (1.3, False), (1.3, True)]),
    ],
)
def test_views_are_a_scale_each_and_its_mirror_image(scales, flip, expected):
    views = scaled_views(Aot(), scales, flip)
    assert [(view.system.scale, view.flip) for view in views] == expected


@pytest.mark.parametrize(
    "scales, said", [((), "scales above 0"), ((1.0, -1.0), "above 0"), ((1.3,), "Toy.*one size")]
)
def test_scales_that_cannot_be(scales, said):
    with pytest.raises(ConfigError, match=said):
        scaled_views(Toy(policy="odds"), scales, True)


def test_views_of_a_whole_video_come_as_those_of_a_session():
    toy = case("odds")
    frames, labels = moving_squares(toy.size)
    prompts = {0: labels[0]}
    whole = segment_stream(augmented(toy, [False, True]), frames[:3], prompts)
    by_hand = run(augmented(toy, [False, True]), frames[:3], prompts)
    np.testing.assert_array_equal(list(whole), by_hand)
