"""Systems by name."""

import json

import pytest

from vos_jax.systems import registry


@pytest.mark.parametrize("settings", [{}, {"decoder_channels": (32, 16)}])
def test_systems_built_from_json_are_those_built_in_python(settings):
    built = registry.build("mask_propagation", **settings)
    read = registry.build("mask_propagation", **json.loads(json.dumps(settings)))
    assert read == built
    assert hash(read) == hash(built)
