"""The flow's likelihood is exact: it can be undone, and its determinant is the Jacobian's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.nn.glow import Glow, squeeze, unsqueeze

KINDS = {
    "released": {"steps": 2},
    "affine": {"steps": 1, "levels": 2, "affine": True, "factored": False},
    "conditional": {"steps": 1, "levels": 2, "affine": True, "conditional": True},
}
SHAPE = (2, 4, 4, 2)
CONSTANT = ("permutation", "sign")


def moved(path, x):
    """Parameters away from where they begin, zeros too."""
    noise = jax.random.normal(jax.random.key(sum(map(ord, str(path)))), x.shape)
    return x if path[-1].key in CONSTANT else x + 0.3 * noise / np.prod(x.shape[:-1]) ** 0.5


@functools.cache
def probe(kind):
    """All that the tests look at, in one program."""
    flow = Glow(SHAPE[-1], hidden=4, **KINDS[kind])
    keys = jax.random.split(jax.random.key(0), 5)

    @jax.jit
    def run(x):
        conditions = None
        if flow.conditional:
            sides = [SHAPE[1] >> level for level in (1, 2)]
            conditions = tuple(jax.random.normal(keys[1], (2, n, n, 3)) for n in sides)
        begun = flow.init(keys[2], x, conditions)
        params = {"params": jax.tree_util.tree_map_with_path(moved, begun["params"])}
        log_p, log_determinant, latents = flow.apply(params, x, conditions)

        def of_first(x):
            here = conditions and tuple(condition[:1] for condition in conditions)
            found = flow.apply(params, x[None], here)[2]
            return jnp.concatenate([latent.ravel() for latent in found])

        undo = functools.partial(flow.apply, params, method="inverse")
        still = tuple(map(jnp.zeros_like, latents))
        noise = (jax.random.normal(keys[4], latents[0].shape), *still[1:])
        drawn = [undo(each, conditions, drawn=True) for each in (still, noise)]
        return {
            "log_determinant": log_determinant,
            "jacobian": jax.jacfwd(of_first)(x[0]),
            "back": undo(latents, conditions),
            "drawn_log_p": [flow.apply(params, each, conditions)[0] for each in drawn],
            "noise": noise[0],
            "primed": flow.apply(params, x, conditions, mutable="params"),
            "params": params["params"],
        }

    x = jax.random.normal(keys[3], SHAPE)
    return x, jax.tree.map(np.asarray, run(x))


@pytest.mark.parametrize("kind", KINDS)
def test_the_inverse_undoes_the_flow(kind):
    x, found = probe(kind)
    np.testing.assert_allclose(found["back"], x, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_determinant_is_that_of_the_jacobian(kind):
    x, found = probe(kind)
    jacobian = found["jacobian"].reshape(x[0].size, -1).astype(np.float64)
    exact = np.linalg.slogdet(jacobian)[1]
    assert abs(exact) > 0.3
    np.testing.assert_allclose(found["log_determinant"][0], exact, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_makes_latents_as_unlikely_as_itself(kind):
    _, found = probe(kind)
    still, noisy = found["drawn_log_p"]
    lost = 0.5 * np.square(found["noise"]).sum((1, 2, 3))
    np.testing.assert_allclose(still - noisy, lost, rtol=1e-3)


def test_normalisations_are_set_from_the_maps_where_parameters_may_change():
    x, found = probe("released")
    _, changed = found["primed"]
    patches = squeeze(jnp.asarray(x))
    norm = changed["params"]["parts_0_0"]["norm"]
    normalised = norm["scale"] * (patches + norm["shift"])
    np.testing.assert_allclose(normalised.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(normalised.std((0, 1, 2), ddof=1), 1, rtol=1e-5)
    same = [
        jax.tree.map(np.array_equal, changed["params"][n], found["params"][n])
        for n in ("parts_0_1", "priors_0")
    ]
    assert same[0]["norm"] == {"scale": False, "shift": False}
    assert all(jax.tree.leaves([same[1], same[0]["coupling"], same[0]["mixing"]]))


def test_patches_hold_rows_and_columns_of_one_channel_side_by_side():
    x = jnp.arange(24.0).reshape(1, 2, 4, 3)
    patches = squeeze(x)
    assert patches[0, 0, 1].tolist() == [6, 9, 18, 21, 7, 10, 19, 22, 8, 11, 20, 23]
    np.testing.assert_array_equal(unsqueeze(patches), x)
