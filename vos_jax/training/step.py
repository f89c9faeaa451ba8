"""One update of the parameters: gradients of micro-batches, summed, then the optimiser.

A plan may differ from one micro-batch to the next (HODOR alternates its cycles), so the sum over
micro-batches lives outside the compiled micro-step, and the plan is a static argument of it:
as many compilations as there are distinct plans (and canvas sizes).
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree, UInt8, UInt32

from vos_jax.systems.base import Clip, Segmenter, Verbs, Visit
from vos_jax.systems.rollout import rollout
from vos_jax.training.optimisers import moving_average
from vos_jax.training.sharding import replicated, tree_shardings
from vos_jax.training.slots import shuffle_slots


@struct.dataclass
class TrainState:
    """Everything that an update changes, and the key its randomness comes from.

    Attributes:
        params: float32.
        moments: the optimiser's state.
        average: moving average of the parameters, or None.
        key: data of the random key; update and micro-batch numbers are folded into it.
    """

    params: PyTree
    moments: PyTree
    average: PyTree | None
    key: UInt32[Array, " n"]


def create_state(
    params: PyTree, transform: optax.GradientTransformation, ema: float, seed: int, mesh: Mesh
) -> TrainState:
    """The state before the first update, laid out on the devices of the mesh."""
    shardings = jax.tree.map(lambda leaf: leaf.sharding, state_shapes(params, transform, ema, mesh))
    make = functools.partial(_make_state, transform=transform, ema=ema)
    return jax.jit(make, out_shardings=shardings)(params, jax.random.key_data(jax.random.key(seed)))


def state_shapes(
    params: PyTree, transform: optax.GradientTransformation, ema: float, mesh: Mesh
) -> TrainState:
    """Shapes, types and layout of a state, from parameters or their shapes; what to restore."""
    make = functools.partial(_make_state, transform=transform, ema=ema)
    key = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
    shapes = jax.eval_shape(make, params, key)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes,
        tree_shardings(shapes, mesh),
    )


def _make_state(params, key, *, transform: optax.GradientTransformation, ema: float):
    average = jax.tree.map(jnp.copy, params) if ema else None
    return TrainState(params=params, moments=transform.init(params), average=average, key=key)


class Trainer:
    """The compiled functions of a training run."""

    def __init__(
        self, system: Segmenter, transform: optax.GradientTransformation, mesh: Mesh, ema: float = 0
    ):
        """Compiles nothing yet.

        Args:
            system: what is trained.
            transform: see `optimisers.optimiser`.
            mesh: of all devices.
            ema: decay of the moving average; 0 keeps none.
        """
        self._system, self._transform, self._mesh, self._ema = system, transform, mesh, ema
        self._zeros = jax.jit(self._make_zeros)
        self.micro_step = jax.jit(self._micro_step, static_argnames="plan", donate_argnames="sums")
        self._apply = jax.jit(self._apply_gradients, donate_argnames="state")
        self.predict = jax.jit(self._predict, static_argnames="plan")
        self.maps = jax.jit(self._maps)

    def update(
        self, state: TrainState, step: int, clips: Sequence[Clip]
    ) -> tuple[TrainState, dict[str, Array]]:
        """One update from the mean gradient of several micro-batches.

        Args:
            state: its buffers are reused, it must not be read afterwards.
            step: number of finished updates.
            clips: the micro-batches, on the devices.

        Returns:
            The new state; the losses averaged over the micro-batches, and `gradient_norm`
            (before clipping).
        """
        sums, scalars = self._zeros(state.params), []
        for micro, clip in enumerate(clips):
            plan = self._system.plan(step, micro)
            numbers = jnp.array([step, micro], jnp.int32)
            sums, losses = self.micro_step(state.params, sums, state.key, clip, numbers, plan=plan)
            scalars.append(losses)
        return self._apply(state, sums, scalars, jnp.int32(step + 1))

    def primed(self, state: TrainState, clip: Clip) -> TrainState:
        """The state before the first update, its parameters fitted to the first clips."""
        params = self._system.primed(state.params, clip)
        average = None if state.average is None else jax.tree.map(jnp.copy, params)
        return state.replace(params=params, average=average)

    def _make_zeros(self, params):
        return self._laid_out(jax.tree.map(jnp.zeros_like, params))

    def _laid_out(self, tree):
        return jax.lax.with_sharding_constraint(tree, tree_shardings(tree, self._mesh))

    def _micro_step(self, params, sums, key, clip: Clip, numbers, *, plan: tuple[Visit, ...]):
        """Adds one micro-batch's gradients to the sums; returns them and the losses."""
        key = functools.reduce(jax.random.fold_in, numbers, jax.random.wrap_key_data(key))
        if self._system.spec.group:
            key, draw = jax.random.split(key)
            clip = shuffle_slots(clip, draw)

        def objective(params):
            params = jax.lax.with_sharding_constraint(params, replicated(self._mesh))
            verbs = Verbs(self._system, {"params": params}, key)
            losses = verbs.losses(rollout(verbs, clip, plan), clip, numbers[0])
            return losses["loss"], losses

        gradients, losses = jax.grad(objective, has_aux=True)(params)
        return self._laid_out(jax.tree.map(jnp.add, sums, gradients)), losses

    def _apply_gradients(
        self, state: TrainState, sums, scalars: Sequence[dict[str, Array]], number: Array
    ):
        gradients = jax.tree.map(lambda total: total / len(scalars), sums)
        updates, moments = self._transform.update(gradients, state.moments, state.params)
        params = optax.apply_updates(state.params, updates)
        average = state.average
        if average is not None:
            average = moving_average(average, params, self._ema, number)
        new = TrainState(params=params, moments=moments, average=average, key=state.key)
        metrics = jax.tree.map(lambda *values: jnp.stack(values).mean(), *scalars)
        squares = jax.tree.map(lambda gradient: jnp.square(gradient).sum(), gradients)
        metrics["gradient_norm"] = jnp.sqrt(jax.tree.reduce(jnp.add, squares))
        return self._laid_out(new), metrics

    def _predict(self, params, clip: Clip, *, plan: tuple[Visit, ...]) -> list[UInt8[Array, "h w"]]:
        """Labels predicted for the first video, per visit that reads, equal on every process."""
        clip = jax.tree.map(lambda x: x[:1], clip)
        verbs = Verbs(self._system, {"params": params})
        run = rollout(verbs, clip, plan)
        geometry = self._system.spec.unchanged(clip.frames.shape[2:4])
        labels = [
            self._system.spec.resolve(scores, run.state.known & clip.slots, None, geometry).labels[
                0
            ]
            for scores in run.scores
            if scores is not None
        ]
        return jax.lax.with_sharding_constraint(labels, replicated(self._mesh))

    def _maps(self, params, clip: Clip) -> tuple[Float[Array, "t y x e"], Float[Array, "t y x"]]:
        """Embedding and seediness of the first video, from a windowed system's dense maps."""
        clip = jax.tree.map(lambda x: x[:1], clip)
        run = rollout(Verbs(self._system, {"params": params}), clip, (Visit(None),))
        maps = run.scores[0].embedding[0], run.scores[0].seediness[0]
        return jax.lax.with_sharding_constraint(maps, replicated(self._mesh))
