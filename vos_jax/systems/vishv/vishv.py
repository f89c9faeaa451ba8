"""VIShv (ACM MM 2021): STEm-Seg whose embedding holds an appearance that a flow models."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from vos_jax.core.errors import ConfigError
from vos_jax.losses.likelihood import bits_per_dimension
from vos_jax.nn import glow
from vos_jax.systems.base import Clip, Verbs, Visit
from vos_jax.systems.rollout import Run, rollout
from vos_jax.systems.vishv.appearance import (
    AppearanceDecoder,
    ConditionEncoder,
    dithered,
    halved,
    rounded,
)
from vos_jax.systems.vishv.maps import FREE, DenseMaps
from vos_jax.systems.vishv.model import Features, StemSeg
from vos_jax.systems.vishv.targets import instance_targets

FLOW = "flow"
"""View of a clip of which the flow's input alone is needed."""
KINDS = ("released", "conditional")


class Vishv(StemSeg):
    """The network and its verbs; the free dimensions of the embedding hold the appearance.

    Attributes:
        appearance: "released": no gradient of any loss reaches the appearance, whose rounded
            values the flow models; "conditional", as in the paper's figure: gradients do, the
            flow knows the true masks and models values with noise instead of rounding.
        flow_steps: of each level.
        flow_levels: of the flow.
        affine: see `glow.Coupling`.
        flow_hidden: width of the networks of the flow.
        bits: of the values that the flow models.
        flow_weight: of its loss.
        flow_warm_updates: updates in which the flow alone learns.
    """

    mode: str = "xytfff"
    free_stds: tuple[float, ...] = (0.3, 0.3, 0.3)
    appearance: str = "released"
    flow_steps: int = 32
    flow_levels: int = 1
    affine: bool = False
    flow_hidden: int = 512
    bits: int = 5
    flow_weight: float = 1.0
    flow_warm_updates: int = 2000

    def setup(self):
        """Makes what STEm-Seg has, the appearance decoder and the flow."""
        super().setup()
        if self.appearance not in KINDS:
            known = " or ".join(KINDS)
            raise ConfigError(f"model.appearance={self.appearance!r} is not known: use {known}")
        width = self.mode.count(FREE)
        self.appearance_decoder = AppearanceDecoder(width, jnp.dtype(self.dtype))
        self.flow = glow.Glow(
            width,
            self.flow_steps,
            self.flow_levels,
            self.affine,
            conditional=self._conditional,
            hidden=self.flow_hidden,
        )
        if self._conditional:
            self.condition_encoder = ConditionEncoder()

    @property
    def _conditional(self) -> bool:
        return self.appearance == "conditional"

    @property
    def untrained(self) -> tuple[str, ...]:
        """Patterns of STEm-Seg's, and of the flow's constants."""
        return (*super().untrained, *(f"flow/{pattern}" for pattern in glow.UNTRAINED))

    def initialise(self, frames: UInt8[Array, "b h w 3"]):
        """Touches every parameter, the flow's too."""
        maps, _ = super().initialise(frames)
        shape = maps.appearance.shape[:-1]
        return self.likelihood(maps.appearance, jnp.zeros(shape, bool))

    def read(self, state, features: Features, given=None, view=None) -> tuple[DenseMaps, None]:
        """The dense maps of a window.

        Args:
            state: None.
            features: of the window's frames.
            given: None.
            view: `FLOW` for the appearance alone.
        """
        appearance = self.appearance_decoder(features[32])
        if view == FLOW:
            return DenseMaps(appearance=appearance), None
        added = appearance if self._conditional else jax.lax.stop_gradient(appearance)
        return self.maps_of(features, added).replace(appearance=appearance), None

    def plan(self, step: int, micro: int) -> tuple[Visit, ...]:
        """The whole clip at once, at first for the flow alone."""
        return (Visit(None, view=FLOW if step < self.flow_warm_updates else None),)

    def losses(self, run: Run, clip: Clip, step: int) -> dict[str, Array]:
        """STEm-Seg's losses and the flow's, in bits per dimension."""
        (maps,) = run.scores
        masks, _ = instance_targets(clip.labels, clip.slots.shape[1])
        flow = self.likelihood(maps.appearance, masks.any(axis=1))
        losses = {"loss": 0.0}
        if maps.embedding is not None:
            losses = super().losses(run, clip, step)
        return {**losses, "flow": flow, "loss": losses["loss"] + self.flow_weight * flow}

    def likelihood(
        self, appearance: Float[Array, "b t y x a"], masks: Float[Array, "b t y x"]
    ) -> Float[Array, ""]:
        """Bits per dimension of the appearance at stride 16, see `bits_per_dimension`.

        Args:
            appearance: of clips.
            masks: of all instances, which a conditional flow is told.
        """
        appearance, masks = (x.reshape(-1, *x.shape[2:]) for x in (appearance, masks))
        x, conditions = halved(halved(appearance)), None
        if self._conditional:
            key = self.make_rng("dropout") if self.has_rng("dropout") else None
            x, conditions = self._whole(dithered(x, self.bits, key)), ()
            condition = self._whole(self.condition_encoder(masks))
            for _ in range(self.flow_levels):
                condition = halved(condition)
                conditions = (*conditions, condition)
        else:
            x = rounded(x, self.bits)
        log_p, log_determinant, _ = self.flow(x, conditions)
        return bits_per_dimension(log_p, log_determinant, x[0].size, self.bits)

    def _whole(self, x: Float[Array, "n y x c"]) -> Float[Array, "n y x c"]:
        """The cells that the flow's levels can pair; a last row or column may be left over."""
        unit = 2**self.flow_levels
        return x[:, : x.shape[1] // unit * unit, : x.shape[2] // unit * unit]

    def primed(self, params, clip: Clip):
        """The parameters with the flow's normalisations set from a clip, unless they are set."""
        norm = params["flow"]["parts_0_0"]["norm"]
        if norm["shift"].any() or (norm["scale"] != 1).any():
            return params

        @jax.jit
        def run(params, clip):
            verbs = Verbs(self, {"params": params})
            visited = rollout(verbs, clip, (Visit(None, view=FLOW),)), clip, 0
            return self.apply(verbs.variables, *visited, method="losses", mutable="params")[1]

        return run(params, clip)["params"]
