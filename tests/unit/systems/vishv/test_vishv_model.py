"""STEm-Seg's and VIShv's network: how gradients run, what is computed when, what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.checkpoints.names import flatten
from vos_jax.core.errors import ConfigError
from vos_jax.systems import registry
from vos_jax.systems.base import Clip, Verbs
from vos_jax.systems.rollout import rollout

TINY = {"backbone": "small", "channels": 8, "clip_length": 2, "classes": 2, "groups": 4}
TINY |= {"widths": (8, 8, 4, 4), "semantic_widths": (4, 4, 4, 4), "flow_hidden": 4}
TINY |= {"flow_warm_updates": 1, "flow_steps": 1, "mode": "xytf", "free_stds": (0.3,)}
KINDS = {
    "released": {},
    "conditional": {"appearance": "conditional", "flow_levels": 2, "affine": True},
}


def a_clip():
    labels = np.zeros((1, 2, 64, 64), np.uint8)
    labels[:, :, 8:40, 8:48] = 1
    frames = np.random.default_rng(0).integers(0, 255, (1, 2, 64, 64, 3), np.uint8)
    return Clip(
        frames=jnp.asarray(frames),
        labels=jnp.asarray(labels),
        slots=jnp.ones((1, 1), bool),
        present=jnp.ones((1, 2, 1), bool),
        labelled=jnp.ones((1, 2), bool),
        valid=jnp.ones((1, 2, 64, 64), bool),
        categories=jnp.ones((1, 1), jnp.int32),
    )


@functools.cache
def gradients(kind):
    """A system, its parameters as drawn and primed, gradients of warm-up and (released) later."""
    module, clip = registry.build("vishv", **TINY, **KINDS[kind]), a_clip()
    drawn = registry.initialise("vishv", module, jax.random.key(0))
    primed = module.primed(drawn, clip)

    def objective(params, plan):
        verbs = Verbs(module, {"params": params}, jax.random.key(1))
        losses = verbs.losses(rollout(verbs, clip, plan), clip, 0)
        return losses["loss"], losses

    run = jax.jit(jax.grad(objective, has_aux=True), static_argnums=1)
    steps = (0, 1) if kind == "released" else (0,)
    return module, drawn, primed, [run(primed, module.plan(step, 0)) for step in steps]


def reached(gradient, prefix):
    """Whether anything but zeros is in the gradients of these parameters."""
    leaves = [x for path, x in flatten(gradient).items() if path.startswith(prefix)]
    assert leaves
    return any(bool(x.any()) for x in leaves)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_appearance_are_cut_where_released(kind):
    for gradient, losses in gradients(kind)[3]:
        assert np.isfinite(losses["loss"]) and reached(gradient, "flow/")
        assert reached(gradient, "appearance_decoder/") == (kind == "conditional")


def test_the_flow_learns_alone_at_first():
    _, _, _, ((early, warm), (late, losses)) = gradients("released")
    assert set(warm) == {"loss", "flow"} and warm["loss"] == warm["flow"]
    assert not reached(early, "encoder/") and not reached(early, "embedding/")
    assert reached(late, "encoder/") and reached(late, "embedding/") and reached(late, "semantic/")
    parts = ("embedding", "foreground", "semantic", "flow")
    np.testing.assert_allclose(losses["loss"], sum(losses[part] for part in parts), rtol=1e-6)


def test_priming_sets_the_normalisations_once():
    module, drawn, primed, _ = gradients("released")
    before, after = flatten(drawn), flatten(primed)
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    assert moved == {"flow/parts_0_0/norm/scale", "flow/parts_0_0/norm/shift"}
    assert module.primed(primed, a_clip()) is primed


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"clip_length": 3}, "clip_length=3: use one of 2, 4, 8"),
        ({"backbone": "swin"}, "'swin' is not known"),
        ({"free_stds": ()}, "has 1 free dimensions"),
        ({"appearance": "other"}, "use released or conditional"),
    ],
)
def test_settings_that_make_no_network_are_refused(settings, said):
    module = registry.build("vishv", **TINY | settings)
    with pytest.raises(ConfigError, match=said):
        registry.initialise("vishv", module, jax.random.key(0))
