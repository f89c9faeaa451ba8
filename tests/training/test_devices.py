"""Eight simulated devices train as one does."""

import json
from pathlib import Path

import numpy as np
import pytest

STEPS = 10
ARGUMENTS = ("steps=10", "batch=8", "checkpoints.every=100", "schedule.rate=1e-3")
LAYOUTS = {
    "eight share the batch": (8, ()),
    "four by two": (8, ("mesh.model=2",)),
    "accumulated": (4, ("accumulate=2",)),
}


def losses(run_python, workdir: Path, devices: int, *more: str) -> np.ndarray:
    done = run_python("-m", "tests.toy_training", workdir, *ARGUMENTS, *more, devices=devices)
    assert done.returncode == 0, done.stderr
    lines = (workdir / "losses.txt").read_text().splitlines()
    return np.array([float.fromhex(line) for line in lines])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_losses_equal_those_of_one_device(run_python, tmp_path, layout):
    devices, more = LAYOUTS[layout]
    settings = [item for item in more if not item.startswith("mesh")]
    one = losses(run_python, tmp_path / "one", 1, *settings)
    several = losses(run_python, tmp_path / "several", devices, *more)
    assert len(one) == len(several) == STEPS
    assert one[0] != one[-1]
    np.testing.assert_allclose(several[0], one[0], rtol=1e-5)
    np.testing.assert_allclose(several, one, rtol=1e-3)


def test_a_run_goes_on_on_other_devices(run_python, tmp_path):
    whole = losses(run_python, tmp_path / "whole", 1)
    losses(run_python, tmp_path / "parts", 8, "steps=5")
    rest = losses(run_python, tmp_path / "parts", 2)
    np.testing.assert_allclose(rest, whole[5:], rtol=1e-3)


UPDATE = """
import json, sys
import jax, jax.numpy as jnp
from vos_jax.training.optimisers import optimiser
from vos_jax.training.settings import MeshSettings, OptimiserSettings, ScheduleSettings
from vos_jax.training.sharding import make_mesh
from vos_jax.training.step import Trainer, create_state

params = {"dense": jnp.ones((1024, 768)), "conv": jnp.ones((3, 3, 256, 128)), "bias": jnp.ones(768)}
transform = optimiser(OptimiserSettings(), ScheduleSettings(), params, ())
mesh = make_mesh(MeshSettings(model=int(sys.argv[1])))
state = create_state(params, transform, 0.9, 0, mesh)
trainer = Trainer(None, transform, mesh, 0.9)
scalars = [{"loss": jnp.zeros(())}]
compiled = trainer._apply.lower(state, state.params, scalars, jnp.int32(1)).compile()
memory = compiled.memory_analysis()
leaves = jax.tree.leaves(state)
print(json.dumps({
    "whole": sum(leaf.nbytes for leaf in leaves),
    "held": max(
        sum(leaf.addressable_shards[device].data.nbytes for leaf in leaves) for device in range(8)
    ),
    "gradients": sum(leaf.nbytes for leaf in jax.tree.leaves(state.params)),
    "arguments": memory.argument_size_in_bytes,
    "results": memory.output_size_in_bytes,
    "between": memory.temp_size_in_bytes,
}))
"""


@pytest.mark.parametrize("model", [1, 2, 8])
def test_a_device_holds_its_share_of_parameters_moments_and_average(run_python, model):
    done = run_python("-c", UPDATE, model, devices=8)
    assert done.returncode == 0, done.stderr
    sizes = json.loads(done.stdout)
    small = 4 * 4 * 768 + 200
    assert sizes["held"] <= sizes["whole"] / model + small
    assert sizes["arguments"] <= (sizes["whole"] + sizes["gradients"]) / model + 2 * small
    assert sizes["results"] <= sizes["whole"] / model + small
    assert sizes["between"] <= sizes["gradients"] / model
