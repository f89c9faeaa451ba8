"""Adapters of RDE's and STCN's parts: encoders, aggregation, memory modes, one segmentation."""

import re

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.adapters.hodor import channels_first, channels_last, device_params
from tests.parity.case import Case
from vos_jax.core.geometry import Geometry
from vos_jax.core.resize import resize
from vos_jax.ops.aggregate import log_odds
from vos_jax.systems import registry
from vos_jax.systems.base import Given, Verbs
from vos_jax.systems.rde import weights
from vos_jax.systems.rde.aggregation import AggregationModule
from vos_jax.systems.rde.model import Features, Rde
from vos_jax.systems.rollout import with_background
from vos_jax.systems.space_time import BANK

SETTINGS = {"mode": "mode", "top_k": "top_k", "mem_every": "memory_every"}


def verbs_of(case: Case, system: str = "rde", **settings) -> Verbs:
    """The configured system with a case's weights."""
    tensors, config = case.weights(), case.config
    found = {ours: config[name] for name, ours in SETTINGS.items() if name in config}
    if system == "rde":
        found["repeat"] = blocks(tensors)
    conv1 = tensors.get("value_encoder.conv1.weight")
    found["single_object"] = conv1 is not None and conv1.shape[1] == 4
    module = registry.build(system, min_dim=0, **(found | settings))
    params = device_params(registry.entry(system).names, tensors, "")
    return Verbs(module, {"params": params})


def blocks(tensors) -> int:
    """Squeeze-excitation blocks of the aggregation module, by the tensors' names."""
    numbers = [re.search(r"se_block\.(\d+)\.", name) for name in tensors]
    return max((1 + int(number[1]) for number in numbers if number), default=0)


def thinned(case: Case, name: str, x: np.ndarray, axis: int) -> np.ndarray:
    """Those channels of a result that its description names: "channels 0,16,32,..."."""
    step = re.search(r"channels 0,(\d+),", case.json["outputs"].get(name, ""))
    return np.asarray(x).take(np.arange(0, x.shape[axis], int(step[1]) if step else 1), axis)


def planes_of(masks: np.ndarray) -> jax.Array:
    """Masks [o h w] as planes of one video, [1 h w o]."""
    return jnp.moveaxis(jnp.asarray(masks, jnp.float32), 0, -1)[None]


def maps_of(tokens: jax.Array, grid: tuple[int, int]) -> np.ndarray:
    """Tokens [*b n c] as maps [*b c y x]."""
    return np.moveaxis(np.asarray(tokens).reshape(*tokens.shape[:-2], *grid, -1), -1, -3)


def encoders(case: Case, data_dir) -> dict[str, np.ndarray]:
    """Maps of a frame, and values of its objects with what they pass on the way."""
    verbs = verbs_of(case, "rde" if aggregates(case) else "stcn")
    features = jax.jit(verbs.encode)(channels_last(jnp.asarray(case.inputs["frame"])))
    names = {"k16": "key", "f16_thin": "thin", "f16": "f16", "f8": "f8", "f4": "f4"}
    results = {name: channels_first(getattr(features, ours)) for name, ours in names.items()}

    @jax.jit
    def values(planes):
        return verbs.module.apply(
            verbs.variables,
            features,
            planes,
            method="values",
            capture_intermediates=True,
            mutable="intermediates",
        )

    value, seen = values(planes_of(case.inputs["masks"][:, 0]))
    seen = seen["intermediates"]["value_encoder"]
    results["value"] = maps_of(value[0], features.key.shape[1:3])[:, :, None]
    results["value_layer3"] = channels_first(seen["image_encoder"]["__call__"][0][16])
    for name, ours in (("block1", "block1"), ("cbam", "attention")):
        results[f"value_fuser_{name}"] = channels_first(seen["fuser"][ours]["__call__"][0])
    return results


def aggregates(case: Case) -> bool:
    """Whether the case's network has an aggregation module."""
    return any(name.startswith("mem_compress.") for name, *_ in case.json["weights"]["tensors"])


def aggregation_module(case: Case, data_dir) -> dict[str, np.ndarray]:
    """Embeddings after each update, and what keys and values pass on the way."""
    tensors = case.weights()
    module = AggregationModule(repeat=blocks(tensors))
    params = device_params(weights.AGGREGATION, tensors, "mem_compress.")
    keys = jnp.moveaxis(jnp.asarray(case.inputs["keys"]), 1, -1)
    values = jnp.moveaxis(jnp.asarray(case.inputs["values"]), 2, -1)
    videos, objects = values.shape[:2]
    values = values.reshape(-1, *values.shape[2:])

    @jax.jit
    def update(key, value):
        variables, options = {"params": params}, {"mutable": "intermediates"}
        return module.apply(variables, key, value, capture_intermediates=True, **options)

    embedding, results = (keys[:, 0], values[:, 0]), {}
    for number in range(1, 1 + case.config["updates"]):
        new = keys[:, number], values[:, number]
        pairs = [jnp.stack(pair, 1) for pair in zip(embedding, new, strict=True)]
        embedding, seen = update(*pairs)
        for part in ("key", "value"):
            branch = seen["intermediates"][f"{part}_branch"]
            results[f"{part}_nonlocal_{number}"] = branch["non_local"]["__call__"][0]
            results[f"{part}_sam_{number}"] = branch["__call__"][0]
        key, value = (x[:, None] for x in embedding)
        results |= {f"key_{number}": key, f"value_{number}": value}
    found = {}
    for name in case.outputs_wanted:
        maps = thinned(case, name, np.moveaxis(np.asarray(results[name]), -1, 1), 1)
        joined = name.startswith("value_") and name[6:].isdigit()
        found[name] = maps.reshape(videos, objects, *maps.shape[1:]) if joined else maps
    return found


class StoredValues(Rde):
    """RDE whose values come with the features instead of from masks."""

    def values(self, features, planes):
        """What stands in place of f16."""
        return features.f16


def bank_modes(case: Case, data_dir) -> dict[str, np.ndarray]:
    """What each mode reads after every addition."""
    keys, values = case.inputs["keys"], case.inputs["values"]
    query = channels_last(jnp.asarray(case.inputs["query_key"]))
    grid, objects = query.shape[1:3], values.shape[1]
    tensors = case.weights()
    params = device_params(registry.entry("rde").names, tensors, "")
    geometry = Geometry.unchanged((16 * grid[0], 16 * grid[1]))
    given = Given(masks=jnp.zeros((1, 1, 1, objects)), slots=jnp.ones((1, objects), bool))
    results = {}
    for name in case.outputs_wanted:
        module = StoredValues(
            mode=name.replace("_", "-"), top_k=case.config["top_k"], repeat=blocks(tensors)
        )
        verbs = Verbs(module, {"params": params})
        state = verbs.init_state(1, geometry, objects, len(keys))

        @jax.jit
        def add_and_read(state, key, value, verbs=verbs):
            tokens = jnp.moveaxis(value, 1, -1).reshape(1, objects, -1, value.shape[1])
            features = Features(key=key, thin=None, f16=tokens, f8=None, f4=None, image=None)
            state = verbs.write(state, features, None, jnp.zeros((1, 1, 1, objects + 1)), given)
            return state, verbs.recall(state, features.replace(key=query))

        read = []
        for key, value in zip(keys, values, strict=True):
            key = channels_last(jnp.asarray(key))
            state, found = add_and_read(state, key, jnp.asarray(value))
            read.append(channels_first(found[0]))
        results[name] = thinned(case, name, np.stack(read), 2)
    return results


def segment(case: Case, data_dir) -> dict[str, np.ndarray]:
    """Frame 1 read from frame 0 as at inference, and as in training with given selectors."""
    verbs = verbs_of(case, mode="stm")
    frames = channels_last(jnp.asarray(case.inputs["frames"]))
    masks = planes_of(case.inputs["masks"])
    geometry, objects = Geometry.unchanged(frames.shape[1:3]), masks.shape[-1]
    given = Given(masks=masks, slots=jnp.ones((1, objects), bool))
    selectors = {name: [int(x) for x in re.findall(r"\d", name)] for name in case.outputs_wanted}

    @jax.jit
    def run(frames):
        features = verbs.encode(frames)
        first, second = (jax.tree.map(lambda x, t=t: x[t : t + 1], features) for t in (0, 1))
        state = verbs.init_state(1, geometry, objects, 1)
        memory = verbs.module.spec.resolve(None, state.known, given, geometry).memory
        state = verbs.write(state, first, None, memory, given)
        scores, _ = verbs.read(state, second)
        plain, _ = verbs.read(state, second, None, BANK)
        masks = verbs.module.spec.resolve(scores, state.known, None, geometry).memory
        full = [resize(x, geometry.network) for x in (scores, plain)]
        return memory, state.bank.values[0, :, 0], verbs.recall(state, second)[0], *full, masks

    memory, value, readout, logits, plain, masks = run(frames)
    results = {
        "first_prob": channels_first(memory).transpose(1, 0, 2, 3),
        "first_value": maps_of(value, readout.shape[1:3])[:, :, None],
        "readout": channels_first(readout),
        "object_logits": channels_first(logits).transpose(1, 0, 2, 3),
        "object_prob": channels_first(jax.nn.sigmoid(logits)).transpose(1, 0, 2, 3),
        "aggregated": channels_first(masks).transpose(1, 0, 2, 3),
    }
    for name, selector in selectors.items():
        if name.startswith("train_sel"):
            weighed = log_odds(jax.nn.sigmoid(plain), jnp.asarray([selector], bool))
            found = jax.nn.softmax(weighed)[..., 1:] if name.endswith("_prob") else weighed
            results[name] = channels_first(found)
    return results


def single_object_network(case: Case, data_dir) -> dict[str, np.ndarray]:
    """The network of stage 0: frame 1 read plainly from frame 0's raw mask."""
    verbs = verbs_of(case)
    frames = jnp.moveaxis(jnp.asarray(case.inputs["frames"]), 2, -1)
    masks = channels_last(jnp.asarray(case.inputs["mask"]))
    batch, geometry = len(frames), Geometry.unchanged(frames.shape[2:4])
    known = jnp.ones((batch, 1), bool)

    @jax.jit
    def run(frames, masks):
        features = verbs.encode(frames.reshape(-1, *frames.shape[2:]))
        features = jax.tree.map(lambda x: x.reshape(batch, -1, *x.shape[1:]), features)
        first, second = (jax.tree.map(lambda x, t=t: x[:, t], features) for t in (0, 1))
        state = verbs.init_state(batch, geometry, 1, 1)
        given = Given(masks=masks, slots=known)
        state = verbs.write(state, first, None, with_background(masks), given)
        scores, trace = verbs.read(state, second, None, BANK)
        full = resize(scores, geometry.network)
        return features.key, state.bank.values[:, 0, 0], trace[:, 0], full

    keys, values, trace, full = run(frames, masks)
    logits = log_odds(jax.nn.sigmoid(full), known)
    return {
        "k16": np.moveaxis(np.asarray(keys), -1, 1),
        "value": maps_of(values, keys.shape[2:4])[:, :, None],
        "logits": channels_first(logits),
        "prob": channels_first(jax.nn.softmax(logits)[..., 1:]),
        "readout": channels_first(trace),
    }


ADAPTERS = {
    "rde/encoders": encoders,
    "rde/aggregation_module": aggregation_module,
    "rde/bank_modes": bank_modes,
    "rde/segment": segment,
    "rde/single_object_network": single_object_network,
}
