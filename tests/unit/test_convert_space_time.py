"""Official files of Mask-Propagation, RDE and STCN: every tensor has its place, or an error."""

import re

import jax
import numpy as np
import pytest

from tests.official_listings import FIRST, network, resnet, single_object
from tests.pth_writer import Listing
from vos_jax.checkpoints.names import flatten
from vos_jax.checkpoints.store import load_params, load_settings
from vos_jax.checkpoints.transfer import initialise_from
from vos_jax.convert import main
from vos_jax.core.commands import run_command
from vos_jax.systems import registry
from vos_jax.systems.official_files import looks_like

SYSTEMS = ("mask_propagation", "rde", "stcn")
COUNTS = {"mask_propagation": 53_685_953, "rde": 64_020_836, "stcn": 54_434_180}
"""Parameters of the official networks, statistics of norms not counted."""


def tree(system, **settings):
    """Our network's parameters without values."""
    module = registry.build(system, **settings)
    return jax.eval_shape(lambda key: registry.initialise(system, module, key), jax.random.key(0))


def shapes(system, **settings):
    """The shapes our network has, by path."""
    return {path: leaf.shape for path, leaf in flatten(tree(system, **settings)).items()}


def zeros(listing):
    """Tensors of these shapes that take no memory."""
    return {n: np.broadcast_to(np.zeros((), t), s) for n, (s, t) in listing.items()}


def run(capsys, system, path, workdir, *more):
    """Converts; returns the exit code and what was printed."""
    arguments = ["--system", system, "--checkpoint", path, "--workdir", workdir, *more]
    code = run_command(main, [*map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out if code == 0 else printed.err


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_tensor_of_a_network_has_one_place(system):
    listing = network(system)
    names = registry.entry(system).names
    params, report = names.convert(zeros(listing))
    converted = {path: array.shape for path, array in flatten(params).items()}
    assert converted == shapes(system)
    assert set(report.used) | set(report.dropped) == set(listing)
    assert all(name.endswith("num_batches_tracked") for name in report.dropped)
    trained = {p: s for p, s in converted.items() if not p.endswith(("/mean", "/variance"))}
    assert sum(map(np.prod, trained.values())) == COUNTS[system]


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_tensor_of_a_single_object_network_has_one_place(system):
    names = registry.entry(system).names
    params, _ = names.convert(zeros(single_object(system)))
    ours = {path: array.shape for path, array in flatten(params).items()}
    assert ours == shapes(system, single_object=True)


@pytest.mark.parametrize("system", SYSTEMS)
def test_names_and_layouts_are_inverted_by_export(system):
    listing = Listing(network(system))
    chosen = [n for n in network(system) if np.prod(network(system)[n][0]) < 40_000]
    names = registry.entry(system).names
    params, report = names.convert({name: listing[name] for name in chosen})
    exported = names.export(params, report.used)
    assert len(exported) > 150
    for name, array in exported.items():
        np.testing.assert_array_equal(array, listing[name], err_msg=name)


ENCODERS = {
    ("mask_propagation", "resnet50"): {"query_encoder/": False, "memory_encoder/": True},
    ("rde", "resnet50"): {"key_encoder/": False},
    ("stcn", "resnet50"): {"key_encoder/": False},
    ("rde", "resnet18"): {"value_encoder/image_encoder/": True},
    ("stcn", "resnet18"): {"value_encoder/image_encoder/": True},
}
"""What an ImageNet file fills: our encoders, and whether they see masks and have biases."""


@pytest.mark.parametrize(("system", "what"), ENCODERS)
def test_pretrained_resnets(system, what, tmp_path, capsys):
    listing = Listing(resnet(int(what[-2:])))
    path = listing.write(tmp_path / "resnet.pth", legacy=True)
    code, said = run(capsys, system, path, tmp_path / "W", "--what", what)
    assert code == 0, said
    assert "4 tensors dropped (they belong to another network):\n  layer4" in said
    assert load_settings(tmp_path / "W")["partial"] is True
    found = flatten(load_params(tmp_path / "W")[0])
    needed = shapes(system)
    folders = ENCODERS[system, what]
    assert set(found) == {path for path in needed if path.startswith(tuple(folders))}
    for folder, with_masks in folders.items():
        first = found[f"{folder}conv1/kernel"]
        np.testing.assert_array_equal(first, listing["conv1.weight"].transpose(2, 3, 1, 0))
        last = found[f"{folder}stage_2_block_1/bn2/variance"]
        np.testing.assert_array_equal(last, listing["layer3.1.bn2.running_var"])
        shortcut = found[f"{folder}stage_1_block_0/shortcut/kernel"]
        theirs = listing["layer2.0.downsample.0.weight"]
        np.testing.assert_array_equal(shortcut, theirs.transpose(2, 3, 1, 0))
        biases = [p for p in found if re.fullmatch(rf"{folder}.*(conv\d|shortcut)/bias", p)]
        assert bool(biases) == with_masks and not any(found[path].any() for path in biases)
        other = {p: a.shape for p, a in found.items() if p.startswith(folder)}
        del other[f"{folder}conv1/kernel"]
        assert other == {path: needed[path] for path in other}
    drawn = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), tree(system))
    transfer = initialise_from(drawn, load_params(tmp_path / "W")[0], jax.random.key(0))
    assert transfer.unused == []
    assert transfer.widened == [f"{f}conv1/kernel" for f, masked in folders.items() if masked]


def test_single_object_network(tmp_path, capsys):
    listing = Listing(single_object("stcn"))
    path = listing.write(tmp_path / "stage0.pth")
    code, said = run(capsys, "stcn", path, tmp_path / "W", "--what", "stage0")
    assert code == 0, said
    assert load_settings(tmp_path / "W")["model"]["single_object"] is True
    kernel = load_params(tmp_path / "W")[0]["value_encoder"]["image_encoder"]["conv1"]["kernel"]
    np.testing.assert_array_equal(kernel, listing[FIRST["stcn"]].transpose(2, 3, 1, 0))


def test_single_object_network_widened_by_a_channel_of_zeros(tmp_path, capsys):
    listing = Listing(single_object("stcn"))
    path = listing.write(tmp_path / "stage0.pth")
    code, said = run(capsys, "stcn", path, tmp_path / "W", "--what", "stage0_widened")
    assert code == 0, said
    assert load_settings(tmp_path / "W")["model"]["single_object"] is False
    kernel = load_params(tmp_path / "W")[0]["value_encoder"]["image_encoder"]["conv1"]["kernel"]
    assert kernel.shape == (7, 7, 5, 64)
    np.testing.assert_array_equal(kernel[:, :, :4], listing[FIRST["stcn"]].transpose(2, 3, 1, 0))
    assert not kernel[:, :, 4].any()


FILES = {
    "mask_propagation": (network("mask_propagation"), None),
    "mask_propagation checkpoint": (network("mask_propagation"), "network"),
    "mask_propagation stage0": (single_object("mask_propagation"), None),
    "rde": (network("rde"), None),
    "rde checkpoint": (network("rde"), "network"),
    "stcn": (network("stcn"), None),
    "stcn checkpoint": (network("stcn"), "network"),
    "stcn stage0": (single_object("stcn"), None),
    "resnet50": (resnet(50), None),
    "resnet18": (resnet(18), None),
}
WRONG = [
    ("stcn", "mask_propagation", "model", "stcn --what model"),
    (
        "mask_propagation checkpoint",
        "mask_propagation",
        "model",
        "mask_propagation --what checkpoint",
    ),
    ("mask_propagation stage0", "mask_propagation", "model", "mask_propagation --what stage0"),
    ("mask_propagation", "mask_propagation", "stage0", "mask_propagation --what model"),
    ("rde", "stcn", "model", "rde --what model"),
    ("stcn", "rde", "model", "stcn --what model"),
    ("rde checkpoint", "stcn", "checkpoint", "rde --what checkpoint"),
    ("stcn checkpoint", "rde", "model", "stcn --what checkpoint"),
    ("stcn stage0", "rde", "model", "rde --what stage0"),
    ("stcn stage0", "stcn", "model", "stcn --what stage0"),
    ("stcn", "stcn", "stage0_widened", "stcn --what model"),
    ("rde", "hodor", "model", "rde --what model"),
    ("resnet50", "stcn", "resnet18", "stcn --what resnet50"),
    ("resnet18", "rde", "resnet50", "rde --what resnet18"),
    ("resnet18", "mask_propagation", "resnet50", "rde --what resnet18"),
    ("resnet50", "hodor", "backbone", "mask_propagation --what resnet50"),
]


@pytest.mark.parametrize(("file", "system", "what", "right"), WRONG)
def test_another_file_is_named(file, system, what, right):
    listing, key = FILES[file]
    content = zeros(listing) if key is None else {key: zeros(listing), "it": 7}
    found = looks_like(content, system, what)
    assert "{} --what {}".format(*found) == right


@pytest.mark.parametrize(
    ("file", "system", "what"),
    [
        ("mask_propagation", "mask_propagation", "model"),
        ("rde checkpoint", "rde", "checkpoint"),
        ("stcn stage0", "stcn", "stage0_widened"),
        ("resnet18", "stcn", "resnet18"),
    ],
)
def test_the_right_file_is_not_taken_for_another(file, system, what):
    listing, key = FILES[file]
    content = zeros(listing) if key is None else {key: zeros(listing), "it": 7}
    assert looks_like(content, system, what) is None


@pytest.mark.parametrize(
    ("file", "system", "more", "said"),
    [
        ("stcn", "rde", [], r"30 parameters without a tensor \(aggregation/.*--system stcn"),
        ("rde", "stcn", [], r"30 unexpected tensors \(mem_compress.*--system rde --what model"),
        (
            "mask_propagation stage0",
            "mask_propagation",
            [],
            r"1 tensors of another shape \(mask_rgb_encoder.conv1.weight \[64, 4, 7, 7\].*stage0",
        ),
        ("stcn checkpoint", "stcn", [], r"holds 'network', which is no tensor; .*checkpoint"),
        ("stcn", "stcn", ["--what", "checkpoint"], r"nothing under 'network'.*--what model"),
        ("resnet50", "stcn", ["--what", "resnet18"], r"unexpected tensors.*--what resnet50"),
        ("stcn", "stcn", ["--set", "key_channels=128"], r"2 tensors of another shape \(key_proj"),
        ("stcn", "stcn", ["--what", "backbone"], "stcn has files of the kinds model, checkpoint"),
    ],
)
def test_wrong_files_of_full_size(file, system, more, said, tmp_path, capsys):
    listing, key = FILES[file]
    path = Listing(listing).write(tmp_path / "x.pth", key)
    code, error = run(capsys, system, path, tmp_path / "W", *more)
    assert code == 2
    assert re.search(said, error), error
    assert error.count("\n") == 1 and not (tmp_path / "W").exists()


@pytest.mark.parametrize("name", ["conv1.weight", "layer3.1.bn2.running_mean"])
def test_pretrained_resnet_must_be_whole(name, tmp_path, capsys):
    listing = resnet(18)
    del listing[name]
    path = Listing(listing).write(tmp_path / "x.pth")
    code, error = run(capsys, "stcn", path, tmp_path / "W", "--what", "resnet18")
    assert code == 2
    assert re.search(r"1 parameters without a tensor \(value_encoder/image_encoder/", error)
