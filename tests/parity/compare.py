"""Holding one computed output against the recorded one."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far an output may lie from the recorded one.

    Attributes:
        rtol: allowed difference relative to the recorded value; one number or one per row.
        atol: allowed absolute difference; one number or one per row.
        mismatch: share of the elements that may differ by more than that.
    """

    rtol: Any = 0.0
    atol: Any = 0.0
    mismatch: float = 0.0


def tolerance_of(settings: dict[str, Any], name: str, dtype: np.dtype) -> Tolerance:
    """Reads the tolerance of an output from a case's `tolerance` entry.

    Integer, boolean and text outputs must be equal unless the entry names them.
    """
    own = dict(settings.get("per_output", {}).get(name, {}))
    if name in settings.get("per_output_atol", {}):
        own.setdefault("atol", settings["per_output_atol"][name])
    if name == "masks" and "max_label_mismatch" in settings:
        own.setdefault("mismatch", settings["max_label_mismatch"])
    common = settings if dtype.kind == "f" else {}
    return Tolerance(
        rtol=own.get("rtol", common.get("rtol", 0.0)),
        atol=own.get("atol", common.get("atol", 0.0)),
        mismatch=own.get("mismatch", 0.0),
    )


def _per_row(value: Any, ndim: int) -> np.ndarray:
    value = np.asarray(value, np.float64)
    return value.reshape(value.shape + (1,) * (ndim - value.ndim)) if value.ndim else value


def compare(ours: Any, theirs: np.ndarray, tolerance: Tolerance) -> tuple[bool, str]:
    """Compares one output; returns whether it passes and a description of the difference.

    An element agrees when |ours - theirs| <= atol + rtol |theirs|; infinities must be equal, and
    a NaN on either side never agrees, whatever `mismatch` allows.
    """
    ours = np.asarray(ours)
    if ours.shape != theirs.shape:
        return False, f"shape {list(ours.shape)}, expected {list(theirs.shape)}"
    if theirs.dtype.kind not in "fiub" or ours.dtype.kind not in "fiub":
        differ = int(np.sum(ours != theirs))
        return differ == 0, f"{differ} of {theirs.size} differ"
    exact = ours == theirs
    ours, recorded = ours.astype(np.float64), theirs.astype(np.float64)
    nans = int(np.sum(np.isnan(ours) | np.isnan(recorded)))
    if nans:
        return False, f"{nans} of {theirs.size} are NaN"
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        difference = np.where(exact, 0.0, np.abs(ours - recorded))
        atol = _per_row(tolerance.atol, theirs.ndim)
        allowed = atol + _per_row(tolerance.rtol, theirs.ndim) * np.abs(recorded)
        near = (allowed > 0) & (difference <= allowed)
        agrees = exact | (np.isfinite(recorded) & near)
        relative = np.where(exact, 0.0, difference / np.abs(recorded))
    differ = int(np.sum(~agrees))
    passed = differ <= tolerance.mismatch * theirs.size
    if theirs.dtype.kind != "f" or tolerance.mismatch:
        return passed, f"{differ} of {theirs.size} differ"
    worst = (difference.max(initial=0.0), relative.max(initial=0.0))
    text = f"max_abs {worst[0]:.1e}  max_rel {worst[1]:.1e}"
    return passed, text if passed else f"{text}  {differ} of {theirs.size} differ"
