"""Which parameters a run has, and which of HODOR's no gradient reaches."""

import fnmatch

import jax
import pytest

from vos_jax.systems import registry
from vos_jax.training.optimisers import paths
from vos_jax.training.parameters import OVERVIEW, parameter_shapes, write_overview

# Spec of HODOR, section 10: 13 tensors with 1,247,744 parameters are never reached. Five of them
# (decoder.fmap_proj_4x and norm_layers.4, 66,560 parameters) our network does not even have.
OFFICIAL, NOT_MADE = (13, 1_247_744), (5, 66_560)


@pytest.fixture(scope="module")
def hodor():
    system = registry.build("hodor")
    return system, parameter_shapes("hodor", system)


def test_hodor_leaves_as_many_parameters_untrained_as_the_official_program(hodor):
    system, shapes = hodor
    sizes = dict(zip(paths(shapes), (leaf.size for leaf in jax.tree.leaves(shapes)), strict=True))
    untrained = [
        path
        for path in sizes
        if any(fnmatch.fnmatchcase(path, pattern) for pattern in system.untrained)
    ]
    assert len(untrained) == OFFICIAL[0] - NOT_MADE[0]
    assert sum(sizes[path] for path in untrained) == OFFICIAL[1] - NOT_MADE[1]
    assert sum(sizes.values()) == 42_091_068 - NOT_MADE[1]


def test_the_overview_lists_every_parameter(hodor, tmp_path, capsys):
    _, shapes = hodor
    write_overview(tmp_path, shapes)
    table = (tmp_path / OVERVIEW).read_text()
    assert all(path in table for path in paths(shapes))
    assert "42,024,508 parameters in 452 tensors" in capsys.readouterr().out
