"""Converted files of full size run: every value in its place, and a video segmented with it."""

import jax
import numpy as np
import pytest

from tests.official_listings import network
from tests.parity.seeded_weights import seeded_tensor
from tests.pth_writer import write_state_dict
from tests.tiny_benchmarks import SIZE, moving_blocks
from vos_jax.convert import main
from vos_jax.core.commands import run_command
from vos_jax.inference.loading import load_system
from vos_jax.inference.session import Session
from vos_jax.systems import registry


@pytest.mark.parametrize("system", ["mask_propagation", "rde", "stcn"])
def test_converted_network_runs(system, tmp_path, capsys):
    tensors = {
        name: np.asarray(seeded_tensor(name, shape, gain=0.5), dtype)
        for name, (shape, dtype) in network(system).items()
    }
    path = write_state_dict(tmp_path / "official.pth", tensors)
    arguments = ["--system", system, "--checkpoint", path, "--workdir", tmp_path / "W"]
    assert run_command(main, [*map(str, arguments)]) == 0
    used = sum(array.dtype == np.float32 for array in tensors.values())
    said = capsys.readouterr().out
    assert f"{len(tensors)} tensors read\n{used} tensors used" in said

    loaded = load_system(tmp_path / "W", changes={"min_dim": 0, "memory_every": 2})
    exported = registry.entry(system).names.export(loaded.params, tensors)
    assert len(exported) == used
    for name, array in exported.items():
        np.testing.assert_array_equal(array, tensors[name], err_msg=name)

    frames, labels = moving_blocks()
    session = Session(loaded.system, jax.device_put(loaded.params), SIZE, slots=2, soft=True)
    pending = [
        session.submit(frame, labels[0] if t == 0 else None) for t, frame in enumerate(frames)
    ]
    planes = np.stack([np.asarray(here.shown)[0] for here in pending])
    assert planes.shape == (4, *SIZE, 3) and np.isfinite(planes).all()
    np.testing.assert_allclose(planes.sum(-1), 1, atol=1e-5)
    np.testing.assert_array_equal(planes[0].argmax(-1), (labels[0] == 2) + 2 * (labels[0] == 9))
    assert np.ptp(planes[3, ..., 1:]) > 1e-3
