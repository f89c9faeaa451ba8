"""Official files of STEm-Seg and VIShv: each tensor has its place and shape, and trains or not."""

import fnmatch
import functools
import gzip
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.pth_writer import Listing
from vos_jax.checkpoints.names import flatten
from vos_jax.checkpoints.store import load_params, load_settings
from vos_jax.convert import main
from vos_jax.core.commands import run_command
from vos_jax.systems import registry
from vos_jax.systems.official_files import OFFICIAL_FILES, looks_like

LISTINGS = Path(__file__).parents[3] / "fixtures/vishv/state_dicts.json.gz"
KINDS = {
    "davis": ("stem_seg", "davis_resnet101"),
    "kitti_mots": ("stem_seg", "kitti_mots_resnet101"),
    "youtube_vis": ("stem_seg", "youtube_vis_resnet101"),
    "youtube_vis_r50": ("stem_seg", "youtube_vis_resnet50"),
    "vishv_davis_r50": ("vishv", "davis_resnet50"),
    "vishv_davis_r101": ("vishv", "davis_resnet101"),
    "vishv_youtube_vis_r50": ("vishv", "youtube_vis_resnet50"),
    "vishv_youtube_vis_r101": ("vishv", "youtube_vis_resnet101"),
}
"""System and kind of file by listing."""
UNUSED = ("*.free_dim_bandwidths", "*.initialized", "*_mask", "*.l_eye", "*.conv1_cat.*")


@functools.cache
def listings():
    return json.loads(gzip.decompress(LISTINGS.read_bytes()))


def rows(variant):
    """What the official program does with a tensor, by its name."""
    return {name: kind for name, _, _, kind in listings()[variant]["tensors"]}


def tensors(variant):
    """Shape and type by name."""
    return {name: (shape, dtype) for name, shape, dtype, _ in listings()[variant]["tensors"]}


@functools.cache
def converted(variant):
    """The shapes of the parameters that a file gives, and what became of its tensors."""
    system, what = KINDS[variant]
    zeros = {n: np.broadcast_to(np.zeros((), t), s) for n, (s, t) in tensors(variant).items()}
    params, report = OFFICIAL_FILES[system][what].names.convert(zeros)
    return {path: array.shape for path, array in flatten(params).items()}, report


def matching(names, patterns):
    return {n for n in names if any(fnmatch.fnmatchcase(n, pattern) for pattern in patterns)}


def test_every_listed_variant_is_tested():
    assert set(KINDS) == set(listings())


@pytest.mark.parametrize("variant", KINDS)
def test_every_tensor_has_one_place_or_is_never_used(variant):
    shapes, report = converted(variant)
    assert set(report.dropped) == matching(rows(variant), UNUSED)
    assert len(set(report.used.values())) == len(report.used) == len(shapes)
    assert len(report.used) + len(report.dropped) == len(rows(variant))


@pytest.mark.parametrize("variant", KINDS)
def test_what_trains_in_the_official_program_trains(variant):
    system, what = KINDS[variant]
    shapes, report = converted(variant)
    module = registry.build(system, **OFFICIAL_FILES[system][what].settings)
    trained = {
        report.used[n]
        for n, kind in rows(variant).items()
        if n in report.used and kind == "trained"
    }
    assert shapes.keys() - matching(shapes, module.untrained) == trained
    spare = [shape for n, (shape, _) in tensors(variant).items() if ".conv1_cat." in n]
    count = sum(int(np.prod(shape)) for shape in [*(shapes[path] for path in trained), *spare])
    assert count == listings()[variant]["trainable"]


@pytest.mark.parametrize("variant", ["kitti_mots", "vishv_davis_r50", "youtube_vis_r50"])
def test_shapes_are_those_of_the_module(variant):
    system, what = KINDS[variant]
    module = registry.build(system, **OFFICIAL_FILES[system][what].settings)
    drawn = jax.eval_shape(lambda key: registry.initialise(system, module, key), jax.random.key(0))
    assert {path: leaf.shape for path, leaf in flatten(drawn).items()} == converted(variant)[0]


@pytest.mark.parametrize("variant", KINDS)
def test_files_tell_their_kind(variant):
    held = {
        "model": {n: np.broadcast_to(np.float32(0), s) for n, (s, _) in tensors(variant).items()}
    }
    system, what = KINDS[variant]
    for other in set(KINDS.values()) - {(system, what)}:
        assert looks_like(held, *other) == (system, what)
    assert looks_like(held, system, what) is None


def test_names_and_layouts_are_inverted_by_export():
    variant = "vishv_youtube_vis_r50"
    listing, names = Listing(tensors(variant)), registry.entry("vishv").names
    chosen = [n for n, (shape, _) in tensors(variant).items() if np.prod(shape) < 60_000]
    params, report = names.convert({name: listing[name] for name in chosen})
    exported = names.export(params, report.used)
    assert len(exported) > 400
    for name, array in exported.items():
        np.testing.assert_array_equal(array, listing[name], err_msg=name)


def convert(capsys, system, what, path, workdir):
    arguments = ["--system", system, "--what", what, "--checkpoint", path, "--workdir", workdir]
    code = run_command(main, [*map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_checkpoint_of_vishv(tmp_path, capsys):
    variant = "vishv_davis_r50"
    listing = Listing(tensors(variant))
    path = listing.write(tmp_path / "160000.pth", under="model")
    code, said = convert(capsys, *KINDS[variant], path, tmp_path / "W")
    assert code == 0, said
    settings = load_settings(tmp_path / "W")
    assert not settings["partial"] and settings["model"]["mode"] == "xytfff"
    found = flatten(load_params(tmp_path / "W")[0])
    assert {path: array.shape for path, array in found.items()} == converted(variant)[0]
    scale = listing["offset_head.blocks.0.flows.7.actnorm.scale"]
    np.testing.assert_array_equal(found["flow/parts_0_7/norm/scale"], scale.ravel())
    kernel = listing["seediness_head.block_8x.0.weight"].transpose(2, 3, 4, 1, 0)
    np.testing.assert_array_equal(found["seediness/unit_8_0/kernel"], kernel)
    code, said = convert(capsys, "stem_seg", "davis_resnet50", path, tmp_path / "other")
    assert code == 2 and "it looks like a file for --system vishv --what davis_resnet50" in said


def test_mask_rcnn_backbone(tmp_path, capsys):
    prefix = "backbone."
    inner = {
        n.removeprefix(prefix): e for n, e in tensors("youtube_vis_r50").items() if prefix in n
    }
    listing = Listing(inner)
    path = listing.write(tmp_path / "mask_rcnn_R_50_FPN_backbone.pth", legacy=True)
    code, said = convert(capsys, "stem_seg", "resnet50", path, tmp_path / "W")
    assert code == 0, said
    settings = load_settings(tmp_path / "W")
    assert settings["partial"] and settings["model"]["backbone"] == "resnet50"
    found = flatten(load_params(tmp_path / "W")[0])
    needed = {p: s for p, s in converted("youtube_vis_r50")[0].items() if p.startswith("encoder/")}
    assert {path: array.shape for path, array in found.items()} == needed
    kernel = listing["fpn.fpn_layer2.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(found["encoder/pyramid/output_1/kernel"], kernel)
