"""Initial values of AOT and DeAOT: section 13 of the specification, parameter by parameter."""

import jax
import numpy as np
import pytest

from vos_jax.checkpoints.names import flatten
from vos_jax.systems.registry import build, initialise

MODEL = {"backbone": "small", "channels": 16, "embedding": 64, "heads": 2, "ffn": 96}
MODEL |= {"key_channels": 32, "radius": 2, "group_size": 3}


@pytest.fixture(scope="module", params=[("aot", 1), ("deaot", 2)])
def params(request):
    """Values by path, but for those of the encoder, which loads others."""
    family, depth = request.param
    system = build("aot", family=family, depth=depth, **MODEL)
    drawn = flatten(initialise("aot", system, jax.random.key(0)))
    return {path: np.asarray(x) for path, x in drawn.items() if not path.startswith("encoder/")}


def is_norm(path):
    return "norm" in path.split("/")[-2]


def xavier(path, shape):
    """The bound by PyTorch's fans: of a tensor as the original lays it out."""
    if path.endswith("relative_value"):
        heads, width, window = shape
        return np.sqrt(6 / (window * (heads + width)))
    *receptive, inputs, outputs = shape
    return np.sqrt(6 / (np.prod(receptive) * (inputs + outputs)))


def uniform_within(x, bound):
    if x.size > 500:
        assert 0.97 * bound < np.abs(x).max()
        assert x.std() == pytest.approx(bound / np.sqrt(3), rel=0.08)
        assert abs(x.mean()) < 0.15 * bound
    assert np.abs(x).max() <= bound * (1 + 1e-6) and len(np.unique(x)) > 0.9 * x.size


def test_kernels_are_xavier_uniform(params):
    kernels = {path: x for path, x in params.items() if x.ndim > 1}
    bank, token = kernels.pop("identity_bank/kernel"), kernels.pop("mask_token", None)
    assert len(kernels) > 20
    for path, x in kernels.items():
        uniform_within(x, xavier(path, x.shape))
    rows = bank.reshape(-1, bank.shape[-1])
    np.testing.assert_allclose(rows.T @ rows * 17**4, np.eye(rows.shape[1]), atol=1e-4)
    if token is not None:
        assert token.shape == (1, 1, 64) and 0.7 < token.std() < 1.3


def test_norms_start_as_the_identity(params):
    norms = {path: x for path, x in params.items() if x.ndim == 1 and is_norm(path)}
    assert len(norms) > 10
    for path, x in norms.items():
        assert (x == path.endswith("/scale")).all(), path


def test_biases_are_uniform_within_the_root_of_their_inputs(params):
    biases = {path: x for path, x in params.items() if x.ndim == 1 and not is_norm(path)}
    assert len(biases) > 10
    for path, x in biases.items():
        kernel = params[path.removesuffix("bias") + "kernel"]
        uniform_within(x, 1 / np.sqrt(np.prod(kernel.shape[:-1])))
