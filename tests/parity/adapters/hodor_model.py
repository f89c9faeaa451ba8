"""Adapters of HODOR as a whole: masks, next frame, videos, losses, training clips."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.case import Case
from vos_jax.core.geometry import Geometry
from vos_jax.core.resize import resize
from vos_jax.losses.classification import cross_entropy
from vos_jax.losses.region import dice
from vos_jax.systems import registry
from vos_jax.systems.base import IMAGENET_MEAN, IMAGENET_STD, Clip, Given, Verbs
from vos_jax.systems.hodor.losses import merge_background, predictions
from vos_jax.systems.hodor.masks import background_grid, predicted_masks, reference_masks
from vos_jax.systems.hodor.model import CELLS
from vos_jax.systems.rollout import rollout

SETTINGS = {
    "n_dims": "channels",
    "n_heads": "heads",
    "encoder_layers": "encoder_layers",
    "decoder_layers": "decoder_layers",
    "pos_encodings_encoder": "position_in_encoder",
    "temporal_window": "temporal_window",
    "min_dim": "min_dim",
    "max_dim": "max_dim",
}


def build(case: Case, **settings):
    """The network a case describes, with its stand-in weights."""
    found = {ours: case.config[name] for name, ours in SETTINGS.items() if name in case.config}
    backbone = case.config.get("backbone", "swin_tiny")
    module = registry.build("hodor", backbone=backbone, **(found | settings))
    params, _ = registry.entry("hodor").names.convert(case.weights())
    return module, jax.tree.map(jnp.asarray, params)


def nchw(x):
    """Channels to the second axis."""
    return np.moveaxis(np.asarray(x), -1, 1)


def nhwc(x):
    """Channels to the last axis."""
    return jnp.moveaxis(jnp.asarray(x), 1, -1)


def mask_preparation(case: Case, data) -> dict[str, np.ndarray]:
    """Grids, reference and predicted masks at stride 8, merged logits."""
    ids = case.inputs["ref_ids"]
    logits = nhwc(case.inputs["logits_4x"])
    slots = logits.shape[-1] - 1 - CELLS
    planes = jax.nn.one_hot(ids.astype(np.int32) - 1, slots)
    objects, background = reference_masks(planes, CELLS)
    soft = jax.nn.softmax(logits, axis=-1)
    full = resize(soft, ids.shape[1:])
    kept, rest = predicted_masks(full[..., 1 + CELLS :], CELLS)
    merged = resize(merge_background(logits, slots), ids.shape[1:])[:, ::4, ::4]
    results = {
        "ref_masks_8x": jnp.concatenate([background, objects], -1),
        "probs_8x": resize(soft, (logits.shape[1] // 2, logits.shape[2] // 2)),
        "reset_bg_8x": rest,
        "reset_fg_8x": kept,
        "merged_logits_full": merged,
    }
    for name in case.outputs_wanted:
        if name.startswith("grid_"):
            size = tuple(map(int, name.removeprefix("grid_").split("x")))
            results[name] = background_grid(size, CELLS)[None].astype(np.uint8)
    return {name: nchw(value) for name, value in results.items()}


def losses(case: Case, data) -> dict[str, np.ndarray]:
    """Values and gradients of the loss on fixed logits."""
    results = {}
    for name in {name.split(".")[0] for name in case.outputs_wanted}:
        given = case.inputs[f"{name}.logits"]
        target = jnp.asarray(case.inputs[f"{name}.target"].astype(np.int32))
        weights = jnp.ones(target.shape)
        slots = jnp.ones((len(given), given.shape[1] - 1))

        def region(x, target=target, weights=weights, slots=slots):
            wanted = jax.nn.one_hot(target - 1, slots.shape[1])
            return dice(jax.nn.softmax(x, -1)[..., 1:], wanted, weights, slots)

        def total(x, target=target, weights=weights, region=region):
            return region(x) + cross_entropy(x, target, weights)

        x = nhwc(given)
        results[f"{name}.dice"], grad_dice = jax.value_and_grad(region)(x)
        results[f"{name}.total"], grad_total = jax.value_and_grad(total)(x)
        results[f"{name}.cross_entropy"] = cross_entropy(x, target, weights)
        results[f"{name}.grad_dice"] = nchw(grad_dice)
        results[f"{name}.grad_total"] = nchw(grad_total)
    return {name: np.asarray(value) for name, value in results.items()}


def next_frame(case: Case, data) -> dict[str, np.ndarray]:
    """Reference to descriptors, descriptors to the next frame, and that frame's descriptors."""
    module, params = build(case)
    verbs = Verbs(module, {"params": params})
    frames = [nhwc(case.inputs[f"frame{i}"]) for i in range(2)]
    ids = case.inputs["ref_ids"].astype(np.int32)
    slots = int(case.config.get("num_objects", ids.max()))
    geometry = Geometry.unchanged(frames[0].shape[1:3])
    given = Given(jax.nn.one_hot(ids - 1, slots), jnp.ones((len(ids), slots), bool))
    state = verbs.init_state(len(ids), geometry, slots, 2)
    first = module.spec.resolve(None, state.known, given, geometry)
    state = verbs.write(state, verbs.encode(frames[0]), None, first.memory, given)
    features = verbs.encode(frames[1])
    logits, _ = verbs.read(state, features)
    masks = module.spec.resolve(logits, state.known, None, geometry)
    state = verbs.write(state, features, None, masks.memory)
    objects, background = predicted_masks(masks.memory[..., 1:], CELLS)
    results = {"logits_4x": nchw(logits), "fg_mask_8x": nchw(objects)}
    results["bg_mask_8x"] = nchw(background)
    for entry, suffix in ((0, ""), (1, "_1")):
        results[f"bg_descriptors{suffix}"] = state.descriptors[:, entry, :CELLS]
        results[f"fg_descriptors{suffix}"] = state.descriptors[:, entry, CELLS:]
    return {name: np.asarray(value) for name, value in results.items()}


def video(case: Case, data) -> dict[str, np.ndarray]:
    """The whole inference routine, free running, one frame at a time."""
    module, params = build(case, bare_first=True)
    walk = Walk(module, Verbs(module, {"params": params}), case)
    frames = case.inputs["frames_rgb"]
    labels = [walk.step(t, frame, t == len(frames) - 1) for t, frame in enumerate(frames)]
    found = {"masks": np.stack(labels).astype(np.uint8), **walk.results}
    for number, descriptors in enumerate(walk.calls):
        found[f"enc_bg_{number}"] = descriptors[:, :CELLS]
        found[f"enc_fg_{number}"] = descriptors[:, CELLS:]
    return {name: np.asarray(value) for name, value in found.items()}


class Walk:
    """A video frame by frame, keeping what the official program's parts return.

    Objects are slots in the order of the case; the official program orders them by id, and
    leaves out those without any descriptor.
    """

    def __init__(self, module, verbs: Verbs, case: Case):
        self.spec, self.verbs = module.spec, verbs
        self.ids = np.array(case.config["instance_ids"])
        self.starts = np.array(case.config["ref_frame_of_object"])
        self.references = jnp.moveaxis(jnp.asarray(case.inputs["ref_masks"], jnp.float32), 0, -1)
        self.geometry = self.spec.geometry(case.inputs["frames_rgb"].shape[1:3])
        self.state = verbs.init_state(1, self.geometry, len(self.ids), None)
        self.calls, self.results = [], {}

    def step(self, t: int, frame, last: bool) -> np.ndarray:
        """One frame; returns its labels as object ids."""
        new, before = self.starts == t, np.asarray(self.state.known[0])
        prepared = self.spec.prepare(frame[None], self.geometry)
        self.results.setdefault("image0_network", nchw(prepared))
        prompt = self.prompt(new) if new.any() else None
        features = self.verbs.encode(prepared)
        if prompt is not None:
            own, _ = self.verbs._own_entry(self.state, features, prompt)
            self.calls.append(self.by_id(own, CELLS, new))
        scores, _ = self.verbs.read(self.state, features, prompt)
        masks = self.spec.resolve(scores, self.state.known, prompt, self.geometry)
        self.state = self.verbs.write(self.state, features, None, masks.memory, prompt)
        if before.any():
            number = sum(name.startswith("logits_4x") for name in self.results)
            logits = self.by_id(jnp.moveaxis(scores, -1, 1), 1 + CELLS, before | new)
            self.results[f"logits_4x_{number}"] = logits
            if not last:
                entry = self.state.descriptors[:, t % self.state.valid.shape[1]]
                self.calls.append(self.by_id(entry, CELLS, np.asarray(self.state.known[0])))
        return np.concatenate([[0], self.ids])[np.asarray(masks.labels[0])]

    def prompt(self, new) -> Given:
        """The masks of the objects that start now, at network size."""
        given = Given((self.references * new)[None], jnp.asarray(new)[None])
        placed = self.spec.place(given, self.geometry)
        planes = np.moveaxis(np.asarray(placed.masks[0], np.uint8), -1, 0)
        masks = self.results.setdefault("ref_masks_network", np.zeros_like(planes))
        masks[new] = planes[new]
        return placed

    def by_id(self, x, others: int, chosen):
        """The leading entries of axis 1, then those of the chosen objects by ascending id."""
        kept = [others + i for i in np.argsort(self.ids) if chosen[i]]
        return jnp.concatenate([x[:, :others], x[:, np.array(kept, int)]], axis=1)


def train_clip(case: Case, data) -> dict[str, np.ndarray]:
    """Loss, logits, targets and gradients of the official cycles."""
    results = {}
    variants = {k: v for k, v in case.config["variants"].items() if isinstance(v, dict)}
    for variant, settings in variants.items():
        module, params = build(
            case,
            cut_masks=settings["detach_intermediate_masks"],
            clip_frames=1 + int(case.config["num_other_frames"]),
        )
        clip = training_clip(case, settings["other_frame_masks"])
        plan = module.plan(settings["iter_num"], 0)
        gradient, values, shown = forward_and_backward(module, plan, params, clip)
        names = case.config["parameter_names"]
        official = registry.entry("hodor").names.export(gradient, names)
        norms = [np.linalg.norm(official[name]) if name in official else 0 for name in names]
        scales = [name for name in names if name.endswith("scaling_factors")]
        found = {
            "dice": values["dice"],
            "cross_entropy": values["cross_entropy"],
            "total": values["loss"],
            "grad_norms": np.array(norms, np.float32),
            "grad_scaling_factors": np.stack([official[name] for name in scales]),
        }
        found |= {f"grad.{name}": value for name, value in official.items()}
        counted = np.asarray(shown[2].any((0, 2, 3)))
        logits, targets = (np.asarray(x)[:, counted, 1::4, 1::4] for x in shown[:2])
        found |= {"logits": np.moveaxis(logits, -1, 1), "targets": targets.astype(np.uint8)}
        results |= {f"{variant}.{name}": np.asarray(value) for name, value in found.items()}
    return {name: results[name] for name in case.outputs_wanted if name in results}


def training_clip(case: Case, dense: bool) -> Clip:
    """The case's clips; without the other frames' masks every object counts as present."""
    ids = case.inputs["ids"].astype(np.int32)
    slots = int(case.config["num_objects"])
    present = np.stack([(ids == slot + 1).any((2, 3)) for slot in range(slots)], -1)
    labelled = np.ones(ids.shape[:2], bool)
    labelled[:, 1:] = dense
    bytes_again = jnp.moveaxis(jnp.asarray(case.inputs["images"]), 2, -1)
    bytes_again = bytes_again * jnp.asarray(IMAGENET_STD) + jnp.asarray(IMAGENET_MEAN)
    return Clip(
        frames=bytes_again,
        labels=jnp.asarray(ids),
        slots=jnp.ones((len(ids), slots), bool),
        present=jnp.asarray(present if dense else np.ones_like(present)),
        labelled=jnp.asarray(labelled),
        valid=jnp.ones(ids.shape, bool),
    )


@functools.partial(jax.jit, static_argnums=(0, 1))
def forward_and_backward(module, plan, params, clip):
    """Gradient, losses, and the full-size logits with their targets and weights."""

    def loss(params):
        run = rollout(Verbs(module, {"params": params}), clip, plan)
        values = module.losses(run, clip, 0)
        return values["loss"], (values, predictions(run, clip))

    gradient, (values, shown) = jax.grad(loss, has_aux=True)(params)
    return gradient, values, shown


ADAPTERS = {
    "hodor/mask_preparation": mask_preparation,
    "hodor/losses": losses,
    "hodor/next_frame": next_frame,
    "hodor/video": video,
    "hodor/train_clip": train_clip,
}
