"""Adapters of the losses of Mask-Propagation and RDE on fixed logits, and of their optimiser."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.parity.case import Case
from vos_jax.losses.classification import kept_fraction
from vos_jax.losses.distillation import channel_divergence
from vos_jax.systems.base import Clip
from vos_jax.systems.rde.losses import halved
from vos_jax.systems.space_time_losses import frame_losses, overlaps
from vos_jax.training.optimisers import optimiser
from vos_jax.training.schedules import learning_rate
from vos_jax.training.settings import OptimiserSettings, ScheduleSettings


def clip_of(labels: np.ndarray, selector: np.ndarray) -> Clip:
    """Clips of these class maps [b t h w], of which nothing but a loss is asked."""
    return Clip(
        frames=jnp.zeros((*labels.shape, 3), jnp.uint8),
        labels=jnp.asarray(labels),
        slots=jnp.asarray(selector) > 0.5,
        present=jnp.ones((*labels.shape[:2], np.shape(selector)[1]), bool),
        labelled=jnp.ones(labels.shape[:2], bool),
        valid=jnp.ones(labels.shape, bool),
    )


class Batch:
    """The logits and classes of a case, and the loss of its frames."""

    def __init__(self, case: Case, classes: int, selector, total):
        """Takes the first so many channels; `total` joins the losses of the frames."""
        labels = case.inputs["cls_gt"]
        labels = np.where(labels < classes, labels, 0)
        self.warm = [case.config[name] for name in ("start_warm", "end_warm", "top_p")]
        self.clip, self.total = clip_of(labels, selector), total
        self.logits = {
            frame: jnp.moveaxis(jnp.asarray(case.inputs[f"logits_{frame}"])[:, :classes], 1, -1)
            for frame in range(1, labels.shape[1])
        }

    def losses(self, logits, iteration):
        """Total, and all that the official program logs."""
        kept = kept_fraction(jnp.asarray(iteration), *self.warm)
        losses = frame_losses(logits, self.clip, kept)
        return self.total([losses[f"loss_{frame}"] for frame in logits]), losses

    def gradient(self, iteration, frame):
        """Of the total for the logits of a frame, in their layout."""
        gradients = jax.grad(lambda x: self.losses(x, iteration)[0])(self.logits)
        return np.moveaxis(np.asarray(gradients[frame]), -1, 1)

    def counts(self):
        """Intersection and union of each object over all frames."""
        labels = self.clip.labels.astype(jnp.int32)
        both = sum(
            overlaps(jax.nn.softmax(each)[..., 1:] > 0.5, labels[:, frame])
            for frame, each in self.logits.items()
        )
        return np.asarray(both).T.ravel()


def mask_propagation_losses(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Values, gradients and overlaps of the two-object (mo) and the single-object (so) batch."""
    selector = np.asarray(case.config["selector"])
    batches = {
        "mo": Batch(case, 3, selector, sum),
        "so": Batch(case, 2, np.ones((len(selector), 1)), sum),
    }
    results = {}
    for name in case.outputs_wanted:
        kind, what, *frame = name.split("_", 2)
        batch = batches[kind]
        if what == "values":
            results[name] = [_values(batch, each) for each in case.config["iterations"]]
        elif what == "grad":
            iterations = case.config["grad_iterations"]
            results[name] = [batch.gradient(each, int(frame[0])) for each in iterations]
        elif what == "iou":
            results[name] = [batch.counts()] * len(case.config["iterations"])
    return {name: np.asarray(value, np.float32) for name, value in results.items()}


def _values(batch: Batch, iteration: int) -> list:
    total, losses = batch.losses(batch.logits, iteration)
    return [total, *(losses[f"loss_{frame}"] for frame in batch.logits), losses["p"]]


def rde_losses(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """`it<iteration>[_dlogits_<frame>]` and `kl_T<temperature>[_dstudent|_dteacher]`."""
    batch = Batch(case, 3, case.inputs["selector"], halved)
    features = [
        jnp.moveaxis(jnp.asarray(case.inputs[f"kl_{side}"]), 1, -1)
        for side in ("student", "teacher")
    ]
    results = {}
    for name in case.outputs_wanted:
        number, _, rest = name.removeprefix("kl_").lstrip("itT").partition("_")
        if name.startswith("kl_"):
            results[name] = _divergence(features, float(number), rest)
        elif rest:
            results[name] = batch.gradient(int(number), int(rest.removeprefix("dlogits_")))
        else:
            total, *frames, share = _values(batch, int(number))
            results[name] = [*frames, total, share]
    return {name: np.asarray(value, np.float32) for name, value in results.items()}


def _divergence(features: list, temperature: float, side: str):
    if not side:
        return [channel_divergence(*features, temperature)]
    number = ("dstudent", "dteacher").index(side)
    gradient = jax.grad(channel_divergence, argnums=number)(*features, temperature)
    return jnp.moveaxis(gradient, -1, 1)


def adam(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """What every step adds up to, and its rate."""
    config = case.config
    schedule = ScheduleSettings(
        kind="step", rate=config["lr"], drops=tuple(config["milestones"]), factor=config["gamma"]
    )
    start = jnp.asarray(case.inputs["param"])
    settings = OptimiserSettings(l2=config["weight_decay"], decay=0.0)
    transform = optimiser(settings, schedule, start)
    params, state, deltas = start, transform.init(start), []
    for gradient in case.inputs["grads"]:
        updates, state = transform.update(jnp.asarray(gradient), state, params)
        params = optax.apply_updates(params, updates)
        deltas.append(params - start)
    rates = [learning_rate(schedule)(step) for step in range(len(deltas))]
    return {"delta": np.stack(deltas), "lr": np.asarray(rates, np.float32)}


ADAPTERS = {
    "mask_propagation/losses": mask_propagation_losses,
    "mask_propagation/optimizer": adam,
    "rde/losses": rde_losses,
}
