"""Adapter of AOT's and DeAOT's engines: whole videos, frame by frame."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.adapters.aot_encoders import NAMES
from tests.parity.adapters.hodor import channels_first, device_params
from tests.parity.case import Case
from vos_jax.core.geometry import Geometry
from vos_jax.core.resize import resize
from vos_jax.inference.steps import slot_planes
from vos_jax.nn.positions import sinusoidal_map
from vos_jax.systems import registry
from vos_jax.systems.aot.weights import aot_names
from vos_jax.systems.base import Given, Verbs
from vos_jax.systems.resolve import group_odds


@dataclasses.dataclass
class Frame:
    """What became of a frame.

    Attributes:
        features: without masks.
        seen: what the decoder got.
        scores: at stride 4.
        masks: what the frame was resolved to.
        known: slots that held an object before.
        state: after the frame.
    """

    features: object
    seen: jax.Array
    scores: jax.Array
    masks: object
    known: jax.Array
    state: object


def settings_of(config: dict) -> dict:
    """The settings of a recorded engine in our names."""
    return {
        "backbone": NAMES.get(config["MODEL_ENCODER"], config["MODEL_ENCODER"]),
        "family": config["MODEL_VOS"],
        "depth": config["MODEL_LSTT_NUM"],
        "align_corners": config["MODEL_ALIGN_CORNERS"],
        "memory_gap": config["long_term_mem_gap"],
        "radius": config["short_term_window"] // 2,
        "embedding": config["MODEL_ENCODER_EMBEDDING_DIM"],
        "heads": config["MODEL_ATT_HEADS"],
        "group_size": config["MODEL_MAX_OBJ_NUM"],
    }


def verbs_of(case: Case) -> Verbs:
    """The configured system with a case's weights."""
    system = registry.build("aot", **settings_of(case.config))
    names = aot_names(system.backbone, system.family)
    return Verbs(system, {"params": device_params(names, case.weights(), "")})


def walk(case: Case, verbs: Verbs) -> list[Frame]:
    """Runs the video: the first masks, later ones where a case has them, own labels else."""
    images, spec = case.inputs["images"], verbs.module.spec
    size, output = images.shape[1:3], tuple(case.config["output_size"])
    geometry = Geometry(size, size, size, output=output, align_corners=spec.align_corners)
    prompts = {0: case.inputs["ref_mask"]}
    for t in case.config["new_object_frames"]:
        prompts[t] = case.inputs[f"new_object_mask_t{t}"]
    slots = spec.group * case.config["engines"]
    state = verbs.init_state(1, geometry, slots, spec.entries(len(images), len(prompts)))

    @jax.jit
    def advance(state, image, given):
        features = verbs.encode(spec.prepare(image, geometry))
        given = None if given is None else spec.place(given, geometry)
        seen, _ = verbs.propagate(state, features)
        scores, trace = verbs.read(state, features)
        masks = spec.resolve(scores, state.known, given, geometry)
        after = verbs.write(state, features, trace, masks.memory, given)
        return features, seen, scores, masks, state.known, after

    frames = []
    for t, image in enumerate(images):
        given = None
        if t in prompts:
            planes = slot_planes(jnp.asarray(prompts[t][None]), slots)
            given = Given(planes, planes.any((1, 2)))
        frames.append(Frame(*advance(state, image[None], given)))
        state = frames[-1].state
    return frames


def enlarged(scores: jax.Array, known: jax.Array, case: Case) -> np.ndarray:
    """Logits at output size: one group's own, or the merged ones of several."""
    flat = scores.reshape(*scores.shape[:3], -1)
    align, size = case.config["MODEL_ALIGN_CORNERS"], tuple(case.config["output_size"])
    shown = resize(flat, size, "bilinear", align)
    if scores.shape[3] > 1:
        shown = jnp.log(group_odds(shown.reshape(*shown.shape[:3], *scores.shape[3:]), known)[1])
    return channels_first(shown)


def engine(case: Case, data_dir) -> dict[str, np.ndarray]:
    """Logits, labels and memories of a video, by their recorded names."""
    verbs = verbs_of(case)
    frames = walk(case, verbs)
    first = frames[0]
    reading = jax.jit(verbs.propagate), jax.jit(verbs.read)
    seen, scores = (run(first.state, first.features)[0] for run in reading)
    frames[0] = dataclasses.replace(first, seen=seen, scores=scores, known=first.state.known)
    probe = functools.partial(_probe, case, verbs, frames)
    return {name: probe(name) for name in case.outputs_wanted}


def _probe(case: Case, verbs: Verbs, frames: list[Frame], name: str) -> np.ndarray:
    config = case.config
    width, grid = config["MODEL_ENCODER_EMBEDDING_DIM"], tuple(config["encoder_grid"])
    step, sparse = config["probe_channel_step"], config["full_logits_step"]
    if name == "pos_emb":
        return channels_first(sinusoidal_map(*grid, width, first=0)[None])[:, ::step]
    if name.startswith(("long_", "short_")):
        return _memory(frames[-1].state, name, grid, config)
    frame = frames[int(re.search(r"_t(\d+)", name)[1])]
    objects = int(frame.known.sum())
    if name.startswith("label"):
        return np.asarray(frame.masks.labels)[0]
    if name.startswith("logits4"):
        group = int(name.rpartition("_g")[2])
        own = min(objects - group * config["MODEL_MAX_OBJ_NUM"], config["MODEL_MAX_OBJ_NUM"])
        return channels_first(frame.scores[..., group, : own + 1])
    if name.startswith("logits_full"):
        shown = enlarged(frame.scores, frame.known, case)[..., ::sparse, ::sparse]
        return shown if config["engines"] > 1 else shown[:, : objects + 1]
    if name.startswith("proj"):
        return channels_first(frame.features.matched)[:, ::step]
    if name.startswith("id_emb"):
        identity = verbs.identify(frame.masks.memory)[:1].reshape(1, *grid, -1)
        return channels_first(identity)[:, ::step]
    last = frame.seen[:1] if config["MODEL_VOS"] == "deaot" else frame.seen[:1, ..., -width:]
    return channels_first(last)[:, ::step]


def _memory(state, name: str, grid: tuple[int, int], config: dict) -> np.ndarray:
    """Keys or values of the last layer of the first group, newest entry first."""
    term, part, _ = re.fullmatch(r"(long|short)_(.*)_(last)", name).groups()
    number = 0 if part == "k" else 1
    step, half = config["memory_channel_step"], config["MODEL_ENCODER_EMBEDDING_DIM"] * 2
    if term == "long":
        written = np.asarray(state.bank.written)[0, 0]
        newest_first = np.argsort(-written)[: (written >= 0).sum()]
        entries = (state.bank.keys, state.bank.values)[number][-1]
        entries = np.asarray(entries)[0, 0, newest_first]
    else:
        entries = np.asarray(state.short[-1][number])[0, 0]
    if config["MODEL_VOS"] == "deaot" and number:
        entries = entries[..., half:] if part == "id_v" else entries[..., :half]
    tokens = entries.reshape(-1, 1, entries.shape[-1])[..., ::step]
    return tokens if term == "long" else channels_first(tokens.reshape(1, *grid, -1))


ADAPTERS = {"aot/engine": engine}
