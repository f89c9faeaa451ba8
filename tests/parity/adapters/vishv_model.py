"""Adapters of STEm-Seg's and VIShv's network: encoder, decoders, coordinates, preparation."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.case import Case
from vos_jax.nn.resnet_pyramid import ResNetPyramid
from vos_jax.systems import registry
from vos_jax.systems.base import Segmenter, Verbs
from vos_jax.systems.vishv.maps import DenseMaps, coordinates
from vos_jax.systems.vishv.spec import StemSegSpec
from vos_jax.systems.vishv.weights import RESNET_PYRAMID, VISHV

DEPTHS = {"R-50-FPN": "resnet50", "R-101-FPN": "resnet101"}
STRIDES = {"p2": 4, "p3": 8, "p4": 16, "p5": 32}
KINDS = {
    "davis_1.yaml": {"classes": 0, "seediness_head": True},
    "davis_2.yaml": {"classes": 0, "seediness_head": True, "clip_length": 16},
    "youtube_vis.yaml": {"classes": 41},
    "kitti_mots_1.yaml": {"classes": 3, "mode": "xyt", "semantic_widths": (256, 256, 128, 128)},
}
KINDS["kitti_mots_2.yaml"] = KINDS["kitti_mots_1.yaml"]
"""Settings by official config file."""
SETTINGS = {
    "INPUT.MIN_DIM": "min_dim",
    "INPUT.MAX_DIM": "max_dim",
    "MODEL.EMBEDDING_DIM_MODE": "mode",
    "embedding_dim_mode": "mode",
    "n_flow": "flow_steps",
    "n_block": "flow_levels",
    "n_bits": "bits",
}
DEFAULT_DEPTHS = {"stem_seg": "R-101-FPN", "vishv": "R-50-FPN"}


def to_first(x) -> np.ndarray:
    """Channels after the batch: [n ... c] to [n c ...]."""
    return np.moveaxis(np.asarray(x), -1, 1)


def to_last(x) -> jnp.ndarray:
    """Channels behind: [n c ...] to [n ... c]."""
    return jnp.moveaxis(jnp.asarray(x), 1, -1)


def encoder(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Maps of the ResNet, and of the pyramid."""
    names = RESNET_PYRAMID.under(r"backbone\.")
    params, _ = names.convert(case.weights())

    @jax.jit
    def run(params, image):
        module = ResNetPyramid(DEPTHS[case.config["backbone"]])
        outputs, kept = module.apply(
            {"params": params}, image, capture_intermediates=True, mutable="intermediates"
        )
        (body,) = kept["intermediates"]["body"]["__call__"]
        (stem,) = kept["intermediates"]["body"]["bn1"]["__call__"]
        return outputs, body, stem

    outputs, body, stem = run(params, to_last(case.inputs["image"]))
    pool = jax.lax.reduce_window(
        jax.nn.relu(stem),
        -jnp.inf,
        jax.lax.max,
        (1, 3, 3, 1),
        (1, 2, 2, 1),
        ((0, 0), (1, 1), (1, 1), (0, 0)),
    )
    maps = {"stem": pool, "c4": body[16], "c5": body[32]}
    maps |= {name: outputs[stride] for name, stride in STRIDES.items()}
    return {name: to_first(maps[name]) for name in case.outputs_wanted}


def module_of(case: Case, **settings) -> Segmenter:
    """The system of a case's config file, with what else the case says."""
    config = case.config
    system = "vishv" if "HEVis" in case.json["source"] else "stem_seg"
    known = KINDS[config["config_file"]] | ({"mode": "xytfff"} if system == "vishv" else {})
    known |= {ours: config[theirs] for theirs, ours in SETTINGS.items() if theirs in config}
    free = [0.3] * known.get("mode", "xyff").count("f")
    depth = config.get("MODEL.BACKBONE.TYPE", config.get("backbone", DEFAULT_DEPTHS[system]))
    known |= {"backbone": DEPTHS[depth], "free_stds": free}
    return registry.build(system, **{**known, **settings})


def verbs_of(case: Case, **settings) -> Verbs:
    """The system with the case's weights."""
    params, _ = VISHV.convert(case.weights())
    params["time_scale"] = np.float32(case.config.get("time_scale", 1.0))
    return Verbs(module_of(case, **settings), {"params": params})


def joined(maps: DenseMaps, seediness: bool = True) -> np.ndarray:
    """The network's own map: embedding, bandwidths and seediness beside each other."""
    parts = [maps.embedding, maps.bandwidth, maps.seediness[..., None]]
    return to_first(jnp.concatenate(parts if seediness else parts[:2], axis=-1))


def semantic(maps: DenseMaps, described: str) -> np.ndarray:
    """Those logits "b t y x c" that a case's description lists."""
    channels = [int(each) for each in re.search(r"channels \[?([\d, ]+)", described)[1].split(",")]
    return np.asarray(maps.semantic)[..., channels]


def decoders(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """The decoders' maps of given features; they have no encoder."""
    verbs = verbs_of(case, clip_length=case.config["num_frames"])
    features = {s: to_last(case.inputs[f"feat{s}"]) for s in (4, 8, 16, 32)}
    maps, _ = jax.jit(lambda features: verbs.read(None, features))(features)
    found = {"embedding": joined(maps, seediness="seediness" not in case.outputs_wanted)}
    if "seediness" in case.outputs_wanted:
        found["seediness"] = np.asarray(maps.seediness)[:, None]
    if "semseg" in case.outputs_wanted:
        found["semseg"] = to_first(semantic(maps, case.json["outputs"]["semseg"]))
    return found


def coordinate_mixing(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """`MODE.SIZE.ts<time scale>`: given embeddings plus coordinates."""
    found = {}
    for name in case.outputs_wanted:
        mode, _, scale = re.fullmatch(r"(\w+)\.(\w+)\.ts(.+)", name).groups()
        raw = to_last(case.inputs[name])
        found[name] = to_first(raw + coordinates(mode, raw.shape[1:4], float(scale)))
    return found


def preparation(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """`tensor<i>`: what the network sees of an image."""
    spec = StemSegSpec(min_dim=case.config["min_dim"], max_dim=case.config["max_dim"])
    found = {}
    for name in case.outputs_wanted:
        image = case.inputs[name.replace("tensor", "image")]
        prepared = spec.prepare(jnp.asarray(image)[None, ..., ::-1], spec.geometry(image.shape[:2]))
        found[name] = to_first(prepared)[0]
    return found


def forward(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """The whole network on a clip of frames of its own size."""
    verbs, frames = verbs_of(case), jnp.asarray(case.inputs["frames"])
    spec = verbs.module.spec
    geometry = spec.unchanged(frames.shape[1:3])

    @jax.jit
    def run(frames):
        features = verbs.encode(spec.prepare(frames[..., ::-1], geometry))
        return verbs.read(None, {s: x[None] for s, x in features.items()})[0]

    maps = run(frames)
    found = {"map": joined(maps)}
    if "semseg" in case.outputs_wanted:
        described = case.json["outputs"]["semseg"]
        found["semseg"] = np.moveaxis(semantic(maps, described), -1, 2)
    return found


ADAPTERS = {
    "vishv/forward": forward,
    "vishv/backbone": encoder,
    "vishv/decoders": decoders,
    "vishv/coordinate_mixing": coordinate_mixing,
    "vishv/preprocess": preparation,
}
