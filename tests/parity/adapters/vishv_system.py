"""Adapters of whole systems: the network over a video, and VIShv's training."""

import re
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.adapters.vishv_model import joined, module_of, semantic, to_first, verbs_of
from tests.parity.case import Case
from vos_jax.core.labels import VOID
from vos_jax.systems import windows
from vos_jax.systems.base import Verbs
from vos_jax.systems.vishv.appearance import halved, rounded
from vos_jax.systems.vishv.losses import embedding_losses, semantic_losses
from vos_jax.systems.vishv.targets import instance_targets, semantic_targets
from vos_jax.systems.vishv.vishv import FLOW
from vos_jax.systems.vishv.weights import VISHV

_STEP = r"offset_head.blocks.0.flows.\g<n>."
GRADIENTS = {
    "grad_prior_bias": "offset_head.blocks.0.prior.conv.bias",
    r"grad_w_s(?P<n>\d+)": f"{_STEP}invconv.w_s",
    r"grad_coupling(?P<n>\d+)_bias": f"{_STEP}coupling.net.4.conv.bias",
    "grad_conv_embedding": "embedding_head.conv_embedding.weight",
    "grad_conv_variance_bias": "embedding_head.conv_variance.bias",
    r"grad_(?P<n>fpn_\w+\d)_bias": r"backbone.fpn.\g<n>.bias",
}
"""What the names of recorded gradients abbreviate."""
LOSSES = {
    "embedding_loss": "embedding",
    "flow_loss": "flow",
    "foreground_loss": "foreground",
    "semseg_loss": "semantic",
    "lovasz": "lovasz",
    "variance_smoothness": "smoothness",
    "seediness": "seediness",
}
"""What the recorded losses are called here."""
MINIMISED = ("embedding", "foreground", "semantic", "flow")


def video(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """What a stream hands to clustering, window after window."""
    clips = case.config["clips"]
    overlap = len(clips[0]) - clips[1][0] + clips[0][0] if clips[1:] else 4
    verbs = verbs_of(case, overlap=overlap)
    seen = []

    def record(points, sums, counts, valid, **_):
        means = [np.asarray(total) / count for total, count in zip(sums, counts, strict=True)]
        seen.append((jax.tree.map(lambda x: np.asarray(x)[valid], points), np.stack(means)[valid]))
        return np.zeros((len(valid), 1, 1), int), None

    frames = case.inputs["frames"][..., ::-1]
    stream = windows.WindowStream(verbs.module, verbs.variables["params"], frames.shape[1:3])
    with mock.patch.object(windows, "cluster_window", record):
        assert len(list(windows.segment_windows(stream, frames))) == len(frames)
    read = windows.windows(len(frames), verbs.module.clip_length, overlap)
    found, means = {}, {}
    for number, (points, mean) in enumerate(seen):
        distinct = sorted(set(read[number]))
        means |= dict(zip(distinct, mean, strict=True))
        found |= {
            f"clip{number}.frames": np.asarray(distinct, np.int32),
            f"clip{number}.embeddings": np.moveaxis(points.embedding, -1, 0),
            f"clip{number}.bandwidths": np.moveaxis(points.bandwidth, -1, 0),
            f"clip{number}.seediness": points.seediness[None],
        }
    if "class_logits" in case.outputs_wanted:
        logits = np.stack([means[t] for t in range(len(frames))])
        classes = re.search(r"classes ([\d,]+)", case.json["outputs"]["class_logits"])[1]
        found["class_logits"] = to_first(logits[..., [int(c) for c in classes.split(",")]])
        found["fg_prob"] = np.asarray(jax.nn.sigmoid(logits[..., -1]))
    return found


class Training:
    """VIShv on the case's clip.

    Ignored pixels lie within instances here, which a `Clip` cannot say: the parts are called.
    """

    def __init__(self, case: Case):
        """Reads the clip."""
        given = case.inputs
        numbers = np.arange(1, 1 + len(given["masks"]), dtype=np.uint8)
        labels = (given["masks"] * numbers[:, None, None, None]).max(0)[None]
        self.masks, _ = instance_targets(jnp.asarray(labels), len(numbers))
        _, self.ignored = instance_targets(jnp.asarray(given["ignore"][None]) * VOID, 0)
        self.classes = semantic_targets(self.masks, jnp.asarray(given["categories"])[None])
        self.module, self.frames = module_of(case), jnp.asarray(given["frames"])[..., ::-1]

    def objective(self, params, view: str | None):
        """The loss; losses, maps, and the flow's densities."""
        verbs, spec = Verbs(self.module, {"params": params}), self.module.spec
        geometry = spec.unchanged(self.frames.shape[1:3])
        features = verbs.encode(spec.prepare(self.frames, geometry))
        maps, _ = verbs.read(None, {s: x[None] for s, x in features.items()}, None, view)
        flow, kept = self.module.apply(
            verbs.variables,
            *(maps.appearance, self.masks.any(1)),
            method="likelihood",
            capture_intermediates=True,
            mutable="intermediates",
        )
        losses = {"flow": flow}
        if view != FLOW:
            parts = maps.embedding, maps.bandwidth, maps.seediness
            stds = self.module.free_stds
            losses |= embedding_losses(*parts, self.masks, self.ignored, stds)
            losses |= semantic_losses(maps.semantic, self.classes, self.ignored)
        total = sum(losses[name] for name in MINIMISED if name in losses)
        return total, (losses, maps, kept["intermediates"]["flow"]["__call__"][0])


def train(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Losses and gradients of both phases, and the maps."""
    training, params = Training(case), verbs_of(case).variables["params"]
    gradient = jax.jit(jax.grad(training.objective, has_aux=True), static_argnums=1)
    early, (warm, _, _) = gradient(params, FLOW)
    late, (losses, maps, (log_p, log_determinant, _)) = gradient(params, None)
    seen = rounded(halved(halved(maps.appearance[0])), case.config["n_bits"])
    return {
        "flow_phase.loss": warm["flow"],
        **gradients_of(early, "flow_phase.", case),
        **{f"join.{theirs}": losses[ours] for theirs, ours in LOSSES.items()},
        **gradients_of(late, "join.", case),
        "log_p": log_p.reshape(-1, case.config["batch_size"]).mean(0),
        "logdet": log_determinant,
        "appearance": to_first(maps.appearance),
        "flow_input": to_first(seen[None]),
        "map": joined(maps),
        "semseg": np.moveaxis(semantic(maps, case.json["outputs"]["semseg"]), -1, 2),
    }


def gradients_of(gradient, phase: str, case: Case) -> dict[str, np.ndarray]:
    """The recorded gradients of a phase by their abbreviated names."""
    found = {}
    for wanted in case.outputs_wanted:
        for short, official in GRADIENTS.items():
            if match := re.fullmatch(re.escape(phase) + short, wanted):
                (found[wanted],) = VISHV.export(gradient, [match.expand(official)]).values()
    return found


ADAPTERS = {
    "vishv/video": video,
    "vishv/vishv_video": video,
    "vishv/vishv_train": train,
}
