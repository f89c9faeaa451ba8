"""Every space-time memory says which cells of one picture answer for which of another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos_jax.correspondence.affinity import correspondence
from vos_jax.systems import registry

SMALL = {
    "backbone": "small",
    "channels": 16,
    "key_channels": 8,
    "value_channels": 16,
    "decoder_channels": (8, 8),
}


@pytest.mark.parametrize("system", ["mask_propagation", "stcn", "rde"])
@pytest.mark.parametrize("top_k", [0, 3])
def test_affinity_of_a_picture_with_itself(system, top_k):
    module = registry.build(system, **SMALL)
    params = registry.initialise(system, module, jax.random.key(1))
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    found = correspondence(module, params, picture, picture, top_k=top_k).affinity
    assert found.shape == (24, 24)
    np.testing.assert_allclose(found.sum(0), 1, rtol=1e-5)
    assert (found > 0).sum(0).max() == (top_k or 24)
    if system != "mask_propagation":
        np.testing.assert_array_equal(found.argmax(0), jnp.arange(24))
