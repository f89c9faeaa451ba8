"""How arrays lie on devices."""

import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType, PartitionSpec

from vos_jax.core.errors import ConfigError
from vos_jax.training.settings import MeshSettings
from vos_jax.training.sharding import batch_sharding, global_batch, make_mesh, tree_shardings


def abstract(data: int, model: int) -> AbstractMesh:
    return AbstractMesh((data, model), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def spec(shape, mesh):
    shape = jax.ShapeDtypeStruct(shape, np.float32)
    return tree_shardings({"a": shape}, mesh)["a"].spec


@pytest.mark.parametrize("shape", [(), (3,), (1024, 1024), (3, 3, 256, 256)])
def test_parameters_are_copied_where_the_model_axis_is_one(shape):
    assert spec(shape, abstract(8, 1)) == PartitionSpec()


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((1024, 256), PartitionSpec("model", None)),
        ((3, 3, 256, 512), PartitionSpec(None, None, None, "model")),
        ((1023, 256), PartitionSpec(None, "model")),
        ((1023, 255), PartitionSpec()),
        ((64, 64), PartitionSpec()),
        ((), PartitionSpec()),
    ],
)
def test_large_parameters_are_split_along_their_longest_even_axis(shape, expected):
    assert spec(shape, abstract(2, 4)) == expected


@pytest.mark.parametrize("data, model", [(8, 1), (4, 2), (1, 8)])
def test_batches_are_shared_by_all_devices(data, model):
    sharding = batch_sharding(abstract(data, model))
    assert sharding.shard_shape((16, 3)) == (2, 3)


@pytest.mark.parametrize("settings", [MeshSettings(data=2), MeshSettings(data=1, model=3)])
def test_a_mesh_of_other_than_all_devices_is_refused(settings):
    with pytest.raises(ConfigError, match="there are 1"):
        make_mesh(settings)


def test_one_device_takes_whole_batches():
    mesh = make_mesh(MeshSettings())
    assert dict(mesh.shape) == {"data": 1, "model": 1}
    batch = {"frames": np.zeros((3, 2), np.uint8), "slots": np.ones((3, 4), bool)}
    placed = global_batch(batch, mesh)
    assert placed["frames"].shape == (3, 2) and bool(placed["slots"].all())


def test_clips_that_cannot_be_shared_equally_are_refused(run_python):
    code = (
        "import numpy as np\n"
        "from vos_jax.training.settings import MeshSettings\n"
        "from vos_jax.training.sharding import global_batch, make_mesh\n"
        "global_batch({'frames': np.zeros((2, 1))}, make_mesh(MeshSettings()))\n"
    )
    done = run_python("-c", code, devices=4)
    assert "micro-batch of 2 clips" in done.stderr and "4 devices" in done.stderr
