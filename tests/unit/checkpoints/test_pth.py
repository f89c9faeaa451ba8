"""Reading `.pth` files: those real torch wrote, and honest ones in older and rarer forms."""

import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests import pth_writer as w
from vos_jax.checkpoints.pth import read_pth
from vos_jax.core.errors import CheckpointError, MissingInputError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "pth"
LAYOUTS = ("zip", "legacy")
KINDS = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8".split()


def fixture(name: str, layout: str) -> Path:
    return FIXTURES / f"{name}.{layout}.pth"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_views_of_one_storage(layout):
    read = read_pth(fixture("shared", layout))
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    expected = {
        "whole": whole,
        "row": whole[2],
        "column": whole[:, 1],
        "transposed": whole.T,
        "step": whole[1:, ::2],
        "expanded": np.broadcast_to(whole[0, :3], (5, 3)),
    }
    assert list(read) == list(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(read[key], value, err_msg=key)
        assert read[key].dtype == np.float32
        assert np.shares_memory(read[key], read["whole"])
        assert not read[key].flags.writeable


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_element_types(layout, kind):
    value = read_pth(fixture("types", layout))[kind]
    expected = np.arange(5) if kind == "uint8" else np.arange(5) - 1
    np.testing.assert_array_equal(value, expected)
    assert value.dtype == ("float32" if kind == "bfloat16" else kind)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_corner_shapes(layout):
    read = read_pth(fixture("types", layout))
    assert read["bool"].tolist() == [True, False, True] and read["bool"].dtype == bool
    assert read["scalar"].shape == () and read["scalar"] == 2.5
    assert read["empty"].shape == (0, 3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_training_checkpoint(layout):
    read = read_pth(fixture("training", layout))
    model = read["model"]
    assert [int(value.flat[0]) for value in model.values()] == list(range(7))
    assert model["conv.weight"].shape == (3, 2, 3, 3)
    assert model["norm.num_batches_tracked"].dtype == np.int64
    optimizer = read["optimizers_and_lr_schedulers"]["0"]
    assert sorted(optimizer["state"]) == [0, 1, 2, 3]
    assert optimizer["state"][3]["exp_avg"].tolist() == pytest.approx([0.8] * 3)
    assert optimizer["param_groups"][0]["betas"] == (0.9, 0.999)
    assert read["logger"] == {
        "logs": {"loss": [1.5, 0.5]},
        "seen": {"a": 2, "b": 1},
        "names": {"x", "y"},
        "none": None,
    }
    assert read["iterations"] == 1000
    assert (read["size"], read["device"], read["dtype"]) == ((2, 3), "cpu", "torch.float16")
    assert read["bytes"] == b"\x00\xff"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_numpy_values(layout):
    read = read_pth(fixture("training", layout), "numpy")
    assert read["scalar"] == 0.25
    np.testing.assert_array_equal(read["array"], np.arange(6, dtype=np.int16).reshape(2, 3))
    assert read["array"].dtype == np.int16
    np.testing.assert_array_equal(read["columns"], np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parameters(layout):
    read = read_pth(fixture("parameters", layout))
    np.testing.assert_array_equal(read["weight"], [[0, 1, 2], [3, 4, 5]])
    assert np.shares_memory(read["weight"], read["tied"])
    np.testing.assert_array_equal(read["bias"], [0, 1])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_select_reads_only_that(layout, monkeypatch):
    from vos_jax.checkpoints.torch_pickle import StorageRef

    decoded = []
    original = StorageRef.decode
    monkeypatch.setattr(
        StorageRef, "decode", lambda ref, *rest: decoded.append(ref.key) or original(ref, *rest)
    )
    assert list(read_pth(fixture("training", layout), "model"))[0] == "conv.weight"
    assert len(decoded) == 7


def test_select_of_what_is_not_there():
    with pytest.raises(CheckpointError, match=r"training.zip.pth.*'state_dict'.*iterations.*model"):
        read_pth(fixture("training", "zip"), "state_dict")


def test_missing_file(tmp_path):
    with pytest.raises(MissingInputError, match="nowhere.pth"):
        read_pth(tmp_path / "nowhere.pth")


def test_same_values_in_both_layouts():
    for name in ("shared", "types", "parameters"):
        first, second = (read_pth(fixture(name, layout)) for layout in LAYOUTS)
        assert list(first) == list(second)
        for key in first:
            np.testing.assert_array_equal(first[key], second[key])


@pytest.mark.parametrize("prefix", ["", "archive/", "my model/", "a/b/"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_prefix_and_compression(tmp_path, prefix, compression):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{prefix}data.pkl", w.program(w.contiguous("0", values)))
        archive.writestr(f"{prefix}version", b"3\n")
        archive.writestr(f"{prefix}data/0", values.tobytes())
    np.testing.assert_array_equal(read_pth(path), values)


@pytest.mark.parametrize("order", ["little", "big"])
def test_byte_order_of_zip(tmp_path, order):
    values = np.arange(4, dtype="<f4" if order == "little" else ">f4")
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", w.program(w.contiguous("0", np.zeros(4, np.float32))))
        archive.writestr("a/byteorder", order)
        archive.writestr("a/data/0", values.tobytes())
    np.testing.assert_array_equal(read_pth(path), [0, 1, 2, 3])


def test_byte_order_of_legacy(tmp_path):
    values = np.arange(4, dtype=">f4")
    body = w.program(w.contiguous("0", np.zeros(4, np.float32)))
    head = [part.replace(b"\x88s.", b"\x89s.") for part in w.LEGACY_HEAD]
    raw = struct.pack(">q", 4) + values.tobytes()
    (tmp_path / "x.pth").write_bytes(b"".join(head) + body + w.program(b"](X\x01\0\0\0000e") + raw)
    np.testing.assert_array_equal(read_pth(tmp_path / "x.pth"), [0, 1, 2, 3])


def test_python_2_strings(tmp_path):
    """Python 2 wrote names as byte strings, and views as a sixth part of the identity."""
    identity = w.group(
        b"U\x07storage",
        w.name("torch", "FloatStorage"),
        b"U\x0a1234567890",
        b"U\x03cpu",
        b"K\x06",
        w.group(b"U\x01v", b"K\x02", b"K\x04"),
    )
    made = w.call(
        w.name("torch._utils", "_rebuild_tensor"),
        identity + b"Q",
        b"K\x01",
        w.group(b"K\x03"),
        w.group(b"K\x01"),
    )
    items = b"]" + b"](U\x06weight" + made + b"ea"
    body = w.call(w.name("collections", "OrderedDict"), items)
    array = np.arange(6, dtype=np.float32)
    path = w.write_legacy(tmp_path / "old.pth", body, {"1234567890": array})
    np.testing.assert_array_equal(read_pth(path)["weight"], [3, 4, 5])


def test_python_2_numpy_bytes(tmp_path):
    """Array contents arrive as text when Python 2 wrote them."""
    element = w.call(w.name("numpy", "dtype"), w.text("f4"), b"K\x00", b"K\x01")
    element += w.group(b"K\x03", w.text("<"), b"N", b"N", b"N", b"J\xff\xff\xff\xff" * 2, b"K\x00")
    raw = np.array([1.5, -2.0], "<f4").tobytes()
    body = w.call(
        w.name("numpy.core.multiarray", "_reconstruct"),
        w.name("numpy", "ndarray"),
        w.group(b"K\x00"),
        b"U\x01b",
    )
    state = w.group(b"K\x01", w.group(b"K\x02"), element + b"b", b"\x89", b"U\x08" + raw)
    np.testing.assert_array_equal(
        read_pth(w.write_zip(tmp_path / "x.pth", body + state + b"b")), [1.5, -2]
    )


def test_protocol_4_names(tmp_path):
    body = w.text("collections") + w.text("OrderedDict") + b"\x93)R"
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x04" + body + b".")
    assert read_pth(path) == {}


def test_needs_no_torch():
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from vos_jax.checkpoints.pth import read_pth\n"
        "read_pth(sys.argv[1])\n"
    )
    path = str(fixture("training", "legacy"))
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 0
