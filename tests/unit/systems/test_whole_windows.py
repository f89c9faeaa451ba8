"""Training's walk over a clip that is read as a whole."""

import jax
import jax.numpy as jnp

from tests.toy_windows import ToyWindows
from vos_jax.systems.base import Clip, Verbs, Visit
from vos_jax.systems.rollout import rollout


class Viewed(ToyWindows):
    """Reads nothing but what it is told to."""

    def read(self, state, features, given=None, view=None):
        return (state, features.shape, given, view), "trace"


def test_a_window_is_read_once_with_the_view_of_its_visit():
    frames = jnp.zeros((2, 4, 32, 64, 3), jnp.uint8)
    none = jnp.zeros((2, 4, 1), bool)
    clip = Clip(frames, frames[..., 0], none[:, 0], none, none[..., 0], frames[..., 0] == 0)
    verbs = Verbs(Viewed(), {"params": {"scale": jnp.ones(())}})
    for view in (None, "flow"):
        run = rollout(verbs, clip, (Visit(None, view=view),))
        assert run.scores == ((None, (2, 4, 8, 16, 3), None, view),)
        assert run.traces == ("trace",) and jax.tree.leaves(run.state) == []
