"""Adapters of RDE's and STCN's whole videos, in the DAVIS and the YouTube-VOS core.

What an output is of stands in its name: `<variant>_labels`, where the variant may name a mode, the
option include_last, or "req" for a run that computes only the required frames.
"""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.adapters.hodor import channels_last
from tests.parity.adapters.rde_model import maps_of, planes_of, thinned, verbs_of
from tests.parity.case import Case
from vos_jax.core.geometry import Geometry
from vos_jax.core.resize import pad
from vos_jax.systems.base import Given, Verbs, advance, skip
from vos_jax.systems.rde.memory import MODES
from vos_jax.systems.space_time import MULTIPLE

NOTHING_SEEN = 1e-7
"""What the official buffer of probabilities holds for the background of an untouched frame."""
RESULT = re.compile(r"(?:(.*?)_)?(prob_last|last_prob|prob|labels|final_mem_key|final_mem_value)")


@dataclasses.dataclass(frozen=True)
class Walk:
    """A run over a video.

    Attributes:
        verbs: the system.
        geometry: of the video.
        features: of every frame.
        given: planes "1 H W o" by frame.
        required: frames that must be computed; None for all.
    """

    verbs: Verbs
    geometry: Geometry
    features: list
    given: dict[int, jax.Array]
    required: frozenset[int] | None = None

    def run(self) -> dict[str, np.ndarray]:
        """Probabilities, labels, and the memory before the last frame's turn to be stored."""
        advance_given, advance_plain, paste = (
            jax.jit(function) for function in (self._advance, self._advance, self._paste)
        )
        spec, slots = self.verbs.module.spec, next(iter(self.given.values())).shape[-1]
        entries = spec.entries(len(self.features), len(self.given))
        state = self.verbs.init_state(1, self.geometry, slots, entries)
        prob, labels = [], []
        for t, features in enumerate(self.features):
            before, prompt, needed = state, self._prompt(t), self._needed(state, t)
            if prompt is not None:
                function = advance_given if needed else paste
                state, masks = function(state, features, prompt)
            elif needed and state.known.any():
                state, masks = advance_plain(state, features)
            else:
                state, masks = skip(state), None
            untouched = np.zeros((*self.geometry.network, slots + 1), np.float32)
            untouched[..., 0] = NOTHING_SEEN
            prob.append(untouched if masks is None else np.asarray(masks.memory)[0])
            shown = np.zeros(self.geometry.output, np.uint8)
            labels.append(shown if masks is None else np.asarray(masks.labels)[0])
        prob = np.moveaxis(np.stack(prob), -1, 0)
        key, value = self._memory(before)
        return {
            "prob": prob,
            "prob_last": prob[:, -1],
            "labels": np.stack(labels),
            "final_mem_key": key[:1],
            "final_mem_value": value,
        }

    def _needed(self, state, t: int) -> bool:
        """Whether the official core computes the frame."""
        module = self.verbs.module
        due = int(state.time[0] - state.last[0]) >= module.spec.memory_every
        return self.required is None or t in self.required or due or module.include_last

    def _prompt(self, t: int) -> Given | None:
        if t not in self.given:
            return None
        return Given(masks=self.given[t], slots=self.given[t].any((1, 2)))

    def _advance(self, state, features, prompt: Given | None = None):
        return advance(self.verbs, state, features, self.geometry, prompt)

    def _paste(self, state, features, prompt: Given):
        """A frame whose masks are given and nothing else is computed of."""
        spec = self.verbs.module.spec
        placed = spec.place(prompt, self.geometry)
        masks = spec.resolve(None, state.known, placed, self.geometry)
        return self.verbs.write(state, features, None, masks.memory, placed), masks

    def _memory(self, state) -> list[np.ndarray]:
        """What the official bank calls its memory: "o c m y x"."""
        grid = tuple(side // MULTIPLE for side in self.geometry.network)
        compresses = state.embedding is not None and "embedding" in MODES[self.verbs.module.mode]
        if compresses:
            return [maps_of(x[0], grid)[:, :, None] for x in state.embedding]
        kept = int(state.bank.used.max()) if self.verbs.module.spec.growing else 1
        entries = state.bank.keys[0, :, :kept], state.bank.values[0, :, :kept]
        return [np.moveaxis(maps_of(x, grid), 1, 2) for x in entries]


def named(case: Case, system: str, given: dict[int, jax.Array]) -> dict[str, np.ndarray]:
    """Every result a case asks for, each variant run once."""
    found = {name: RESULT.fullmatch(name).groups(default="") for name in case.outputs_wanted}
    frames = channels_last(jnp.asarray(case.inputs["frames"]))
    runs, features, results = {}, None, {}
    for name, (variant, result) in found.items():
        if variant not in runs:
            verbs = verbs_of(case, system, **settings_of(case, system, variant))
            geometry = verbs.module.spec.geometry(frames.shape[1:3])
            if features is None:
                encoded = jax.jit(verbs.encode)(pad(frames, geometry))
                features = [
                    jax.tree.map(lambda x, t=t: x[t : t + 1], encoded) for t in range(len(frames))
                ]
            required = frozenset(case.config["required_frames"]) if "req" in variant else None
            runs[variant] = Walk(verbs, geometry, features, given, required).run()
        value = runs[variant][{"last_prob": "prob_last"}.get(result, result)]
        results[name] = thinned(case, name, value, 1) if "final" in name else value
    return results


def settings_of(case: Case, system: str, variant: str) -> dict:
    """What a variant's name says of the system's settings."""
    settings = {"include_last": case.config.get("include_last", False)}
    if "include_last" in variant:
        settings["include_last"] = True
    mode = variant.replace("include_last", "").strip("_").replace("_", "-")
    if system == "rde" and mode in MODES:
        settings["mode"] = mode
    return settings


def davis(case: Case, system: str) -> dict[str, np.ndarray]:
    """Objects given on the first frame."""
    return named(case, system, {0: planes_of(case.inputs["masks"])})


def youtube(case: Case, system: str) -> dict[str, np.ndarray]:
    """Objects given on the frames where their planes are set."""
    masks = case.inputs["gt_masks"]
    return named(case, system, {t: planes_of(m) for t, m in enumerate(masks) if m.any()})


ADAPTERS = {
    "rde/video": lambda case, data_dir: davis(case, "rde"),
    "rde/video_youtube": lambda case, data_dir: youtube(case, "rde"),
    "rde/stcn_video": lambda case, data_dir: davis(case, "stcn"),
    "rde/stcn_video_youtube": lambda case, data_dir: youtube(case, "stcn"),
}
