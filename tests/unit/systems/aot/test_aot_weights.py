"""The zoo's tensors: each has its place, its shape, and trains as the official one does."""

import fnmatch
import functools
import gzip
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from vos_jax.checkpoints.names import flatten
from vos_jax.nn.encoders import NETWORKS
from vos_jax.systems import registry
from vos_jax.systems.aot.encoder_weights import ENCODERS, MOBILENET_V3, TORCHVISION_MOBILENET_V3
from vos_jax.systems.aot.variants import VARIANTS, model_settings, no_decay
from vos_jax.systems.official_files import OFFICIAL_FILES, bare, looks_like

LISTINGS = Path(__file__).parents[3] / "fixtures/aot/state_dicts.json.gz"
FIELDS = ("name", "shape", "dtype", "kind", "decay", "rate", "frozen")


@functools.cache
def listings():
    return json.loads(gzip.decompress(LISTINGS.read_bytes()))["variants"]


@functools.cache
def rows(variant):
    """The listed tensors that are parameters of ours, by our path, with their official shape."""
    names = OFFICIAL_FILES["aot"][variant].names
    tensors = [dict(zip(FIELDS, row, strict=True)) for row in listings()[variant]["tensors"]]
    empty = {row["name"]: np.broadcast_to(np.float32(0), row["shape"]) for row in tensors}
    params, report = names.convert({n: x for n, x in empty.items() if "index" not in n})
    assert not report.dropped
    ours = {path: array.shape for path, array in flatten(params).items()}
    found = {report.used[row["name"]]: row for row in tensors if row["name"] in report.used}
    assert ours.keys() == found.keys()
    left = {row["name"] for row in tensors} - set(report.used)
    assert all(name.endswith("relative_position_index") for name in left)
    return ours, found


def matching(paths, patterns):
    return {p for p in paths if any(fnmatch.fnmatchcase(p, pattern) for pattern in patterns)}


def test_every_variant_is_listed():
    assert set(VARIANTS) == set(listings())


@pytest.mark.parametrize("variant", ["aots", "deaots"])
def test_shapes_are_those_of_the_module(variant):
    module = registry.build("aot", **model_settings(variant))
    drawn = jax.eval_shape(lambda key: registry.initialise("aot", module, key), jax.random.key(0))
    assert {path: leaf.shape for path, leaf in flatten(drawn).items()} == rows(variant)[0]


@pytest.mark.parametrize("variant", ["aott", "rs101_aotl", "deaots", "r50_deaotl", "swinb_aotl"])
def test_training_leaves_decays_and_slows_what_the_official_one_does(variant):
    settings = model_settings(variant)
    paths = rows(variant)[1]
    untrained = matching(paths, registry.build("aot", **settings).untrained)
    assert untrained - {"mask_token"} == {p for p, r in paths.items() if r["kind"] != "param"}
    trained = paths.keys() - untrained
    assert trained - matching(trained, no_decay(settings)) == {
        p for p in trained if paths[p]["decay"]
    }
    assert matching(trained, ["encoder/*"]) == {p for p in trained if paths[p]["rate"]}
    assert matching(trained, ["identity_bank/*"]) == {p for p in trained if paths[p]["frozen"]}
    count = sum(int(np.prod(rows(variant)[0][p])) for p in trained | {"mask_token"} & set(paths))
    assert count == listings()[variant]["trainable_params"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_tensor_has_one_place(variant):
    shapes, found = rows(variant)
    assert len(shapes) == len(found) and len(set(found)) == len(found)
    kept = sum(int(np.prod(shapes[p])) for p, r in found.items() if r["kind"] != "buffer")
    assert kept == listings()[variant]["total_params"]


def test_all_encoders_have_names():
    assert set(ENCODERS) == set(NETWORKS)


def zeros(variant):
    return {
        name: np.broadcast_to(np.float32(0), shape)
        for name, shape, *_ in listings()[variant]["tensors"]
    }


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("key", ["state_dict", "model", None])
def test_checkpoints_hold_tensors_in_three_ways_and_may_be_wrapped(key, wrapped):
    tensors = {("module." if wrapped else "") + name: x for name, x in zeros("aots").items()}
    tree = tensors if key is None else {key: tensors, "optimizer": {}}
    assert OFFICIAL_FILES["aot"]["aots"].share(tree) == 1
    assert OFFICIAL_FILES["aot"]["aott"].share(tree) == 0
    assert looks_like(tree, "rde", "model") == ("aot", "aots")


def test_only_what_all_names_begin_with_is_taken_off():
    tensors = {"module.a": 1, "module.module.b": 2}
    assert bare(tensors) == {"a": 1, "module.b": 2}
    assert bare(tensors | {"c": 3}) == tensors | {"c": 3}


def test_torchvision_calls_the_same_mobilenet_otherwise():
    """Its units are numbered apart; squeezing layers are 1x1 convolutions."""
    blocks = {1: ["0", "1"]} | {n: ["0", "1", "2"] for n in (2, 3, 7, 8, 9, 10)}
    squeezing = (4, 5, 6, 11, 12, 13, 14, 15)
    blocks |= {n: ["0", "1", "3"] for n in squeezing}
    units = [f"features.{n}.block.{unit}" for n, numbers in blocks.items() for unit in numbers]
    names = []
    for unit in ["features.0", "features.16", *units]:
        norms = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        names += [f"{unit}.0.weight", *(f"{unit}.1.{name}" for name in norms)]
    for n in squeezing:
        names += [f"features.{n}.block.2.fc{i}.{x}" for i in (1, 2) for x in ("weight", "bias")]
    kernels = (".0.weight", "fc1.weight", "fc2.weight")
    theirs = {n: np.zeros((2, 2, 1, 1) if n.endswith(kernels) else 2) for n in names}
    params, report = TORCHVISION_MOBILENET_V3.convert(theirs)
    case = Path(__file__).parents[3] / "parity/cases/aot/encoder_mobilenetv3.json"
    official = json.loads(case.read_text())["weights"]["tensors"]
    plain = {name: np.broadcast_to(np.float32(0), shape) for name, shape, _ in official}
    assert flatten(params).keys() == flatten(MOBILENET_V3.convert(plain)[0]).keys()
    assert all(name.endswith("num_batches_tracked") for name in report.dropped)
