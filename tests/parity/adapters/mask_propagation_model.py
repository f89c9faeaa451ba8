"""Adapters of Mask-Propagation's network: encoders, one segmentation step, whole videos."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.adapters.hodor import channels_first, device_params
from tests.parity.case import Case
from vos_jax.core.geometry import Geometry
from vos_jax.systems import registry
from vos_jax.systems.base import Given, Verbs, step
from vos_jax.systems.mask_propagation.weights import MASK_PROPAGATION
from vos_jax.systems.space_time import with_masks

NOTHING_SEEN = 1e-7
"""What the official buffer of probabilities holds for the background of an untouched frame."""


def verbs_of(case: Case) -> Verbs:
    """The configured system with a case's weights."""
    config = case.config
    system = registry.build(
        "mask_propagation",
        single_object=config.get("network") == "single_object",
        top_k=config.get("top_k") or 0,
        sigma=config.get("km") or 0.0,
        memory_every=config.get("mem_freq", 5),
        min_dim=0,
    )
    params = device_params(MASK_PROPAGATION, case.weights(), "")
    return Verbs(system, {"params": params})


def prepared(verbs: Verbs, frames: np.ndarray, size=None) -> tuple[jax.Array, Geometry]:
    """Frames as the network gets them."""
    geometry = verbs.module.spec.geometry(frames.shape[1:3])
    return verbs.module.spec.prepare(jnp.asarray(frames), geometry), geometry


def planes_of(masks: np.ndarray) -> jax.Array:
    """Masks [o 1 h w] as planes of one video, [1 h w o]."""
    return jnp.moveaxis(jnp.asarray(masks, jnp.float32)[:, 0], 0, -1)[None]


def encoded(verbs: Verbs, encoder: str, inputs: jax.Array) -> jax.Array:
    """Stride-16 maps of one of the two encoders."""

    @jax.jit
    def run(inputs):
        return verbs.module.apply(
            verbs.variables, inputs, method=lambda module, x: getattr(module, encoder)(x)
        )

    return run(inputs)[16]


def stored(keys_or_values: jax.Array, grid: tuple[int, int]) -> np.ndarray:
    """[1 o n c] in the official layout, [o c 1 y x]."""
    maps = keys_or_values.reshape(-1, *grid, keys_or_values.shape[-1])
    return channels_first(maps)[:, :, None]


def encoders(case: Case, data_dir) -> dict[str, np.ndarray]:
    """Keys, values and features of frames, with several numbers of objects."""
    verbs = verbs_of(case)
    frames, _ = prepared(verbs, case.inputs["frames"])
    features = jax.jit(verbs.encode)(frames)
    grid, masks = features.key.shape[1:3], case.inputs["masks"]
    memorise = jax.jit(verbs.memorise)
    results = {}
    for name in case.outputs_wanted:
        part, _, objects = name.removeprefix("mem_").partition("_")
        if name.startswith("query_"):
            continue
        if part == "f16":
            inputs = with_masks(frames[:1], planes_of(masks), others=True)
            results[name] = channels_first(encoded(verbs, "memory_encoder", inputs)[:1])
            continue
        if objects:
            here = jax.tree.map(lambda x: x[:1], features)
            pair = memorise(here, planes_of(masks)[..., : int(objects)])
        else:
            pair = memorise(features, jnp.moveaxis(jnp.asarray(masks, jnp.float32), 1, -1))
        chosen = pair[part == "value"]
        chosen = chosen if objects in ("", str(chosen.shape[1])) else chosen[:, : int(objects)]
        results[name] = stored(chosen, grid)
    if "query_key" in case.outputs_wanted:
        query = jax.tree.map(lambda x: x[1:2], features)
        f16 = encoded(verbs, "query_encoder", frames[1:2])
        maps = {"key": query.key, "value": query.value, "f8": query.f8, "f4": query.f4, "f16": f16}
        results |= {f"query_{name}": channels_first(value) for name, value in maps.items()}
    return results


def segment(case: Case, data_dir) -> dict[str, np.ndarray]:
    """One frame read from two, step by step."""
    verbs = verbs_of(case)
    frames, geometry = prepared(verbs, case.inputs["frames"])
    objects = case.config["objects"]
    known = jnp.ones((1, objects), bool)

    @jax.jit
    def run(frames, masks):
        features = verbs.encode(frames)
        here = [jax.tree.map(lambda x, t=t: x[t : t + 1], features) for t in range(3)]
        state = verbs.init_state(1, geometry, objects, 2)
        for t, planes in enumerate(masks):
            memory = jnp.pad(planes, [(0, 0)] * 3 + [(1, 0)])
            given = Given(masks=planes, slots=known)
            state = verbs.write(state, here[t], None, memory, given)
        readout = verbs.recall(state, here[2])
        scores, _ = verbs.read(state, here[2])
        masks = verbs.module.spec.resolve(scores, known, None, geometry)
        return readout, here[2].value, scores, masks.memory

    masks = [planes_of(case.inputs[name]) for name in ("masks_0", "masks_1")]
    readout, value, scores, planes = run(frames, masks)
    value = jnp.broadcast_to(value[:, None], readout.shape)
    logits = jax.image.resize(scores, (1, *geometry.network, objects), "bilinear")
    logits = np.moveaxis(np.asarray(logits), -1, 1)[0][:, None]
    return {
        "decoder_input": channels_first(jnp.concatenate([readout, value], -1)[0]),
        "logits": logits,
        "sigmoid": 1 / (1 + np.exp(-logits)),
        "prob": np.moveaxis(np.asarray(planes), -1, 1)[0][:, None],
    }


def video(case: Case, data_dir) -> dict[str, np.ndarray]:
    """A video whose objects are given on its first frame; masks as the case says it wants them."""
    ids = tuple(range(1, 1 + case.config["objects"]))
    results = segmented(case, {0: case.inputs["mask_0"]}, ids)
    grey = "0/255" in case.json["outputs"]["masks"]
    return results | {"masks": results["masks"] * np.uint8(255 if grey else 1)}


def video_youtube(case: Case, data_dir) -> dict[str, np.ndarray]:
    """A video in which objects are given on several frames, labels brought to another size."""
    annotations, ids = case.inputs["annotations"], case.config["labels"]
    numbered = np.zeros_like(annotations)
    for number, label in enumerate(ids, start=1):
        numbered[annotations == label] = number
    given = {t: labels for t, labels in enumerate(numbered) if labels.any()}
    results = segmented(case, given, ids, tuple(case.config["output_size"]))
    table = np.array([0, *ids], np.uint8)
    return results | {"masks": table[results["masks"]]}


def segmented(case: Case, given: dict[int, np.ndarray], ids, output=None) -> dict[str, np.ndarray]:
    """Aggregated probabilities on the padded grid and slot labels, frame by frame."""
    verbs, frames = verbs_of(case), case.inputs["frames"]
    spec, slots = verbs.module.spec, len(ids)
    geometry = spec.geometry(frames.shape[1:3])
    geometry = dataclasses.replace(geometry, output=output or geometry.output)
    advance = jax.jit(lambda *arguments: step(verbs, *arguments[:2], geometry, *arguments[2:]))
    state = verbs.init_state(1, geometry, slots, spec.entries(len(frames), len(given)))
    prob, masks = [], []
    for t, frame in enumerate(frames):
        arguments = [state, frame[None]]
        if t in given:
            planes = given[t][..., None] == np.arange(1, slots + 1)
            planes = jnp.asarray(planes[None])
            arguments.append(Given(planes.astype(jnp.float32), planes.any((1, 2))))
        state, result = advance(*arguments)
        seen = np.asarray(result.memory)[0] if state.known.any() else None
        untouched = np.zeros((*geometry.network, slots + 1), np.float32)
        untouched[..., 0] = NOTHING_SEEN
        prob.append(untouched if seen is None else seen)
        masks.append(np.asarray(result.labels)[0])
    return {"prob": np.moveaxis(np.stack(prob), -1, 0)[:, :, None], "masks": np.stack(masks)}


ADAPTERS = {
    "mask_propagation/encoders": encoders,
    "mask_propagation/segment": segment,
    "mask_propagation/video": video,
    "mask_propagation/video_youtube": video_youtube,
}
