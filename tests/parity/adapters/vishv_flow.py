"""Adapters of VIShv's appearance and flow."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.adapters.vishv_model import to_first, to_last
from tests.parity.case import Case
from vos_jax.losses.likelihood import bits_per_dimension
from vos_jax.nn.glow import Glow, Step, squeeze
from vos_jax.systems.vishv.appearance import AppearanceDecoder, halved, rounded
from vos_jax.systems.vishv.maps import mixed
from vos_jax.systems.vishv.weights import APPEARANCE, GLOW


def appearance(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """The appearance map, the flow's input, and the embedding."""
    params, _ = APPEARANCE.convert(case.weights(), "offset_decoder.")
    config, raw = case.config, to_last(case.inputs["raw_embedding"])
    module = AppearanceDecoder(config["appearance_dims"])
    found = module.apply({"params": params}, to_last(case.inputs["feat32"]))
    mode = "xyt" + "f" * config["appearance_dims"]
    return {
        "appearance": to_first(found),
        "flow_input": to_first(rounded(halved(halved(found[0])), config["n_bits"])[None]),
        "mixed": to_first(mixed(raw, mode, config["time_scale"], found)),
    }


def mixing(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """`MODE`: the embedding."""
    found = {}
    for mode in case.outputs_wanted:
        raw, extra = (to_last(case.inputs[f"{mode}.{name}"]) for name in ("raw", "appearance"))
        found[mode] = to_first(mixed(raw, mode, case.config["time_scale"], extra))
    return found


def flow(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """Densities, latents, the first step's parts, draws, and the first batch's normalisation."""
    config = case.config
    kind = (config["affine"], config["conv_lu_argument"])
    module = Glow(config["in_channel"], config["n_flow"], config["n_block"], *kind)
    given, _ = GLOW.convert(case.weights(), "offset_head.")
    first = to_last(case.inputs["init_batch"])

    @jax.jit
    def run(params, first, x, noise):
        drawn = module.init(jax.random.key(0), first)["params"]
        for name, step in drawn.items():
            if name.startswith("parts"):
                params[name] = {**params[name], "norm": params[name].get("norm", step["norm"])}
        (log_p, logdet, _), primed = module.apply({"params": params}, first, mutable="params")
        return {
            "init": (log_p, logdet),
            "call": module.apply(primed, x),
            "sample": module.apply(primed, noise, drawn=True, method="inverse"),
            "steps": first_step(module, primed["params"], squeeze(x)),
        }

    noise = tuple(to_last(case.inputs[f"eps{level}"]) for level in range(config["n_block"]))
    found = run(given, first, to_last(case.inputs["x"]), noise)
    log_p, logdet, latents = found["call"]
    norm, mix, coupled = found["steps"]
    return {
        "log_p": log_p,
        "logdet": logdet,
        "squeezed": to_first(squeeze(to_last(case.inputs["x"]))),
        "flow0.actnorm": to_first(norm),
        "flow0.invconv": to_first(mix),
        "flow0.coupling": to_first(coupled),
        **{f"z{level}": to_first(latent) for level, latent in enumerate(latents)},
        "sample": to_first(found["sample"]),
        "init_log_p": found["init"][0],
        "init_logdet": found["init"][1],
    }


def first_step(module: Glow, params, x):
    """The maps after each part of the first step."""
    factored = module.factored or module.levels == 1
    step = Step(x.shape[-1], module.affine, factored, False, module.hidden)
    _, kept = step.apply(
        {"params": params["parts_0_0"]},
        x,
        None,
        capture_intermediates=True,
        mutable="intermediates",
    )
    kept = kept["intermediates"]
    return [kept[part]["__call__"][0][0] for part in ("norm", "mixing", "coupling")]


def flow_loss(case: Case, data_dir: Path) -> dict[str, np.ndarray]:
    """`loss<i>` and its gradients."""
    bits, found = int(np.log2(case.config["n_bins"])), {}
    for number in {name[-1] for name in case.outputs_wanted}:
        log_p, logdet, cells = (case.inputs[f"{n}{number}"] for n in ("log_p", "logdet", "n_pixel"))
        gradient = jax.value_and_grad(bits_per_dimension, argnums=(0, 1))
        loss, parts = gradient(jnp.asarray(log_p), jnp.asarray(logdet), int(cells), bits)
        found |= {f"loss{number}": loss}
        found |= {f"grad_log_p{number}": parts[0], f"grad_logdet{number}": parts[1]}
    return found


ADAPTERS = {
    "vishv/appearance_decoder": appearance,
    "vishv/appearance_mixing": mixing,
    "vishv/flow": flow,
    "vishv/flow_loss": flow_loss,
}
